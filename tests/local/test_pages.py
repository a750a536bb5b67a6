"""Test every page of the site in Chromium, on a deployment full of attacks."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

import taskcluster
from taskcluster_local.site.routes import ROUTES, find

from .populated import ASCII, ATTACK, QUEUE, Populated, populated

if TYPE_CHECKING:
    from chromium import Browser, Tab

pytestmark = pytest.mark.once

FAULTS = Path(__file__).with_name("faults.js").read_text("utf-8")
LOG = "public/logs/live_backing.log"
VISITS = (
    ({"scripts": True, "width": 360, "dark": True}, {"scripts": False, "width": 1920, "dark": False}),
    ({"scripts": False, "width": 360, "dark": False}, {"scripts": True, "width": 1920, "dark": True}),
    ({"scripts": True, "width": 360, "dark": False}, {"scripts": False, "width": 1920, "dark": True}),
    ({"scripts": False, "width": 360, "dark": True}, {"scripts": True, "width": 1920, "dark": False}),
)
"""Each page gets one of these pairs, in turn, so that each value occurs for each page."""
CONTROLS = {
    *("button", "checkbox", "combobox", "link", "listbox", "radio", "searchbox", "slider", "spinbutton", "switch"),
    *("textbox", "DisclosureTriangle"),
}


_QUEUE = "/provisioners/<provisionerId>/worker-types/<workerType>"


def segment(text: str) -> str:
    return quote(text, safe="")


def paths(template: str) -> Callable[[Populated], Sequence[str]]:
    """Return a function that fills in the ids of the deployment."""
    return lambda made: [template.format(**made.tasks, group=made.group, log=LOG, queue=segment(QUEUE))]


def each_state(made: Populated) -> Sequence[str]:
    return [f"/tasks/{task_id}" for task_id in made.tasks.values()]


EXAMPLES: Mapping[str, Callable[[Populated], Sequence[str]]] = {
    "/": paths("/"),
    "/signin": paths("/signin?back=" + segment(f"/tasks?id={ASCII}")),
    "/auth/clients": paths("/auth/clients"),
    "/auth/clients/create": paths(
        "/auth/clients/create?callback_url="
        + segment("http://localhost:1/x")
        + "".join(f"&{name}={segment(ASCII)}" for name in ("name", "description", "scope", "expires"))
    ),
    "/auth/clients/<clientId>": paths("/auth/clients/proj%2Fci"),
    "/auth/roles": paths("/auth/roles"),
    "/auth/roles/<roleId>": paths("/auth/roles/" + segment(f"role {ASCII}").replace("{", "{{").replace("}", "}}")),
    "/auth/scopes": paths("/auth/scopes"),
    "/auth/scopes/<scope>": paths("/auth/scopes/" + segment(ASCII)),
    "/auth/scopes/expansions": paths("/auth/scopes/expansions?scope=" + segment(ASCII)),
    "/hooks": paths("/hooks"),
    "/hooks/<hookGroupId>/<hookId>": lambda _: ["/hooks/group/hook", "/hooks/group/failing"],
    "/pulse-messages": paths("/pulse-messages?exchange=&pattern=%23&exchange=&pattern=" + segment(ASCII)),
    "/purge-caches": paths("/purge-caches"),
    _QUEUE: paths("/provisioners/proj/worker-types/ci"),
    f"{_QUEUE}/claimed-tasks": paths("/provisioners/proj/worker-types/ci/claimed-tasks"),
    f"{_QUEUE}/pending-tasks": paths("/provisioners/proj/worker-types/ci/pending-tasks"),
    f"{_QUEUE}/workers/<workerGroup>/<workerId>": paths("/provisioners/proj/worker-types/ci/workers/g/w"),
    "/secrets": paths("/secrets"),
    "/secrets/<name>": paths("/secrets/" + segment(f"secret {ASCII}")),
    "/notify": paths("/notify"),
    "/notify/denylist": paths("/notify/denylist"),
    "/services": paths("/services"),
    "/services/<service>": lambda _: ["/services/widgets", "/services/queue"],
    "/services/<service>/<method>": lambda _: ["/services/widgets/paint", "/services/queue/createTask"],
    "/tasks": paths("/tasks?id=" + segment(ASCII)),
    "/tasks/create": paths("/tasks/create?taskId={completed}"),
    "/tasks/<taskId>": each_state,
    "/tasks/<taskId>/artifacts/<runId>": paths("/tasks/{completed}/artifacts/0"),
    "/tasks/<taskId>/definition": paths("/tasks/{completed}/definition"),
    "/tasks/<taskId>/runs/<runId>": paths("/tasks/{failed}/runs/0"),
    "/tasks/<taskId>/runs/<runId>/logs/<name…>": paths("/tasks/{completed}/runs/0/logs/{log}#L2-3"),
    "/tasks/<taskId>/runs/<runId>/logs/live/<name…>": paths("/tasks/{live}/runs/0/logs/live/public/logs/live.log"),
    "/tasks/groups": paths("/tasks/groups?id=" + segment(ASCII)),
    "/tasks/groups/<taskGroupId>": paths("/tasks/groups/{group}"),
    "/tasks/groups/<taskGroupId>/changes": paths("/tasks/groups/{group}/changes?taskId={completed}"),
    "/tasks/index": paths("/tasks/index"),
    "/tasks/index/<namespace>": paths("/tasks/index/proj.ci"),
    "/tasks/index/<namespace>/<name>": paths("/tasks/index/proj.ci/other"),
    "/worker-manager": paths("/worker-manager"),
    "/worker-manager/<workerPoolId>": paths("/worker-manager/{queue}"),
    "/worker-manager/<workerPoolId>/errors": paths("/worker-manager/{queue}/errors"),
    "/worker-manager/<workerPoolId>/workers": paths("/worker-manager/{queue}/workers"),
}
"""Addresses of each page with a template, by its route."""


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Populated]:
    with populated(tmp_path_factory.mktemp("deployment")) as made:
        yield made


@pytest.fixture(scope="module")
def signed_in(browser: Browser, deployment: Populated) -> Iterator[Tab]:
    """A tab with the root client's session."""
    with browser.tab() as tab:
        sign_in(tab, deployment)
        yield tab


