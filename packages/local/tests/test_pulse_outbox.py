"""Tests of the messages that wait for a broker, and of what `pulse` needs. tests/local has those with a broker."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from taskcluster_local import LocalTaskcluster
from taskcluster_local.cli import main
from taskcluster_local.events import Message
from taskcluster_local.pulse_outbox import PulseOutbox
from taskcluster_local.store import Store


@pytest.fixture
def store() -> Iterator[Store]:
    with closing(Store()) as made:
        yield made


def message(key: str) -> Message:
    return Message("x", "exchange/taskcluster-x/v1/happened", key, ("route.r", "route.é"), {"n": "é"})


def keys(outbox: PulseOutbox, number: int = 10) -> list[str]:
    return [each.routingKey for each in outbox.first(number)]


def test_returns_messages_in_order_until_removed(store: Store) -> None:
    outbox = PulseOutbox(store)
    for key in "abc":
        outbox.add(message(key))
    first, *_ = outbox.first(2)
    assert (first.exchange, first.cc) == ("exchange/taskcluster-x/v1/happened", ["route.r", "route.é"])
    assert first.body == b'{"n":"\\u00e9"}'
    assert keys(outbox, 2) == ["a", "b"]
    outbox.remove([first])
    assert keys(outbox) == ["b", "c"]
    assert outbox.exchanges() == ["exchange/taskcluster-x/v1/happened"]
    assert outbox.count() == 2


def test_held_messages_are_kept_for_next_start(store: Store) -> None:
    outbox = PulseOutbox(store)
    for key in "abc":
        outbox.add(message(key))
    outbox.hold(outbox.first(2))
    assert keys(outbox, 1) == ["c"]
    assert outbox.count() == 3
    assert keys(PulseOutbox(store)) == ["a", "b", "c"]


def test_returns_no_messages_of_other_exchanges(store: Store) -> None:
    outbox = PulseOutbox(store)
    outbox.add(message("a"))
    outbox.add(replace(message("b"), exchange="exchange/taskcluster-x/v1/other"))
    assert [each.routingKey for each in outbox.first(1, ["exchange/taskcluster-x/v1/happened"])] == ["b"]


def test_adds_in_transaction_and_wakes_after_it(store: Store) -> None:
    outbox = PulseOutbox(store)
    seen: list[int] = []
    outbox.on_added = lambda: seen.append(outbox.count())
    with suppress(LookupError), store.transaction():
        outbox.add(message("a"))
        raise LookupError
    assert (seen, outbox.count()) == ([], 0)
    with store.transaction():
        outbox.add(message("b"))
        assert seen == []
    assert seen == [1]


@pytest.fixture
def without_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "taskcluster_pulse.amqp", None)
    monkeypatch.delitem(sys.modules, "taskcluster_local.broker", raising=False)


@pytest.mark.usefixtures("without_package", "handlers")
def test_missing_package_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    url = "amqp://me:s3cret@127.0.0.1"
    with pytest.raises(ModuleNotFoundError, match="needs another package: install taskcluster-pulse"):
        LocalTaskcluster(pulse=url)
    assert main(["serve", "--pulse", url]) == 1
    assert "taskcluster-local: publishing to a broker needs another package" in capsys.readouterr().err


@pytest.mark.usefixtures("handlers")
def test_command_reports_invalid_url_without_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKCLUSTER_LOCAL_PULSE", "http://me:s3cret@127.0.0.1")
    for arguments in ([], ["--pulse", "amqp://me:s3cret@"]):
        assert main(["serve", *arguments]) == 1
        shown = capsys.readouterr().err
        assert "the URL of the broker must be amqps://USER:PASSWORD@HOST:PORT/VHOST" in shown
        assert "s3cret" not in shown


def test_nothing_is_kept_without_broker(tmp_path: Path) -> None:
    with LocalTaskcluster(tmp_path) as local:
        assert local._server._state.deployment.pulse_outbox is None
