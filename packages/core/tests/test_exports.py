"""Public names exist, and type checkers see the same as programs."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import taskcluster
from taskcluster.plugins import PluginError, PluginWarning, Service, hookimpl
from taskcluster.registry import Registry

SOURCE = Path(taskcluster.__file__).parent


def names_of_modules() -> list[str]:
    """Return the modules of core, without aliases of other distributions' modules."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text("utf-8")
        if text.startswith("# Generated") or "alias_module(__name__" in text:
            continue
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


# The omitted one changes the log when it is imported.
@pytest.mark.parametrize("name", sorted({*names_of_modules()} - {"taskcluster.debugging"}))
def test_names_in_all_exist(name: str) -> None:
    module = importlib.import_module(name)
    exported: list[str] = getattr(module, "__all__", [])
    missing = [each for each in exported if not hasattr(module, each)]
    assert not missing
    assert len(set(exported)) == len(exported)


@pytest.mark.parametrize("name", ["taskcluster", "taskcluster.aio"])
def test_all_is_sorted_and_part_of_dir(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__all__ == sorted(module.__all__)
    assert set(module.__all__) <= set(dir(module))


PUBLIC = [
    "taskcluster",
    "taskcluster.client",
    "taskcluster.credentials",
    "taskcluster.environment",
    "taskcluster.exceptions",
    "taskcluster.options",
    "taskcluster.plugins",
    "taskcluster.retry",
    "taskcluster.scopes",
    "taskcluster.slugs",
    "taskcluster.timestamps",
    "taskcluster.utils",
    "taskcluster.aio",
    "taskcluster.aio.asyncclient",
    "taskcluster.aio.asyncutils",
    "taskcluster.aio.retry",
]
BY_OTHERS = [
    "taskcluster.download",
    "taskcluster.helper",
    "taskcluster.pulse",
    "taskcluster.upload",
    "taskcluster.aio.download",
    "taskcluster.aio.helper",
    "taskcluster.aio.pulse",
    "taskcluster.aio.reader_writer",
    "taskcluster.aio.upload",
    "taskcluster.queue",
    "taskcluster.queueevents",
    "taskcluster.aio.queue",
    "taskcluster.aio.queueevents",
    "taskcluster_queue",
    "taskcluster_queue.aio",
    "taskcluster_queue.client",
    "taskcluster_queue.events",
    "taskcluster_queue.types",
]


@pytest.mark.parametrize("name", [*PUBLIC, *(pytest.param(name, marks=pytest.mark.services) for name in BY_OTHERS)])
def test_dir_lists_public_names_only(name: str) -> None:
    module = importlib.import_module(name)
    assert dir(module) == sorted(module.__all__)
    assert not [each for each in dir(module) if each.startswith("_")]


def seen_by_type_checkers(path: Path) -> dict[str, tuple[str, str]]:
    """Return each name that the TYPE_CHECKING block of a file imports, with its module and its name there."""
    tree = ast.parse(path.read_text("utf-8"))
    block = next(
        node
        for node in tree.body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    )
    found: dict[str, tuple[str, str]] = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom), ast.unparse(node)
        for alias in node.names:
            assert alias.asname is not None, f"{alias.name} is not exported again for type checkers"
            found[alias.asname] = ("." * node.level + (node.module or ""), alias.name)
    return found


def test_type_checking_is_not_a_literal() -> None:
    # jedi would treat the block as unreachable, and complete no service.
    tree = ast.parse((SOURCE / "__init__.py").read_text("utf-8"))
    value = next(
        each.value
        for each in tree.body
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "TYPE_CHECKING"
    )
    assert not isinstance(value, ast.Constant)
    assert taskcluster.TYPE_CHECKING is False


CHECKED = seen_by_type_checkers(SOURCE / "__init__.py")
CHECKED_AIO = seen_by_type_checkers(SOURCE / "aio" / "__init__.py")


def test_type_checkers_know_names_that_are_looked_up() -> None:
    ours = {name: module for name, (module, _) in CHECKED.items() if module.startswith(".")}
    table: dict[str, str] = taskcluster._NAMES
    modules: tuple[str, ...] = taskcluster._MODULES
    aliases = dict.fromkeys(taskcluster._ALIASES, ".")
    assert ours == {**{name: f".{module}" for name, module in table.items()}, **dict.fromkeys(modules, "."), **aliases}


def test_type_checkers_know_the_names_of_the_async_package() -> None:
    ours = {name for name, (module, _) in CHECKED_AIO.items() if module.startswith(".")}
    assert ours == {*taskcluster.aio._MODULES, *taskcluster.aio._NAMES, *taskcluster.aio._ALIASES}


