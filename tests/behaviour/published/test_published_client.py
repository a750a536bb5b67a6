"""Test that this client and the published one have the same outcomes, except for listed differences.

Both clients run as programs of their own (outcomes.py) against one server (responder.py).
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import pytest

from .outcomes import ARGUMENTS, BODIES, OPTIONS, STATUSES, VERBS
from .responder import Responder

REQUIREMENTS = ("taskcluster==113.2.0", "async-timeout<5")
"""With async-timeout 5, no async call of the published client succeeds."""
PROGRAM = Path(__file__).with_name("outcomes.py")

DIFFERENCES: dict[str, dict[str, str]] = {
    "responses": {
        "a redirect of a call that changes something did nothing, and is no result": r"\w+ (?!GET)\w+ 30[12378] .*",
        "JSON that is cut off is no result": r"\w+ \w+ (20[012356]|30[012378]) truncated",
        "only 204 returns None": r"async \w+ 304 .*",
        "the body of a response that is no JSON can be read in async code": (
            r"async \w+ (20[012356]|30[012378]) (empty|text|html)"
        ),
        "JSON is JSON without a content type in async code too": r"async \w+ (?!204|304)\d+ typeless",
        "bytes that are no text do not raise UnicodeDecodeError": r"async \w+ (?!204|304)\d+ binary",
        "the body of an error can be read as a dict if it is null": r"(sync \w+ 50\d|\w+ \w+ 4\d\d) null",
        "async server errors are of the documented class, and still aiohttp's": r"async \w+ 50\d .*",
    },
    "arguments": {
        "an unknown keyword is a mistake that nobody notices": r"\w+ \w+ currentScopes\(unknown='x'\)",
        "servers reject unknown query parameters": r"\w+ \w+ listTaskGroup\('x', query={'limt': 1}\)",
        "a space in a query is %20, as in paths": r"\w+ \w+ listTaskGroup\('x', query={'continuationToken': 'a b.*",
        "a list is no value of a query parameter": r"\w+ \w+ listTaskGroup\('x', query={'limit': \[1, 2\]}\)",
        "a query parameter that is None is omitted": r"\w+ \w+ listTaskGroup\('x', query={'limit': None}\)",
        "true in a query is spelt as in JSON": r"\w+ \w+ listTaskGroup\('x', query={'limit': True}\)",
        "params may be None, as query and payload may": r"\w+ \w+ currentScopes\(params=None\)",
        "an argument that is given twice is a mistake": (
            r"\w+ \w+ task\(('x', taskId='x'|taskId='x', params={'taskId': 'y'})\)"
        ),
        "0 is a value of a path parameter": r"\w+ \w+ task\(taskId=0\)",
        "a bool is no value of a path parameter": r"\w+ \w+ task\(True\)",
        "an empty parameter or one of dots would call another route": r"\w+ \w+ task\('(|\.|\.\.)'\)",
        "positional arguments and keywords can be mixed": r"\w+ \w+ hook\('x', hookId='y'\)",
        "keywords can be combined with payload= and query=": (
            r"\w+ \w+ (createTask\(taskId='x', payload={'y': 1}\)|listTaskGroup\(taskGroupId='x', query=.*)"
        ),
        "a payload can be combined with query=": r"\w+ \w+ tasks\({'y': 1}, query={'limit': 2}\)",
        "the URL of a method does not depend on a payload": (
            r"\w+ buildUrl (createTask\('x'(, None)?\)|expandScopes\(\))"
        ),
        "a payload that is a string was written as JSON already": r"\w+ call createTask\('x', 'text'\)",
        "a payload that is no JSON raises the client's error": r"\w+ call createTask\('x', {'set': \{1\}}\)",
        "a query parameter may be given as keyword": r"\w+ \w+ listTaskGroup\('x', limit=1\)",
        "paginationLimit is the limit of the URL too": r"\w+ buildUrl listTaskGroup\('x', .*paginationLimit=2\)",
    },
    "options": {
        "no error that was raised without a server has status 500": (
            r"\w+ (buildSignedUrl {'rootUrl': 'a root URL/{0,2}'(, '(unknown|maxRetries|signedUrlExpiration)': \w+)?}|"
            r"buildSignedUrl .*'credentials': (None|\{\}|{'(a|client_id)': .*|{'clientId': (''|None), .*)}|"
            r"\w+ .*{'clientId': ('é'|5), .*)"
        ),
        "an unusable root URL raises our error": r"\w+ (call|buildSignedUrl) {'rootUrl': ('tc.example.com'|5)}",
        "credentials may be None": r"\w+ call .*'credentials': None}",
        "partial credentials raise": (
            r"\w+ (call|buildSignedUrl) .*'credentials': {'(clientId': 'tester'|accessToken': 'no-secret')}}"
        ),
        "a certificate that is no JSON raises the client's error": r"\w+ (call|buildSignedUrl) .*'no JSON'}}",
        "scopes that are a string are no list": r"\w+ (call|buildSignedUrl) .*'authorizedScopes': 'a:\*'}",
        "maxRetries that is no number raises the client's error": r"\w+ (call|buildSignedUrl) .*'maxRetries': '5'}",
        "maxRetries that is None is the default": r"(\w+ options|sync call) .*'maxRetries': None}",
    },
}
"""The differences by table: the reason and its cases, which must all differ."""


ABSENT = {
    "the layout of the published client's generated code": r"taskcluster\.generated\b.*",
    "private": r".*\._\w+",
    "what a module imports for itself": (
        r".*\.(aio_download|aio_upload|aiohttp|async_timeout|base64|calendar|contextlib|copy|datetime|dateparse|ensureCoro|"
        r"functools|hashlib|hmac|io|asyncio|json|liburls|logging|mohawk|os|random|re|requests|retry|runAsync|asyncutils|slugid|time|"
        r"timezone|urllib|utils)|taskcluster\.aio\.download\.\w+(Error|Failure)|taskcluster\.(aio\.upload|helper)\.taskcluster|taskcluster\.helper\.stringDate"
    ),
    "the pattern that offsets of dates match, and a logger": r".*\.(r|logger)",
}
"""Names of the published client that this client lacks, by reason."""


@pytest.fixture(scope="module")
def published(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, unavailable: Callable[[str], NoReturn]
) -> Path:
    """The Python of an environment with the published client, kept in pytest's cache."""
    name = hashlib.sha256(f"{REQUIREMENTS} {sys.version} {sys.prefix}".encode()).hexdigest()[:16]
    cache = getattr(request.config, "cache", None)
    above = cache.mkdir("published-client") if cache else tmp_path_factory.mktemp("published-client")
    if not (above / name).exists():
        # Renamed when complete, because another process may create it too.
        made = Path(tempfile.mkdtemp(dir=above))
        venv.create(made, symlinks=True)
        pip = [sys.executable, "-m", "pip", "--python", str(made / "bin" / "python"), "install", "--quiet"]
        installed = subprocess.run([*pip, *REQUIREMENTS], capture_output=True, encoding="utf-8", timeout=600)
        if installed.returncode != 0:
            shutil.rmtree(made)
            failed = f"pip install {' '.join(REQUIREMENTS)} failed: {installed.stderr.strip()[-500:]}"
            unavailable(f"the published client needs a package index: {failed}")
        try:
            made.rename(above / name)
        except OSError:
            shutil.rmtree(made)
    return above / name / "bin" / "python"


