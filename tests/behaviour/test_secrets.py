"""Test that exceptions, their attributes and logs contain no secrets, for every function and kind of failure."""

from __future__ import annotations

import asyncio
import base64
import datetime
import functools
import gzip
import inspect
import io
import logging
import pickle
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import requests

import taskcluster
import taskcluster.aio
import taskcluster.aio.download
import taskcluster.aio.helper
import taskcluster.aio.upload
import taskcluster.download
import taskcluster.helper
import taskcluster.upload
from taskcluster.aio import asyncutils
from taskcluster.exceptions import TaskclusterFailure

from .server import Reaction, Server, closed_port, respond

SECRET = "hUnTeR2-sEcReT"
LATER = "2099-01-01T00:00:00.000Z"
TASK = "fN1SbArXTPSVFNUvaOlinQ"
MARKS = re.compile(
    "|".join(
        [
            re.escape(SECRET),
            re.escape(base64.b64encode(f"me:{SECRET}".encode()).decode().rstrip("=")),
            r'(?:mac|ext|nonce)="[^…]',
            "bewit=",
        ]
    )
)


class Echo:
    """A response that repeats the request, like error pages of proxies."""

    def __init__(self, server: Server, status: int, *, as_message: bool = False) -> None:
        self._server, self._status, self._as_message = server, status, as_message

    def __getattr__(self, name: str) -> Any:
        # Other attributes are those of a normal response.
        return getattr(Reaction, name)

    @property
    def raw(self) -> bytes:
        request = self._server.last
        text = f"cannot {request.method} {request.target} with {request.headers}"
        if self._as_message:
            return respond(self._status, {"message": text, "code": "Whatever"}).raw
        return respond(self._status, f"<p>{text}</p> {request.body.decode('latin-1')}").raw


JSON = {"Content-Type": "application/json"}
BODY = f'{{"accessToken": "{SECRET}", "secret": {{"a": "{SECRET}"}}, "status": "{SECRET}'.encode()
REACTIONS: dict[str, Callable[[Server], Any]] = {
    "reset": lambda server: Reaction(then="reset"),
    "closed": lambda server: Reaction(then="close"),
    "cut body": lambda server: respond(200, BODY, {**JSON, "Content-Length": "900"}, then="close"),
    "cut chunk": lambda server: respond(
        200, b"ff\r\n" + BODY, {"Transfer-Encoding": "chunked", "Content-Length": "900"}, then="close"
    ),
    "bad chunk": lambda server: Reaction(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + BODY + b"\r\n" + BODY, then="close"
    ),
    "truncated JSON": lambda server: respond(200, BODY, JSON),
    "no UTF-8": lambda server: respond(200, BODY + b"\xff", JSON),
    "bad gzip": lambda server: respond(200, BODY, {**JSON, "Content-Encoding": "gzip"}),
    "cut gzip": lambda server: respond(200, gzip.compress(BODY)[:-9], {**JSON, "Content-Encoding": "gzip"}),
    "no HTTP": lambda server: Reaction(BODY + b"\r\n\r\n", then="close"),
    "bad header": lambda server: Reaction(b"HTTP/1.1 200 OK\r\n" + BODY + b"\r\nX: \x00\r\n\r\n", then="close"),
    "silence": lambda server: Reaction(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + BODY, then="stall"),
    "redirect": lambda server: respond(302, "", {"Location": f"/elsewhere/{SECRET}?signature={SECRET}"}),
    "bad redirect": lambda server: respond(302, "", {"Location": f"http://[{SECRET}/?signature={SECRET}"}),
    "400 with echo": lambda server: Echo(server, 400),
    "401 with echo": lambda server: Echo(server, 401, as_message=True),
    "404 with echo": lambda server: Echo(server, 404, as_message=True),
    "503 with echo": lambda server: Echo(server, 503),
}
PLACES = ["nobody there", "untrusted", "no TLS", "bad host", "bad port", "proxy gone", "proxy refuses", "bad proxy"]
"""Failures to reach the server."""


