"""`download` and `upload`: artifacts and objects."""

from __future__ import annotations

import contextlib
import filecmp
import fnmatch
import os
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import click

from ..app import App, pass_app
from ..artifacts import artifact_pages
from ..changes import change_all
from ..command import group
from ..errors import FAILED, MISSING, NEGATIVE, OK, Failure
from ..naming import Task, one_task
from ..options import quiet_option, run_option
from ..periods import date_of
from ..text import size
from ..transfer_progress import Report, progress

__all__ = ["download", "upload"]


class _Stdout:
    """A writer to stdout, which after a restart omits what it has written already."""

    def __init__(self, app: App, written: list[int]) -> None:
        self._app = app
        self._written = written
        self._left = written[0]

    def write(self, data: bytes) -> None:
        new = data[self._left :]
        self._left = max(0, self._left - len(data))
        self._app.out.write(bytes(new))
        self._written[0] += len(new)


@group()
def download() -> None:
    """Download artifacts and objects. Objects are verified, and broken connections resume."""


_directory = click.option(
    "-D", "--directory", "-d", type=click.Path(file_okay=False, path_type=Path), help="Where to, created if missing."
)
_force = click.option("--force", is_flag=True, help="Replace existing files with other contents.")
_no_progress = click.option("--no-progress", is_flag=True, help="Draw no progress bars.")