@pytest.fixture
def tab(signed_in: Tab) -> Tab:
    """The same tab with its defaults."""
    signed_in.resize(1280, 900)
    signed_in.prefer(dark=False)
    signed_in.run_scripts(True)
    signed_in.problems.clear()
    return signed_in


def sign_in(tab: Tab, made: Populated, back: str = "/") -> None:
    credentials = made.local.credentials
    tab.go(f"{made.local.root_url}/signin?back={segment(back)}")
    tab.fill("#clientId", credentials["clientId"])
    tab.fill("#accessToken", credentials["accessToken"])
    with tab.loading():
        tab.press("Enter")
    assert credentials["clientId"] in tab.text()


PAGES = sorted({route.path for route in ROUTES if route.verb == "GET" and route.template})


def test_every_page_has_an_example() -> None:
    assert sorted(EXAMPLES) == PAGES


@pytest.mark.parametrize(("path", "visits"), [*zip(PAGES, itertools.cycle(VISITS))], ids=PAGES)
def test_page_is_safe_and_accessible(
    path: str, visits: Sequence[Mapping[str, int]], deployment: Populated, tab: Tab
) -> None:
    found = {}
    addresses = EXAMPLES[path](deployment)
    # Of several addresses, each gets one of the two visits.
    turns = zip(addresses, itertools.cycle(visits)) if len(addresses) > 1 else itertools.product(addresses, visits)
    for address, visit in turns:
        tab.resize(visit["width"], 900)
        tab.prefer(dark=bool(visit["dark"]))
        tab.run_scripts(bool(visit["scripts"]))
        tab.problems.clear()
        tab.go(deployment.local.root_url + address)
        assert deployment.local.credentials["accessToken"] not in tab.evaluate("document.documentElement.outerHTML")
        links = tab.evaluate("[...document.links].filter((a) => a.origin === location.origin).map((a) => a.pathname)")
        pages = [link for link in links if not link.startswith(("/schemas/", "/references/", "/api/"))]
        broken = [f"there is no page at {link}" for link in pages if find("GET", link) is None]
        faults = [*tab.evaluate(FAULTS), *heard(tab), *tab.problems, *broken]
        if faults:
            found[f"{address} {visit}"] = faults
    assert not found


