"""Fixtures: a deployment without sockets and with a clock that tests move."""

from __future__ import annotations

import asyncio
import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from multidict import CIMultiDict

from taskcluster.hawk import Signer, payload_hash
from taskcluster_local.api import HttpRequest, HttpResponse
from taskcluster_local.deployment import ROOT_CLIENT, Configuration, Deployment
from taskcluster_local.services.auth.state import client_of
from taskcluster_local.store import Store

ROOT_KEY = "r" * 44


@dataclass
class StandingClock:
    now: datetime = datetime(2030, 3, 1, 12, 0, 0, 123000, timezone.utc)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: float) -> None:
        self.now += timedelta(**span)

    def at(self, **span: float) -> str:
        """Return the date `span` from now, in the format of the APIs."""
        return (self.now + timedelta(**span)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class JsonResponse:
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def code(self) -> str:
        return str(self.json["code"])

    @property
    def message(self) -> str:
        """The message without the block that ends every message."""
        return str(self.json["message"]).partition("\n\n---\n\n* method:")[0]


@dataclass
class Site:
    """A deployment, and ways to send requests to it. Successful responses are checked against their schemas."""

    deployment: Deployment
    store: Store
    clock: StandingClock
    tokens: dict[str, str] = field(default_factory=dict)

    def request(
        self,
        method: str,
        target: str,
        payload: Any = None,
        *,
        by: str | Mapping[str, str] | None = ROOT_CLIENT,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        ext: Any = None,
        hashed: bool = True,
    ) -> HttpRequest:
        """Return a request, signed by a client (its id, or credentials) unless `by` is None."""
        sent: CIMultiDict[str] = CIMultiDict({"Host": "tc.example.com:8080"})
        if payload is not None:
            body = json.dumps(payload).encode()
        if body is not None:
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        content = body or b""
        if by is not None:
            credentials = {"clientId": by, "accessToken": self.tokens[by]} if isinstance(by, str) else by
            given = dict(ext or {})
            if credentials.get("certificate"):
                given["certificate"] = json.loads(credentials["certificate"])
            encoded = b64encode(json.dumps(given).encode()).decode() if given else ""
            signer = Signer(credentials["clientId"], credentials["accessToken"].encode(), encoded)
            digest = payload_hash(content, sent.get("Content-Type", "")) if hashed else ""
            header = signer.header(
                method, target, "tc.example.com", "8080", digest, self.clock.now.timestamp(), "nonce"
            )
            sent["Authorization"] = header if hashed else header.replace(' hash="",', "")
        return HttpRequest(method, target, sent, content)

    async def send(self, request: HttpRequest) -> JsonResponse:
        response = await self.deployment.api.respond(request)
        self._check(request, response)
        return JsonResponse(response.status, response.headers, response.body)

    def call(self, method: str, target: str, payload: Any = None, **options: Any) -> JsonResponse:
        return asyncio.run(self.send(self.request(method, target, payload, **options)))

    def ok(self, method: str, target: str, payload: Any = None, **options: Any) -> Any:
        response = self.call(method, target, payload, **options)
        assert response.status == 200, response.content
        return response.json

    def _check(self, request: HttpRequest, response: HttpResponse) -> None:
        found = self.deployment.api.table.find(request.method, request.target.partition("?")[0])
        if found is None or found[0].output is None or response.status != 200 or not response.body:
            return
        if "content-encoding" not in response.headers:
            errors = self.deployment.api.schemas.schema(found[0].output).errors(json.loads(response.body))
            assert not errors, errors


@contextmanager
def make_site(clients: Any = (), roles: Any = None, claim_timeout: float = 1200, poll: float = 0) -> Iterator[Site]:
    clock = StandingClock()
    configuration = Configuration(
        accessToken=ROOT_KEY,
        clients=[client_of(client) for client in clients],
        roles=roles or {},
        clock=clock,
        claim_timeout=timedelta(seconds=claim_timeout),
        poll=timedelta(seconds=poll),
    )
    tokens = {ROOT_CLIENT: ROOT_KEY, "tester": "no-secret"}
    tokens.update({client["clientId"]: client["accessToken"] for client in clients})
    with closing(Store()) as store, TemporaryDirectory() as directory:
        yield Site(
            Deployment(configuration, store, Path(directory), "http://tc.example.com:8080"), store, clock, tokens
        )


@pytest.fixture
def new_site() -> Callable[..., Any]:
    """Creates sites with certain clients or roles."""
    return make_site


@pytest.fixture
def poll_seconds() -> float:
    """How long claimWork waits for a task at `site`. Tests that wait replace this fixture."""
    return 0


@pytest.fixture
def site(poll_seconds: float) -> Iterator[Site]:
    with make_site(
        clients=[
            {"clientId": "nobody", "accessToken": "n" * 44, "scopes": []},
            {"clientId": "reader", "accessToken": "x" * 44, "scopes": ["secrets:get:a/*", "queue:get-task:*"]},
        ],
        poll=poll_seconds,
    ) as made:
        yield made


@pytest.fixture
def slug() -> Callable[[int], str]:
    """Creates taskIds that sort by their number."""

    def make(number: int) -> str:
        text = f"{number:08d}"
        made = f"{text}Q0C0000000000A"
        assert re.fullmatch(r"[A-Za-z0-9_-]{8}[Q-T][A-Za-z0-9_-][CGKOSWaeimquy26-][A-Za-z0-9_-]{10}[AQgw]", made)
        return made

    return make


@pytest.fixture
def task(site: Site) -> Callable[..., dict[str, Any]]:
    """Creates minimal task definitions with the given fields."""

    def make(**fields: Any) -> dict[str, Any]:
        return {
            "taskQueueId": "p/w",
            "created": site.clock.at(),
            "deadline": site.clock.at(hours=1),
            "payload": {},
            "metadata": {"name": "n", "description": "d", "owner": "o", "source": "https://example.com"},
            **fields,
        }

    return make