class Log(logging.Handler):
    """Records everything that a log record contains."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        trace = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else ""
        self.records.append(f"{record.name}: {record.getMessage()} {record.args!r} {trace}")


@pytest.fixture
def log() -> Iterator[Log]:
    """The records of all loggers."""
    handler = Log()
    names = (
        None,
        "aiohttp",
        "aiohttp.client",
        "asyncio",
        "requests",
        "taskcluster",
        "urllib3",
        "urllib3.connectionpool",
    )
    loggers = [(each, each.level) for each in map(logging.getLogger, names)]
    for each, _ in loggers:
        each.setLevel(logging.DEBUG)
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)
    for each, level in loggers:
        each.setLevel(level)


def found_in(thing: Any, path: str, seen: set[int]) -> Iterator[str]:
    """Yield the paths of secrets in `thing`."""
    if isinstance(thing, str | bytes | bytearray):
        text = thing if isinstance(thing, str) else bytes(thing).decode("utf-8", "replace")
        if MARKS.search(text):
            yield f"{path}: {text[:300]}"
        return
    if id(thing) in seen or isinstance(thing, type | int | float | None):
        return
    seen.add(id(thing))
    if isinstance(thing, Mapping):
        for key, value in list(thing.items()):
            yield from found_in(key, f"{path} key", seen)
            yield from found_in(value, f"{path}[{key!r}]", seen)
    elif isinstance(thing, list | tuple | set | frozenset):
        for value in thing:
            yield from found_in(value, f"{path}[…]", seen)
    elif isinstance(thing, BaseException) or type(thing).__module__.partition(".")[0] in LIBRARIES:
        yield from found_in(str(thing), f"str({path})", seen)
        yield from found_in(repr(thing), f"repr({path})", seen)
        slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
        # The body of an error response is public.
        names = {*getattr(thing, "__dict__", {}), *slots} - {"body"}
        for name in sorted(names | ({"args", "__cause__", "__context__"} & set(dir(thing)))):
            yield from found_in(getattr(thing, name, None), f"{path}.{name}", seen)


LIBRARIES = {
    "aiohttp",
    "http",
    "requests",
    "taskcluster",
    "taskcluster_helper",
    "taskcluster_objects",
    "urllib3",
    "yarl",
}


@dataclass
class SecretsMode:
    """Sync or async functions with one interface."""

    name: str
    root_url: str
    directory: Path

    @property
    def is_async(self) -> bool:
        return self.name == "async"

    @property
    def package(self) -> Any:
        return taskcluster.aio if self.is_async else taskcluster

    def finish(self, make: Callable[[], Any]) -> Any:
        """Call, await in async mode, and return all yielded values."""
        if not self.is_async:
            result = make()
            return list(result) if inspect.isgenerator(result) else result

        async def finished() -> Any:
            result = make()
            if hasattr(result, "__aiter__"):
                return [each async for each in result]
            return await result if inspect.isawaitable(result) else result

        return asyncio.run(finished(), debug=True)

    def call(self, service: str, method: str, *args: Any, session: bool = False, **kwargs: Any) -> Callable[[], Any]:
        def make() -> Any:
            if not session:
                return getattr(self.client(service), method)(*args, **kwargs)
            if not self.is_async:
                with requests.Session() as given:
                    return getattr(self.client(service, given), method)(*args, **kwargs)

            async def over_a_session() -> Any:
                async with aiohttp.ClientSession() as given:
                    return await getattr(self.client(service, given), method)(*args, **kwargs)

            return over_a_session()

        return lambda: self.finish(make)

    def client(self, service: str, session: Any = None) -> Any:
        credentials = {"clientId": "c", "accessToken": SECRET}
        options = {
            "rootUrl": self.root_url,
            "credentials": credentials,
            "authorizedScopes": [f"secrets:get:{SECRET}"],
            "maxRetries": 1,
            "timeout": (5, 0.1),
        }
        return getattr(self.package, service)(options, session)

    def calls(self) -> dict[str, Callable[[], Any]]:
        payload = {"secret": {"a": SECRET}, "expires": LATER, "scopes": [SECRET]}
        helper = self.package.helper
        called = {
            "get": self.call("Secrets", "get", "name"),
            "get over a session": self.call("Secrets", "get", "name", session=True),
            "set": self.call("Secrets", "set", "name", payload),
            "remove": self.call("Secrets", "remove", "name"),
            "list": self.call("Secrets", "list", query={"limit": 1}),
            "pages": self.call("Secrets", "list", paginationHandler=lambda page: None),
            "createClient": self.call("Auth", "createClient", "x", payload),
            "resetAccessToken": self.call("Auth", "resetAccessToken", "x"),
            "createTask": self.call("Queue", "createTask", TASK, {"payload": {"env": {"TOKEN": SECRET}}}),
            "hook": self.call("Hooks", "triggerHookWithToken", "g", "h", SECRET, payload),
            "hook over a session": self.call("Hooks", "triggerHookWithToken", "g", "h", SECRET, payload, session=True),
            "hook with a bad token": self.call("Hooks", "triggerHookWithToken", "g", "h", f"{SECRET}\udc80", {}),
            "bad payload": self.call("Secrets", "set", "name", {"secret": SECRET.encode() + b"\xff"}),
        }
        waits: dict[str, tuple[str, tuple[Any, ...]]] = {
            "wait_for_task": ("Queue", (TASK,)),
            "wait_for_task_group": ("Queue", (TASK,)),
            "wait_for_artifact": ("Queue", (TASK, "public/x")),
            "wait_for_indexed_task": ("Index", ("a.b",)),
        }
        for name, (service, args) in waits.items():
            wait = getattr(helper, name)
            called[name] = lambda w=wait, s=service, a=args: self.finish(lambda: w(self.client(s), *a, timeout=0))
        called["load_secrets"] = lambda: self.finish(lambda: helper.load_secrets(self.client("Secrets"), "name"))
        if not self.is_async:
            called["config.load_secrets"] = lambda: self.config().load_secrets("name")
        return called

    def config(self) -> Any:
        config = taskcluster.helper.TaskclusterConfig(self.root_url)
        config.auth("c", SECRET, max_retries=0)
        assert config.options is not None
        config.options["timeout"] = (5, 0.1)
        return config

    def transfers(self, storage: str) -> dict[str, Callable[[], Any]]:
        """Return calls of all functions that use signed URLs of storage."""
        signed = f"{storage}/path/{SECRET}?signature={SECRET}"
        run = {"runId": 0, "state": "completed", "resolved": "2020-01-01T00:00:00Z"}
        put = {"url": signed, "headers": {"X-Signature": SECRET}, "expires": LATER}
        returned: dict[str, Any] = {
            "task": {"payload": {}},
            "status": {"status": {"state": "completed", "taskId": TASK, "runs": [run]}},
            "getArtifact": {"url": signed},
            "latestArtifact": {"storageType": "s3", "url": signed},
            "listLatestArtifacts": {"artifacts": [{"name": "a"}]},
            "createArtifact": {"storageType": "s3", "putUrl": signed, "expires": LATER},
            "startDownload": {"method": "simple", "url": signed},
            "createUpload": {"uploadMethod": {"putUrl": put}},
        }
        fake = SimpleNamespace(options={"rootUrl": storage, "maxRetries": 0, "timeout": (5, 0.1)})
        for name, value in returned.items():
            setattr(fake, name, self.returning(value))
        download, upload, helper = self.package.download, self.package.upload, self.package.helper
        an_object = {"name": "n", "objectService": fake}
        artifact = {"taskId": TASK, "name": "a", "queueService": fake}
        new = {"contentType": "text/plain", "expires": LATER, "maxRetries": 1}
        data, length = SECRET.encode() * 1000, len(SECRET) * 1000
        written = {"writerFactory": lambda: SimpleNamespace(write=len)}
        path = self.directory / "file"
        functions: dict[str, Callable[[], Any]] = {
            "downloadToBuf": lambda: download.downloadToBuf(**an_object),
            "downloadToFile": lambda: download.downloadToFile(io.BytesIO(), **an_object),
            "downloadToPath": lambda: download.downloadToPath(path, **an_object),
            "download": lambda: download.download(**written, **an_object),
            "downloadArtifactToBuf": lambda: download.downloadArtifactToBuf(**artifact),
            "downloadArtifactToFile": lambda: download.downloadArtifactToFile(io.BytesIO(), **artifact),
            "downloadArtifactToPath": lambda: download.downloadArtifactToPath(path, **artifact),
            "downloadArtifact": lambda: download.downloadArtifact(**written, **artifact),
            "downloadTaskArtifacts": lambda: download.downloadTaskArtifacts(
                TASK, "*", self.directory, queueService=fake, maxRetries=1
            ),
            "getArtifactContent": lambda: download.getArtifactContent(TASK, "a", queueService=fake),
            "uploadFromBuf": lambda: upload.uploadFromBuf(projectId="p", data=data, **new, **an_object),
            "uploadFromFile": lambda: upload.uploadFromFile(projectId="p", file=io.BytesIO(data), **new, **an_object),
            "upload": lambda: upload.upload(
                projectId="p", contentLength=length, readerFactory=lambda: io.BytesIO(data), **new, **an_object
            ),
            "uploadArtifactFromBuf": lambda: upload.uploadArtifactFromBuf(runId=0, data=data, **new, **artifact),
            "uploadArtifactFromFile": lambda: upload.uploadArtifactFromFile(
                runId=0, file=io.BytesIO(data), **new, **artifact
            ),
            "task_log_lines": lambda: helper.task_log_lines(fake, TASK, silence=0.1),
        }
        if not self.is_async:
            put_file = self.directory / "sent"
            put_file.write_bytes(data)
            functions |= {
                "upload_artifact": lambda: helper.upload_artifact(
                    fake, "public/x", data, "text/plain", datetime.timedelta(hours=1)
                ),
                "makeHttpRequest": lambda: taskcluster.makeHttpRequest("get", signed, None, {}, retries=1),
                "makeSingleHttpRequest": lambda: taskcluster.makeSingleHttpRequest("get", signed, None, {}),
                "putFile": lambda: taskcluster.putFile(str(put_file), signed, "text/plain"),
            }
        return {name: lambda call=call: self.finish(call) for name, call in functions.items()}

    def returning(self, value: Any) -> Callable[..., Any]:
        async def returned_later(*args: Any, **kwargs: Any) -> Any:
            return value

        return returned_later if self.is_async else lambda *args, **kwargs: value


@pytest.fixture(params=["sync", "async"])
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SecretsMode:
    for name, value in {"TASK_ID": TASK, "RUN_ID": "0", "TASKCLUSTER_PROXY_URL": "http://taskcluster"}.items():
        monkeypatch.setenv(name, value)
    # The request function without a client.
    monkeypatch.setattr("taskcluster.options.DEFAULT_TIMEOUT", (5, 0.1))
    return SecretsMode(request.param, "", tmp_path)


def expose(calls: Mapping[str, Callable[[], Any]], log: Log) -> int:
    """Make each call, fail if a secret shows, and return how many raised."""
    wrong: list[str] = []
    raised = 0
    for name, call in calls.items():
        log.records.clear()
        try:
            call()
        except Exception as exc:
            raised += 1
            wrong += found_in(exc, f"{name}: {type(exc).__name__}", set())
            shown = "".join(traceback.format_exception(type(exc), exc, None))
            wrong += found_in(shown, f"{name}: traceback", set())
            if isinstance(exc, TaskclusterFailure):
                vars(exc).pop("body", None)
                wrong += found_in(pickle.dumps(exc), f"{name}: pickle", set())
        wrong += found_in(log.records, f"{name}: log", set())
    assert not wrong, "\n".join(wrong)
    return raised


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("failure", REACTIONS)
def test_no_secret_shows_when_a_server_fails(mode: SecretsMode, server: Server, log: Log, failure: str) -> None:
    server.otherwise = REACTIONS[failure](server)
    mode.root_url = server.root_url
    calls = mode.calls()
    is_redirect = failure.endswith("redirect")
    is_odd = is_redirect or failure == "bad header"
    assert expose(calls, log) >= (2 if is_odd else len(calls))
    transfers = mode.transfers(server.root_url)
    assert expose(transfers, log) >= (0 if failure in ("truncated JSON", "no UTF-8", "bad header") else 10)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("failure", PLACES)
def test_no_secret_shows_when_a_request_is_not_sent(
    mode: SecretsMode, server: Server, tls_server: Server, log: Log, monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    nobody = f"127.0.0.1:{closed_port()}"
    url = server.root_url
    if failure.startswith("proxy"):
        place = nobody if failure == "proxy gone" else f"127.0.0.1:{server.port}"
        server.otherwise = Echo(server, 407)
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://me:{SECRET}@{place}")
        url = "https://no-such-host.invalid"
    elif failure == "bad proxy":
        monkeypatch.setenv("http_proxy", f"http://me:{SECRET}@proxy:99999")
    else:
        url = {
            "nobody there": f"http://{nobody}",
            "untrusted": tls_server.root_url,
            "no TLS": server.root_url.replace("http:", "https:"),
            "bad host": "http://[::1",
            "bad port": "http://127.0.0.1:99999",
        }[failure]
    if failure == "no TLS":
        server.otherwise = Reaction(then="close")
    mode.root_url = url
    calls, transfers = mode.calls(), mode.transfers(url)
    # A session passed by the caller does not read the environment.
    assert expose(calls, log) >= len(calls) - (2 if failure == "bad proxy" else 0)
    assert expose(transfers, log) == len(transfers)
    if failure == "no TLS":
        # The server parses the TLS handshake as a request.
        server.wait_until(lambda: server.open == 0)
        server.faults.clear()


@pytest.mark.parametrize(
    "raw",
    [b"HTTP/1.1 %s x\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n"],
    ids=["bad status", "bad chunk"],
)
def test_no_secret_shows_when_plain_async_requests_fail(server: Server, log: Log, raw: bytes) -> None:
    server.otherwise = Reaction(raw % SECRET.encode(), then="close")
    path = f"/{SECRET}?signature={SECRET}"
    urls = [f"{server.root_url}{path}", f"http://127.0.0.1:{closed_port()}{path}", path]

    def request(url: str) -> None:
        asyncio.run(asyncutils.makeHttpRequest("get", url, None, None, retries=0))

    assert expose({str(number): functools.partial(request, url) for number, url in enumerate(urls)}, log) == len(urls)
    for url in urls:
        with pytest.raises(aiohttp.ClientError):
            request(url)


def test_every_transfer_function_is_covered(mode: SecretsMode) -> None:
    modules = (mode.package.download, mode.package.upload, mode.package.helper)
    functions = {
        name for module in modules for name in module.__all__ if inspect.isfunction(getattr(module, name, None))
    }
    tried = {*mode.transfers("http://x"), *mode.calls()}
    assert functions - tried - {"resubmittable"} == set()
