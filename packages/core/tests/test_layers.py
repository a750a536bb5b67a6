"""The layers of core: imports only go down, and lower layers do not read clocks, randomness or the environment."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import taskcluster

SOURCE = Path(taskcluster.__file__).parent

LAYERS: list[set[str]] = [
    {
        "callers",
        "causes",
        "effects",
        "exceptions",
        "installation",
        "options",
        "ownership",
        "redacted",
        "request_event",
        "shapes",
        "spec",
        "suggestions",
        "version",
    },
    {
        "arguments",
        "credentials",
        "decompression",
        "encodings",
        "exchanges",
        "hawk",
        "payloads",
        "retries",
        "scopes",
        "slugs",
        "timestamps",
        "urls",
        "validation",
    },
    {"call", "pages", "redirects", "retrying"},
    {
        "transport",
        "transport.aiohttp",
        "transport.bodies",
        "transport.caller_session",
        "transport.connections",
        "transport.deadlines",
        "transport.environment",
        "transport.error_mapping",
        "transport.framing",
        "transport.log_redaction",
        "transport.loop_session",
        "transport.own_session",
        "transport.requests",
    },
]
"""Values, decisions, procedures, transports. All other modules are in the layer above."""
TOP = len(LAYERS)

THIRD_PARTY: dict[str, set[str]] = {
    "credentials": set(),
    "hawk": {"mohawk"},
    "slugs": {"slugid"},
    "urls": {"taskcluster_urls"},
    "validation": {"jsonschema", "referencing"},
    "transport.bodies": {"requests", "urllib3"},
    "transport.caller_session": {"requests", "urllib3"},
    "transport.connections": {"requests", "urllib3"},
    "transport.error_mapping": {"requests", "urllib3"},
    "transport.own_session": {"requests", "urllib3"},
    "transport.requests": {"requests", "urllib3"},
    "transport.aiohttp": {"aiohttp", "yarl"},
    "transport.loop_session": {"aiohttp"},
}
"""The libraries that modules of lower layers may import, at any place."""
HTTP_LIBRARIES = {"aiohttp", "requests", "urllib3", "yarl"}
SLOW_TO_LOAD = {*HTTP_LIBRARIES, "mohawk", "slugid", "yaml"}
"""The libraries that modules of the top layer may import only inside functions."""

READS_ENVIRONMENT = {
    ("timestamps", "fromNow"): "starts at the present by default",
    ("credentials", "isExpired"): "compares with the present by default",
    ("hawk", "new_nonce"): "is the source of nonces, which calls get as an argument",
    ("slugs", "slugId"): "is the source of slugIds",
    ("transport.environment", "snapshot"): "transports use the proxies and certificates of the environment",
    ("transport.environment", "_is_exempt"): "the same",
    ("transport.environment", "ca_bundle"): "the same",
    ("transport.environment", "trust"): "the same",
    ("transport.own_session", "environment_arguments"): "the same",
}
"""The functions of lower layers that may read a clock, randomness or the environment, with the reasons."""


def modules() -> dict[str, ast.Module]:
    """Return the parsed modules of core by name, without the package's name."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = list(path.relative_to(SOURCE).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        found[".".join(parts)] = ast.parse(path.read_text("utf-8"))
    return found


MODULES = modules()


def layer(module: str) -> int:
    return next((number for number, names in enumerate(LAYERS) if module in names), TOP)


def is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports(module: str, node: ast.AST, *, inside_functions: bool) -> Iterator[str]:
    """Yield the imports at run time: modules of core as `.name`, others by their top-level name."""
    children: list[ast.AST] = list(ast.iter_child_nodes(node))
    if is_for_type_checkers(node):
        assert isinstance(node, ast.If)
        children = list(node.orelse)
    for child in children:
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not inside_functions:
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.level == 0:
            assert child.module is not None
            yield child.module.partition(".")[0]
        elif isinstance(child, ast.ImportFrom):
            yield from imported_from_core(module, child)
        else:
            yield from imports(module, child, inside_functions=inside_functions)


def imported_from_core(module: str, node: ast.ImportFrom) -> Iterator[str]:
    is_package = module in ("", "aio", "transport")
    parts = module.split(".") if module else []
    base = parts[: len(parts) - node.level + 1] if is_package else parts[: len(parts) - node.level]
    target = ".".join([*base, *(node.module or "").split(".")]).strip(".")
    for alias in node.names:
        below = f"{target}.{alias.name}".strip(".")
        yield f".{below if below in MODULES else target}"


def from_core(module: str, *, inside_functions: bool) -> set[str]:
    found = imports(module, MODULES[module], inside_functions=inside_functions)
    return {name[1:] for name in found if name.startswith(".")}


def from_elsewhere(module: str, *, inside_functions: bool) -> set[str]:
    found = imports(module, MODULES[module], inside_functions=inside_functions)
    return {name for name in found if not name.startswith(".")} - sys.stdlib_module_names - {"__future__"}


def test_listed_modules_exist() -> None:
    assert set().union(*LAYERS) <= MODULES.keys()
    assert THIRD_PARTY.keys() <= MODULES.keys()


@pytest.mark.parametrize("module", [module for module in MODULES if layer(module) < TOP])
def test_imports_only_go_down(module: str) -> None:
    upwards = {name for name in from_core(module, inside_functions=True) if layer(name) > layer(module)}
    assert not upwards


def test_imports_have_no_cycle() -> None:
    graph = {module: from_core(module, inside_functions=False) - {module} for module in MODULES}
    while leaves := {module for module, needed in graph.items() if not needed & graph.keys()}:
        graph = {module: needed for module, needed in graph.items() if module not in leaves}
    assert not graph


@pytest.mark.parametrize("module", [module for module in MODULES if layer(module) < TOP])
def test_lower_layers_import_only_listed_libraries(module: str) -> None:
    assert from_elsewhere(module, inside_functions=True) == THIRD_PARTY.get(module, set())


@pytest.mark.parametrize("module", [module for module in MODULES if layer(module) == TOP])
def test_top_layer_imports_slow_libraries_inside_functions(module: str) -> None:
    assert not from_elsewhere(module, inside_functions=False) & SLOW_TO_LOAD


def environment_reads(tree: ast.AST, function: str = "") -> Iterator[str]:
    """Yield the name of a function for each time it uses a clock, randomness or the environment."""
    for node in ast.iter_child_nodes(tree):
        inner = function
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = function or node.name
        if isinstance(node, ast.ImportFrom) and node.module in ("time", "random", "secrets", "uuid"):
            yield inner
        if isinstance(node, ast.Attribute):
            base = node.value.id if isinstance(node.value, ast.Name) else ""
            if (
                base in ("time", "random", "secrets", "uuid", "slugid")
                or (base == "os" and node.attr in ("environ", "getenv", "urandom"))
                or node.attr in ("now", "utcnow", "today", "getenv", "sleep")
            ) and base != "context":
                yield inner
        yield from environment_reads(node, inner)


def test_only_listed_functions_read_the_environment() -> None:
    found = {
        (module, function)
        for module, tree in MODULES.items()
        if layer(module) < TOP
        for function in environment_reads(tree)
    }
    assert found == READS_ENVIRONMENT.keys()


def test_layers_below_the_transports_are_not_async() -> None:
    awaiting = {
        module
        for module, tree in MODULES.items()
        if layer(module) < 3
        for node in ast.walk(tree)
        if isinstance(node, ast.Await | ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith)
    }
    assert not awaiting
