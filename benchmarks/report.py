"""Format results as tables."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field

from .rows import Row

__all__ = ["Measured", "table", "table_of_targets"]


@dataclass(frozen=True)
class Measured:
    """The results of a row: the seconds per repetition in each round."""

    row: Row
    seconds: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    """By contender: `ours`, `published`, `bare`."""

    def median(self, contender: str) -> float:
        """Return the median of the rounds."""
        return statistics.median(self.seconds[contender])

    def times_as_fast_as(self, contender: str) -> float:
        """Return how many times as fast as another contender this client is."""
        return self.median(contender) / self.median("ours")

    def targets(self) -> Iterator[tuple[str, float]]:
        """Yield each contender with a target, and the required factor."""
        if self.row.over_published is not None:
            yield "published", self.row.over_published
        if self.row.over_bare is not None:
            yield "bare", self.row.over_bare

    def met(self) -> bool:
        """Return whether every target of the row is met."""
        return all(self.times_as_fast_as(contender) >= factor for contender, factor in self.targets())


def table(results: list[Measured]) -> str:
    """Return the results as a Markdown table."""
    lines = [
        "| what | ours | published | bare | × published | at least | × bare | at least | |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for measured in results:
        targets = dict(measured.targets())
        verdict = ("met" if measured.met() else "**missed**") if targets else ""
        cells = [measured.row.title, *(_time(measured, contender) for contender in ("ours", "published", "bare"))]
        for contender in ("published", "bare"):
            known = contender in measured.seconds
            cells.append(f"{measured.times_as_fast_as(contender):.2f}" if known else "")
            cells.append(f"{targets[contender]:g}" if contender in targets else "")
        lines.append(f"| {' | '.join([*cells, verdict])} |")
    return "\n".join(lines)


def table_of_targets(rows: list[tuple[str, str, str, bool]], heading: str = "measured") -> tuple[str, bool]:
    """Return a Markdown table, and whether every target is met.

    Args:
        rows: What is measured, the value, the target, and whether it is met.
        heading: The heading of the values.
    """
    lines = [f"| what | {heading} | target | |", "|---|---:|---:|---|"]
    lines += [
        f"| {title} | {value} | {target} | {'met' if met else '**missed**'} |" for title, value, target, met in rows
    ]
    return "\n".join(lines), all(met for *_, met in rows)


def _time(measured: Measured, contender: str) -> str:
    if contender not in measured.seconds:
        return ""
    seconds = measured.median(contender)
    return f"{seconds * 1e3:.1f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} µs"
