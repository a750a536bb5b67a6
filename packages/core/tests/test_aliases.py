"""Modules of core that are aliases of modules in other distributions."""

from __future__ import annotations

import sys

import pytest

import taskcluster
from taskcluster import plugins
from taskcluster.facade import alias_module, is_installed
from taskcluster.plugins import Location, PluginError, hookimpl
from taskcluster.registry import Registry


def test_error_says_which_distribution_to_install() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"taskcluster\.x is not installed: install taskcluster-no-such "):
        alias_module("taskcluster.x", "taskcluster_no_such.x")
    assert "taskcluster.x" not in sys.modules


def test_an_alias_is_the_other_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "taskcluster.alias", sys)
    alias_module("taskcluster.alias", "json")
    assert sys.modules["taskcluster.alias"] is sys.modules["json"]


@pytest.mark.skipif(is_installed("taskcluster_objects"), reason="needs an environment without taskcluster-objects")
@pytest.mark.parametrize("package", [taskcluster, taskcluster.aio])
def test_raises_without_the_aliased_package(package: object) -> None:
    for name in ("upload", "download"):
        with pytest.raises(ModuleNotFoundError, match="install taskcluster-objects "):
            getattr(package, name)
        assert name not in dir(package)


class TorrentMethod:
    name = "torrent"

    def accept(self) -> bool:
        return True

    def source(self, response: object) -> Location:
        return Location("https://example.com/?sig=hidden")


class Plugin:
    @staticmethod
    @hookimpl
    def taskcluster_transfer_methods() -> list[TorrentMethod]:
        return [TorrentMethod()]


class BrokenPlugin:
    @staticmethod
    @hookimpl
    def taskcluster_transfer_methods() -> list[TorrentMethod]:
        raise ValueError("no idea")


def test_plugins_add_transfer_methods() -> None:
    registry = Registry(dict)
    assert registry.transfer_methods() == []
    registry._manager.register(Plugin(), "torrents")
    assert [method.name for method in registry.transfer_methods()] == ["torrent"]


def test_error_names_a_plugin_whose_transfer_methods_raise() -> None:
    registry = Registry(dict)
    registry._manager.register(BrokenPlugin(), "torrents")
    with pytest.raises(PluginError, match=r"'torrents'.*no idea"):
        registry.transfer_methods()


def test_repr_of_a_location_shows_no_url() -> None:
    assert "hidden" not in repr(TorrentMethod().source({}))
    assert plugins.Location("x", headers={"a": "hidden"}) == Location("x", headers={"a": "hidden"})
