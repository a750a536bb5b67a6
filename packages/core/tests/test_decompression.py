"""Compressed bodies, in pieces of any size and up to a limit."""

from __future__ import annotations

import functools
import gzip
import zlib

import pytest

from taskcluster.decompression import CollectedBody
from taskcluster.exceptions import TaskclusterFailure

TEXT = b"0123456789" * 50
RAW = zlib.compress(TEXT)[2:-4]
# The time in gzip's header would make the names of the tests differ from run to run.
packed = functools.partial(gzip.compress, mtime=0)


def collected(encoding: str, data: bytes, size: int, limit: int = len(TEXT)) -> bytes:
    body = CollectedBody(encoding, limit)
    for start in range(0, len(data), size):
        body.add(data[start : start + size])
    return body.content()


@pytest.mark.parametrize("size", [1, 3, 10_000])
@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("", TEXT),
        ("identity", TEXT),
        ("gzip", packed(TEXT)),
        ("X-GZip", packed(TEXT)),
        ("gzip", packed(TEXT[:300]) + packed(TEXT[300:])),
        ("gzip", packed(TEXT) + b"padding"),
        ("gzip", packed(TEXT) + b"\0" * 20),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", RAW),
        ("gzip, identity", packed(TEXT)),
        ("deflate, gzip", packed(RAW)),
        ("gzip,gzip , gzip", packed(packed(packed(TEXT)))),
    ],
)
def test_returns_the_decoded_body(encoding: str, data: bytes, size: int) -> None:
    assert collected(encoding, data, size) == TEXT


@pytest.mark.parametrize("encoding", ["", "gzip", "deflate", "gzip, gzip"])
def test_returns_nothing_when_nothing_came(encoding: str) -> None:
    assert collected(encoding, b"", 1) == b""


def test_leaves_an_unknown_encoding_as_it_is() -> None:
    body = CollectedBody("gzip, br", 100)
    body.add(b"encoded")
    assert (body.is_decodable, body.content()) == (False, b"encoded")


@pytest.mark.parametrize("size", [1, 10_000])
@pytest.mark.parametrize(
    ("encoding", "data"),
    [("", TEXT), ("gzip", packed(TEXT)), ("deflate", RAW), ("gzip, gzip", packed(packed(TEXT)))],
)
def test_raises_when_the_body_is_larger_than_the_limit(encoding: str, data: bytes, size: int) -> None:
    with pytest.raises(TaskclusterFailure, match=r"more than 499 bytes .* maxResponseSize"):
        collected(encoding, data, size, len(TEXT) - 1)


@pytest.mark.parametrize(
    ("encoding", "data"),
    [("gzip", b"plain text"), ("deflate", b"\xff" * 20), ("gzip, gzip", packed(b"plain text" * 100))],
)
def test_raises_when_the_body_is_not_encoded_as_announced(encoding: str, data: bytes) -> None:
    with pytest.raises(zlib.error):
        collected(encoding, data, 1000)
