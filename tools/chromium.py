"""Drive Chromium over its DevTools websocket, for tests of pages and for pictures of them.

A `Browser` is one process, a `Tab` one page with its own cookies. Methods wait for events of the browser, never for a
time.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Generator
from types import TracebackType
from typing import IO, Any

import aiohttp

__all__ = ["MISSING", "Browser", "Tab", "program"]

MISSING = "Chromium is not installed: apt-get install chromium"
TIMEOUT = 60.0
"""Seconds. Only a broken page takes so long."""
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless=new",
    # Containers run tests as root, which Chromium's sandbox refuses, and have little /dev/shm.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
_READY = "DevTools listening on "
_SHIFT = 8
_KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32}


def program() -> str | None:
    """Return the path of Chromium, or None if it is not installed."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


class Browser:
    """A headless Chromium with an empty profile, for the duration of a `with` block.

    Args:
        path: The program.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._numbers = itertools.count(1)
        self._replies: dict[int, dict[str, Any]] = {}
        self._tabs: dict[str, Tab] = {}

    def __enter__(self) -> Browser:
        with contextlib.ExitStack() as stack:
            profile = stack.enter_context(tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True))
            process = stack.enter_context(
                subprocess.Popen(
                    [self._path, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    encoding="utf-8",
                    errors="replace",
                    start_new_session=True,
                )
            )
            # Popen waits for the process when the block ends.
            stack.callback(os.killpg, process.pid, signal.SIGTERM)
            assert process.stderr is not None
            lines: list[str] = []
            for line in process.stderr:
                lines.append(line)
                if line.startswith(_READY):
                    break
            else:
                raise RuntimeError(f"Chromium did not start: {''.join(lines)}")
            # It must not block on a full pipe. The thread ends with the process.
            threading.Thread(target=_drain, args=(process.stderr,), daemon=True).start()
            self._loop = asyncio.new_event_loop()
            stack.callback(self._loop.close)
            self._session = self._loop.run_until_complete(_session())
            stack.callback(lambda: self._loop.run_until_complete(self._session.close()))
            self._socket = self._loop.run_until_complete(
                self._session.ws_connect(lines[-1].removeprefix(_READY).strip(), max_msg_size=0)
            )
            stack.callback(lambda: self._loop.run_until_complete(self._socket.close()))
            self._closing = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    @contextlib.contextmanager
    def tab(
        self, width: int = 1280, height: int = 900, *, dark: bool = False, scripts: bool = True
    ) -> Generator[Tab, None, None]:
        """Open a tab without cookies for the duration of a `with` block.

        Args:
            width: Of the window, in CSS pixels.
            height: Of the window, in CSS pixels.
            dark: The reader prefers dark colours.
            scripts: Run the pages' scripts.
        """
        context = self.command("Target.createBrowserContext")
        target = self.command("Target.createTarget", url="about:blank", **context)
        session = self.command("Target.attachToTarget", **target, flatten=True)["sessionId"]
        tab = self._tabs[session] = Tab(self, session)
        try:
            for domain in ("Page", "Runtime", "Log"):
                tab.command(f"{domain}.enable")
            tab.resize(width, height)
            tab.prefer(dark=dark)
            tab.run_scripts(scripts)
            yield tab
        finally:
            del self._tabs[session]
            self.command("Target.disposeBrowserContext", **context)

    def command(self, method: str, session: str | None = None, /, **params: Any) -> dict[str, Any]:
        """Return the result of a command of the DevTools protocol."""
        number = self._loop.run_until_complete(self._send(method, session, params))
        self.wait(lambda: number in self._replies)
        reply = self._replies.pop(number)
        if "error" in reply:
            raise RuntimeError(f"{method}: {reply['error']['message']}")
        result: dict[str, Any] = reply["result"]
        return result

    def wait(self, is_over: Callable[[], bool]) -> None:
        """Receive messages until a condition holds."""

        async def receive() -> None:
            while not is_over():
                message = await self._socket.receive_json()
                if "id" in message:
                    self._replies[message["id"]] = message
                elif (tab := self._tabs.get(message.get("sessionId", ""))) is not None:
                    tab.note(message["method"], message["params"])
                    if message["method"] == "Page.javascriptDialogOpening":
                        # The page is blocked until then, and with it the commands to it.
                        await self._send("Page.handleJavaScriptDialog", message["sessionId"], {"accept": False})

        self._loop.run_until_complete(asyncio.wait_for(receive(), TIMEOUT))

    async def _send(self, method: str, session: str | None, params: dict[str, Any]) -> int:
        number = next(self._numbers)
        addressed = {} if session is None else {"sessionId": session}
        await self._socket.send_json({"id": number, "method": method, "params": params, **addressed})
        return number


def _drain(stream: IO[str]) -> None:
    # It may be closed meanwhile.
    with contextlib.suppress(ValueError):
        stream.read()


async def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession()


class Tab:
    """A tab of a browser."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self._events: Counter[str] = Counter()
        self.problems: list[str] = []
        """Errors and warnings of the console, exceptions, violations of the content security policy, and dialogs."""

    def note(self, method: str, params: dict[str, Any]) -> None:
        """Keep what an event of the protocol reports."""
        self._events[method] += 1
        if method == "Page.javascriptDialogOpening":
            self.problems.append(f"{params['type']}: {params['message']}")
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            said = [each.get("description", each.get("value")) for each in params["args"]]
            self.problems.append(f"console.{params['type']}: {said}")
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            entry = params["entry"]
            self.problems.append(f"{entry['source']}: {entry['text']} {entry.get('url', '')}".rstrip())

    def command(self, method: str, /, **params: Any) -> dict[str, Any]:
        """Return the result of a command of the DevTools protocol."""
        return self._browser.command(method, self._session, **params)

    # The window

    def resize(self, width: int, height: int, scale: float = 1) -> None:
        """Change the size of the window, in CSS pixels."""
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False
        )

    def prefer(self, *, dark: bool) -> None:
        """Choose the colour scheme that the reader prefers."""
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.command("Emulation.setEmulatedMedia", features=features)

    def run_scripts(self, wanted: bool) -> None:
        """Run the scripts of the pages that are opened from now on, or none."""
        self.command("Emulation.setScriptExecutionDisabled", value=not wanted)

    def screenshot(self, kind: str = "png", quality: int | None = None) -> bytes:
        """Return a picture of what the window shows."""
        chosen = {} if quality is None else {"quality": quality}
        return base64.b64decode(self.command("Page.captureScreenshot", format=kind, **chosen)["data"])

    # Pages

    def go(self, url: str) -> None:
        """Open an address and wait until its page is loaded."""
        with self.loading():
            result = self.command("Page.navigate", url=url)
            if "errorText" in result:
                raise RuntimeError(f"{url}: {result['errorText']}")
            if "loaderId" not in result:
                # Only the fragment differs from the page before.
                self.command("Page.reload")

    @contextlib.contextmanager
    def loading(self) -> Generator[None, None, None]:
        """Wait at the end of a `with` block for the page that the block leads to."""
        before = self._events["Page.loadEventFired"]
        yield
        self._browser.wait(lambda: self._events["Page.loadEventFired"] > before)

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in JavaScript, which can be a promise."""
        result = self.command("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raised = result["exceptionDetails"]
            raise RuntimeError(raised.get("exception", {}).get("description", raised["text"]))
        return result["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait until a condition in JavaScript holds. It is evaluated after each change of the page."""
        self.evaluate(
            f"""new Promise((resolve) => {{
                const look = () => {{ if ({condition}) {{ observer.disconnect(); resolve(); }} }};
                const observer = new MutationObserver(look);
                observer.observe(
                    document, {{attributes: true, childList: true, characterData: true, subtree: true}});
                look();
            }})"""
        )

    def text(self, selector: str = "body") -> str:
        """Return the visible text of an element."""
        return str(self.evaluate(f"document.querySelector({selector!r}).innerText"))

    def accessibility(self) -> list[dict[str, Any]]:
        """Return the nodes of the accessibility tree that assistive technology sees, in the order of the document."""
        nodes = self.command("Accessibility.getFullAXTree")["nodes"]
        return [node for node in nodes if not node["ignored"]]

    # The reader's hands

    def click(self, selector: str, *, shift: bool = False) -> None:
        """Click in the middle of an element, at its first line."""
        x, y = self.evaluate(
            f"""(() => {{
                const element = document.querySelector({selector!r});
                element.scrollIntoView({{block: "center"}});
                const box = element.getClientRects()[0];
                return [box.x + box.width / 2, box.y + box.height / 2];
            }})()"""
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.command(
                "Input.dispatchMouseEvent",
                type=kind,
                x=x,
                y=y,
                button="left",
                clickCount=1,
                modifiers=_SHIFT if shift else 0,
            )

    def fill(self, selector: str, text: str) -> None:
        """Replace the contents of a field, as typing does."""
        self.evaluate(f"document.querySelector({selector!r}).focus()")
        self.evaluate(f"document.querySelector({selector!r}).select()")
        self.command("Input.insertText", text=text)

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press and release a key."""
        code = _KEYS[key]
        typed = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.command(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                modifiers=_SHIFT if shift else 0,
                **(typed if kind == "keyDown" else {}),
            )
