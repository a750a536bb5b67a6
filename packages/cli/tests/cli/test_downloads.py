"""Downloads: encodings, redirects, odd names, and disks that are full."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import taskcluster
from taskcluster_local import LocalTaskcluster

from .conftest import TASK, Done, definition
from .scripts import Script
from .world import add_artifacts, build, claim

Call = Callable[..., Done]


@pytest.fixture
def stored(script: Script) -> Callable[[str, bytes, dict[str, str]], None]:
    """Return a function that stores an artifact of the given kind."""

    def store(storage: str, data: bytes, headers: dict[str, str]) -> None:
        document = json.dumps({"storageType": storage, "url": f"{script.root_url}/blob"}).encode()
        script.respond = lambda path: (200, data if path == "/blob" else document)
        script.headers = lambda path: headers if path == "/blob" else {}

    return store


@pytest.mark.parametrize("storage", ["s3", "reference"])
@pytest.mark.parametrize("encoding", ["gzip", "unknown-size"])
def test_artifact_is_complete_and_decoded(
    stored: Callable[..., None], call: Call, storage: str, encoding: str, tmp_path: Path
) -> None:
    """In a file and on stdout."""
    content = b"line\n" * 1000
    if encoding == "gzip":
        stored(storage, gzip.compress(content), {"Content-Encoding": "gzip"})
    else:
        stored(storage, content, {"Content-Length": ""})
    file = tmp_path / "file"
    assert call("download", "artifact", TASK, "public/a", str(file)).status == 0
    assert file.read_bytes() == content
    assert call("download", "artifact", TASK, "public/a", "-").out == content.decode()


def test_encoding_that_is_not_supported(stored: Callable[..., None], call: Call, tmp_path: Path) -> None:
    """The old file stays, because the data would not be what the task wrote."""
    stored("s3", b"\x28\xb5\x2f\xfd", {"Content-Encoding": "zstd"})
    file = tmp_path / "file"
    file.write_text("old", "utf-8")
    done = call("download", "artifact", TASK, "public/a", str(file))
    assert (done.status != 0, done.out, "unsupported Content-Encoding 'zstd'" in done.err) == (True, "", True)
    assert file.read_text("utf-8") == "old"


def test_a_line_for_each_file_without_a_terminal(call: Call, local: LocalTaskcluster, tmp_path: Path) -> None:
    build(local)
    line = ["download", "artifact", TASK, "public/build/*", "-D", str(tmp_path / "got")]
    done = call(*line)
    assert sorted(done.err.splitlines()) == ["2 done", "public/build/other.bin: 2 B", "public/build/target.txt: 7 B"]
    assert (done.status, call(*line, "--no-progress", "--quiet").err) == (0, "")


def test_names_that_files_cannot_have(call: Call, local: LocalTaskcluster, tmp_path: Path) -> None:
    """They are named before anything is downloaded; without them the others are, each once."""
    queue: Any = taskcluster.Queue(local.options())
    queue.createTask(TASK, definition(local))
    hostile = ["public/back\\slash", "/etc/absolute", f"public/{'n' * 300}"]
    good = {"public/100%25": b"2", "public/x": b"4"}
    add_artifacts(local, claim(local), TASK, {**dict.fromkeys(hostile, b"1"), **good})
    line = ["download", "artifact", TASK, "*", "public/x", "*x", "-D", str(tmp_path / "got")]
    for number, name in enumerate(hostile):
        excluded = [option for other in hostile if other != name for option in ("--exclude", other.replace("\\", "?"))]
        done = call(*line, *excluded)
        assert (done.status, done.out) == ((1, done.out) if number == 2 else (2, "")), done
        assert repr(name)[1:-1] in done.err or name in done.err
    found = {path.name: path.read_bytes() for path in tmp_path.joinpath("got", "public").iterdir()}
    assert found == {"100%25": b"2", "x": b"4"}
    assert len(done.out.splitlines()) == 2
    assert not tmp_path.joinpath("got", "etc").exists()


@pytest.mark.once
def test_full_disk_leaves_the_old_file(local: LocalTaskcluster, tmp_path: Path) -> None:
    """A limit on the size of files fails in the middle as a full disk does."""
    build(local, resolved=False)
    add_artifacts(
        local, taskcluster.Queue(local.options()), artifacts={"public/big": b"x" * 100_000, "public/small": b"small"}
    )
    folder = tmp_path / "got"
    folder.mkdir()
    old = folder / "old"
    old.write_text("old", "utf-8")
    program = f"ulimit -f 16; exec {sys.executable} -m taskcluster_cli download artifact {TASK} "
    done = subprocess.run(["bash", "-c", f"{program} public/big {old}"], capture_output=True, encoding="utf-8")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (5, "", 1), done
    assert done.stderr.startswith("Error: File too large")
    done = subprocess.run(
        ["bash", "-c", f"{program} public/big public/small -D {folder}"], capture_output=True, encoding="utf-8"
    )
    assert (done.returncode, done.stdout) == (1, f"{folder}/public/small\n"), done
    assert "Error: public/big: File too large" in done.stderr
    assert "1 done, 1 failed" in done.stderr
    files = {str(path.relative_to(folder)): path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()}
    assert files == {"old": "old", "public/small": "small"}
