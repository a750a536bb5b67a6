"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = [
    "PRIORITIES",
    "confirm_option",
    "dry_run_option",
    "fail_fast_option",
    "interval_option",
    "long_option",
    "quiet_option",
    "run_option",
    "timeout_option",
    "web_option",
    "yes_option",
]

F = TypeVar("F", bound=Callable[..., Any])

PRIORITIES = ("highest", "very-high", "high", "medium", "low", "very-low", "lowest")


def quiet_option() -> Callable[[F], F]:
    """Return the option of lists that print ids alone."""
    return click.option("-q", "--quiet", is_flag=True, help="Print ids alone.")


def long_option() -> Callable[[F], F]:
    """Return the option that prints in a pipe what a terminal shows."""
    return click.option("-l", "--long", "is_long", is_flag=True, help="Print everything in a pipe, too.")


def run_option() -> Callable[[F], F]:
    """Return the option that chooses a run."""
    return click.option("-r", "--run", type=click.IntRange(0), help="The run. Defaults to the last.")


def dry_run_option(*names: str) -> Callable[[F], F]:
    """Return the option that changes nothing."""
    return click.option(*(names or ("-n", "--noop", "--dry-run")), "dry_run", is_flag=True, help="Change nothing.")


def confirm_option() -> Callable[[F], F]:
    """Return the Go command's option that asks."""
    return click.option("-c", "--confirm", is_flag=True, help="Ask before anything is changed.")


def yes_option(*names: str) -> Callable[[F], F]:
    """Return the option that answers the question."""
    return click.option("-y", "--yes", *names, "yes", is_flag=True, help="Do not ask.")


def interval_option() -> Callable[[F], F]:
    """Return the option for the seconds between two looks."""
    return click.option(
        "--interval",
        type=click.FloatRange(0, min_open=True),
        metavar="SECONDS",
        help="Between two looks. By default from 1 to 30 s, longer while nothing changes.",
    )


def timeout_option() -> Callable[[F], F]:
    """Return the option that limits waiting."""
    return click.option(
        "--timeout", type=click.FloatRange(0), metavar="SECONDS", help="Stop waiting, with exit status 124."
    )


def fail_fast_option() -> Callable[[F], F]:
    """Return the option that ends waiting at the first failure."""
    return click.option("--fail-fast", is_flag=True, help="Stop waiting when the first task has failed.")


def web_option() -> Callable[[F], F]:
    """Return the option that opens the page."""
    return click.option("--web", is_flag=True, help="Open the page in a browser, or print its address.")
