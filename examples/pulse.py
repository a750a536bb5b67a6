"""Get the exchanges and routing key patterns to bind a Pulse queue to."""

from __future__ import annotations

import os

import taskcluster
import taskcluster.client


def main() -> None:
    """Print bindings. To listen, use a Pulse library, for example kombu."""
    task_id = taskcluster.slugId()
    events = taskcluster.QueueEvents({"rootUrl": os.environ["TASKCLUSTER_ROOT_URL"]})
    binding = events.taskCompleted({"taskId": task_id, "workerType": "linux"})
    print("exchange:", binding["exchange"])
    print("a dict:", binding["routingKeyPattern"])
    print("keywords:", events.taskCompleted(taskId=task_id)["routingKeyPattern"])
    print("a pattern:", events.taskCompleted("route.index.builds.#")["routingKeyPattern"])
    print("everything:", events.taskCompleted()["routingKeyPattern"])

    hooks = taskcluster.client.HooksEvents({"rootUrl": os.environ["TASKCLUSTER_ROOT_URL"]})
    print("of another service:", hooks.hookCreated()["exchange"])


if __name__ == "__main__":
    main()
