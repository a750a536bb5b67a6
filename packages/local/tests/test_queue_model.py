"""Tests of the queue service: any sequence of calls has the same results as a small model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings, strategies
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

pytestmark = pytest.mark.once

ROOT = "/api/queue/v1"
PRIORITIES = ("lowest", "very-low", "low", "medium", "high", "very-high", "highest")
ACTIVE = ("unscheduled", "pending", "running")
CLAIM_MINUTES = 20
GROUPS = (90, 91)


@dataclass
class Run:
    why: str
    state: str = "pending"
    end: str | None = None
    worker: str | None = None
    named: bool = False
    until: int = 0
    place: int = 0


@dataclass
class ModelTask:
    group: int
    priority: str
    retries: int
    deadline: int
    any_outcome: bool
    waits_for: set[int]
    left: int = 0
    runs: list[Run] = field(default_factory=list)

    @property
    def state(self) -> str:
        return self.runs[-1].state if self.runs else "unscheduled"


class Model:
    """Tasks by number, at a time in minutes. Methods return the expected status of the response."""

    def __init__(self) -> None:
        self.now = 0
        self.places = 0
        self.tasks: dict[int, ModelTask] = {}
        self.sealed: set[int] = set()

    def pend(self, task: ModelTask, why: str) -> None:
        self.places += 1
        task.runs.append(Run(why, place=self.places))

    def create(self, number: int, task: ModelTask) -> int:
        if task.group in self.sealed:
            return 409
        task.left = task.retries
        good = ("completed", "failed", "exception") if task.any_outcome else ("completed",)
        task.waits_for = {
            each for each in task.waits_for if each not in self.tasks or self.tasks[each].state not in good
        }
        self.tasks[number] = task
        if not task.waits_for:
            self.pend(task, "scheduled")
        return 200

    def settle(self, number: int) -> None:
        """The consequences of resolving a task."""
        done = self.tasks[number]
        for _, task in sorted(self.tasks.items()):
            if number in task.waits_for and (task.any_outcome or done.state == "completed"):
                task.waits_for.discard(number)
                if not task.waits_for and not task.runs:
                    self.pend(task, "scheduled")

    def end(self, number: int, state: str, reason: str) -> None:
        task = self.tasks[number]
        if not task.runs:
            task.runs.append(Run("exception"))
        task.runs[-1].state, task.runs[-1].end = state, reason
        again = {"claim-expired": "retry", "worker-shutdown": "retry", "intermittent-task": "task-retry"}.get(reason)
        if again and task.left:
            task.left -= 1
            self.pend(task, again)
        else:
            self.settle(number)

    def claimable(self) -> list[int]:
        ready = [
            (-PRIORITIES.index(task.priority), task.runs[-1].place, number)
            for number, task in self.tasks.items()
            if task.state == "pending" and task.deadline > self.now
        ]
        return [number for *_, number in sorted(ready)]

    def take(self, number: int, worker: str) -> None:
        run = self.tasks[number].runs[-1]
        run.state, run.worker, run.until = "running", worker, self.now + CLAIM_MINUTES

    def is_late(self, number: int) -> bool:
        return self.tasks[number].deadline < self.now

    def claim(self, number: int, index: int, worker: str) -> int:
        task = self.tasks[number]
        if index >= len(task.runs):
            return 404
        if self.is_late(number):
            return 409
        run = task.runs[index]
        if run is task.runs[-1] and run.state == "pending":
            self.take(number, worker)
            run.named = True
            return 200
        return 200 if run.state == "running" and run.worker == worker and run.named else 409

    def reclaim(self, number: int, index: int) -> int:
        task = self.tasks[number]
        if index >= len(task.runs):
            return 404
        if self.is_late(number) or index != len(task.runs) - 1 or task.state != "running":
            return 409
        task.runs[-1].until = self.now + CLAIM_MINUTES
        return 200

    def report(self, number: int, index: int, outcome: str) -> int:
        task = self.tasks[number]
        if index >= len(task.runs):
            return 404
        if index != len(task.runs) - 1 or task.state not in ("running", outcome):
            return 409
        if task.state == "running":
            self.end(number, outcome, outcome)
        return 200

    def fail(self, number: int, index: int, reason: str) -> int:
        task = self.tasks[number]
        if index >= len(task.runs):
            return 404
        if task.runs[index].end == reason:
            return 200
        if index != len(task.runs) - 1 or task.state != "running":
            return 409
        self.end(number, "exception", reason)
        return 200

    def schedule(self, number: int) -> int:
        if self.is_late(number):
            return 409
        if not self.tasks[number].runs:
            self.pend(self.tasks[number], "scheduled")
        return 200

    def rerun(self, number: int) -> int:
        if self.is_late(number):
            return 409
        task = self.tasks[number]
        if task.state not in ("pending", "running"):
            task.left = task.retries
            self.pend(task, "rerun")
        return 200

    def cancel(self, number: int) -> int:
        if self.is_late(number):
            return 409
        if self.tasks[number].state in ACTIVE:
            self.end(number, "exception", "canceled")
        return 200

    def prioritize(self, number: int, priority: str) -> int:
        if self.is_late(number):
            return 409
        self.tasks[number].priority = priority
        return 200

    def members(self, group: int) -> list[int]:
        return sorted(number for number, task in self.tasks.items() if task.group == group and task.state in ACTIVE)

    def cancel_group(self, group: int) -> list[int]:
        members = self.members(group)
        for number in members:
            self.end(number, "exception", "canceled")
        return members

    def prioritize_group(self, group: int, priority: str) -> list[int]:
        changed = [
            number for number, task in sorted(self.tasks.items()) if task.group == group and task.priority != priority
        ]
        for number in changed:
            self.tasks[number].priority = priority
        return changed

    def tick(self) -> None:
        """The consequences of time passing."""
        expired = [
            (task.runs[-1].until, number)
            for number, task in self.tasks.items()
            if task.state == "running" and task.runs[-1].until < self.now
        ]
        for _, number in sorted(expired):
            self.end(number, "exception", "claim-expired")
        late = [
            (task.deadline, number)
            for number, task in self.tasks.items()
            if task.state in ACTIVE and task.deadline < self.now - 1
        ]
        for _, number in sorted(late):
            self.end(number, "exception", "deadline-exceeded")


ITSELF = 9
"""As a dependency, the task itself, which then waits forever."""

numbers = strategies.integers(0, 7)
# Mostly the latest run (-1), because earlier ones have fewer cases.
runs = strategies.sampled_from((-1, -1, -1, 0, 1, 2, 3))
workers = strategies.sampled_from(("a", "b"))
priorities = strategies.sampled_from(PRIORITIES)
outcomes = strategies.sampled_from(("completed", "completed", "failed", "worker-shutdown", "internal-error"))
definitions = strategies.fixed_dictionaries(
    {
        "group": strategies.sampled_from(GROUPS),
        "priority": priorities,
        "retries": strategies.integers(0, 2),
        "minutes": strategies.sampled_from((5, 60, 240, 240)),
        "any_outcome": strategies.booleans(),
        "waits_for": strategies.sets(strategies.sampled_from((0, 1, 2, 3, ITSELF)), max_size=2),
    }
)


class Life(RuleBasedStateMachine):
    new_site: Callable[..., Any]

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.model = Model()

    def teardown(self) -> None:
        self.stack.close()

    def some(self, number: int) -> int:
        """Draw one of the existing tasks."""
        return sorted(self.model.tasks)[number % len(self.model.tasks)]

    def run_of(self, number: int, run: int) -> int:
        """Return the index of a run; -1 means the latest one, or the first one if there are none."""
        return max(0, len(self.model.tasks[number].runs) - 1) if run < 0 else run

    def post(self, number: int, action: str, payload: Any = None) -> int:
        return int(self.site.call("POST", f"{ROOT}/task/{slug(number)}/{action}", payload).status)

    @initialize(made=strategies.lists(definitions, min_size=4, max_size=6))
    def start(self, made: list[dict[str, Any]]) -> None:
        self.site = self.stack.enter_context(self.new_site())
        self.site.deployment.end_waiting()
        for fields in made:
            self.make(**fields)

    @precondition(lambda self: len(self.model.tasks) < 8)
    @rule(fields=definitions)
    def create(self, fields: dict[str, Any]) -> None:
        self.make(**fields)

    def make(
        self, group: int, priority: str, retries: int, minutes: int, any_outcome: bool, waits_for: set[int]
    ) -> None:
        number = len(self.model.tasks)
        waits_for = {number if each == ITSELF else each for each in waits_for if each < number or each == ITSELF}
        payload = {
            "taskQueueId": "p/w",
            "created": self.site.clock.at(),
            "deadline": self.site.clock.at(minutes=minutes),
            "payload": {},
            "metadata": {"name": "n", "description": "d", "owner": "o", "source": "https://example.com"},
            "taskGroupId": slug(group),
            "priority": priority,
            "retries": retries,
            "dependencies": [slug(each) for each in sorted(waits_for)],
            "requires": "all-resolved" if any_outcome else "all-completed",
        }
        task = ModelTask(group, priority, retries, self.model.now + minutes, any_outcome, waits_for)
        for _ in range(2):
            response = self.site.call("PUT", f"{ROOT}/task/{slug(number)}", payload)
            # The second time nothing changes.
            expected = self.model.create(number, task) if number not in self.model.tasks else 200
            assert response.status == expected

    @rule(worker=workers, count=strategies.integers(1, 3))
    def claim_work(self, worker: str, count: int) -> None:
        payload = {"workerGroup": "g", "workerId": worker, "tasks": count}
        claims = self.site.ok("POST", f"{ROOT}/claim-work/p/w", payload)["tasks"]
        expected = self.model.claimable()[:count]
        assert [claim["status"]["taskId"] for claim in claims] == [slug(number) for number in expected]
        for number in expected:
            self.model.take(number, worker)

    @precondition(lambda self: self.model.tasks)
    @rule(number=numbers, run=runs, worker=workers)
    def claim(self, number: int, run: int, worker: str) -> None:
        number = self.some(number)
        run = self.run_of(number, run)
        payload = {"workerGroup": "g", "workerId": worker}
        assert self.post(number, f"runs/{run}/claim", payload) == self.model.claim(number, run, worker)

    @precondition(lambda self: self.model.tasks)
    @rule(number=numbers, run=runs)
    def reclaim(self, number: int, run: int) -> None:
        number = self.some(number)
        run = self.run_of(number, run)
        assert self.post(number, f"runs/{run}/reclaim") == self.model.reclaim(number, run)

    @precondition(lambda self: self.model.tasks)
    @rule(number=numbers, run=runs, outcome=strategies.sampled_from(("completed", "failed")))
    def report(self, number: int, run: int, outcome: str) -> None:
        number = self.some(number)
        run = self.run_of(number, run)
        assert self.post(number, f"runs/{run}/{outcome}") == self.model.report(number, run, outcome)

    @precondition(lambda self: self.model.tasks)
    @rule(
        number=numbers,
        run=runs,
        reason=strategies.sampled_from(("worker-shutdown", "intermittent-task", "internal-error")),
    )
    def fail(self, number: int, run: int, reason: str) -> None:
        number = self.some(number)
        run = self.run_of(number, run)
        assert self.post(number, f"runs/{run}/exception", {"reason": reason}) == self.model.fail(number, run, reason)

    @rule(outcomes=strategies.lists(outcomes, min_size=2, max_size=4))
    def work(self, outcomes: list[str]) -> None:
        """Claim and finish a task: other rules would rarely let dependent tasks continue."""
        self.claim_work("a", len(outcomes))
        running = sorted(number for number, task in self.model.tasks.items() if task.state == "running")
        for number, outcome in zip(running, outcomes, strict=False):
            if outcome in ("completed", "failed"):
                self.report(number, -1, outcome)
            else:
                self.fail(number, -1, outcome)

    @precondition(lambda self: self.model.tasks)
    @rule(number=numbers, verb=strategies.sampled_from(("schedule", "rerun", "cancel")))
    def change(self, number: int, verb: str) -> None:
        number = self.some(number)
        assert self.post(number, verb) == getattr(self.model, verb)(number)

    @precondition(lambda self: self.model.tasks)
    @rule(number=numbers, priority=priorities)
    def prioritize(self, number: int, priority: str) -> None:
        number = self.some(number)
        assert self.post(number, "priority", {"newPriority": priority}) == self.model.prioritize(number, priority)

    @precondition(lambda self: self.model.tasks)
    @rule(number=numbers, action=strategies.sampled_from(("seal", "cancel", "priority")), priority=priorities)
    def change_group(self, number: int, action: str, priority: str) -> None:
        group = self.model.tasks[self.some(number)].group
        payload = {"newPriority": priority} if action == "priority" else None
        response = self.site.call("POST", f"{ROOT}/task-group/{slug(group)}/{action}", payload)
        if action == "seal":
            self.model.sealed.add(group)
        elif action == "cancel" and group not in self.model.sealed:
            assert response.status == 409
            return
        else:
            do = {"cancel": lambda: self.model.cancel_group(group)}
            changed = do.get(action, lambda: self.model.prioritize_group(group, priority))()
            assert response.json["taskIds"] == [slug(each) for each in changed]
        assert response.status == 200

    @rule(worker=workers)
    def lose_worker(self, worker: str) -> None:
        self.site.deployment.shared.queue.claims.end_runs("p/w", ("g", worker), self.site.clock())
        for number, task in sorted(self.model.tasks.items()):
            if task.state == "running" and task.runs[-1].worker == worker:
                self.model.end(number, "exception", "worker-shutdown")

    @rule(minutes=strategies.sampled_from((1, 1, 1, 4, 10, 21)), noticed=strategies.booleans())
    def wait(self, minutes: int, noticed: bool) -> None:
        self.site.clock.advance(minutes=minutes)
        self.model.now += minutes
        if noticed:
            asyncio.run(self.site.deployment.pass_time())
            self.model.tick()

    @invariant()
    def agree(self) -> None:
        if not self.model.tasks:
            return
        asked = {"taskIds": [slug(number) for number in self.model.tasks]}
        found = {
            each["taskId"]: each["status"] for each in self.site.ok("POST", f"{ROOT}/tasks/status", asked)["statuses"]
        }
        for number, task in self.model.tasks.items():
            status = found[slug(number)]
            told = [
                (run["reasonCreated"], run["state"], run.get("reasonResolved"), run.get("workerId"))
                for run in status["runs"]
            ]
            assert told == [(run.why, run.state, run.end, run.worker) for run in task.runs]
            assert status["state"] == task.state
            assert status["retriesLeft"] == task.left
            assert status["priority"] == task.priority
        counts = self.site.ok("GET", f"{ROOT}/task-queues/p/w/counts")
        states = [task.state for task in self.model.tasks.values()]
        pending = [number for number, task in self.model.tasks.items() if task.state == "pending"]
        assert counts["pendingTasks"] == sum(not self.model.is_late(number) for number in pending)
        assert counts["claimedTasks"] == states.count("running")


def slug(number: int) -> str:
    return f"{number:08d}Q0C0000000000A"


def test_tasks_behave_like_model(new_site: Callable[..., Any]) -> None:
    machine = type("Life", (Life,), {"new_site": staticmethod(new_site)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
