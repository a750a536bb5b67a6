"""Dicts that hide secrets in their repr, which keeps them out of logs and tracebacks.

To programs they are plain dicts, which can be compared, copied, pickled and serialized.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

    from typing_extensions import Self

__all__ = ["HIDDEN", "ClientOptions", "Redacted", "without_user_info"]

HIDDEN = "…"
"""Shown instead of a secret value."""

_USER_INFO = re.compile(r"(?<=//)[^/?#]*@")


class Redacted(dict[str, Any]):
    """A dict that shows its keys and hides its values in its repr; so do its copies and unions."""

    _shown: ClassVar[frozenset[str]] = frozenset()
    """The keys that do not have secret values."""

    @classmethod
    def copy_of(cls, given: Mapping[str, Any]) -> Self:
        """Return an unchanged copy of a mapping, without the checks and defaults of a subclass's constructor."""
        made = cls.__new__(cls)
        made.update(given)
        return made

    def copy(self) -> Self:
        """Return a shallow copy."""
        return self.copy_of(self)

    def __or__(self, other: Any) -> Any:
        return self.copy_of({**self, **other}) if isinstance(other, dict) else NotImplemented

    def __ror__(self, other: Any) -> Any:
        return self.copy_of({**other, **self}) if isinstance(other, dict) else NotImplemented

    def __repr__(self) -> str:
        shown = {name: self._visible(name, value) for name, value in self.items()}
        return f"{type(self).__name__}({shown!r})"

    def _visible(self, name: str, value: Any) -> Any:
        if value is None or isinstance(value, Redacted):
            return value
        if name not in self._shown:
            return HIDDEN
        return without_user_info(value) if isinstance(value, str) else value


class ClientOptions(Redacted):
    """Options for clients, neither checked nor completed."""

    _shown = frozenset(
        {
            "authorizedScopes",
            "delayFactor",
            "exchangePrefix",
            "maxDelay",
            "maxResponseSize",
            "maxRetries",
            "randomizationFactor",
            "rootUrl",
            "signedUrlExpiration",
            "timeout",
            "userAgentSuffix",
            "validate",
        }
    )


def without_user_info(url: str) -> str:
    """Return a URL without the user name and password in it."""
    return _USER_INFO.sub(f"{HIDDEN}@", url)


def _write_as_dict(dumper: Any, data: Redacted) -> Any:
    return dumper.yaml_representers[dict](dumper, data)


def _register(yaml: Any) -> None:
    # Otherwise PyYAML's SafeDumper rejects subclasses of dict, and its Dumper writes the name of the class.
    for representer in (yaml.representer.SafeRepresenter, yaml.representer.Representer):
        representer.add_multi_representer(Redacted, _write_as_dict)


class _YamlFinder:
    """Registers `Redacted` with PyYAML when a program imports PyYAML, because importing it here takes 15 ms."""

    def __init__(self) -> None:
        self._finding = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "yaml" or self._finding:
            return None
        from importlib.util import find_spec

        self._finding = True
        try:
            spec = find_spec(fullname)
        finally:
            self._finding = False
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_register(module: ModuleType) -> None:
                load(module)
                _register(module)

            spec.loader.exec_module = load_and_register  # type: ignore[method-assign]
        return spec


if "yaml" in sys.modules:
    _register(importlib.import_module("yaml"))
else:
    sys.meta_path.insert(0, _YamlFinder())