def test_faults_are_found(browser: Browser) -> None:
    page = """<body style="background: white"><h1>A</h1><h3>B</h3><p style="color: #999">pale</p><input>
    <a href="http://x/"></a>
    <a href="javascript:alert(1)">x</a><a href="http://x/?bewit=x">y</a><table><tr><td>c<tr><th>d</table>
    <p id=i><p id=i><div style="width: 2000px">wide</div>
    <script>console.error("said"); alert("asked"); none.such</script>"""
    with browser.tab() as tab:
        tab.go(f"data:text/html,{segment(page)}")
        found = "\n".join([*tab.evaluate(FAULTS), *heard(tab), *tab.problems])
        tab.problems.clear()
        policy = "<meta http-equiv='Content-Security-Policy' content=\"script-src 'none'\"><script>alert(1)</script>"
        tab.go(f"data:text/html,{segment(policy)}")
        [violation] = tab.problems
    for expected in (
        *("scrolls horizontally", "no lang", "no title", "the id i", "has no name", "has no scope"),
        *("leads to a script", "has credentials", "contrast of 2.85: <p", "not of the page", "levels of the headings"),
        *("one main", "textbox without a name", "link without a name", "['said']", "alert: asked", "ReferenceError"),
    ):
        assert expected in found
    assert "Content Security Policy" in violation


def heard(tab: Tab) -> Iterator[str]:
    """Yield the faults that readers with a screen reader meet."""
    nodes = tab.accessibility()
    levels = [node_level(node) for node in nodes if role(node) == "heading"]
    if levels.count(1) != 1:
        yield f"{levels.count(1)} headings have level 1"
    if levels[:1] != [1] or any(after > before + 1 for before, after in itertools.pairwise(levels)):
        yield f"the levels of the headings are {levels}"
    for landmark in ("main", "banner"):
        if [role(node) for node in nodes].count(landmark) != 1:
            yield f"there must be one {landmark}"
    for node in nodes:
        if role(node) in CONTROLS and not str(node["name"]["value"]).strip():
            yield f"{role(node)} without a name: {node}"


def role(node: Mapping[str, Any]) -> str:
    return str(node["role"]["value"])


def node_level(node: Mapping[str, Any]) -> int:
    return next(int(each["value"]["value"]) for each in node["properties"] if each["name"] == "level")


def test_keyboard_skips_the_navigation(deployment: Populated, tab: Tab) -> None:
    tab.go(deployment.local.root_url)
    tab.press("Tab")
    assert tab.text(":focus") == "Skip to the contents"
    assert tab.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    tab.press("Enter")
    assert tab.evaluate("document.activeElement.localName") == "main"
    tab.press("Tab")
    assert tab.evaluate("document.querySelector('main').contains(document.activeElement)")


@pytest.mark.parametrize("path", ["/", "/tasks/{failed}", "/auth/clients/create", "/signin"])
def test_keyboard_focus_is_visible(path: str, deployment: Populated, tab: Tab) -> None:
    """Each link and field can be reached, in the order of the page, and shows it."""
    tab.go(deployment.local.root_url + paths(path)(deployment)[0])
    count = tab.evaluate(
        """(() => {
            const selector = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']";
            const found = [...document.querySelectorAll(selector)].filter((element) => element.checkVisibility());
            found.forEach((element, index) => { element.dataset.order = index; });
            return found.length;
        })()"""
    )
    reached = []
    for _ in range(count):
        tab.press("Tab")
        reached.append(
            tab.evaluate(
                """(() => {
                    const {dataset, localName} = document.activeElement;
                    const {outlineStyle, outlineWidth} = getComputedStyle(document.activeElement);
                    return [dataset.order, outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 || localName];
                })()"""
            )
        )
    assert reached == [[str(number), True] for number in range(count)]


def test_log_lines_are_linked(deployment: Populated, tab: Tab) -> None:
    address = f"{deployment.local.root_url}/tasks/{deployment.tasks['completed']}/runs/0/logs/{LOG}"
    marked = "[...document.querySelectorAll('.marked')].map((line) => line.id)"
    tab.go(f"{address}#L4-2")
    assert tab.evaluate(marked) == ["L2", "L3", "L4"]
    tab.click("#L1 .number")
    tab.until("document.querySelector('#L1.marked')")
    assert tab.evaluate("location.hash") == "#L1"
    tab.click("#L3 .number", shift=True)
    tab.until("document.querySelector('#L3.marked')")
    assert (tab.evaluate("location.hash"), tab.evaluate(marked)) == ("#L1-3", ["L1", "L2", "L3"])
    failed = deployment.tasks["failed"]
    assert tab.evaluate("document.querySelector('#L4 span a').href") == f"{deployment.local.root_url}/tasks/{failed}"
    with tab.loading():
        tab.click("#L4 span a")
    assert tab.evaluate("location.pathname") == f"/tasks/{failed}"
    assert tab.problems == []


