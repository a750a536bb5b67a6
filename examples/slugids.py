"""Identifiers: new ones, and ones that are the same for the same name."""

from __future__ import annotations

import worker

import taskcluster


def main() -> None:
    """Create two tasks that know of each other before either is there."""
    print("two slugIds:", taskcluster.slugId(), taskcluster.slugId())

    task_id = taskcluster.stableSlugId()
    print("the same name, the same slugId:", task_id("build") == task_id("build"))
    print("another one has others:", task_id("build") != taskcluster.stableSlugId()("build"))

    queue = taskcluster.Queue(taskcluster.optionsFromEnvironment())
    queue.createTask(task_id("build"), worker.definition("build"))
    queue.createTask(task_id("test"), {**worker.definition("test"), "dependencies": [task_id("build")]})
    print("test waits for build:", queue.status(task_id("test"))["status"]["state"])


if __name__ == "__main__":
    main()
