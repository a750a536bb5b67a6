"""Transferred bytes are counted, decoded and hashed."""

from __future__ import annotations

import gzip
import hashlib
import io
import platform
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from taskcluster.exceptions import ObjectHashVerificationError, TaskclusterFailure
from taskcluster_objects.artifact_paths import paths_for
from taskcluster_objects.bodies import CHUNK, OpenFileWriter, Sink, Source, writing_to
from taskcluster_objects.hashing import Digests, hashes_to_verify, verify

DATA = bytes(range(256)) * 8192


def sink(encoding: str) -> Sink:
    return Sink(io.BytesIO(), Digests(["sha256"]), encoding, None, None)


@pytest.mark.parametrize(
    ("encoding", "stored"),
    [
        ("", DATA),
        ("identity", DATA),
        ("gzip", gzip.compress(DATA)),
        ("x-gzip", gzip.compress(DATA)),
        ("gzip", gzip.compress(DATA[:100]) + gzip.compress(DATA[100:])),
        ("deflate", zlib.compress(DATA)),
    ],
    # Not the bytes, because gzip stores the time, which differs between the processes that collect the tests.
    ids=["none", "identity", "gzip", "x-gzip", "gzip in two members", "deflate"],
)
@pytest.mark.parametrize("step", [1000, 10_000_000])
def test_decodes_in_small_pieces(encoding: str, stored: bytes, step: int) -> None:
    one = sink(encoding)
    with ThreadPoolExecutor(1) as thread:
        pieces = [piece for at in range(0, len(stored), step) for piece in one.pieces(stored[at : at + step], [thread])]
        one.finish()
        assert one.digests.hexdigests() == {"sha256": hashlib.sha256(DATA).hexdigest()}
    assert b"".join(pieces) == DATA
    assert one.received == len(stored)
    if encoding not in ("", "identity"):
        assert max(map(len, pieces)) <= CHUNK


def test_unknown_truncated_or_wrong_encoding_fails() -> None:
    with pytest.raises(TaskclusterFailure, match="'br'"):
        sink("br")
    cut = sink("gzip")
    list(cut.pieces(gzip.compress(DATA)[:-3], [ThreadPoolExecutor(1)]))
    with pytest.raises(TaskclusterFailure, match="ends in the middle"):
        cut.finish()
    with pytest.raises(TaskclusterFailure, match="not gzip"):
        list(sink("gzip").pieces(DATA, [ThreadPoolExecutor(1)]))
    sink("gzip").finish()


@pytest.mark.parametrize("step", [1000, 300_000, 1_500_000])
def test_hashes_pieces_of_any_size(step: int) -> None:
    data = DATA * 5
    with ThreadPoolExecutor(1) as thread:
        digests = Digests(["sha256", "sha512"])
        for at in range(0, len(data), step):
            digests.update(data[at : at + step], [thread])
        found = digests.hexdigests()
    assert found == {name: hashlib.new(name, data).hexdigest() for name in ("sha256", "sha512")}


def test_source_reads_one_byte_past_its_end() -> None:
    source = Source(None, 5, Digests([]))
    assert source.wanted() == 5
    assert source.accept(b"12345", [ThreadPoolExecutor(1)])
    assert source.wanted() == 1
    assert not source.complete
    assert not source.accept(b"", [ThreadPoolExecutor(1)])
    assert source.complete


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_copies_reusable_buffers_of_readers(kind: type) -> None:
    given = kind(b"12345")
    source = Source(None, 5, Digests(["sha256"]))
    taken = source.accept(given, [ThreadPoolExecutor(1)])
    assert (type(taken), taken) == (bytes, b"12345")
    if kind is bytearray:
        given[:] = b"other"
    assert source.digests.hexdigests() == {"sha256": hashlib.sha256(b"12345").hexdigest()}
    assert not source.accept(kind(b""), [ThreadPoolExecutor(1)])
    assert source.complete


@pytest.mark.parametrize("given", ["text", 3])
def test_rejects_other_types_than_bytes(given: Any) -> None:
    with pytest.raises(TypeError, match="bytes-like"):
        Source(None, 5, Digests([])).accept(given, [ThreadPoolExecutor(1)])


def test_verifies_every_supported_hash() -> None:
    good = {"sha256": "A" * 64, "md5": "b" * 32, "crc32c": "x", "sha1": "notahash", "shake_128": ""}
    assert hashes_to_verify("x", good) == {"sha256": "A" * 64, "md5": "b" * 32}
    verify("x", {"sha256": "A" * 64}, {"sha256": "a" * 64})
    with pytest.raises(ObjectHashVerificationError, match="sha256"):
        verify("x", {"sha256": "A" * 64}, {"sha256": "b" * 64})


def test_writes_everything_to_a_file_with_short_writes() -> None:
    class Bits(io.BytesIO):
        def write(self, data: bytes) -> int:  # type: ignore[override]
            return super().write(data[:3])

    file = Bits()
    OpenFileWriter(file).write(b"more than three")
    assert file.getvalue() == b"more than three"


def test_pipe_allows_one_writer() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    factory = writing_to(Pipe())
    factory()
    with pytest.raises(TaskclusterFailure, match="cannot be rewound"):
        factory()


def test_maps_names_to_paths_in_the_directory(tmp_path: Path) -> None:
    assert paths_for(tmp_path, ["public/a..b/.c"]) == {"public/a..b/.c": tmp_path / "public" / "a..b" / ".c"}
    (tmp_path / "dir").mkdir()
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "loop").symlink_to("loop")
    for names in (["dir"], ["file/x"], ["file/x/y"], ["loop/x"], ["a", "a/b/c"]):
        with pytest.raises(TaskclusterFailure, match="cannot download the artifact"):
            paths_for(tmp_path, names)
    with pytest.raises(TaskclusterFailure, match="cannot download the artifact"):
        paths_for(tmp_path / "file", ["x"])


PAGE_FAULTS = """
import resource, sys
from taskcluster_objects.bodies import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    [bytes([1]) * 256 * 1024 for _ in range(16)]
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc returns freed memory by size")
def test_keeps_freed_memory_for_new_buffers() -> None:
    def faults(which: str) -> int:
        return int(subprocess.check_output([sys.executable, "-c", PAGE_FAULTS, which], encoding="utf-8"))

    # 4 MiB in 50 rounds are 51 200 pages.
    assert faults("keep") < 5_000 < 20_000 < faults("return")
