"""Which entry point owns a name: properties that hold for any set of entry points."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcluster.ownership import normalized, owners_of, unowned


class EntryPoint(NamedTuple):
    name: str
    distribution: str


class Unread(NamedTuple):
    """An entry point that fails if its metadata is read."""

    name: str

    @property
    def distribution(self) -> str:
        raise AssertionError(f"the distribution of {self.name} is read")


# Few letters, so that names collide.
NAMES = st.text("aB-_", min_size=1, max_size=3).filter(normalized)
ENTRY_POINTS = st.lists(st.builds(EntryPoint, NAMES, st.sampled_from(["one", "two", "three"])), unique=True, max_size=8)
DISABLED = st.sets(st.one_of(NAMES, st.builds("{}:{}".format, st.sampled_from(["one", "two"]), NAMES)), max_size=3)


def is_enabled(point: EntryPoint, disabled: set[str]) -> bool:
    return not {point.name, f"{point.distribution}:{point.name}"} & disabled


@given(ENTRY_POINTS, DISABLED)
def test_a_name_has_an_owner_when_one_entry_point_claims_it(points: list[EntryPoint], disabled: set[str]) -> None:
    found = owners_of(points, disabled)
    claims = Counter(normalized(point.name) for point in points if is_enabled(point, disabled))
    assert found.owners.keys() == {name for name, count in claims.items() if count == 1}
    assert found.conflicts.keys() == {name for name, count in claims.items() if count > 1}
    assert found.disabled.keys() == {normalized(point.name) for point in points} - claims.keys()
    assert all(normalized(owner.name) == name and is_enabled(owner, disabled) for name, owner in found.owners.items())


@given(ENTRY_POINTS, DISABLED, st.randoms(use_true_random=False))
def test_ownership_does_not_depend_on_order(points: list[EntryPoint], disabled: set[str], random: Random) -> None:
    shuffled = random.sample(points, len(points))
    found, again = owners_of(points, disabled), owners_of(shuffled, disabled)
    assert found.owners == again.owners
    assert found.conflicts.keys() == again.conflicts.keys()


@given(ENTRY_POINTS, ENTRY_POINTS)
def test_other_names_do_not_change_an_owner(points: list[EntryPoint], more: list[EntryPoint]) -> None:
    names = {normalized(point.name) for point in points}
    others = [point for point in more if normalized(point.name) not in names]
    found, again = owners_of(points, ()), owners_of([*others, *points], ())
    assert found.owners == {name: owner for name, owner in again.owners.items() if name in names}


@given(ENTRY_POINTS)
def test_disabling_the_other_claims_resolves_a_conflict(points: list[EntryPoint]) -> None:
    for name, conflict in owners_of(points, ()).conflicts.items():
        claims = [point for point in points if normalized(point.name) == name]
        assert all(point.distribution in conflict.reason for point in claims)
        for owner in claims:
            others = {f"{point.distribution}:{point.name}" for point in claims if point != owner}
            assert owners_of(points, others).owners[name] == owner


@given(st.lists(NAMES, unique_by=normalized, max_size=5), st.sets(NAMES, max_size=2))
def test_metadata_is_not_read_without_a_conflict(names: list[str], disabled: set[str]) -> None:
    found = owners_of(map(Unread, names), disabled)
    assert len(found.owners) + len(found.disabled) == len(names)


@given(NAMES, st.lists(NAMES, max_size=4))
def test_an_entry_point_owns_only_names_like_its_own(entry_point: str, names: list[str]) -> None:
    assert [name for name in names if normalized(name) == normalized(entry_point)] == [
        name for name in names if name not in unowned(entry_point, names)
    ]


@pytest.mark.parametrize("spelling", ["widget-store", "widget_store", "widgetStore", "widgetstore", "WidgetStore"])
def test_spellings_share_a_normalized_name(spelling: str) -> None:
    assert normalized(spelling) == "widgetstore"


def test_a_conflict_says_how_to_fix_it() -> None:
    points = [EntryPoint("widgets", "one"), EntryPoint("widgets", "two"), EntryPoint("Widgets", "three")]
    (conflict,) = owners_of(points, ()).conflicts.values()
    assert conflict.name == "widgets"
    assert conflict.reason == (
        "comes from more than one distribution: one and two and three (as 'Widgets'); uninstall one of them, or "
        "disable one, for example by TASKCLUSTER_DISABLE_PLUGINS=two:widgets,three:Widgets"
    )
