"""Hashes of transferred data: which to compute, how, and how to compare them."""

from __future__ import annotations

import hashlib
import hmac
from collections import deque
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

from taskcluster.exceptions import ObjectHashVerificationError

__all__ = ["ACCEPTABLE_HASHES", "Digests", "hash_threads", "hashes_to_verify", "verify", "verifyHashes"]

ACCEPTABLE_HASHES = ("sha256", "sha512")
"""Uploads send both; downloads need at least one."""

_BATCH = 1024 * 1024
"""Bytes to pass to a thread at a time. Waking it takes as long as hashing a tenth of that."""
_AHEAD = 2
"""The most batches that wait for a hash; then reading and writing wait, too."""


@contextmanager
def hash_threads(number: int) -> Generator[Sequence[Executor], None, None]:
    """Yield threads for `Digests.update`, which start when they are needed, and end with the context."""
    with ExitStack() as stack:
        yield [stack.enter_context(ThreadPoolExecutor(1, "taskcluster-hash")) for _ in range(number)]


class Digests:
    """Running hashes of one stream. Large amounts are hashed in threads, because hashlib releases the GIL.

    Args:
        algorithms: Names for hashlib.new.
    """

    def __init__(self, algorithms: Iterable[str]) -> None:
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
        # The first has a thread of its own in any case, and sha512 takes twice as long as sha256.
        self._slow_first = [self._hashes[name] for name in sorted(self._hashes, reverse=True)]
        self._batch: list[bytes] = []
        self._size = 0
        self._running: deque[list[Future[None]]] = deque()

    def update(self, data: bytes, threads: Sequence[Executor]) -> None:
        """Add bytes, which must not change afterwards. Wait if too many of the earlier ones are not hashed yet.

        Args:
            data: The bytes.
            threads: Those of `hash_threads`, the same for each call. Further hashes are computed here.
        """
        if not self._hashes:
            return
        self._batch.append(data)
        self._size += len(data)
        if self._size < _BATCH:
            return
        batch, self._batch, self._size = self._batch, [], 0
        pairs = zip(self._slow_first, threads, strict=False)
        self._running.append([thread.submit(_add, each, batch) for each, thread in pairs])
        for each in self._slow_first[len(threads) :]:
            _add(each, batch)
        if len(self._running) > _AHEAD:
            _wait(self._running.popleft())

    def hexdigests(self) -> dict[str, str]:
        """Return the hexadecimal digests by algorithm."""
        while self._running:
            _wait(self._running.popleft())
        batch, self._batch, self._size = self._batch, [], 0
        for each in self._hashes.values():
            _add(each, batch)
        return {name: each.hexdigest() for name, each in self._hashes.items()}


def _add(running: Any, batch: list[bytes]) -> None:
    for data in batch:
        running.update(data)


def _wait(running: list[Future[None]]) -> None:
    for each in running:
        each.result()


def hashes_to_verify(name: str, stated: Mapping[str, Any]) -> dict[str, str]:
    """Return the hashes of a response that can be verified.

    Args:
        name: The object's name, for the error.
        stated: Hexadecimal digests by algorithm.

    Raises:
        ObjectHashVerificationError: Neither sha256 nor sha512 is among them.
    """
    if not any(isinstance(stated.get(algorithm), str) for algorithm in ACCEPTABLE_HASHES):
        raise ObjectHashVerificationError(
            f"no supported hash ({', '.join(ACCEPTABLE_HASHES)}) of {name} in the response of the object service, "
            f"only: {', '.join(sorted(stated)) or 'none'}"
        )
    return {algorithm: value for algorithm, value in stated.items() if _is_supported(algorithm, value)}


def _is_supported(algorithm: str, value: Any) -> bool:
    if algorithm in ACCEPTABLE_HASHES:
        return isinstance(value, str)
    if algorithm not in hashlib.algorithms_guaranteed or not isinstance(value, str):
        return False
    # The API specifies the form of sha256 and sha512 only.
    size = hashlib.new(algorithm, usedforsecurity=False).digest_size
    return len(value) == 2 * size > 0 and not set(value.lower()) - set("0123456789abcdef")


def verify(name: str, stated: Mapping[str, str], found: Mapping[str, str]) -> None:
    """Compare hashes.

    Raises:
        ObjectHashVerificationError: One differs.
    """
    for algorithm, value in stated.items():
        if not hmac.compare_digest(found[algorithm].encode(), value.lower().encode()):
            raise ObjectHashVerificationError(
                f"hash mismatch: the {algorithm} of the download of {name} is {found[algorithm]}, "
                f"not {value} as in the response of the object service"
            )


def verifyHashes(observed: Mapping[str, str], expected: Mapping[str, str]) -> None:
    """Compare the hashes that both mappings have, by algorithm.

    Args:
        observed: The computed hexadecimal digests.
        expected: The hexadecimal digests of the object service.

    Raises:
        ObjectHashVerificationError: One differs, or neither sha256 nor sha512 is in both.
    """
    common = {name: value for name, value in expected.items() if name in observed}
    verify("the object", hashes_to_verify("the object", common), observed)
