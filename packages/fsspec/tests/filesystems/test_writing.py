"""Test writing objects, and artifacts of running tasks."""

from __future__ import annotations

import contextlib
import gc
import io
import os
from pathlib import Path
from typing import Any

import fsspec
import pytest

from taskcluster.exceptions import TaskclusterFailure, TaskclusterRestFailure
from taskcluster_fsspec import ArtifactFileSystem, ObjectFileSystem

from .conftest import Tasks


def test_artifact_of_a_running_task(tasks: Tasks, fs: ArtifactFileSystem) -> None:
    task = tasks.create()
    for number, options in enumerate([{}, {"storage_type": "s3", "content_type": "text/x-test"}]):
        with fs.open(f"{task}/latest/public/{number}.csv", "wb", **options) as file:
            assert file.write(b"a,b\n") == 4
            assert file.tell() == 4
        assert fs.cat_file(f"{task}/0/public/{number}.csv") == b"a,b\n"
    found = tasks.queue.listArtifacts(task, 0)["artifacts"]
    assert [(each["storageType"], each["contentType"]) for each in found] == [
        ("object", "text/csv"),
        ("s3", "text/x-test"),
    ]
    assert {each["expires"] for each in found} == {tasks.queue.task(task)["expires"]}


@pytest.mark.parametrize("mode", ["wb", "xb"])
def test_existing_file_is_not_replaced(
    tasks: Tasks, fs: ArtifactFileSystem, object_fs: ObjectFileSystem, mode: str
) -> None:
    path = f"{tasks.create()}/0/a"
    for each, name in ((fs, path), (object_fs, "a")):
        each.pipe_file(name, b"1")
        with pytest.raises(FileExistsError) as caught:
            each.open(name, mode)
        assert isinstance(caught.value, TaskclusterRestFailure)
        assert caught.value.status_code == 409
        for pipe_mode in ("create", "overwrite"):
            with pytest.raises(FileExistsError):
                each.pipe_file(name, b"2", mode=pipe_mode)
        assert each.cat_file(name) == b"1"


def test_object_written_meanwhile_is_not_replaced(object_fs: ObjectFileSystem) -> None:
    first, second = object_fs.open("a", "wb"), object_fs.open("a", "wb")
    first.write(b"1")
    second.write(b"2")
    first.close()
    with pytest.raises(FileExistsError):
        second.close()
    assert object_fs.cat_file("a") == b"1"


def test_resolved_run_gets_no_artifacts(tasks: Tasks, fs: ArtifactFileSystem) -> None:
    task = tasks.with_files({})
    with pytest.raises(io.UnsupportedOperation, match="is resolved"):
        fs.open(f"{task}/0/a", "wb")


def test_empty_and_large_files(object_fs: ObjectFileSystem, tmp_path: Path) -> None:
    object_fs.touch("empty")
    assert object_fs.cat_file("empty") == b""
    assert object_fs.info("empty")["size"] == 0
    data = os.urandom(9_000_000)
    (tmp_path / "large").write_bytes(data)
    object_fs.put(str(tmp_path / "large"), "large")
    assert object_fs.cat_file("large") == data
    object_fs.copy("large", "copy")
    assert object_fs.info("copy")["size"] == len(data)


def test_text_and_compression(object_fs: ObjectFileSystem) -> None:
    with object_fs.open("a.csv.gz", "wt", compression="infer", encoding="utf-8") as file:
        file.write("é")
    with object_fs.open("a.csv.gz", "rt", compression="infer", encoding="utf-8") as file:
        assert file.read() == "é"


def opened(fs: ObjectFileSystem, mode: str, compression: str | None) -> Any:
    return fs.open("a", mode, compression=compression, **({} if "b" in mode else {"encoding": "utf-8"}))


@pytest.mark.parametrize("compression", [None, "gzip"], ids=["plain", "gzip"])
@pytest.mark.parametrize("mode", ["wb", "w", "xt"])
def test_exception_uploads_nothing(object_fs: ObjectFileSystem, mode: str, compression: str | None) -> None:
    with contextlib.suppress(ZeroDivisionError), opened(object_fs, mode, compression) as file:
        file.write(b"1" if "b" in mode else "1")
        raise ZeroDivisionError
    assert not object_fs.exists("a")


