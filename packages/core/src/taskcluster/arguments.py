"""Bind the arguments of a method, in any of four calling conventions, to path, query and payload.

    m(v1, v2, payload)      m(payload, k1=v1)      m(payload=, query=, params={k1: v1})      m(v1, v2, payload=, query=)

`v` are values of the route's parameters, named `k`. A keyword argument that names a query parameter is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, NamedTuple

from .exceptions import TaskclusterFailure
from .shapes import is_class, is_mapping, type_name
from .spec import Method
from .suggestions import did_you_mean
from .urls import encode_query, needs_no_quoting, quote_parameter

if TYPE_CHECKING:
    from inspect import Signature

__all__ = ["OMITTED", "Bound", "bind", "check_method", "parameters", "signature", "valid_parameters", "without_omitted"]

_RESERVED = ("payload", "query", "params", "paginationHandler", "paginationLimit")
_SIGNATURE = "bewit"
"""The one query parameter that servers accept of every method."""


class _Omitted:
    def __repr__(self) -> str:
        return "..."

    def __reduce__(self) -> str:
        return "OMITTED"


OMITTED: Any = _Omitted()
"""The default of the keyword parameters that signatures of API methods name. Not `...`, which would hide a mistake."""


def parameters(args: Iterable[str], query: Iterable[str], *, has_payload: bool) -> list[str]:
    """Return the keyword parameters that an API method's signature names; the method accepts others, too.

    Args:
        args: The path parameters.
        query: The query parameters.
        has_payload: Whether the method has a payload.
    """
    path, query = ([name for name in names if name not in _RESERVED] for names in (args, query))
    pagination = {"continuationToken": "paginationHandler", "limit": "paginationLimit"}
    is_listing = "continuationToken" in query
    return valid_parameters(
        [
            *path,
            *(["payload"] if has_payload else []),
            "query",
            *query,
            *(option for name, option in pagination.items() if is_listing and name in query),
        ]
    )


def valid_parameters(names: Iterable[str]) -> list[str]:
    """Return the names that can be parameters of a method in a class, without duplicates."""
    # Python normalizes names that are not ASCII, and mangles those with two leading underscores.
    return [
        name
        for name in dict.fromkeys(names)
        if name.isascii()
        and name.isidentifier()
        and not iskeyword(name)
        and not name.startswith("__")
        and name not in ("self", "args", "kwargs")
    ]


def signature(names: Iterable[str]) -> Signature:
    """Return the signature of a method that names these keyword parameters."""
    # Takes 5 ms to import; only classes made at run time need it.
    from inspect import Parameter, Signature

    return Signature(
        [
            Parameter("self", Parameter.POSITIONAL_OR_KEYWORD),
            Parameter("args", Parameter.VAR_POSITIONAL),
            *(Parameter(name, Parameter.KEYWORD_ONLY, default=OMITTED) for name in names),
            Parameter("kwargs", Parameter.VAR_KEYWORD),
        ]
    )


def without_omitted(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments that the caller passed."""
    return {name: value for name, value in kwargs.items() if value is not OMITTED}


class Bound(NamedTuple):
    """The bound arguments of one call."""

    path: str
    """The route with its parameters, percent-encoded; begins with `/`."""
    query: dict[str, Any]
    payload: Any
    """None if the request has no body."""
    pagination_handler: Callable[[Any], Any] | None

    def __repr__(self) -> str:
        return f"<Bound to {self.path}>"

    def target(self, method: Method) -> str:
        """Return path and query for a URL."""
        query = encode_query(method.name, self.query) if self.query else ""
        return f"{self.path}?{query}" if query else self.path

    def sent_target(self, method: Method) -> str:
        """Return path and query for a request, without a trailing slash.

        The published client omits it, and programs' HTTP mocks expect that.
        """
        return self.target(method).removesuffix("/")


def bind(method: Method, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, needs_payload: bool = True) -> Bound:
    """Bind a call's arguments.

    Args:
        method: The API method.
        args: Path parameters in order, except those given by keyword, and then the payload.
        kwargs: Path parameters, query parameters, `payload`, `query`, `params`, `paginationHandler`,
            `paginationLimit`.
        needs_payload: False if only the URL is needed.

    Raises:
        TaskclusterFailure: The arguments are invalid; the message shows the signature.
    """
    if len(args) == method.plain and not kwargs:
        # The fast path, for most calls: the path parameters and nothing else.
        return Bound(_path(method, args), {}, None, None)
    params, query = _keywords(method, kwargs)
    payload = kwargs.get("payload")
    positional = [name for name in method.args if name not in params]
    params.update(zip(positional, args, strict=False))
    surplus = args[len(positional) :]
    if surplus and payload is None and method.input is not None:
        payload, surplus = surplus[0], surplus[1:]
    if surplus:
        raise TaskclusterFailure(_too_many(method, args, kwargs, positional, surplus))
    missing = [name for name in method.args if name not in params]
    if missing:
        raise TaskclusterFailure(f"{method.name} lacks {', '.join(missing)}: {_usage(method)}")
    if payload is None and method.input is not None and needs_payload:
        raise TaskclusterFailure(f"{method.name} needs a payload ({method.input}): {_usage(method)}")
    handler = kwargs.get("paginationHandler")
    if handler is not None and not callable(handler):
        raise TaskclusterFailure(f"{method.name}: paginationHandler must be callable, not {type(handler).__name__}")
    return Bound(_path(method, tuple(params[name] for name in method.parameters)), query, payload, handler)


