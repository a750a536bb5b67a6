"""Load files that describe clients, roles, secrets, hooks, tasks and repositories, and add them to a deployment through
its API.

The entire file is checked against the schemas of the API before anything is sent.
"""

from __future__ import annotations

import datetime as dates
import graphlib
import hashlib
import json
import os
import re
import uuid
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from taskcluster.exceptions import TaskclusterFailure, TaskclusterRestFailure
from taskcluster.shapes import is_array
from taskcluster.suggestions import did_you_mean
from taskcluster.timestamps import fromNow

from . import own_api
from .api import Interface
from .arguments import checked
from .deployment import shared_interface
from .encoding import is_object
from .errors import ApiError
from .services.github.rendering import policy
from .timestamps import from_wire, to_wire

if TYPE_CHECKING:
    from taskcluster import Auth, Hooks, Queue, Secrets

__all__ = ["Contents", "LoadError", "counted", "load", "read", "send"]

_PathTo = tuple["str | int", ...]
"""The location of a value: the keys and indexes that lead to it."""

_SLUG = re.compile(r"[A-Za-z0-9_-]{8}[Q-T][A-Za-z0-9_-][CGKOSWaeimquy26-][A-Za-z0-9_-]{10}[AQgw]")


_TAGS_OF_KEYS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge")


class LoadError(Exception):
    """The file is invalid, or the deployment rejected an entry."""


@dataclass(frozen=True)
class _Kind:
    """How the entries of one section of the file are added."""

    service: str
    method: str
    parameters: tuple[str, ...]
    defaults: Mapping[str, Any]
    dates: tuple[str, ...] = ()
    """The fields that accept relative dates, such as `2 days`."""


_KINDS = {
    "roles": _Kind("auth", "createRole", ("roleId",), {"description": ""}),
    "clients": _Kind(
        "auth", "createClient", ("clientId",), {"description": "", "expires": "1 year", "scopes": []}, ("expires",)
    ),
    "secrets": _Kind("secrets", "set", ("name",), {"expires": "1 year"}, ("expires",)),
    "hooks": _Kind("hooks", "createHook", ("hookGroupId", "hookId"), {}),
    "tasks": _Kind(
        "queue",
        "createTask",
        ("taskId",),
        {"created": "0 seconds", "deadline": "1 day", "payload": {}},
        ("created", "deadline", "expires"),
    ),
    "repositories": _Kind("local", "addRepository", ("organization", "repository"), {}),
}
"""In the order in which the sections are added: later ones may depend on earlier ones."""


@dataclass(frozen=True)
class _Item:
    """One entry of the file."""

    kind: str
    key: str
    # Checked against the schemas, which type checkers do not know.
    params: Any
    payload: Any

    def __str__(self) -> str:
        return f"{self.kind}.{self.key}"


@dataclass(frozen=True)
class Contents:
    """The entries to add, checked and in order."""

    items: list[_Item]

    def keys(self, section: str) -> list[str]:
        """Return the keys of the entries in one section."""
        return [item.key for item in self.items if item.kind == section]

    def summary(self) -> str:
        """Return how many entries there are of each kind."""
        counts = Counter(item.kind for item in self.items)
        return ", ".join(counted(number, kind) for kind, number in counts.items()) or "nothing to add"


@dataclass
class _Source:
    """A file or mapping, and the lines of its values."""

    name: str
    lines: dict[_PathTo, int] = field(default_factory=dict[_PathTo, int])

    def error(self, path: _PathTo, what: str) -> LoadError:
        """Return an error about the value at a path, with its line if that is known."""
        known = next((path[:end] for end in range(len(path), -1, -1) if path[:end] in self.lines), None)
        line = "" if known is None else f":{self.lines[known]}"
        where = ".".join(map(str, path))
        return LoadError(f"{self.name}{line}: {where + ': ' if where else ''}{what}")


def counted(number: int, plural: str) -> str:
    """Return a number with its noun, in the singular for 1."""
    return f"{number} {re.sub('ies$', 'y', plural).removesuffix('s') if number == 1 else plural}"


