"""Visit the pages of a deployment as a browser without scripts does: with cookies, links and forms."""

from __future__ import annotations

import contextlib
import http.client
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urlsplit

import taskcluster
from taskcluster_local import LocalTaskcluster

__all__ = ["ATTACKS", "Form", "VisitedPage", "Visitor", "assert_harmless", "create_task"]

ATTACKS = {
    "script": "<script>alert(1)</script>",
    "attribute": '"><img src=x onerror=alert(1)>',
    "link": "javascript:alert(1)",
    "template": "{{ 7*7 }}{% raw %}",
    "direction": "\u202eevil",
    "quote": "'; alert(1) //",
}
"""Strings that pages must show as they are, by name."""


@dataclass
class Form:
    """A form, with the values of its fields as the page has them."""

    method: str
    action: str
    fields: dict[str, str] = field(default_factory=dict[str, str])
    buttons: dict[str, str] = field(default_factory=dict[str, str])
    """The names of the buttons that are sent, by value."""


class _Reader(HTMLParser):
    """Collects what tests look at. Attributes of scripts and of styles are in `elements`."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.forms: list[Form] = []
        self.text: list[str] = []
        self._textarea: str | None = None
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.elements.append((tag, attributes))
        if tag == "form":
            self.forms.append(Form(attributes.get("method", "get"), attributes.get("action", "")))
        elif tag == "input" and self.forms and attributes.get("name"):
            if attributes.get("type") not in ("checkbox", "radio") or "checked" in attributes:
                self.forms[-1].fields[attributes["name"]] = attributes.get("value", "")
        elif tag == "textarea" and self.forms:
            self._textarea = attributes["name"]
            self.forms[-1].fields[self._textarea] = ""
        elif tag == "button" and self.forms and "name" in attributes:
            self.forms[-1].buttons[attributes["value"]] = attributes["name"]
        elif tag == "option" and self.forms and "selected" in attributes:
            self.forms[-1].fields[self._select] = attributes.get("value", "")
        elif tag == "select":
            self._select = attributes["name"]

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._textarea is not None:
            # A line end after the tag is not part of the value.
            self.forms[-1].fields[self._textarea] = self.forms[-1].fields[self._textarea].removeprefix("\n")
            self._textarea = None

    def handle_data(self, data: str) -> None:
        if self._textarea is not None:
            self.forms[-1].fields[self._textarea] += data
        self.text.append(data)


class VisitedPage:
    """A response, and what its HTML has."""

    def __init__(self, path: str, response: http.client.HTTPResponse, content: bytes) -> None:
        self.path = path
        self.status = response.status
        self.headers = response.headers
        self.content = content
        self.html = content.decode()
        reader = _Reader()
        reader.feed(self.html)
        self.elements, self.forms = reader.elements, reader.forms
        self.raw_text = "".join(reader.text)
        self.text = " ".join(" ".join(reader.text).split())

    @property
    def links(self) -> list[str]:
        """The targets of all links."""
        return [attributes["href"] for tag, attributes in self.elements if tag == "a" and "href" in attributes]

    def form(self, action: str, button: str = "") -> Form:
        """Return the form that is sent to a path, preferably by POST; with a button of this value if one is given."""
        found = [form for form in self.forms if form.action.partition("?")[0] == action]
        found = [form for form in found if not button or button in form.buttons]
        assert found, f"{self.path} has no form for {action} {button}: {self.text}"
        return min(found, key=lambda form: form.method != "post")


class Visitor:
    """A person with a browser.

    Args:
        local: The deployment.
    """

    def __init__(self, local: LocalTaskcluster) -> None:
        self.local = local
        self.cookies: dict[str, str] = {}

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> VisitedPage:
        """Send one request, and keep the cookies of its response."""
        given = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), **(headers or {})}
        netloc = urlsplit(self.local.root_url).netloc
        with contextlib.closing(http.client.HTTPConnection(netloc, timeout=60)) as connection:
            connection.request(method, path, body, given)
            response = connection.getresponse()
            for header in response.headers.get_all("set-cookie", []):
                self.cookies.update({name: morsel.value for name, morsel in SimpleCookie(header).items()})
            return VisitedPage(path, response, response.read())

    def open(self, path: str, **headers: str) -> VisitedPage:
        """Open a page, following redirects within the deployment."""
        return self._followed(self.send("GET", path, None, headers))

    def submit(self, page: VisitedPage, action: str, button: str = "", **fields: Any) -> VisitedPage:
        """Fill in and send a form of a page, and follow redirects within the deployment."""
        return self._followed(self.post(page, action, button, **fields))

    def post(self, page: VisitedPage, action: str, button: str = "", **fields: Any) -> VisitedPage:
        """Fill in and send a form of a page, with a button."""
        form = page.form(action, button)
        pressed = {form.buttons[button]: button} if button else {}
        values = {**form.fields, **fields, **pressed}
        # Browsers send line ends as CR LF.
        body = urlencode(values).replace("%0A", "%0D%0A").encode()
        assert form.method.lower() == "post"
        origin = self.local.root_url
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": origin}
        headers["Referer"] = f"{origin}{page.path}"
        return self.send("POST", form.action, body, headers)

    def _followed(self, page: VisitedPage) -> VisitedPage:
        while page.status == 303 and page.headers["location"].startswith("/"):
            page = self.send("GET", page.headers["location"])
        return page

    def sign_in(self, credentials: Any = None) -> VisitedPage:
        """Sign in, by default as the root client."""
        given = {**(credentials or self.local.options()["credentials"])}
        given.setdefault("certificate", "")
        return self.submit(self.open("/signin"), "/signin", **given)


def assert_harmless(page: VisitedPage) -> None:
    """Assert that a page has no markup but its own: no script without the nonce, no handlers, no unsafe links."""
    nonce = re.search(r"script-src 'nonce-([^']+)'", page.headers["content-security-policy"])
    assert nonce is not None
    for tag, attributes in page.elements:
        assert tag not in ("img", "iframe", "object", "embed", "base", "style"), (tag, attributes)
        assert tag != "script" or attributes["nonce"] == nonce[1]
        assert not [name for name in attributes if name.startswith("on") or name == "style"], (tag, attributes)
        for name in ("href", "src", "action", "formaction"):
            assert urlsplit(attributes.get(name, "")).scheme in ("", "http", "https"), (tag, attributes)
    assert "49{%" not in page.html


def create_task(local: LocalTaskcluster, **fields: Any) -> str:
    """Create a task, and return its taskId."""
    taskId = taskcluster.slugId()
    definition: Any = {
        "taskQueueId": "site/tasks",
        "created": taskcluster.fromNow("0 seconds"),
        "deadline": taskcluster.fromNow("1 hour"),
        "payload": {},
        "metadata": {"name": "n", "description": "d", "owner": "o", "source": "https://example.com"},
        **fields,
    }
    taskcluster.Queue(local.options()).createTask(taskId, definition)
    return taskId
