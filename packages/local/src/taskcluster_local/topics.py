"""Match routing keys against many patterns at once, as topic exchanges do."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

__all__ = ["Topics"]

_T = TypeVar("_T", bound=Hashable)


class _Node(Generic[_T]):
    """A place in the patterns, reached after some of their words."""

    __slots__ = ("children", "repeats", "values")

    def __init__(self, *, repeats: bool = False) -> None:
        self.children: dict[str, _Node[_T]] = {}
        self.repeats = repeats
        """Whether the last word was `#`, which matches any number of words."""
        self.values: set[_T] = set()

    def enter(self, active: set[_Node[_T]]) -> None:
        """Add this node, and those reached from it without another word."""
        node: _Node[_T] | None = self
        while node is not None:
            active.add(node)
            node = node.children.get("#")


class Topics(Generic[_T]):
    """Values bound to exchanges with patterns: words separated by `.`; `*` matches one word, `#` any number of words.

    Patterns share their first words, so finding values takes about as long for many patterns as for one.
    """

    def __init__(self) -> None:
        self._exchanges: dict[str, _Node[_T]] = {}

    def add(self, exchange: str, pattern: str, value: _T) -> None:
        """Bind a value."""
        node = self._exchanges.setdefault(exchange, _Node())
        for word in pattern.split("."):
            if word not in node.children:
                node.children[word] = _Node(repeats=word == "#")
            node = node.children[word]
        node.values.add(value)

    def discard(self, exchange: str, pattern: str, value: _T) -> None:
        """Remove a value that was bound like this, if there is one."""
        words = pattern.split(".")
        path = [self._exchanges.get(exchange, _Node[_T]())]
        for word in words:
            if word not in path[-1].children:
                return
            path.append(path[-1].children[word])
        path[-1].values.discard(value)
        while words and not path[-1].children and not path[-1].values:
            path.pop()
            del path[-1].children[words.pop()]

    def find(self, exchange: str, keys: Iterable[str]) -> set[_T]:
        """Return the values bound to an exchange with patterns that match at least one of these routing keys."""
        found: set[_T] = set()
        root = self._exchanges.get(exchange)
        if root is None:
            return found
        for key in keys:
            active: set[_Node[_T]] = set()
            root.enter(active)
            for word in key.split("."):
                following: set[_Node[_T]] = set()
                for node in active:
                    if node.repeats:
                        following.add(node)
                    children = node.children
                    if word in children:
                        children[word].enter(following)
                    if "*" in children:
                        children["*"].enter(following)
                active = following
            for node in active:
                found |= node.values
        return found