@download.command(
    examples=[
        "taskcluster download artifact fN1SbArXTPSVFNUvaOlinQ public/build/target.txt -",
        "taskcluster download artifact fN1SbArXTPSVFNUvaOlinQ 'public/*' -D artifacts",
        "taskcluster download artifact --index project.test.latest public/build/target.txt target.txt",
        "taskcluster download artifact index:project.test.latest 0 public/build/target.txt target.txt",
    ]
)
@click.argument("words", metavar="[TASK] [RUN] NAME... [FILE]", nargs=-1, required=True)
@click.option("--index", metavar="PATH", help="Find the task in the index, instead of TASK.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="Names to leave out; repeatable.")
@run_option()
@_directory
@_force
@_no_progress
@click.option("--dry-run", is_flag=True, help="Print the names, and download nothing.")
@quiet_option()
@pass_app
def artifact(
    app: App,
    words: tuple[str, ...],
    index: str | None,
    exclude: tuple[str, ...],
    run: int | None,
    directory: Path | None,
    force: bool,
    no_progress: bool,
    dry_run: bool,
    quiet: bool,
) -> int:
    """Download artifacts of a task, and print the paths of the files.

    NAME is a name, or a pattern such as 'public/*'; a `*` also matches slashes. With one name and FILE, the artifact
    replaces that file when it is complete; `-` is stdout. With --directory, or a pattern, each slash in a name starts a
    subdirectory, and an existing file is kept if it is the same, and else refused without --force.
    """
    app.is_quiet = app.is_quiet or quiet
    rest = list(words)
    found = one_task(app, f"index:{index}" if index is not None else rest.pop(0))
    if len(rest) > 1 and rest[0].isdecimal():
        run = int(rest.pop(0))
    number = found.run_or(run)
    if not rest:
        raise click.UsageError("which artifact? give a name or a pattern", click.get_current_context())
    is_pattern = any(set("*?[") & set(word) for word in rest)
    file = rest.pop() if directory is None and len(rest) == 2 and not is_pattern else None
    queue = app.client("Queue", found.address)
    with progress(app, shown=not no_progress) as bars:
        if file is not None or (directory is None and not is_pattern and len(rest) == 1):
            [name] = rest
            if dry_run:
                app.out.document({"name": name}, lambda: app.out.line(name))
                return OK
            target = Path(name).name if file is None else file
            if file is None and not force and os.path.exists(target):
                raise Failure(f"{target} exists", hint="--force replaces it, or name another FILE")
            return _one(app, queue, found, number, name, target, bars)
        known = [each["name"] for page in artifact_pages(queue, found.id, number) for each in page]
        names = _chosen(known, rest, exclude)
        if dry_run:
            with app.out.array():
                for each in names:
                    app.out.record({"name": each}) if app.out.is_for_programs else app.out.line(each)
            return OK
        return _many(app, queue, found, number, names, directory or Path(), bars, force=force)


def _chosen(known: Sequence[str], patterns: Sequence[str], exclude: Sequence[str]) -> list[str]:
    found: dict[str, None] = {}
    for pattern in patterns:
        matching = [name for name in known if name == pattern or fnmatch.fnmatchcase(name, pattern)]
        if not matching:
            from taskcluster.suggestions import did_you_mean

            raise Failure(
                f"no artifact matches {pattern!r}{did_you_mean(pattern, known)}",
                MISSING,
                "`taskcluster task artifacts TASK` lists them",
            )
        found.update(dict.fromkeys(matching))
    return [name for name in found if not any(fnmatch.fnmatchcase(name, each) for each in exclude)]


def _fetch(
    queue: Any, task: Task, run: int | None, name: str, path: str | os.PathLike[str], report: Report | None
) -> None:
    from taskcluster_objects.download import downloadArtifactToPath

    downloadArtifactToPath(path, taskId=task.id, runId=run, name=name, queueService=queue, progress=report)


def _one(
    app: App, queue: Any, task: Task, run: int | None, name: str, target: str, bars: Callable[[str], Report | None]
) -> int:
    if target == "-":
        from taskcluster_objects.download import downloadArtifact

        written = [0]
        downloadArtifact(
            taskId=task.id,
            runId=run,
            name=name,
            queueService=queue,
            writerFactory=lambda: _Stdout(app, written),
            progress=bars(name),
        )
        app.out.flush()
        return OK
    _fetch(queue, task, run, name, target, bars(name))
    app.notes.say(f"{name}: {size(os.path.getsize(target))}")
    app.out.document({"name": name, "path": target}, lambda: app.out.line(target))
    return OK


def _many(
    app: App,
    queue: Any,
    task: Task,
    run: int | None,
    names: Sequence[str],
    directory: Path,
    bars: Callable[[str], Report | None],
    *,
    force: bool,
) -> int:
    from taskcluster_objects.artifact_paths import paths_for

    directory.mkdir(parents=True, exist_ok=True)
    paths = paths_for(directory, names)
    folded: dict[str, str] = {}
    for name in names:
        other = folded.setdefault(str(paths[name]).casefold(), name)
        if other != name and os.path.normcase("A") == "a":
            raise Failure(f"{other} and {name} would be one file here", hint="choose one by --exclude")

    def fetch(name: str) -> str:
        path = paths[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        if force or not path.exists():
            _fetch(queue, task, run, name, path, bars(name))
            return str(path)
        # Its hash is known for objects only, so compare the contents.
        import tempfile

        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".taskcluster-") as folder:
            fresh = Path(folder, "artifact")
            _fetch(queue, task, run, name, fresh, bars(name))
            if not filecmp.cmp(fresh, path, shallow=False):
                raise Failure(f"{path} exists with another content; --force replaces it", FAILED)
        return str(path)

    def report(name: str, path: str) -> None:
        if app.out.is_for_programs:
            app.out.record({"name": name, "path": path})
        else:
            app.out.line(path)
        app.notes.say(f"{name}: {size(os.path.getsize(path))}")

    with app.out.array():
        return change_all(app, names, fetch, report, str) if names else NEGATIVE


@download.command("object", examples=["taskcluster download object project/test/object.txt -"])
@click.argument("name")
@click.argument("file")
@_no_progress
@pass_app
def download_object(app: App, name: str, file: str, no_progress: bool) -> None:
    """Download an object into FILE, or to stdout with `-`."""
    from taskcluster_objects import download as downloads

    service = app.client("Object")
    with progress(app, shown=not no_progress) as bars:
        if file == "-":
            written = [0]
            downloads.download(
                name=name, objectService=service, writerFactory=lambda: _Stdout(app, written), progress=bars(name)
            )
            app.out.flush()
            return
        downloads.downloadToPath(file, name=name, objectService=service, progress=bars(name))
    app.notes.say(f"{name}: {size(os.path.getsize(file))}")
    app.out.document({"name": name, "path": file}, lambda: app.out.line(file))


@group()
def upload() -> None:
    """Upload artifacts of running tasks, and objects."""


@contextlib.contextmanager
def _opened(app: App, file: str) -> Generator[Any]:
    if file != "-":
        if not os.path.exists(file):
            raise Failure(f"cannot read {file}: no such file")
        with open(file, "rb") as opened:
            yield opened
        return
    if sys.stdin is None:
        raise Failure("stdin is closed: expected the data")
    import shutil
    import tempfile

    # An upload may be repeated, and its size must be known.
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.seek(0)
        yield copy


_type_option = click.option("--content-type", metavar="TYPE", help="Defaults to that of the name's ending.")


@upload.command(
    "artifact", examples=["taskcluster upload artifact fN1SbArXTPSVFNUvaOlinQ public/notes.txt notes.txt --run 0"]
)
@click.argument("named", metavar="TASK")
@click.argument("name")
@click.argument("file")
@run_option()
@_type_option
@click.option("--expires", default="1 year", show_default=True, metavar="PERIOD", help="At most that of the task.")
@_no_progress
@pass_app
def upload_artifact(
    app: App,
    named: str,
    name: str,
    file: str,
    run: int | None,
    content_type: str | None,
    expires: str,
    no_progress: bool,
) -> None:
    """Upload FILE, or stdin with `-`, as an artifact of a running task.

    This needs the task's own credentials, which it has in itself, or the scope queue:create-artifact:TASK/RUN.
    """
    from taskcluster.timestamps import parse_date
    from taskcluster_objects import upload as uploads
    from taskcluster_objects.content_types import content_type_of

    found = one_task(app, named)
    queue = app.client("Queue", found.address)
    status = queue.status(found.id)["status"]
    number = run if run is not None else len(status.get("runs") or [None]) - 1
    until = min(date_of("--expires", expires), status["expires"], key=parse_date)
    with _opened(app, file) as opened, progress(app, shown=not no_progress) as bars:
        uploads.uploadArtifactFromFile(
            taskId=found.id,
            runId=number,
            name=name,
            contentType=content_type_of(name, content_type),
            expires=until,
            file=opened,
            queueService=queue,
            progress=bars(name),
        )
    app.out.document({"taskId": found.id, "runId": number, "name": name}, lambda: app.out.line(name))


@upload.command("object", examples=["taskcluster upload object project/test/new.txt notes.txt --project test"])
@click.argument("name")
@click.argument("file")
@click.option("--project", required=True, metavar="ID", help="The project that the object belongs to.")
@_type_option
@click.option("--expires", default="1 year", show_default=True, metavar="PERIOD", help="When it is deleted.")
@_no_progress
@pass_app
def upload_object(
    app: App, name: str, file: str, project: str, content_type: str | None, expires: str, no_progress: bool
) -> None:
    """Upload FILE, or stdin with `-`, as an object."""
    from taskcluster_objects import upload as uploads
    from taskcluster_objects.content_types import content_type_of

    with _opened(app, file) as opened, progress(app, shown=not no_progress) as bars:
        uploads.uploadFromFile(
            projectId=project,
            name=name,
            contentType=content_type_of(name, content_type),
            expires=date_of("--expires", expires),
            file=opened,
            objectService=app.client("Object"),
            progress=bars(name),
        )
    app.out.document({"name": name}, lambda: app.out.line(name))