@pytest.mark.parametrize("mode", ["wb", "w"])
@pytest.mark.parametrize(
    ("compression", "opens"), [(None, False), (None, True), ("gzip", False)], ids=["plain", "open", "gzip"]
)
def test_exception_in_fsspec_open_uploads_nothing(
    object_fs: ObjectFileSystem, mode: str, compression: str | None, opens: bool
) -> None:
    text = {} if "b" in mode else {"encoding": "utf-8"}
    file = fsspec.open("tcobject://a", mode, compression=compression, project_id="proj", **text)
    with contextlib.suppress(ZeroDivisionError), file.open() if opens else file as opened:
        opened.write(b"1" if "b" in mode else "1")
        raise ZeroDivisionError
    assert not object_fs.exists("a")


def test_exception_in_fsspec_open_uploads_no_artifact(tasks: Tasks, fs: ArtifactFileSystem) -> None:
    path = f"{tasks.create()}/0/a"
    with contextlib.suppress(ZeroDivisionError), fsspec.open(f"tcartifact://{path}", "wb") as file:
        file.write(b"1")
        raise ZeroDivisionError
    assert not fs.exists(path)


def test_file_that_is_not_uploaded_is_logged(object_fs: ObjectFileSystem, caplog: pytest.LogCaptureFixture) -> None:
    file = object_fs.open("a", "wb")
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        file.close()
    assert caplog.messages == ["a is not uploaded, because of a ZeroDivisionError"]


def test_exception_handlers_can_write(object_fs: ObjectFileSystem) -> None:
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        with fsspec.open("tcobject://a", "wb", project_id="proj") as file:
            file.write(b"1")
    assert object_fs.cat_file("a") == b"1"


@pytest.mark.parametrize("compression", [None, "gzip"], ids=["plain", "gzip"])
@pytest.mark.parametrize("mode", ["wb", "w", "xt"])
def test_unclosed_file_uploads_nothing(object_fs: ObjectFileSystem, mode: str, compression: str | None) -> None:
    file = opened(object_fs, mode, compression)
    file.write(b"1" if "b" in mode else "1")
    del file
    gc.collect()
    assert not object_fs.exists("a")


def test_unknown_text_encoding_uploads_nothing(object_fs: ObjectFileSystem) -> None:
    with pytest.raises(LookupError):
        object_fs.open("a", "w", encoding="none")
    gc.collect()
    assert not object_fs.exists("a")


def test_transactions(object_fs: ObjectFileSystem) -> None:
    with object_fs.transaction:
        object_fs.pipe_file("a", b"1")
        assert not object_fs.exists("a")
    assert object_fs.cat_file("a") == b"1"
    with contextlib.suppress(ZeroDivisionError), object_fs.transaction:
        object_fs.pipe_file("b", b"1")
        raise ZeroDivisionError
    with object_fs.transaction, contextlib.suppress(ZeroDivisionError), object_fs.open("b", "wb"):
        raise ZeroDivisionError
    assert not object_fs.exists("b")


def test_files_cannot_be_changed(object_fs: ObjectFileSystem) -> None:
    object_fs.pipe_file("a", b"1")
    for change in (lambda: object_fs.rm("a"), lambda: object_fs.mv("a", "b"), lambda: object_fs.open("a", "ab")):
        with pytest.raises(io.UnsupportedOperation):
            change()
    object_fs.makedirs("d/e")
    assert not object_fs.exists("d/e")


def test_objects_need_a_project(tasks: Tasks) -> None:
    fs = ObjectFileSystem()
    with pytest.raises(TaskclusterFailure, match="needs the option project_id"):
        fs.open("a", "wb")
    with pytest.raises(io.UnsupportedOperation, match="cannot be listed"):
        fs.ls("")
    with pytest.raises(io.UnsupportedOperation, match="cannot be listed"):
        fs.glob("a*")
    fs.close()
