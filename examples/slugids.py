"""Create identifiers, new ones and stable ones for names."""

from __future__ import annotations

import worker

import taskcluster


def main() -> None:
    """Create two tasks; the second depends on the first."""
    print("two slugIds:", taskcluster.slugId(), taskcluster.slugId())

    task_id = taskcluster.stableSlugId()
    print("same name, same slugId:", task_id("build") == task_id("build"))
    print("another mapping, other slugIds:", task_id("build") != taskcluster.stableSlugId()("build"))

    queue = taskcluster.Queue(taskcluster.optionsFromEnvironment())
    queue.createTask(task_id("build"), worker.definition("build"))
    queue.createTask(task_id("test"), {**worker.definition("test"), "dependencies": [task_id("build")]})
    print("test waits for build:", queue.status(task_id("test"))["status"]["state"])


if __name__ == "__main__":
    main()