@pytest.fixture(scope="module")
def responder() -> Iterator[Responder]:
    responder = Responder()
    yield responder
    responder.close()


def outcomes(python: Path | str, table: str, root_url: str) -> dict[str, Any]:
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        [str(python), "-I", "-W", "ignore", str(PROGRAM), table, root_url],
        capture_output=True,
        encoding="utf-8",
        timeout=600,
        env={name: value for name, value in kept.items() if not name.startswith("TASKCLUSTER_")},
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("table", DIFFERENCES)
def test_clients_differ_only_where_listed(table: str, published: Path, responder: Responder) -> None:
    with ThreadPoolExecutor(2) as pool:
        theirs, ours = pool.map(lambda python: outcomes(python, table, responder.root_url), [published, sys.executable])
    assert theirs.keys() == ours.keys()
    different = {case for case in ours if ours[case] != theirs[case]}
    listed = {
        case: reason
        for reason, cases in DIFFERENCES[table].items()
        for case in ours
        if re.fullmatch(cases, case, re.DOTALL)
    }
    unlisted = {case: {"published": theirs[case], "ours": ours[case]} for case in different - listed.keys()}
    assert not unlisted
    gone = {case: listed[case] for case in listed.keys() - different}
    assert not gone
    assert set(listed.values()) == DIFFERENCES[table].keys()


def test_size_of_the_tables() -> None:
    assert (len(STATUSES), len(BODIES), len(VERBS)) == (25, 14, 4)
    assert (len(ARGUMENTS) >= 70, len(OPTIONS) >= 30) == (True, True)


def test_all_other_public_names_exist(published: Path) -> None:
    names = outcomes(published, "names", "")
    missing = [f"{module}.{name}" for module, there in names.items() for name in there if not _has(module, name)]
    reasons = {name: {why for why, pattern in ABSENT.items() if re.fullmatch(pattern, name)} for name in missing}
    assert [name for name, why in reasons.items() if not why] == []
    assert set().union(*reasons.values()) == ABSENT.keys()


def _has(module: str, name: str) -> bool:
    try:
        return hasattr(importlib.import_module(module), name)
    except ModuleNotFoundError:
        return False
