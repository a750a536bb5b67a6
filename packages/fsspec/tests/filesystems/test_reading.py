"""Test reading artifacts, indexed artifacts and objects of a local deployment."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import fsspec
import pytest

from taskcluster_fsspec import ArtifactFileSystem, IndexFileSystem, ObjectFileSystem
from taskcluster_fsspec.exceptions import ErrorArtifact, NoResource

from .conftest import Tasks

NAMES = [
    "public/a",
    "public/a/b",
    "public//x",
    "/lead",
    "trail/",
    "public/./d",
    "public/../e",
    "q?",
    "h#",
    "s*",
    "br[x]",
    "sp ace",
    "per%41cent",
    "100%",
    "c::d",
    "x://y",
]
TEXT = b"".join(b"%d,some text\n" % number for number in range(200_000))
BYTES = os.urandom(3_000_000)


def test_every_name_is_found_and_read(tasks: Tasks, fs: ArtifactFileSystem) -> None:
    task = tasks.with_files({name: name.encode() for name in NAMES})
    found = fs.find(f"tcartifact://{task}/0")
    assert sorted(fs.info(path)["artifact"] for path in found) == sorted(NAMES)
    for path in found:
        name = fs.info(path)["artifact"].encode()
        assert fs.cat_file(path) == name
        assert fs.glob(path) == [path]
        with fsspec.open(f"tcartifact://{path}") as file:
            assert file.read() == name


def test_file_may_also_be_a_directory(tasks: Tasks, fs: ArtifactFileSystem) -> None:
    task = tasks.with_files({"a": b"1", "a/b": b"2"})
    assert [(each["name"], each["type"]) for each in fs.ls(f"{task}/0")] == [
        (f"{task}/0/a", "file"),
        (f"{task}/0/a", "directory"),
    ]
    assert fs.ls(f"{task}/0/a", detail=False) == [f"{task}/0/a", f"{task}/0/a/b"]
    assert fs.info(f"{task}/0/a")["type"] == "file"
    assert fs.find(f"{task}/0") == [f"{task}/0/a", f"{task}/0/a/b"]


@pytest.mark.parametrize("given_length", [True, False], ids=["length", "no-length"])
@pytest.mark.parametrize("encoding", ["gzip", None], ids=["gzip", "identity"])
@pytest.mark.parametrize("data", [b"", b"x", TEXT, BYTES], ids=["empty", "byte", "text", "bytes"])
def test_content_and_size(
    tasks: Tasks, fs: ArtifactFileSystem, tmp_path: Path, data: bytes, encoding: str | None, given_length: bool
) -> None:
    task = tasks.with_files({"f": data}, encoding=encoding, length=len(data) if given_length else None)
    path = f"{task}/latest/f"
    assert fs.info(path)["size"] == fs.size(path) == len(data)
    with fs.open(path) as file:
        assert file.read(3) == data[:3]
        assert file.seek(0, 2) == file.size == file.info()["size"] == len(data)
        assert file.read() == b""
        file.seek(max(0, len(data) - 5))
        assert file.read() == data[-5:]
        file.seek(0)
        assert file.readline() == data[: data.find(b"\n") + 1 or None]
        file.seek(0)
        assert b"".join(iter(lambda: file.read(100_000), b"")) == data
    assert fs.cat_file(path) == data
    assert fs.cat_file(path, 10, 20) == data[10:20]
    assert fs.cat_file(path, -10, -5) == data[-10:-5]
    assert fs.head(path, 7) == data[:7]
    assert fs.tail(path, 7) == data[-7:]
    fs.get_file(path, tmp_path / "deep" / "f")
    assert (tmp_path / "deep" / "f").read_bytes() == data


def test_several_files_at_once(tasks: Tasks, fs: ArtifactFileSystem, tmp_path: Path) -> None:
    files = {f"public/d/{number}": b"%d" % number for number in range(20)}
    task = tasks.with_files(files)
    assert fs.cat(f"{task}/0/public/d/*") == {f"{task}/0/{name}": data for name, data in files.items()}
    assert fs.cat(f"{task}/0/public", recursive=True) == {f"{task}/0/{name}": data for name, data in files.items()}
    fs.get(f"{task}/0/public/d", str(tmp_path / "got"), recursive=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "got").iterdir()} == {
        name[9:]: data for name, data in files.items()
    }
    path, missing = f"{task}/0/public/d/12", f"{task}/0/public/d/none"
    first, second, failure = fs.cat_ranges([path, path, missing], [0, 1, 0], [1, 2, 1])
    assert (first, second) == (b"1", b"2")
    assert isinstance(failure, FileNotFoundError)
    with pytest.raises(FileNotFoundError):
        fs.cat_ranges([missing], 0, 1, on_error="raise")
    assert fs.cat([path, missing], on_error="omit") == {path: b"12"}


def test_compression_is_inferred(tasks: Tasks, fs: ArtifactFileSystem) -> None:
    packed = gzip.compress(b"text")
    task = tasks.with_files({"a.csv.gz": packed})
    with fs.open(f"{task}/0/a.csv.gz", compression="infer") as file:
        assert file.read() == b"text"
    assert fs.read_bytes(f"{task}/0/a.csv.gz") == packed


def test_walk_and_glob(tasks: Tasks, fs: ArtifactFileSystem) -> None:
    task = tasks.with_files({"a/1.csv": b"", "a/2.csv": b"", "a/b/3.csv": b"", "c": b""})
    root = f"{task}/0"
    assert list(fs.walk(root)) == [
        (root, ["a"], ["c"]),
        (f"{root}/a", ["b"], ["1.csv", "2.csv"]),
        (f"{root}/a/b", [], ["3.csv"]),
    ]
    assert fs.glob(f"{root}/a/*.csv") == [f"{root}/a/1.csv", f"{root}/a/2.csv"]
    assert fs.glob(f"{root}/**/3.csv") == [f"{root}/a/b/3.csv"]
    assert fs.glob(f"{task}/*/c") == [f"{task}/0/c"]
    assert fs.glob(f"{root}/none*") == []
    assert fs.ls(task, detail=False) == [root]
    assert fs.isdir(task)
    assert fs.isdir(root)
    assert fs.isdir(f"{root}/a/b")
    assert not fs.exists(f"{root}/none")


def test_name_that_ends_with_a_dot_is_no_namespace(tasks: Tasks, index_fs: IndexFileSystem) -> None:
    tasks.add_to_index("x.y", tasks.with_files({"file.": b"1", "dir./file": b"2"}))
    assert index_fs.find("x.y") == ["x.y/dir./file", "x.y/file."]
    assert index_fs.ls("x.y/dir.", detail=False) == ["x.y/dir./file"]
    assert index_fs.cat("x.y/f*") == {"x.y/file.": b"1"}
    assert index_fs.isdir("x.y/dir.")
    assert index_fs.isfile("x.y/file.")


def test_indexed_artifacts(tasks: Tasks, index_fs: IndexFileSystem) -> None:
    task = tasks.with_files({"public/a.csv": b"1", "public/b.csv": b"2"})
    for path in ("project.x.latest", "project.y.latest", "project.y"):
        tasks.add_to_index(path, task)
    assert index_fs.ls("", detail=False) == ["project."]
    assert index_fs.ls("tcindex://project.", detail=False) == ["project.x.", "project.y.", "project.y"]
    assert index_fs.ls("project.y", detail=False) == ["project.y/public"]
    assert index_fs.cat("project.y.latest/public/a.csv") == b"1"
    assert index_fs.glob("project.*.latest/public/a*") == [
        "project.x.latest/public/a.csv",
        "project.y.latest/public/a.csv",
    ]
    assert index_fs.glob("project.*") == ["project.y"]
    assert index_fs.glob("project.*.") == ["project.x.", "project.y."]
    assert index_fs.find("project.y/") == ["project.y/public/a.csv", "project.y/public/b.csv"]
    assert index_fs.isdir("project.")
    assert not index_fs.exists("project.z")
    assert not index_fs.exists("none.")


def test_objects(object_fs: ObjectFileSystem) -> None:
    object_fs.pipe_file("a/b c//d", b"data")
    assert object_fs.info("tcobject://a/b c//d")["name"] == "a/b c/%2Fd"
    assert object_fs.info("a/b c/%2Fd")["size"] == 4
    assert object_fs.cat("a/b c/%2Fd") == b"data"
    assert object_fs.find("a/b c/%2Fd") == object_fs.glob("a/b c/%2Fd") == ["a/b c/%2Fd"]
    assert not object_fs.exists("none")


def test_missing_artifact_is_both_errors(tasks: Tasks, fs: ArtifactFileSystem) -> None:
    task = tasks.with_files({"a": b""})
    with pytest.raises(NoResource) as caught:
        fs.open(f"{task}/0/b")
    assert isinstance(caught.value, FileNotFoundError)
    assert caught.value.status_code == 404
    assert caught.value.__cause__ is caught.value.superExc


def test_malformed_paths_do_not_exist(fs: ArtifactFileSystem, index_fs: IndexFileSystem) -> None:
    for path in ("none", "none/0", "none/0/a", "none/latest/a"):
        assert not fs.exists(path)
        assert not fs.isfile(path)
        assert not fs.isdir(path)
    assert not index_fs.exists("a..b/a")


def test_error_artifact_raises_its_reason(tasks: Tasks, fs: ArtifactFileSystem) -> None:
    task = tasks.create()
    tasks.declare(task, "e", "error", reason="file-missing-on-worker", message="no such file")
    with pytest.raises(ErrorArtifact, match="no such file") as caught:
        fs.cat_file(f"{task}/0/e")
    assert isinstance(caught.value, OSError)
    assert caught.value.reason == "file-missing-on-worker"