def test_modules_of_the_async_package_load_no_http_library(python: Any) -> None:
    program = """
import sys
import taskcluster.aio
assert taskcluster.aio.exceptions is sys.modules["taskcluster.exceptions"]
assert taskcluster.aio.asyncclient.createSession is taskcluster.aio.createSession
print([name for name in ("aiohttp", "requests", "urllib3") if name in sys.modules])
"""
    assert python(program) == "[]"


@pytest.mark.parametrize("checked", [CHECKED, CHECKED_AIO])
def test_type_checkers_see_the_same_objects_as_programs(checked: dict[str, tuple[str, str]]) -> None:
    package: Any = taskcluster if checked is CHECKED else taskcluster.aio
    for name, (module, original) in checked.items():
        if module.strip("."):
            if importlib.util.find_spec(module.partition(".")[0] or "taskcluster") is None:
                continue
            there = importlib.import_module(module, package.__name__)
            assert getattr(package, name) is getattr(there, original), name


@pytest.mark.services
def test_type_checkers_know_every_service() -> None:
    from taskcluster.registry import services

    for which, package in ((("client", "events"), taskcluster), (("async_client", "events"), taskcluster.aio)):
        seen = CHECKED if package is taskcluster else CHECKED_AIO
        ours = {name for name, (module, _) in seen.items() if module.startswith("taskcluster_")}
        found = {
            getattr(service, "events_class_name" if kind == "events" else "class_name")
            for service in services().values()
            if service.client.startswith("taskcluster_")
            for kind in which
        }
        assert ours == found - {None}


def test_error_names_an_unknown_attribute_and_its_module() -> None:
    for module in (taskcluster, taskcluster.aio, taskcluster.client):
        with pytest.raises(AttributeError, match=f"module '{module.__name__}' has no attribute 'Nonsense'"):
            _ = module.Nonsense
        assert not hasattr(module, "nonsense")


class OfOnePlugin(Registry):
    """A registry with one plugin, which has a class that cannot be imported."""

    def __init__(self) -> None:
        @hookimpl
        def taskcluster_services() -> list[Service]:
            return [Service("gadgets", "v1", "no_such_package:Gadgets", "no_such_package.aio:Gadgets")]

        plugin: Any = ModuleType("gadgets_plugin")
        plugin.taskcluster_services = taskcluster_services
        super().__init__(lambda: {"gadgets": [SimpleNamespace(load=lambda: plugin, dist=None)]})  # type: ignore[list-item]


@pytest.mark.parametrize("package", ["taskcluster", "taskcluster.aio"])
def test_import_star_warns_of_a_class_that_fails_to_import(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskcluster.registry.registry", OfOnePlugin())
    imported: dict[str, Any] = {}
    with pytest.warns(
        PluginWarning, match=r"Gadgets is not available: the plugin 'gadgets' of .* no_such_package"
    ) as warned:
        exec(compile(f"from {package} import *", "program.py", "exec"), {"__name__": "program"}, imported)
    assert {warning.filename for warning in warned} == {"program.py"}
    assert "Gadgets" not in imported
    assert "createSession" in imported
    with pytest.raises(PluginError, match="Gadgets is not available"):
        _ = importlib.import_module(package).Gadgets


@pytest.mark.services
@pytest.mark.parametrize("module", [taskcluster, taskcluster.aio])
def test_a_service_without_events_has_no_events_class(module: Any) -> None:
    assert getattr(module, "IndexEvents", None) is None
    with pytest.raises(AttributeError, match="offers Queu; did you mean 'Queue'"):
        _ = module.Queu


@pytest.mark.services
@pytest.mark.parametrize(("module", "where"), [(taskcluster, "client"), (taskcluster.aio, "aio")])
def test_finds_the_original_class_after_a_patch(module: Any, where: str, python: Any) -> None:
    program = f"""
from unittest.mock import Mock, patch
import taskcluster.aio
import taskcluster_index.{where} as home
with patch.object(home, "Index") as mock:
    assert {module.__name__}.Index is mock
print({module.__name__}.Index is home.Index, isinstance(home.Index, type))
"""
    assert python(program) == "True True"


def test_a_name_is_looked_up_once() -> None:
    assert taskcluster.fromNow is vars(taskcluster)["fromNow"]


def test_the_package_is_marked_as_typed() -> None:
    assert (SOURCE / "py.typed").exists()