def load(
    source: str | os.PathLike[str] | Mapping[str, Any], options: Mapping[str, Any], now: dates.datetime
) -> dict[str, str]:
    """Add the entries of a file to a deployment.

    Args:
        source: A YAML file, or its contents.
        options: Options for clients of the deployment.
        now: The deployment's time, which relative dates are added to.

    Returns:
        The access tokens of the clients that were created, by clientId.

    Raises:
        LoadError: The file is invalid; nothing has been added then. Or the deployment rejected an entry: the entries
            before it have been added, and loading the file again skips or updates them.
    """
    return send(read(source, now), options)


def read(source: str | os.PathLike[str] | Mapping[str, Any], now: dates.datetime) -> Contents:
    """Read and check a file.

    Raises:
        LoadError: The file cannot be read, or is invalid.
    """
    if isinstance(source, Mapping):
        return _checked(_Source("the mapping"), dict(source), now)
    checked("load: source", source, (str, os.PathLike), "the path of a YAML file, or a mapping")
    found, document = _parsed(Path(source))
    return _checked(found, document, now)


def parsed(path: Path) -> Any:
    """Return the content of any YAML file.

    Raises:
        LoadError: It cannot be read, or is invalid.
    """
    return _parsed(path)[1]


def _parsed(path: Path) -> tuple[_Source, Any]:
    source = _Source(str(path))
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise LoadError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise LoadError(f"{path}: not UTF-8") from error
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return source, {}
        _note_lines(source, node, (), ())
        document: Any = loader.construct_document(node)  # pyright: ignore[reportUnknownMemberType]
        return source, document
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f":{error.problem_mark.line + 1}"
        raise LoadError(f"{path}{line}: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise LoadError(f"{path}: {error}") from error


def _note_lines(source: _Source, node: yaml.Node, path: _PathTo, around: tuple[yaml.Node, ...]) -> None:
    source.lines.setdefault(path, node.start_mark.line + 1)
    if node in around:
        raise source.error(path, "must not contain itself")
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise source.error(path, "keys must be strings")
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                source.lines[path] = key.start_mark.line + 1
                raise source.error(path, f"duplicate key {key.value!r}")
            seen.add(key.value)
            source.lines[(*path, key.value)] = key.start_mark.line + 1
            if key.tag not in _TAGS_OF_KEYS:
                # In YAML 1.1 even `on` and `no` are not strings.
                raise source.error((*path, key.value), f"keys must be strings: put {key.value} in quotes")
            _note_lines(source, value, (*path, key.value), (*around, node))
    elif isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            _note_lines(source, item, (*path, position), (*around, node))


def _checked(source: _Source, document: Any, now: dates.datetime) -> Contents:
    if document is None:
        document = {}
    if not is_object(document):
        raise source.error((), f"must be a mapping with some of the keys {', '.join(_KINDS)}")
    for heading in document:
        if heading not in _KINDS:
            near = did_you_mean(str(heading), _KINDS)
            raise source.error((str(heading),), f"unknown section; the sections are {', '.join(_KINDS)}{near}")
    items: list[_Item] = []
    for heading, kind in _KINDS.items():
        given: Any = document.get(heading) or {}
        if not is_object(given):
            raise source.error((heading,), "must be a mapping")
        found = [_item(source, heading, kind, key, value, given, now) for key, value in given.items()]
        items += _in_order(source, found) if heading == "tasks" else found
    return Contents(items)


def _item(
    source: _Source, heading: str, kind: _Kind, key: Any, value: Any, given: Mapping[Any, Any], now: dates.datetime
) -> _Item:
    path: _PathTo = (heading, str(key))
    if not isinstance(key, str):
        raise source.error(path, f"keys must be strings: put {key!r} in quotes")
    if not is_object(value):
        raise source.error(path, "must be a mapping")
    payload = {**kind.defaults, **value}
    for name in kind.dates:
        if name in payload:
            payload[name] = _date(source, (*path, name), payload[name], now)
    if heading == "tasks":
        _replace_keys(payload, given)
    _check_json(source, path, payload)
    params = _params(kind, key)
    if heading == "repositories":
        payload |= params
        if is_object(payload.get("taskclusterYml")):
            # JSON is valid YAML.
            payload["taskclusterYml"] = json.dumps(payload["taskclusterYml"])
    interface = _interface(kind)
    endpoint = interface.table.named[kind.service, kind.method]
    for name, pattern in endpoint.patterns.items():
        if not pattern.matches(params[name]):
            raise source.error(path, f"{params[name]!r} is not a valid {name}: it must match {pattern.text}")
    # Checks a copy, because the deployment adds the schema's defaults.
    errors = [] if endpoint.input is None else interface.schemas.schema(endpoint.input).errors(payload)
    if errors:
        raise _schema_error(source, path, payload, errors[0])
    if heading == "repositories" and "taskclusterYml" in payload:
        try:
            policy(payload["taskclusterYml"])
        except ApiError as error:
            raise source.error((*path, "taskclusterYml"), error.message) from None
    return _Item(heading, key, params, payload)


def _interface(kind: _Kind) -> Interface:
    return own_api.interface() if kind.service == "local" else shared_interface()


def _params(kind: _Kind, key: str) -> dict[str, str]:
    if kind.parameters == ("taskId",):
        return {"taskId": _task_id(key)}
    # A hookId may contain slashes, a hookGroupId may not.
    parts = key.split("/", len(kind.parameters) - 1)
    return dict(zip(kind.parameters, [*parts, ""], strict=False))


def _task_id(name: str) -> str:
    """Return the taskId of a task: its key if that is a slugId, or one derived from it."""
    if _SLUG.fullmatch(name):
        return name
    made = uuid.UUID(bytes=hashlib.sha256(name.encode()).digest()[:16], version=4).bytes
    # Like slugIds with the first bit 0, so that none starts with a dash.
    return urlsafe_b64encode(bytes([made[0] & 0x7F]) + made[1:]).rstrip(b"=").decode("ascii")


def _replace_keys(payload: dict[str, Any], given: Mapping[Any, Any]) -> None:
    """Replace keys of other tasks of the file by their taskIds."""
    needed = payload.get("dependencies")
    if is_array(needed):
        payload["dependencies"] = [_task_id(each) if each in given else each for each in map(_string, needed)]
    group = payload.get("taskGroupId")
    if isinstance(group, str) and group in given:
        payload["taskGroupId"] = _task_id(group)


def _string(value: Any) -> Any:
    # The schema reports values that are not strings.
    return value if isinstance(value, str) else repr(value)


def _in_order(source: _Source, tasks: list[_Item]) -> list[_Item]:
    """Sort tasks so that each comes after its dependencies."""
    by_id = {task.params["taskId"]: task for task in tasks}
    graph = {
        task_id: [each for each in task.payload.get("dependencies", ()) if each in by_id and each != task_id]
        for task_id, task in by_id.items()
    }
    try:
        return [by_id[task_id] for task_id in graphlib.TopologicalSorter(graph).static_order()]
    except graphlib.CycleError as error:
        names = [by_id[task_id].key for task_id in error.args[1]]
        raise source.error(("tasks", names[0]), f"circular dependencies: {' -> '.join(names)}") from None


def _date(source: _Source, path: _PathTo, value: Any, now: dates.datetime) -> str:
    if isinstance(value, dates.datetime):
        return to_wire(value.astimezone(dates.timezone.utc) if value.tzinfo else value.replace(tzinfo=now.tzinfo))
    if isinstance(value, dates.date):
        return to_wire(dates.datetime(value.year, value.month, value.day, tzinfo=dates.timezone.utc))
    if isinstance(value, str):
        with suppress(ValueError):
            return to_wire(from_wire(value))
        with suppress(ValueError, OverflowError):
            return to_wire(fromNow(value, now))
    raise source.error(path, f"{value!r} must be a date or a span of time from now, such as `2 days`")


def _check_json(source: _Source, path: _PathTo, value: Any) -> None:
    """Raise LoadError for YAML values that JSON does not have."""
    if isinstance(value, Mapping):
        below: Mapping[Any, Any] = value  # pyright: ignore[reportUnknownVariableType]
        for key, each in below.items():
            if not isinstance(key, str):
                raise source.error((*path, str(key)), f"keys must be strings: put {key!r} in quotes")
            _check_json(source, (*path, key), each)
    elif is_array(value):
        for position, each in enumerate(value):
            _check_json(source, (*path, position), each)
    elif isinstance(value, dates.date):
        raise source.error(path, "dates must be strings here: put it in quotes")
    else:
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            raise source.error(path, f"{type(value).__name__} is not a JSON type") from None


def _schema_error(source: _Source, path: _PathTo, payload: Any, error: str) -> LoadError:
    """Return the error for an error message of the validation: `data/metadata/name must be string`."""
    below, value, rest = list(path), payload, error.removeprefix("data")
    while rest.startswith("/"):
        step = next((each for each in _steps(value) if re.match(rf"/{re.escape(_escaped(each))}[/ ]", rest)), None)
        if step is None:
            break
        below.append(step)
        rest = rest[len(_escaped(step)) + 1 :]
        value = value[step]
    return source.error(tuple(below), rest.strip())


def _steps(value: Any) -> Iterator[Any]:
    yield from value if is_object(value) else range(len(value)) if is_array(value) else ()


def _escaped(step: str | int) -> str:
    return str(step).replace("~", "~0").replace("/", "~1")


def send(contents: Contents, options: Mapping[str, Any]) -> dict[str, str]:
    """Create or update entries; return the access tokens of the clients that were created, by clientId.

    Raises:
        LoadError: The deployment rejected an entry or could not be reached.
    """
    import taskcluster

    tokens: dict[str, str] = {}
    with (
        taskcluster.Auth(options) as auth,
        taskcluster.Secrets(options) as secrets,
        taskcluster.Hooks(options) as hooks,
        taskcluster.Queue(options) as queue,
        taskcluster.createApiClient("Local", own_api.REFERENCE)(options) as local,
    ):
        add = _adders(auth, secrets, hooks, queue, local, tokens)
        for item in contents.items:
            try:
                add[item.kind](item)
            except TaskclusterFailure as failure:
                raise LoadError(f"{item}: {failure}") from failure
    return tokens


def _adders(
    auth: Auth, secrets: Secrets, hooks: Hooks, queue: Queue, local: Any, tokens: dict[str, str]
) -> dict[str, Callable[[_Item], None]]:
    def role(item: _Item) -> None:
        change = auth.updateRole if _exists(auth.role, item) else auth.createRole
        change(item.payload, params=item.params)

    def client(item: _Item) -> None:
        if _exists(auth.client, item):
            auth.updateClient(item.key, item.payload)
        else:
            tokens[item.key] = auth.createClient(item.key, item.payload)["accessToken"]

    def secret(item: _Item) -> None:
        secrets.set(item.key, item.payload)

    def hook(item: _Item) -> None:
        change = hooks.updateHook if _exists(hooks.hook, item) else hooks.createHook
        change(item.payload, params=item.params)

    def task(item: _Item) -> None:
        # Definitions cannot be changed, and relative dates differ from those of last time.
        if not _exists(queue.status, item):
            queue.createTask(item.payload, params=item.params)

    def repository(item: _Item) -> None:
        local.addRepository(item.payload)

    return {
        "roles": role,
        "clients": client,
        "secrets": secret,
        "hooks": hook,
        "tasks": task,
        "repositories": repository,
    }


def _exists(get: Callable[..., object], item: _Item) -> bool:
    try:
        get(*item.params.values())
    except TaskclusterRestFailure as failure:
        if failure.status_code == 404:
            return False
        raise
    return True
