"""Sync clients: the base of every service's class, and classes made at run time."""

from __future__ import annotations

import functools
import os
import random
import sys
import time
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from . import exceptions
from .arguments import Bound, bind, check_method, parameters, signature, valid_parameters, without_omitted
from .callers import warn_caller
from .exchanges import bind_exchange
from .options import (
    CREDENTIALS,
    DEFAULTS,
    KNOWN_OPTIONS,
    Credentials,
    Options,
    normal_root_url,
    number_option,
    user_agent_of,
)
from .pages import continuation, items_of, with_continuation
from .redacted import without_user_info
from .shapes import is_array, is_function_of, is_mapping
from .spec import Exchange, Method
from .suggestions import did_you_mean
from .urls import Endpoint, endpoint

if TYPE_CHECKING:
    import logging

    import requests
    from typing_extensions import Self, Unpack

    from . import utils as utils
    from .api_response import ApiResponse
    from .call import Call, CallContext, Procedure, Settings
    from .credentials import createTemporaryCredentials as createTemporaryCredentials
    from .effects import Response
    from .options import OptionValues
    from .transport.requests import RequestsTransport
    from .validation import Schemas

    log: logging.Logger

__all__ = [
    "BaseClient",
    "BaseEvents",
    "ServiceClient",
    "config",
    "createApiClient",
    "createSession",
    "createTemporaryCredentials",
    "exceptions",
    "log",
    "utils",
]


def __dir__() -> list[str]:
    return __all__


config: dict[str, Any] = {
    "credentials": {"clientId": None, "accessToken": None, "certificate": None},
    "rootUrl": None,
    **{name: DEFAULTS[name] for name in ("maxRetries", "signedUrlExpiration")},
}
"""The default options of new clients, sync and async. Programs may change it."""
_defaultConfig = config

T = TypeVar("T")

LIMITS: ContextVar[Callable[[Mapping[str, Any]], Mapping[str, Any]] | None] = ContextVar("LIMITS", default=None)
"""Returns overrides of a client's options for calls in this context."""

RESPONSES: ContextVar[Callable[[Response], object] | None] = ContextVar("RESPONSES", default=None)
"""Receives the responses of calls in this context."""

_MADE_ON_THE_WAY = ("_context", "_settings", "_transport", "_made_session", "_parent")


F = TypeVar("F", bound=Callable[..., None])


def _explains_keywords(constructor: F) -> F:
    """Return a constructor with the same signature whose TypeError for an unknown keyword argument names the fix."""

    # `wraps` also keeps the signature, which mocks with autospec check.
    @functools.wraps(constructor)
    def explaining(self: object, *args: Any, **kwargs: Any) -> None:
        for name in kwargs:
            if name not in ("options", "session"):
                hint = did_you_mean(name, ("options", "session"))
                if name in KNOWN_OPTIONS:
                    hint = f": pass options as one dict, {type(self).__name__}({{{name!r}: …}})"
                elif name in CREDENTIALS:
                    hint = f": pass it in the options, {type(self).__name__}({{'credentials': {{{name!r}: …}}, …}})"
                raise TypeError(f"{type(self).__name__} got an unexpected keyword argument {name!r}{hint}")
        constructor(self, *args, **kwargs)

    return cast("F", explaining)


