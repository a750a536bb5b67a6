"""Test core's names, re-exporting modules and registry against the specs."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import taskcluster
import taskcluster.aio
from taskcluster.registry import registry
from taskcluster.version import VERSION

from .facts import ROOT, SPECS

OURS = [f"taskcluster-{service}" for service in SPECS]
CLASSES = [
    (spec[key], kind, module)
    for spec in SPECS.values()
    for key, sync_kind, async_kind in (
        ("className", "client", "async_client"),
        ("eventsClassName", "events", "events"),
    )
    if key in spec
    for kind, module in ((sync_kind, taskcluster), (async_kind, taskcluster.aio))
]


def imports(module: object) -> set[tuple[str, str, str]]:
    """Return module, name and alias of each import from a service's package in a module's source."""
    tree = ast.parse(Path(module.__file__).read_text("utf-8"))
    return {
        (node.module, alias.name, alias.asname)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and not node.level and node.module.startswith("taskcluster_")
        for alias in node.names
    }


@pytest.mark.parametrize(("module", "suffix"), [(taskcluster, ""), (taskcluster.aio, ".aio")], ids=["sync", "async"])
def test_class_names_are_typed(module, suffix):
    expected = set()
    for service, spec in SPECS.items():
        package = f"taskcluster_{service.replace('-', '_')}"
        expected.add((package + suffix, spec["className"], spec["className"]))
        if "eventsClassName" in spec:
            expected.add((package, spec["eventsClassName"], spec["eventsClassName"]))
    # Re-exports of other distributions are typed there too.
    others = {"taskcluster_objects", "taskcluster_helper", "taskcluster_pulse"}
    assert {item for item in imports(module) if item[0].partition(".")[0] not in others} == expected


@pytest.mark.parametrize(("name", "kind", "package"), CLASSES, ids=[f"{c[2].__name__}.{c[0]}" for c in CLASSES])
def test_module_re_exports_class(name, kind, package):
    module = importlib.import_module(f"{package.__name__}.{name.lower()}")
    assert name in module.__all__
    assert getattr(module, name) is getattr(package, name) is registry.find(kind, name)


@pytest.mark.parametrize(("name", "kind", "package"), CLASSES, ids=[f"{c[2].__name__}.{c[0]}" for c in CLASSES])
def test_module_names_missing_distribution(name, kind, package, monkeypatch):
    module = f"{package.__name__}.{name.lower()}"

    def find(kind, name):
        raise ModuleNotFoundError(f"{name} is not installed: pip install …", name="taskcluster_x")

    monkeypatch.setattr(registry, "find", find)
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(ModuleNotFoundError, match=f"{name} is not installed: pip install"):
        importlib.import_module(module)


def test_modules_do_not_shadow_the_standard_library():
    code = "import taskcluster.queue, taskcluster.secrets, queue, secrets; queue.Queue; secrets.token_hex"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_registry_accepts_every_spelling():
    services = registry.services()
    assert SPECS.keys() <= services.keys()
    for name, spec in SPECS.items():
        for spelling in (name, name.replace("-", "_"), name.replace("-", ""), spec["className"]):
            assert registry.service(spelling) is services[name]


@pytest.mark.parametrize("service", SPECS)
def test_service_contains_its_spec(service):
    found = registry.service(service)
    package, _, file = found.spec.partition(":")
    module = importlib.import_module(package)
    installed = Path(module.__file__).with_name(file)
    assert installed.read_bytes() == (ROOT / "specs" / f"{service}.json").read_bytes()
    assert found.reference() == json.loads(installed.read_text("utf-8"))


@pytest.mark.parametrize("service", SPECS)
def test_accessing_a_class_loads_only_its_service(service):
    code = f"""
import sys, taskcluster
assert taskcluster.{SPECS[service]["className"]}
for name in ("requests", "aiohttp", "mohawk"):
    assert name not in sys.modules, name
ours = "taskcluster_{service.replace("-", "_")}"
loaded = {{name for name in sys.modules if name.startswith("taskcluster_")}}
assert {{name for name in loaded if name.split(".")[0] != ours}} <= {{"taskcluster_urls"}}, loaded
assert ours + ".aio" not in loaded
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


@pytest.mark.parametrize("distribution", OURS)
def test_metadata_matches_core(distribution):
    core, ours = metadata.metadata("taskcluster-core"), metadata.metadata(distribution)
    assert ours["Version"] == VERSION
    assert ours.get_all("Classifier") == core.get_all("Classifier")
    for key in ("License-Expression", "Requires-Python"):
        assert ours[key] == core[key]
    for_types = "typing-extensions>=4.4; python_version < '3.11'"
    assert metadata.requires(distribution) == [f"taskcluster-core=={VERSION}", for_types]
    points = metadata.distribution(distribution).entry_points
    service = distribution.removeprefix("taskcluster-")
    assert [(point.group, point.name) for point in points] == [("taskcluster", service)]


def test_meta_package_requirements():
    requires = {requirement for requirement in metadata.requires("taskcluster") if ";" not in requirement}
    ours = {requirement for requirement in requires if requirement.endswith(f"=={VERSION}")}
    assert {f"{name}=={VERSION}" for name in ("taskcluster-core", *OURS)} <= ours
    assert requires - ours == {
        *("aiohttp", "async-timeout", "mohawk", "python-dateutil", "requests", "slugid", "taskcluster-urls")
    }
    extras = {"all", "async", "cli", "fsspec", "local", "pulse", "test"}
    assert set(metadata.metadata("taskcluster").get_all("Provides-Extra")) == extras
    assert metadata.metadata("taskcluster")["Version"] == VERSION
