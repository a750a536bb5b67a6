"""The command `taskcluster-codegen`."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Generator, Sequence
from pathlib import Path

from . import project, references, repository, tree
from .sources import DeploymentSource, FolderSource
from .spec import SpecError, load_all

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command == "new" and (options.check or options.specs or options.root != Path()):
        parser.error("new creates a distribution: --check, --root and --specs apply only to existing ones")
    try:
        with _source(options) as read:
            return _new(options, read) if options.command == "new" else _generate(options, read)
    except (SpecError, OSError, ValueError) as exc:
        print(f"taskcluster-codegen: {exc}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="taskcluster-codegen",
        description=(
            "Write all files generated from specs, in a distribution created by `new` or in the repository of the "
            "Taskcluster client. Generated files without a spec are deleted."
        ),
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; list files and served APIs that differ, and exit with 1 if there are any",
    )
    parser.add_argument("--root", type=Path, default=Path(), help="its folder (default: the current directory)")
    sources = parser.add_mutually_exclusive_group()
    sources.add_argument("--specs", type=Path, help="the folder of specs (only in the client's repository)")
    _add_sources(sources, "update the specs from")
    commands = parser.add_subparsers(dest="command", title="commands", metavar="")
    new = commands.add_parser(
        "new",
        help="create the distribution of a service",
        description="Create a distribution with the client of a service and its server side for the local deployment: "
        "of a small sample service, or of one that is already deployed.",
    )
    new.add_argument("service", help="the service's name in URLs, for example widgets")
    new.add_argument("--distribution", metavar="NAME", help="its name (default: <service>-client)")
    new.add_argument("--directory", type=Path, metavar="DIR", help="the folder to create (default: ./<distribution>)")
    new.add_argument("--api-version", default="v1", metavar="V", help="the version in URLs (default: %(default)s)")
    # Otherwise these defaults would replace options given before `new`.
    _add_sources(new.add_mutually_exclusive_group(), "read the service from", default=argparse.SUPPRESS)
    return parser


def _add_sources(
    group: argparse._MutuallyExclusiveGroup,  # pyright: ignore[reportPrivateUsage]
    what: str,
    default: str | None = None,
) -> None:
    folder = f"{what} a folder with `references/` and `schemas/`"
    group.add_argument("--references", type=Path, metavar="DIR", default=default, help=folder)
    group.add_argument("--root-url", metavar="URL", default=default, help=f"{what} a deployment")


@contextlib.contextmanager
def _source(options: argparse.Namespace) -> Generator[references.Read | None, None, None]:
    if options.references is not None:
        yield FolderSource(options.references)
    elif options.root_url is not None:
        with DeploymentSource(options.root_url) as deployment:
            yield deployment
    else:
        yield None


def _generate(options: argparse.Namespace, read: references.Read | None) -> int:
    root: Path = options.root
    found = project.find(root)
    if found is None and not (root / repository.CORE).is_dir():
        raise SpecError(
            f"{root.resolve()}: no pyproject.toml with a table [tool.taskcluster-codegen]; "
            "`taskcluster-codegen new SERVICE` creates a distribution with one"
        )
    specs = load_all(options.specs or root / "specs", root) if found is None else [found.spec()]
    changed: list[str] = []
    if read is not None and options.check:
        changed = [f"{spec.file}: {line}" for spec in specs for line in references.api_differences(spec, read)]
    elif read is not None:
        specs = [references.updated(spec, read) for spec in specs]
    wanted = repository.wanted(root, specs) if found is None else found.wanted(specs[0])
    if read is not None and not options.check:
        wanted.update((spec.file, spec.text) for spec in specs)
    differences = tree.differences(root, wanted, repository.owned(root) if found is None else found.owned())
    if options.check:
        for difference in (*differences, *changed):
            print(difference)
        return 1 if differences or changed else 0
    for difference in differences:
        tree.apply(root, wanted, difference)
        print(f"{'deleted' if difference.what == 'surplus' else 'wrote'}: {difference.path}")
    return 0


def _new(options: argparse.Namespace, read: references.Read | None) -> int:
    distribution: str = options.distribution or f"{options.service}-client"
    directory: Path = options.directory or Path(distribution)
    spec = project.create(options.service, distribution, directory, read, options.api_version)
    print(
        f"{directory}: created the distribution {distribution} with the package {spec.package}. Try it, with\n"
        "CHECKOUT being a checkout of the Taskcluster client:\n\n"
        f"    cd {directory}\n"
        "    python CHECKOUT/tools/family.py install local\n"
        "    pip install -e '.[test]' && pytest\n\n"
        f"Next, describe the service in {spec.file}, run `taskcluster-codegen` there, and implement its methods for\n"
        f"the local deployment in src/{spec.package}/local.py. See README.md."
    )
    return 0