def test_task_is_canceled_with_its_button(deployment: Populated, tab: Tab) -> None:
    task_id = taskcluster.slugId()
    deployment.create(task_id)
    tab.run_scripts(False)
    tab.go(f"{deployment.local.root_url}/tasks/{task_id}")
    with tab.loading():
        tab.click("form[action$='/cancel'] button")
    assert tab.evaluate("location.pathname") == f"/tasks/{task_id}"
    assert tab.text("h1 [data-state-of]") == "exception"
    assert tab.problems == []


def test_secret_is_shown_after_a_click(deployment: Populated, tab: Tab) -> None:
    later = taskcluster.fromNow("1 day", deployment.local.now())
    options = deployment.local.options()
    taskcluster.Secrets(options).set("proj/ci", {"secret": {"password": "hunter2", ATTACK: ATTACK}, "expires": later})
    tab.go(f"{deployment.local.root_url}/secrets/proj%2Fci")
    assert "hunter2" not in tab.evaluate("document.documentElement.outerHTML")
    with tab.loading():
        tab.click("main button")
    assert '"password": "hunter2"' in tab.text("pre")
    assert [*tab.evaluate(FAULTS), *heard(tab), *tab.problems] == []


def test_sign_in_address_works_once(deployment: Populated, browser: Browser) -> None:
    address, clientId = deployment.local.sign_in_url(), deployment.local.credentials["clientId"]
    with browser.tab() as tab:
        tab.go(address)
        with tab.loading():
            tab.click("main button")
        assert tab.evaluate("location.href") == f"{deployment.local.root_url}/"
        assert clientId in tab.text("header")
        with tab.loading():
            tab.click("header button")
        assert clientId not in tab.text("header")
        tab.go(address)
        assert "used already" in tab.text("main")
        assert [*tab.evaluate(FAULTS), *heard(tab)] == []


@pytest.mark.parametrize(
    ("path", "heading"),
    [
        (f"/nothing/{segment(ASCII)}", "No such page"),
        ("/tasks/fN1SbArXTPSVFNUvaOlinQ", "ResourceNotFound"),
        (f"/tasks/{segment(ASCII)}", ""),
        (f"/auth/clients/create?callback_url={segment(ASCII)}", "InputError"),
    ],
    ids=["unknown path", "unknown task", "invalid task", "other site"],
)
def test_error_page_is_safe_and_accessible(path: str, heading: str, deployment: Populated, tab: Tab) -> None:
    tab.resize(360, 900)
    tab.go(deployment.local.root_url + path)
    assert heading in tab.text("h1")
    # Chromium logs the status of the page itself.
    problems = [problem for problem in tab.problems if not problem.startswith("network: Failed to load resource")]
    assert [*tab.evaluate(FAULTS), *heard(tab), *problems] == []


def test_live_log_is_followed(deployment: Populated, tab: Tab) -> None:
    tab.go(f"{deployment.local.root_url}/tasks/{deployment.tasks['live']}/runs/0/logs/public/logs/live.log")
    for line in ("first", f"second {ATTACK}"):
        os.write(deployment.output, f"{line}\n".encode(errors="replace"))
        tab.until(f"document.querySelector('.log').textContent.includes({line.partition('/')[0]!r})")
    # Of a line that was overwritten in place, the last state; as in stored logs, in linear time.
    for written in ("a\\rb\\rlast\\r", "' + '\\r'.repeat(150000) + 'last"):
        assert tab.evaluate(f"shown(1, '{written}').querySelector('span').textContent") == "last"
    assert tab.problems == []


def test_guide_has_pictures_of_pages(browser: Browser) -> None:
    import page_pictures

    guide = (page_pictures.FOLDER.parents[1] / "guides" / "site.md").read_text("utf-8")
    made = dict(page_pictures.pictures(browser))
    assert {path.stem for path in page_pictures.FOLDER.iterdir()} == set(made)
    for name, content in made.items():
        assert f"](../images/site/{name}.webp)" in guide
        stored = (page_pictures.FOLDER / f"{name}.webp").read_bytes()
        for picture in (content, stored):
            assert picture[8:12] == b"WEBP"
            assert len(picture) < 100_000


def test_pages_are_accessible_without_signing_in(deployment: Populated, browser: Browser) -> None:
    """What the reader may not see is replaced by what to do about it."""
    found = {}
    with browser.tab(width=360, dark=True) as tab:
        for address in sorted({EXAMPLES[path](deployment)[-1] for path in PAGES}):
            tab.problems.clear()
            tab.go(deployment.local.root_url + address)
            # Chromium logs the status of the page itself.
            problems = [each for each in tab.problems if not each.startswith("network: Failed to load resource")]
            if faults := [*tab.evaluate(FAULTS), *heard(tab), *problems]:
                found[address] = faults
    assert not found
