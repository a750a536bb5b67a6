"""The fastest `task status ID` with click and requests: one request, signed by hand, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import time
from urllib.parse import urlsplit

import click
import requests

__all__ = ["status"]


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@click.command()
@click.argument("task")
def status(task: str) -> None:
    """Print the state of a task."""
    root = os.environ["TASKCLUSTER_ROOT_URL"]
    server = urlsplit(root)
    path = f"/api/queue/v1/task/{task}/status"
    now, nonce, content = int(time.time()), base64.b64encode(os.urandom(6)).decode(), _hash("hawk.1.payload\n\n\n")
    signed = f"hawk.1.header\n{now}\n{nonce}\nGET\n{path}\n{server.hostname}\n{server.port}\n{content}\n\n"
    key = os.environ["TASKCLUSTER_ACCESS_TOKEN"].encode()
    mac = base64.b64encode(hmac.digest(key, signed.encode(), "sha256")).decode()
    client = os.environ["TASKCLUSTER_CLIENT_ID"]
    header = f'Hawk id="{client}", ts="{now}", nonce="{nonce}", hash="{content}", mac="{mac}"'
    response = requests.get(root + path, headers={"Authorization": header}, timeout=30)
    response.raise_for_status()
    click.echo(response.json()["status"]["state"])


if __name__ == "__main__":
    status()