class ServiceClient:
    """What sync and async clients have in common: everything but sending and waiting.

    Args:
        options: rootUrl (required), credentials and the rest, as `taskcluster.Options` describes them. Copied.
        session: The caller's HTTP session, which the caller closes.

    Raises:
        TaskclusterFailure: rootUrl is missing or empty, or baseUrl is given.
        TaskclusterAuthFailure: The credentials are not a mapping of ASCII strings or bytes.

    All other options are checked by the first call that needs them.
    """

    classOptions: ClassVar[dict[str, Any]] = {}
    serviceName: ClassVar[str]
    apiVersion: ClassVar[str]
    funcinfo: ClassVar[Mapping[str, dict[str, Any]]] = {}
    exchangePrefix: ClassVar[str] = ""
    exchanges: ClassVar[Mapping[str, dict[str, Any]]] = {}
    _methods: ClassVar[dict[str, Method]] = {}
    _types: ClassVar[Mapping[str, Any] | None] = None
    _schemas: ClassVar[Schemas | None] = None
    _kind: ClassVar[str] = "client of"
    _foreign_library: ClassVar[str]
    _foreign_session: ClassVar[str]
    _session_hint: ClassVar[str]
    _send: ClassVar[str]
    _sender_modules: ClassVar[tuple[str, str]]
    """The module where tests of programs replace makeSingleHttpRequest, and the one that defines it."""
    _uses_any_passed: ClassVar[bool] = False
    """Whether calls use a passed session even if it is a mock, as with the published client."""
    _parent: Self | None = None
    """The client that this one was derived from by `with_options`, and whose connections it shares."""
    _made_session: Any = None
    _passed: Any = None
    _warned = False
    _context: CallContext | None = None
    _settings: tuple[Any, bool, Settings] | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._methods = {}
        cls._schemas = None

    @_explains_keywords
    def __init__(self, options: Mapping[str, Any] | None = None, session: Any = None) -> None:
        self.options = Options.over({**_defaultConfig, **self.classOptions}, options)
        asked = os.environ.get("TASKCLUSTER_VALIDATE", "").lower() in ("1", "true", "yes", "on")
        if asked and self.options.get("validate") is None:
            self.options["validate"] = True
        if session is not None:
            self.session = self._passed = session

    def __repr__(self) -> str:
        # Tracebacks may show an object before its constructor has set the options.
        options = getattr(self, "options", None)
        root_url = options.get("rootUrl") if is_mapping(options) else None
        service = getattr(self, "serviceName", None)
        return f"<{type(self).__name__} ({self._kind} {service}) at {without_user_info(str(root_url))}>"

    def __getstate__(self) -> dict[str, Any]:
        # Connections and caches cannot be copied or pickled; the copy creates its own.
        sessions = vars(self._connected())
        state: dict[str, Any] = {name: sessions[name] for name in ("session", "_passed") if name in sessions}
        return {**state, **{name: value for name, value in vars(self).items() if name not in _MADE_ON_THE_WAY}}

    def with_options(self, options: Mapping[str, Any] | None = None, **more: Unpack[OptionValues]) -> Self:
        """Return a client with other options that shares this client's connections and session.

        The other options are those that this client has now. Closing the new client closes nothing of this one. Both
        stay usable if either is closed. A sync client with another userAgentSuffix opens its own connections.

        Args:
            options: The options to replace, as `taskcluster.Options` describes them; None for the default.
            **more: The same as keyword arguments, which override those of `options`.

        Raises:
            TaskclusterFailure: rootUrl is empty, or baseUrl is given.
            TaskclusterAuthFailure: The credentials are not a mapping of ASCII strings or bytes.
        """
        derived = type(self).__new__(type(self))
        vars(derived).update(self.__getstate__())
        for name in ("session", "_passed"):
            vars(derived).pop(name, None)
        derived._parent = self._connected()
        replaced = self.options if options is None else Options.over(self.options, options)
        derived.options = Options.over(replaced, more)
        return derived

    def _connected(self) -> Self:
        """Return the client whose session calls use."""
        client = self
        while client._parent is not None and vars(client).get("session") is None:
            client = client._parent
        return client

    @property
    def session(self) -> Any:
        """The session that was passed or assigned, or else one for the program's own requests.

        The latter is a `requests.Session` on a sync client, created on first use and closed with the client. On an
        async client it is the `aiohttp.ClientSession` of `async with`, and None outside it.
        """
        session = vars(self._connected()).get("session")
        return self._own_session() if session is None else session

    @session.setter
    def session(self, session: Any) -> None:
        # A patch of a test assigns the original back.
        parent = self._parent
        if session is None or session is self._made_session or (parent is not None and session is parent.session):
            vars(self).pop("session", None)
        else:
            vars(self)["session"] = session

    @session.deleter
    def session(self) -> None:
        vars(self).pop("session", None)

    def _own_session(self) -> Any:
        """Return the session of `session` if none was passed or assigned."""
        if self._parent is not None:
            return self._parent._own_session()
        if self._made_session is None:
            from .transport.connections import Adapter

            session = createSession()
            # requests returns an interim response, and the final one to the next request.
            for scheme in ("https://", "http://"):
                session.mount(scheme, Adapter())
            # Concurrent threads get the same session.
            return vars(self).setdefault("_made_session", session)
        return self._made_session

    def _given_session(self) -> Any:
        """Return the session that was passed or assigned if calls use it, or None.

        Raises:
            TaskclusterFailure: It is a session of the other HTTP library.
        """
        client = self if self._parent is None else self._connected()
        session: object = vars(client).get("session")
        if session is None:
            return None
        # A session of the other library exists only if that is loaded. Tests may have replaced its class.
        foreign = getattr(sys.modules.get(self._foreign_library), self._foreign_session, None)
        if isinstance(foreign, type) and issubclass(type(session), foreign):
            raise exceptions.TaskclusterFailure(
                f"{type(self).__name__} cannot call over a session of {self._foreign_library}: {self._session_hint}"
            )
        if session is client._passed and self._uses_any_passed:
            return session
        # By its class, because any mock has the method.
        return session if hasattr(type(session), self._send) else None

    def _replaced_sender(self) -> Any:
        """Return what a program's test has put in place of makeSingleHttpRequest, or None."""
        replaceable, home = self._sender_modules
        sender = getattr(sys.modules.get(replaceable), "makeSingleHttpRequest", None)
        return None if sender is None or is_function_of(sender, vars(sys.modules[home])) else sender

    def buildUrl(self, methodName: str, *args: Any, **kwargs: Any) -> str:
        """Return the URL of a method, without calling it.

        Args:
            methodName: The API method's name.
            *args: The method's arguments; a payload is not needed.
            **kwargs: The method's keyword arguments.

        Raises:
            TaskclusterFailure: The method is unknown, or the arguments are wrong.
        """
        method = self._method(methodName)
        bound = bind(method, args, kwargs, needs_payload=False)
        return self._endpoint().prefix + bound.target(method)

    def buildSignedUrl(self, methodName: str, *args: Any, expiration: float | None = None, **kwargs: Any) -> str:
        """Return the URL of a GET method, signed so that it can be called without credentials for a limited time.

        Args:
            methodName: The API method's name.
            *args: The method's arguments.
            expiration: Seconds from now. Defaults to the option signedUrlExpiration.
            **kwargs: The method's keyword arguments.

        Raises:
            TaskclusterFailure: The method is unknown, its verb is not GET, or the arguments are wrong.
            TaskclusterAuthFailure: There are no usable credentials.
        """
        method = self._method(methodName)
        if method.verb != "GET":
            raise exceptions.TaskclusterFailure(
                f"{methodName} is called by {method.verb}; only the URLs of GET methods can be signed"
            )
        target = bind(method, args, kwargs, needs_payload=False).target(method)
        where, checked, *_ = self._current_settings()
        if checked is None:
            raise exceptions.unusable_credentials(f"signing the URL of {methodName} needs credentials in the options")
        now = time.time()
        seconds = number_option(self.options, "signedUrlExpiration") if expiration is None else expiration
        try:
            until = int(now + float(seconds))
        except (TypeError, ValueError, OverflowError):
            raise exceptions.TaskclusterFailure(
                f"buildSignedUrl: expiration must be a number of seconds, not {seconds!r}"
            ) from None
        bewit = checked.at(now).bewit(where.path + target, where.host, where.port, until)
        return f"{where.prefix}{target}{'&' if '?' in target else '?'}bewit={bewit}"

    def makeHawkExt(self) -> bytes | dict[str, Any]:
        """Return the `ext` of the Authorization header: base64 of JSON with the certificate and the authorized scopes.

        Return an empty dict if the client has no credentials, as the published client does.

        Raises:
            TaskclusterAuthFailure: The credentials are not usable.
        """
        checked = self._current_settings().signer
        return {} if checked is None else checked.ext

    def _method(self, name: Any) -> Method:
        method = self._methods.get(name)
        if method is None:
            if not isinstance(name, str):
                known = self.funcinfo.get(getattr(name, "__name__", ""))
                example = f"{known['name']!r}" if known else f"such as 'ping', not {type(name).__name__}"
                raise exceptions.TaskclusterFailure(
                    f"{self.serviceName}: pass the name of the method as a string: {example}"
                )
            entry = self.funcinfo.get(name)
            if entry is None:
                raise exceptions.TaskclusterFailure(
                    f"{self.serviceName} has no method {name!r}{did_you_mean(name, self.funcinfo)}"
                )
            method = self._methods[name] = Method.from_entry(entry)
        return method

    def _endpoint(self) -> Endpoint:
        try:
            return endpoint(self.options["rootUrl"], self.serviceName, self.apiVersion)
        except (KeyError, TypeError):
            # The root URL was removed, or is not hashable.
            normal_root_url(self.options.get("rootUrl"))
            raise

    def _current_settings(self) -> Settings:
        # Programs change options between calls, so compare the options that the settings were made of.
        known, given = self._settings, self._given_session() is not None
        limits = LIMITS.get()
        current = {**self.options, **limits(self.options)} if limits else self.options
        if known is not None and known[0] == current and known[1] is given:
            return known[2]
        from .call import Settings
        from .credentials import signer, unknown_credentials

        options = {name: _copied(value) for name, value in current.items()}
        credentials = options.get("credentials")
        signs = signer(credentials, options.get("authorizedScopes"))
        unknown = None if self._warned else unknown_credentials(credentials)
        if unknown is not None:
            self._warned = True
            warn_caller(unknown, exceptions.UnknownOptionWarning)
        validate = options.get("validate")
        if not isinstance(validate, bool | None):
            raise exceptions.TaskclusterFailure(f"the option validate must be True or False, not {validate!r}")
        check = self._known_schemas().check if validate else None
        settings = Settings.of(options, self._endpoint(), signs, check, given_session=given)
        self._settings = (options, given, settings)
        return settings

    @classmethod
    def _known_schemas(cls) -> Schemas:
        if cls._schemas is None:
            try:
                from .validation import Schemas
            except ModuleNotFoundError as exc:
                raise exceptions.TaskclusterFailure(
                    f"the option validate (or TASKCLUSTER_VALIDATE) needs {exc.name}, which is not installed: "
                    "pip install 'jsonschema>=4.18'"
                ) from exc
            cls._schemas = Schemas(
                cls.serviceName, _packaged_types(cls.serviceName) if cls._types is None else cls._types
            )
        return cls._schemas

    def _procedure(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Procedure:
        """Return the procedure of a call. Invalid arguments raise here, before any request is sent."""
        from .call import paginate, perform

        method = self._method(name)
        bound = bind(method, args, without_omitted(kwargs))
        if method.removed_before is not None:
            warnings.warn(
                f"{self.serviceName}.{name} was removed in Taskcluster {method.removed_before}; "
                "only older deployments have it",
                DeprecationWarning,
                stacklevel=4,  # The caller of the method that calls _call.
            )
        context = self._context
        if context is None:
            context = self._context = self._new_context()
        received = RESPONSES.get()
        if received is not None:
            context = context._replace(received=received)
        if bound.pagination_handler is None:
            return perform(self._built(method, bound, None), context)
        return paginate(functools.partial(self._built, method, bound), bound.pagination_handler, context)

    def _built(self, method: Method, bound: Bound, token: str | None) -> Call:
        """Return the call that fetches the first page, or the page of a continuation token."""
        if token is not None:
            bound.query["continuationToken"] = token
        from .call import build

        return build(self.serviceName, method, bound, self._current_settings())

    def _new_context(self) -> CallContext:
        from .call import CallContext
        from .hawk import new_nonce
        from .registry import registry

        # Looked up at each use, because tests of programs replace these functions.
        return CallContext(
            now=lambda: time.time(),
            monotonic=lambda: time.monotonic(),
            random=lambda: random.random(),
            nonce=new_nonce,
            observe=registry.observer(),
            server_failure=self._server_failure(),
        )

    def _server_failure(self) -> type[exceptions.TaskclusterRestFailure]:
        return exceptions.TaskclusterRestFailure

    def _user_agent(self) -> str:
        return user_agent_of(self.options)

    def _event(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, str]:
        exchange = Exchange.from_entry(self.exchanges[name])
        prefix = self.options.get("exchangePrefix") or self.exchangePrefix
        if not isinstance(prefix, str):
            raise exceptions.TaskclusterFailure(
                "the option exchangePrefix must be a string, such as 'exchange/taskcluster-queue/v1/', not "
                f"{type(prefix).__name__}"
            )
        return bind_exchange(exchange, prefix, args, without_omitted(kwargs))


def _copied(value: Any) -> Any:
    """Return a copy of an option's value, which the program may change in place."""
    if is_mapping(value):
        # Only credentials are a mapping, and the repr of their copy must not show secrets either.
        return Credentials.copy_of(value)
    return list(value) if is_array(value) else value


def _packaged_types(service: str) -> Mapping[str, Any]:
    """Return the schemas in the distribution of a service, or none."""
    from .plugins import PluginError
    from .registry import registry

    try:
        types: Mapping[str, Any] = registry.service(service).reference().get("types", {})
    except (LookupError, ModuleNotFoundError, PluginError):
        return {}
    return types


class BaseEvents(ServiceClient):
    """The base of every service's events class; its methods return the bindings of a subscription.

    Args:
        options: As for clients, and `exchangePrefix`, the beginning of the exchange names. Copied.
        session: Not used.

    Raises:
        TaskclusterFailure: rootUrl is missing or empty, or baseUrl is given.
    """

    _kind = "exchanges of"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = vars(cls)
        if "exchangePrefix" in own:
            cls.classOptions = {"exchangePrefix": cls.exchangePrefix, **own.get("classOptions", {})}

    # Async programs use this class too, with `async with` as for clients.
    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        pass


class BaseClient(ServiceClient):
    """The base of every service's sync class.

    Keeps connections alive, and may be used from many threads and after a fork. Close it with `close()` or `with`.
    """

    _kind = "sync client of"
    _foreign_library = "aiohttp"
    _foreign_session = "ClientSession"
    _session_hint = "pass a requests.Session, or use the class of the same name in taskcluster.aio"
    _send = "send"
    _sender_modules = ("taskcluster.utils", "taskcluster.plain_http")
    _transport: RequestsTransport | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, except those of a session that the caller passed. The client stays usable."""
        made = vars(self).pop("_made_session", None)
        if made is not None:
            made.close()
        if self._transport is not None:
            self._transport.close()

    def paginate(self, method: Callable[..., T], *args: Any, **kwargs: Any) -> Iterator[T]:
        """Yield the pages of a listing; each is fetched when it is needed.

        Args:
            method: The method that lists, e.g. `queue.listTaskGroup`.
            *args: The method's arguments.
            **kwargs: The method's keyword arguments.
        """
        check_method("paginate", method)
        token: str | None = None
        while True:
            page = method(*args, **with_continuation(kwargs, token))
            yield page
            token = continuation(page)
            if token is None:
                return

    def paginate_items(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Yield the items of a listing, e.g. the tasks of a task group; arguments as for `paginate`."""
        for page in self.paginate(method, *args, **kwargs):
            yield from items_of(page)

    def get_response(self, method: Callable[..., T], *args: Any, **kwargs: Any) -> ApiResponse[T]:
        """Call a method and return its result as `value`, with the `status` and `headers` of the last response.

        Args:
            method: The method to call, e.g. `queue.task`.
            *args: The method's arguments.
            **kwargs: The method's keyword arguments.

        Raises:
            TaskclusterFailure: As the method, or the method sent no request.
        """
        from .api_response import with_last

        check_method("get_response", method)
        responses: list[Response] = []
        before = RESPONSES.set(responses.append)
        try:
            value = method(*args, **kwargs)
        finally:
            RESPONSES.reset(before)
        return with_last(responses, value)

    def _call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        client = self if self._parent is None else self._sender()
        transport, given = client._transport, self._given_session()
        if transport is None or transport.given is not given:
            from .transport.requests import RequestsTransport

            transport = client._transport = RequestsTransport(given, self._user_agent())
        transport.replacement = self._replaced_sender()
        __tracebackhide__ = True
        return _call_runner()(self._procedure(name, args, kwargs), transport)

    def _sender(self) -> Self:
        """Return the client whose transport calls use. A transport has one User-Agent."""
        client = self._connected()
        name = "userAgentSuffix"
        return client if client.options.get(name) == self.options.get(name) else self


@functools.cache
def _call_runner() -> Callable[[Procedure, RequestsTransport], Any]:
    """Return the function that runs a call. Only calls need its modules, so the first one imports them."""
    from .effects import Request
    from .performer import perform
    from .runner import run

    def run_over(procedure: Procedure, transport: RequestsTransport) -> Any:
        __tracebackhide__ = True
        return run(procedure, lambda effect: transport.send(effect) if isinstance(effect, Request) else perform(effect))

    return run_over


def createSession(*args: Any, **kwargs: Any) -> requests.Session:
    """Return a new requests.Session, to pass as `session` to clients that share connections."""
    import requests

    return requests.Session(*args, **kwargs)


def createApiClient(name: str, api: Mapping[str, Any]) -> type[BaseClient]:
    """Return a client class made of an API reference at run time.

    Args:
        name: The class's name.
        api: A reference as a deployment serves it at `/references/<service>/v1/api.json` or `exchanges.json`, or a
            dict with one under `reference`. It may have JSON schemas for the option `validate` under `types`, by keys
            like `widgets/v1/widget.json`.

    Raises:
        TaskclusterFailure: The reference is malformed.
    """
    return make_class(name, api, BaseClient)


C = TypeVar("C", bound=ServiceClient)


def make_class(name: str, api: Mapping[str, Any], base: type[C]) -> type[C]:
    """Return a subclass of `base` with a method for each entry of an API reference."""
    try:
        reference = api.get("reference", api)
        functions = {entry["name"]: dict(entry) for entry in reference["entries"] if entry["type"] == "function"}
        topics = {entry["name"]: dict(entry) for entry in reference["entries"] if entry["type"] == "topic-exchange"}
        named: dict[str, list[str]] = {}
        for entry in functions.values():
            method = Method.from_entry(entry)
            _check_parameters(method)
            named[method.name] = parameters(method.args, method.query, has_payload=method.input is not None)
        for entry in topics.values():
            named[entry["name"]] = valid_parameters(word.name for word in Exchange.from_entry(entry).words)
        namespace: dict[str, Any] = {
            "__doc__": reference.get("description"),
            "serviceName": reference["serviceName"],
            "apiVersion": reference.get("apiVersion", "v1"),
            "funcinfo": functions,
            "exchanges": topics,
            "exchangePrefix": reference.get("exchangePrefix", ""),
            "_types": reference.get("types", {}),
        }
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise exceptions.TaskclusterFailure(
            f"createApiClient: {name} is made of something that is no API reference: {exc!r}"
        ) from exc
    for entries, invoke in ((functions, "_call"), (topics, "_event")):
        for method_name, entry in entries.items():
            is_async = invoke == "_call" and hasattr(base, "__aenter__")
            namespace[method_name] = _made_method(name, method_name, entry, invoke, is_async=is_async)
            namespace[method_name].__signature__ = signature(named[method_name])
    return types.new_class(name, (base,), exec_body=lambda body: body.update(namespace))


def _check_parameters(method: Method) -> None:
    unknown = [parameter for parameter in method.parameters if parameter not in method.args]
    if unknown:
        said = ", ".join(unknown)
        raise ValueError(
            f"the route {method.route} of {method.name} has parameters that are not among its args: {said}"
        )


def _made_method(
    class_name: str, name: str, entry: Mapping[str, Any], invoke: str, *, is_async: bool
) -> Callable[..., Any]:
    def sync_method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(self, invoke)(name, args, kwargs)

    # A coroutine function like the methods of services, because mocks with autospec check that.
    async def async_method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await getattr(self, invoke)(name, args, kwargs)

    method = async_method if is_async else sync_method
    method.__name__ = name
    method.__qualname__ = f"{class_name}.{name}"
    # None rather than "": IPython completes no arguments of a method whose docstring is empty.
    method.__doc__ = "\n\n".join(text for text in (entry.get("title"), entry.get("description")) if text) or None
    return method


def __getattr__(name: str) -> Any:
    # Building a client and a URL needs none of these, and they take longer to import than everything it needs.
    if name == "createTemporaryCredentials":
        from .credentials import createTemporaryCredentials

        return createTemporaryCredentials
    if name == "log":
        import logging

        return logging.getLogger(__name__)
    if name == "utils":
        from . import utils

        return utils
    # The documentation uses events classes from here, too (`taskcluster.client.QueueEvents`).
    from .facade import class_named

    return class_named(__name__, name, "client", "events")
