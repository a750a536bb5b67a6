"""A RabbitMQ server for tests: on this machine, with users, rights and exchanges as on a Pulse server.

It needs Debian's package rabbitmq-server. Nothing is shared with other servers on the machine: the node's name, its
ports, its files and its epmd (Erlang's name server) are its own.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pamqp import frame, header

__all__ = ["INSTALL_RABBITMQ", "BrokerAccounts", "RabbitMQ", "is_rabbitmq_installed"]

# The script of the same name in /usr/sbin changes to the user rabbitmq.
_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
INSTALL_RABBITMQ = "RabbitMQ is not installed: apt-get install --no-install-recommends rabbitmq-server"
_START_TIMEOUT = 120.0
_ALL_RIGHTS = {"configure": ".*", "write": ".*", "read": ".*"}


def is_rabbitmq_installed() -> bool:
    """Return whether `RabbitMQ` can start a server."""
    return _SERVER.exists()


class BrokerAccounts:
    """The accounts of a server that is running."""

    def __init__(self, port: int, passwords: Mapping[str, str]) -> None:
        self.port = port
        self.passwords = dict(passwords)

    def url(self, user: str, *, vhost: str = "/", port: int | None = None) -> str:
        """Return the URL with which a user connects.

        Args:
            user: The user.
            vhost: The virtual host.
            port: Another port than the server's, e.g. that of a proxy.
        """
        return f"amqp://{quote(user, '')}:{self.passwords[user]}@127.0.0.1:{port or self.port}/{quote(vhost, '')}"


class RabbitMQ(BrokerAccounts):
    """A RabbitMQ server, which `with` starts and stops.

        with RabbitMQ(Path("/tmp/broker"), users=["alice"]) as broker:
            consumer = Consumer(bindings, url=broker.url("alice"))

    Each user may declare `queue/<user>/…` and `exchange/<user>/…`, and bind to every exchange. So a user
    `taskcluster-queue` may publish to the exchanges of the Queue service.

    Args:
        directory: For its files; created, or empty.
        users: The names of its users.
        exchanges: The exchanges that exist from the start.
        administrators: The names of further users, who may do everything, such as a local deployment that publishes.
    """

    def __init__(
        self,
        directory: Path,
        *,
        users: Iterable[str],
        exchanges: Iterable[str] = (),
        administrators: Iterable[str] = (),
    ) -> None:
        self.directory = directory
        port, self._epmd_port, self._distribution_port = _free_ports(3)
        self._rights = {user: _rights(user) for user in users} | dict.fromkeys(administrators, _ALL_RIGHTS)
        super().__init__(port, {user: secrets.token_urlsafe(12) for user in self._rights})
        self._exchanges = list(exchanges)
        self._epmd: subprocess.Popen[bytes] | None = None
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> RabbitMQ:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server, also after `kill`, and wait until it accepts connections.

        Raises:
            FileNotFoundError: RabbitMQ is not installed.
            RuntimeError: It did not start; the message has the end of its log.
        """
        if not is_rabbitmq_installed():
            raise FileNotFoundError(INSTALL_RABBITMQ)
        self.directory.mkdir(exist_ok=True)
        self._write_configuration()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "LANG": "C.UTF-8",
            "RABBITMQ_NODENAME": f"taskcluster-{self.port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(self.directory / "data"),
            "RABBITMQ_LOG_BASE": str(self.directory / "log"),
            "RABBITMQ_PID_FILE": str(self.directory / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(self.directory / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        if self._epmd is None:
            # The server would start one that stays after it.
            self._epmd = subprocess.Popen(
                ["epmd"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
            )
        with (self.directory / "output").open("ab") as output:
            self._server = subprocess.Popen(
                [str(_SERVER)], env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        self._wait_until_ready(self._server)

    def kill(self) -> None:
        """End the server at once, as a crash does."""
        self._end(signal.SIGKILL)

    def terminate(self) -> None:
        """Stop the server as an administrator does: it closes every connection with the reason."""
        self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """Stop the server's processes until `thaw`; its connections stay open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue after `freeze`."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the server and its name server."""
        if self._server is not None:
            self._end(signal.SIGKILL)
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()
            self._epmd = None

    def _write_configuration(self) -> None:
        definitions: dict[str, list[dict[str, Any]]] = {
            "users": [
                {
                    "name": user,
                    "password_hash": _password_hash(password),
                    "hashing_algorithm": "rabbit_password_hashing_sha256",
                    "tags": "",
                    "limits": {},
                }
                for user, password in self.passwords.items()
            ],
            "vhosts": [{"name": "/"}],
            "permissions": [{"user": user, "vhost": "/", **rights} for user, rights in self._rights.items()],
            "exchanges": [
                {
                    "name": name,
                    "vhost": "/",
                    "type": "topic",
                    "durable": True,
                    "auto_delete": False,
                    "internal": False,
                    "arguments": {},
                }
                for name in self._exchanges
            ],
        }
        self._write("definitions.json", json.dumps(definitions))
        self._write("enabled_plugins", "[].")
        self._write(
            "rabbitmq.conf",
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            f"load_definitions = {self.directory / 'definitions.json'}\n"
            "log.console = false\n",
        )

    def _write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text, "utf-8")

    def _wait_until_ready(self, server: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + _START_TIMEOUT
        while not _speaks_amqp(self.port):
            if server.poll() is not None or time.monotonic() > until:
                self.stop()
                output = (self.directory / "output").read_text("utf-8", "replace")
                raise RuntimeError(f"RabbitMQ did not start: {output[-2000:]}")
            time.sleep(0.1)

    def _signal(self, number: signal.Signals) -> None:
        assert self._server is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._server.pid, number)

    def _end(self, number: signal.Signals) -> None:
        assert self._server is not None
        self._signal(number)
        self._server.wait()
        self._server = None


def _rights(user: str) -> dict[str, str]:
    own = quote(user, safe="-_").replace("-", "\\-")
    return {
        "configure": f"^(queue/{own}/.*|exchange/{own}/.*)",
        "write": f"^(queue/{own}/.*|exchange/{own}/.*)",
        "read": f"^(queue/{own}/.*|exchange/.*)",
    }


def _password_hash(password: str) -> str:
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode("ascii")


def _free_ports(count: int) -> Iterator[int]:
    """Return ports that are free, and stay so: the system gives connections those from 32768."""
    with contextlib.ExitStack() as stack:
        found: list[int] = []
        while len(found) < count:
            candidate = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                candidate.bind(("127.0.0.1", 10_000 + secrets.randbelow(22_000)))
                found.append(candidate.getsockname()[1])
        return iter(found)


def _speaks_amqp(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.sendall(frame.marshal(header.ProtocolHeader(), 0))
            # The type of a method frame, on channel 0.
            return connection.recv(3) == b"\x01\x00\x00"
    except OSError:
        return False
