"""Test the command on a small repository: writing files, and `--check`."""

import shutil

import pytest

from taskcluster_codegen import tree
from taskcluster_codegen.cli import main

from .examples import a_spec, an_exchange

CORE = "packages/core/src/taskcluster"
CONFIGURATION = "packages/helper/src/taskcluster_helper/configuration.py"
SERVICE = "packages/services/widgets"
HAND_WRITTEN = f"if TYPE_CHECKING:\n    {tree.BEGINNING}\n    {tree.END}\n\nx = 1\n"


@pytest.fixture
def root(tmp_path):
    files = {
        "LICENSE": "the licence",
        "specs/widgets.json": a_spec(exchanges=[an_exchange()]),
        f"{CORE}/__init__.py": HAND_WRITTEN,
        f"{CORE}/aio/__init__.py": HAND_WRITTEN,
        CONFIGURATION: HAND_WRITTEN,
        f"{CORE}/call.py": "# Written by hand.\n",
    }
    for path, text in files.items():
        write(tmp_path, path, text)
    assert main(["--root", str(tmp_path)]) == 0
    return tmp_path


def write(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(text.encode())


def contents(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def check(root, capsys):
    capsys.readouterr()
    before = contents(root)
    status = main(["--check", "--root", str(root)])
    assert contents(root) == before
    return status, capsys.readouterr().out.splitlines()


def test_check_passes_after_writing(root, capsys):
    assert check(root, capsys) == (0, [])


def test_only_the_marked_block_is_replaced(root):
    assert (root / CORE / "__init__.py").read_text("utf-8") == (
        f"if TYPE_CHECKING:\n    {tree.BEGINNING}\n"
        "    from taskcluster_widgets import Widgets as Widgets\n"
        "    from taskcluster_widgets import WidgetsEvents as WidgetsEvents\n"
        f"    {tree.END}\n\nx = 1\n"
    )


def test_the_helper_knows_the_type_of_each_service(root):
    assert (root / CONFIGURATION).read_text("utf-8") == (
        f"if TYPE_CHECKING:\n    {tree.BEGINNING}\n"
        "    @overload\n"
        "    def get_service(\n"
        '        self, service_name: Literal["widgets"], use_async: Literal[False] = False\n'
        "    ) -> taskcluster.Widgets: ...\n"
        "    @overload\n"
        '    def get_service(self, service_name: Literal["widgets"], use_async: Literal[True])'
        " -> taskcluster.aio.Widgets: ...\n"
        f"    {tree.END}\n\nx = 1\n"
    )


CHANGES = {
    f"{SERVICE}/src/taskcluster_widgets/client.py": "differs",
    f"{SERVICE}/README.md": "differs",
    f"{SERVICE}/src/taskcluster_widgets/py.typed": "differs",
    f"{CORE}/widgets.py": "differs",
    f"{CORE}/aio/widgetsevents.py": "differs",
    "packages/meta/pyproject.toml": "differs",
    f"{SERVICE}/notes.txt": "surplus",
    f"{SERVICE}/src/taskcluster_widgets/old.py": "surplus",
    "packages/services/gadgets/pyproject.toml": "surplus",
    "packages/meta/src/x.py": "surplus",
}


@pytest.mark.parametrize(("path", "what"), CHANGES.items(), ids=CHANGES)
def test_changed_and_surplus_files_are_fixed(root, capsys, path, what):
    before = contents(root)
    write(root, path, before.get(path, b"").decode() + "more\n")
    assert check(root, capsys) == (1, [f"{what}: {path}"])
    assert main(["--root", str(root)]) == 0
    assert capsys.readouterr().out == f"{'deleted' if what == 'surplus' else 'wrote'}: {path}\n"
    assert contents(root) == before
    assert (root / path).parent.exists() == any(name.startswith(path.rpartition("/")[0] + "/") for name in before)


@pytest.mark.parametrize("path", [path for path, what in CHANGES.items() if what == "differs"])
def test_missing_file_is_written(root, capsys, path):
    before = contents(root)
    (root / path).unlink()
    assert check(root, capsys) == (1, [f"missing: {path}"])
    assert main(["--root", str(root)]) == 0
    assert contents(root) == before


def test_changed_block_is_fixed(root, capsys):
    before = contents(root)
    path = f"{CORE}/aio/__init__.py"
    write(root, path, before[path].decode().replace("Widgets as Widgets", "Widgets as Other"))
    assert check(root, capsys) == (1, [f"differs: {path}"])
    assert main(["--root", str(root)]) == 0
    assert contents(root) == before


def test_check_compares_line_endings(root, capsys):
    path = f"{SERVICE}/pyproject.toml"
    write(root, path, (root / path).read_text("utf-8").replace("\n", "\r\n"))
    assert check(root, capsys) == (1, [f"differs: {path}"])


def test_removed_spec_removes_the_service(root, capsys):
    write(root, "specs/gadgets.json", a_spec(serviceName="gadgets", className="Gadgets", types={}))
    before = contents(root).keys() - {"specs/gadgets.json"}
    assert main(["--root", str(root)]) == 0
    (root / "specs/gadgets.json").unlink()
    status, lines = check(root, capsys)
    assert status == 1
    assert {f"surplus: {CORE}/gadgets.py", "surplus: packages/services/gadgets/LICENSE"} <= set(lines)
    assert main(["--root", str(root)]) == 0
    assert contents(root).keys() == before
    assert not (root / "packages/services/gadgets").exists()


def test_build_products_are_ignored(root, capsys):
    for path in ("src/taskcluster_widgets/__pycache__/a.pyc", "dist/a.whl", "src/x.egg-info/PKG-INFO"):
        write(root, f"{SERVICE}/{path}", "x")
    assert check(root, capsys) == (0, [])


def test_hand_written_modules_are_ignored(root, capsys):
    write(root, f"{CORE}/widget_tools.py", "# Written by hand.\n")
    assert check(root, capsys) == (0, [])


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("specs/widgets.json", "{}", "specs/widgets.json: missing key 'types'"),
        (f"{CORE}/__init__.py", f"{tree.BEGINNING}\n", "__init__.py: the lines"),
        (f"{CORE}/__init__.py", f"{tree.BEGINNING}\n{tree.END}\n" * 2, "__init__.py: the lines"),
    ],
)
def test_errors_leave_files_unchanged(root, capsys, path, text, message):
    write(root, path, text)
    write(root, f"{SERVICE}/README.md", "changed")
    before = contents(root)
    assert main(["--root", str(root)]) == 2
    assert message in capsys.readouterr().err
    assert contents(root) == before


def test_names_only_files_it_has_written(root, capsys):
    """A folder after the first file cannot be created."""
    write(root, f"{CORE}/widgets.py", "changed")
    shutil.rmtree(root / "packages/meta")
    (root / "packages/meta").symlink_to("missing")
    capsys.readouterr()
    assert main(["--root", str(root)]) == 2
    assert capsys.readouterr().out == f"wrote: {CORE}/widgets.py\n"


def test_specs_option(root, capsys):
    (root / "specs").rename(root / "other")
    assert main(["--check", "--root", str(root), "--specs", str(root / "other")]) == 1
    assert f"differs: {SERVICE}/README.md" in capsys.readouterr().out.splitlines()
