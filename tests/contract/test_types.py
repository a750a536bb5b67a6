"""Test the static types against the specs, and that clients do not import them."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .facts import SPECS, camel

each_service = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)


def package_of(spec: dict[str, Any]) -> Any:
    return importlib.import_module(f"taskcluster_{spec['serviceName'].replace('-', '_')}")


def stub_of(spec: dict[str, Any], module: str) -> ast.ClassDef:
    text = Path(package_of(spec).__file__).with_name(f"{module}.pyi").read_text("utf-8")
    (found,) = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    return found


@each_service
def test_objects_are_typed_dicts(spec):
    types = importlib.import_module(f"{package_of(spec).__name__}.types")
    for key, schema in spec["types"].items():
        if not (schema or {}).get("properties"):
            continue
        found = getattr(types, camel(Path(key).stem))
        required = {name for name in schema["properties"] if name in schema.get("required", ())}
        assert found.__required_keys__ == required, key
        assert found.__optional_keys__ == schema["properties"].keys() - required, key


@each_service
def test_all_names_exist(spec):
    types = importlib.import_module(f"{package_of(spec).__name__}.types")
    assert all(hasattr(types, name) for name in types.__all__)


@pytest.mark.parametrize(("module", "kind"), [("client", ast.FunctionDef), ("aio", ast.AsyncFunctionDef)])
@each_service
def test_client_stub_has_every_method(spec, module, kind):
    names = [node.name for node in stub_of(spec, module).body if isinstance(node, kind)]
    wanted = [method["name"] for method in spec["methods"]]
    assert [name for name in dict.fromkeys(names) if name != "paginate_items"] == wanted


@each_service
def test_events_stub_has_every_exchange(spec):
    if not spec.get("exchanges"):
        pytest.skip("no exchanges")
    body = stub_of(spec, "events").body
    names = dict.fromkeys(node.name for node in body if isinstance(node, ast.FunctionDef))
    assert list(names) == [exchange["name"] for exchange in spec["exchanges"]]


@each_service
def test_clients_do_not_import_types(spec):
    package = package_of(spec).__name__
    code = f"import sys, {package}.client, {package}.aio; sys.exit('{package}.types' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