def _keywords(method: Method, kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the path parameters and the query in the keyword arguments."""
    params = _mapping(method, kwargs, "params")
    for name in params:
        if name not in method.args:
            raise TaskclusterFailure(
                f"{method.name} has no path parameter {name!r}{did_you_mean(name, method.args)}: {_usage(method)}"
            )
    query: dict[str, Any] = {}
    if kwargs.get("paginationLimit") is not None:
        if "limit" not in method.query:
            raise TaskclusterFailure(
                f"{method.name} takes no paginationLimit: its pages have no limit to set: {_usage(method)}"
            )
        query["limit"] = kwargs["paginationLimit"]
    for name, value in _mapping(method, kwargs, "query").items():
        # Programs pass some to methods that are not known to have any.
        if method.query and name not in method.query and name != _SIGNATURE:
            hint = did_you_mean(str(name), method.query)
            raise TaskclusterFailure(f"{method.name} has no query parameter {name!r}{hint}: {_usage(method)}")
        query[name] = value
    for name, value in kwargs.items():
        if name in _RESERVED:
            continue
        if name in method.args:
            target = params
        elif name in method.query:
            target = query
        else:
            hint = did_you_mean(name, (*method.args, *method.query, *_RESERVED))
            raise TaskclusterFailure(f"{method.name} takes no argument {name!r}{hint}: {_usage(method)}")
        if name in target:
            raise TaskclusterFailure(f"{method.name}: {name!r} is given twice")
        target[name] = value
    return params, query


def _mapping(method: Method, kwargs: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = kwargs.get(name)
    if value is None:
        return {}
    if not is_mapping(value):
        raise TaskclusterFailure(f"{method.name}: {name} must be a dict, not {type(value).__name__}")
    return dict(value)


def _path(method: Method, values: tuple[Any, ...]) -> str:
    """Return the route with these values for its parameters."""
    try:
        if all(map(needs_no_quoting, values)):
            return method.template % values
    except TypeError:
        # One is not a string: it is a number, or invalid.
        pass
    quoted = [
        quote_parameter(method.name, name, value, may_be_empty=name in method.may_be_empty)
        for name, value in zip(method.parameters, values, strict=True)
    ]
    return method.template % tuple(quoted)


def _too_many(
    method: Method, args: tuple[Any, ...], kwargs: Mapping[str, Any], positional: list[str], surplus: tuple[Any, ...]
) -> str:
    in_place = zip(method.args, args, strict=False)
    twice = [name for name, value in in_place if name not in positional and not is_mapping(value)]
    if twice:
        return f"{method.name}: {twice[0]} is given by position and by keyword: {_usage(method)}"
    if method.input is not None and kwargs.get("payload") is not None and len(surplus) == 1:
        return f"{method.name}: payload is given twice: {_usage(method)}"
    if isinstance(surplus[0], Mapping):
        way = "pass query={...}" if method.query else "it has no payload and no query parameters"
        return f"{method.name} got a dict too many; {way}: {_usage(method)}"
    return f"{method.name} got {len(args)} positional arguments, {len(surplus)} too many: {_usage(method)}"


def _usage(method: Method) -> str:
    parts = [*method.args, *(["payload"] if method.input else []), *(f"{name}=…" for name in method.query)]
    return f"call it as {method.name}({', '.join(parts)})"


def api_method(service: Any, name: str, argument: str, class_name: str) -> Any:
    """Return a method of a client that is an argument of a function, or raise TaskclusterFailure.

    Args:
        service: The client.
        name: The method's name.
        argument: The name of the function's argument.
        class_name: The name of the client's class.
    """
    method = None if is_class(service) or is_mapping(service) else getattr(service, name, None)
    if not callable(method):
        raise TaskclusterFailure(
            f"{argument} must be a client with the method {name}, for example "
            f"taskcluster.{class_name}({{'rootUrl': …}}), not {type_name(service)}"
        )
    return method


def check_method(function: str, method: object) -> None:
    """Raise TypeError if the argument of a function that calls a method cannot be called.

    Args:
        function: The function's name.
        method: Its argument. The error does not show it, because it may be the result of a call.
    """
    if not callable(method):
        raise TypeError(
            f"{function} got {type(method).__name__!r} instead of a method: pass the method itself, for example "
            "queue.listTaskGroup, not its name or its result; its arguments follow"
        )
