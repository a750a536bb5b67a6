"""The executor `container`: the command of a docker-worker payload runs in a container, by podman or docker.

Their command line does everything, so containers work wherever it works for the worker's user, rootless or not.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .cancellation import completely
from .errors import WorkerError
from .plugins import Execution, Executor, Exit, RunContext, hookimpl
from .resolution import TaskFailed
from .task import ArtifactContent, Image, NamedImage, Task

__all__ = ["ContainerExecutor"]

_ENGINES = ("podman", "docker")
_CHUNK = 256 * 1024
_REMOVER = Path(__file__).with_name("remover.py")
_LABEL = "taskcluster-worker"
_PROXY_HOST = "taskcluster"
"""The name of the proxy in containers."""
_IMAGE = re.compile(
    r"(?:[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
"""Names of images in registries. An engine would read others as paths of this machine (`dir:/…`) or as options."""
_LOADED = re.compile(r"^Loaded image(?:\(s\)| ID)?: *(\S+)$", re.MULTILINE)
_MISSING = re.compile("no such file|could not find|not found", re.IGNORECASE)


@hookimpl
def taskcluster_worker_executor(options: Mapping[str, Any]) -> Executor:
    """Return the executor of this module."""
    return ContainerExecutor(**options)


class ContainerExecutor(Executor):
    """Runs each task in a new container.

    Args:
        engine: The program: `podman`, `docker`, or a path to one of them. Defaults to the first of the two that is
            found and works.
        network: The network of containers, for the engine's option `--network`. Defaults to the engine's bridge. With
            `host`, tasks reach what listens on this machine's loopback addresses, such as a local deployment.
        read_only: Directories of this machine that tasks can read, at the same paths.
    """

    name = "container"

    def __init__(
        self,
        *,
        engine: str | None = None,
        network: str | None = None,
        read_only: Sequence[str | os.PathLike[str]] = (),
    ) -> None:
        if network is not None and not re.fullmatch("[A-Za-z0-9][A-Za-z0-9_.-]*", network):
            raise WorkerError(f"network must be the name of a network, such as 'host', not {network!r}")
        self._candidates = _ENGINES if engine is None else (engine,)
        self._engine: _Engine
        self.isolation = "in containers" if network is None else f"in containers on the network {network!r}"
        self._network = network
        self._options = [] if network is None else ["--network", network]
        for directory in [os.fspath(path) for path in read_only]:
            if not os.path.isabs(directory) or ":" in directory:
                raise WorkerError(f"read_only must have absolute paths without ':', not {directory!r}")
            self._options += ["--volume", f"{directory}:{directory}:ro"]
        self._gateway: str | None = None
        self._images: dict[Image, str] = {}
        self._loading = asyncio.Lock()
        self._cleaned = False

    async def start(self) -> None:
        """Find the program that runs containers."""
        problems: list[str] = []
        for program in self._candidates:
            engine = _Engine(program)
            problem = await engine.problem()
            if problem is None:
                self._engine = engine
                return
            problems.append(f"{program}: {problem}")
        raise WorkerError(
            "the executor container needs podman or docker; install podman (for example `apt-get install podman`), or "
            "use the executor host. " + "; ".join(problems)
        )

    def check(self, task: Task) -> Sequence[str]:
        """Return what this executor cannot run."""
        if task.image is None:
            return ["payload: image is missing; this worker has the executor container"]
        found = [
            f"payload: capabilities.{name} is not supported by this worker"
            for name, value in task.capabilities.items()
            if value
        ]
        if isinstance(task.image, NamedImage) and not _IMAGE.fullmatch(task.image.name):
            found.append(f"payload: image must be the name of an image in a registry, not {task.image.name!r}")
        found += [
            f"payload: the path of the cache {volume.cache!r} must be absolute and without ':', not {volume.path!r}"
            for volume in task.volumes
            if not volume.path.startswith("/") or ":" in volume.path
        ]
        if any("\0" in each for each in [*itertools.chain(*task.commands), *task.env, *task.env.values()]):
            found.append("payload: command and env must not have null bytes")
        return found + [f"payload: env has the invalid name {name!r}" for name in task.env if not name or "=" in name]

    async def has_image(self, name: str) -> bool:
        """Return whether an image is on this machine, so that it is not pulled. Call `start` before."""
        return await self._engine.image_id(name) is not None

    async def open(self, context: RunContext) -> Execution:
        """Get the image."""
        owner = hashlib.sha256(os.fsencode(context.storage)).hexdigest()[:16]
        if not self._cleaned:
            self._cleaned = True
            await self._remove_leftovers(owner)
        image = await self._image(context)
        options = [*self._options, "--label", f"{_LABEL}={owner}"]
        if "taskclusterProxy" not in context.task.features or self._network == "host":
            return _ContainerExecution(self._engine, context, image, options)
        gateway = await self._gateway_address()
        options += ["--add-host", f"{_PROXY_HOST}:{gateway}"]
        execution = _ContainerExecution(self._engine, context, image, options)
        execution.proxy_address, execution.proxy_host = gateway, _PROXY_HOST
        return execution

    async def _remove_leftovers(self, owner: str) -> None:
        """Remove the containers of a worker that was killed while it created them."""
        listed = await self._engine.output("ps", "--all", "--quiet", "--filter", f"label={_LABEL}={owner}")
        if listed.split():
            await self._engine.output(*self._engine.remove(*listed.split()))

    async def _image(self, context: RunContext) -> str:
        """Return the ID of the image of a task."""
        declared = context.task.image
        assert declared is not None
        if isinstance(declared, NamedImage):
            return await self._named_image(declared.name, context.log)
        known = self._images.get(declared)
        if known is not None and await self._engine.image_id(known) is not None:
            return known
        archive = context.directory / "image"
        await context.download(declared, archive)
        try:
            # Until its ID is known, an image that another task loads could take its name.
            async with self._loading:
                result = await self._engine.call("load", "--input", str(archive))
                loaded = _LOADED.findall(result.output)
                if result.status or not loaded:
                    raise TaskFailed(f"Cannot load the image {declared.artifact}: {result.message}")
                image = await self._engine.image_id(loaded[-1])
        finally:
            archive.unlink()
        if image is None:
            raise TaskFailed(f"Cannot load the image {declared.artifact}: {self._engine.name} does not have it")
        # The index moves on.
        if isinstance(declared, ArtifactContent):
            self._images[declared] = image
        return image

    async def _named_image(self, name: str, log: Callable[[str], None]) -> str:
        image = await self._engine.image_id(name)
        if image is None:
            complete = _complete_name(name)
            log(f"Pulling the image {complete}.")
            result = await self._engine.call("pull", "--quiet", complete)
            if result.status:
                raise TaskFailed(f"Cannot pull the image {complete}: {result.message}")
            image = await self._engine.image_id(complete)
        if image is None:
            raise TaskFailed(f"Cannot find the image {name} after it was pulled")
        log(f"Image {name}: {image}")
        return image

    async def _gateway_address(self) -> str:
        """Return the address of this machine on the network of containers."""
        if self._gateway is None:
            network = self._network or self._engine.default_network
            listed: list[dict[str, Any]] = json.loads(await self._engine.output("network", "inspect", network))
            addresses = _gateways(listed[0]) if listed else []
            if not addresses:
                raise TaskFailed(f"The network {network!r} has no gateway, where taskclusterProxy could listen")
            self._gateway = addresses[0]
        return self._gateway


class _ContainerExecution(Execution):
    """The container of one run."""

    def __init__(self, engine: _Engine, context: RunContext, image: str, options: Sequence[str]) -> None:
        self.directory = context.directory / "task"
        self.directory.mkdir()
        self._artifacts = context.directory / "artifacts"
        self._artifacts.mkdir()
        self._engine = engine
        self._log = context.log
        self._container = f"taskcluster-{context.task.taskId}-{context.task.runId}-{uuid.uuid4().hex[:8]}"
        self._options = ["--name", self._container, "--log-driver", "none", *options]
        # ":z" lets the container use it where SELinux is on.
        for volume in context.volumes:
            self._options += ["--volume", f"{volume.source}:{volume.target}:z"]
        self._image = image
        self._is_created = False
        self._end = math.inf
        # It removes the container at `close`, when the worker is killed, and when the claim ends.
        remove = [engine.program, *engine.remove(self._container)]
        self._remover = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_REMOVER), *remove],
            stdin=subprocess.PIPE,
            env=engine.environment,
            start_new_session=True,
        )

    async def run(self, command: Sequence[str], env: Mapping[str, str], write: Callable[[bytes], None]) -> Exit:
        """Run the command as the container's first process, and wait for it."""
        # Anyone can read a task's variables in its definition, so they may be in the list of processes.
        variables = [f"--env={name}={value}" for name, value in env.items()]
        self._is_created = True
        assert self._remover.stdin is not None
        # It has that input, too, so that nothing is removed before it is created.
        files = (self._remover.stdin.fileno(),)
        result = await completely(
            self._engine.call("create", *self._options, *variables, self._image, *command, pass_fds=files)
        )
        if result.status:
            raise TaskFailed(f"Cannot create a container: {result.message}")
        if time.monotonic() >= self._end:
            # If it was created after the end, the remover has not found it.
            raise TaskFailed("The claim has ended")
        process = await self._engine.start("start", "--attach", self._container)
        assert process.stdout is not None
        try:
            while data := await process.stdout.read(_CHUNK):
                write(data)
            return Exit(await process.wait())
        finally:
            if process.returncode is None:
                await completely(self._stop(process))

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        await self.kill()
        process.kill()
        await process.wait()

    async def kill(self) -> None:
        """Kill all processes in the container."""
        if self._is_created:
            # It fails if the container has ended.
            await completely(self._engine.call("kill", self._container))

    def kill_at(self, end: float) -> None:
        """Let the remover remove the container at a time."""
        self._end = end
        self._tell_remover(f"{end}\n")

    def _tell_remover(self, line: str) -> None:
        file = self._remover.stdin
        if file is not None and not file.closed:
            # Somebody may have killed it.
            with contextlib.suppress(BrokenPipeError):
                os.write(file.fileno(), line.encode())

    async def artifact(self, path: str) -> Path:
        """Copy a file or directory out of the container."""
        copy = self._artifacts / uuid.uuid4().hex / (os.path.basename(path.rstrip("/")) or "root")
        copy.parent.mkdir()
        result = await self._engine.call("cp", *self._engine.copy_options, f"{self._container}:{path}", str(copy))
        if result.status and not _MISSING.search(result.message):
            self._log(f"Cannot copy {path} out of the container: {result.message}")
        return copy

    async def close(self) -> None:
        """Remove the container."""
        assert self._remover.stdin is not None
        self._tell_remover("\n")
        self._remover.stdin.close()
        await completely(asyncio.to_thread(self._remover.wait))


class _Result:
    """How a call of an engine ended."""

    def __init__(self, status: int, output: bytes, errors: bytes) -> None:
        self.status = status
        self.output = output.decode(errors="replace")
        lines = errors.decode(errors="replace").strip().splitlines()
        self.message = lines[-1].removeprefix("Error: ") if lines else f"exit status {status}"


class _Engine:
    """The command line of podman or docker."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.name = "docker" if "docker" in os.path.basename(program) else "podman"
        self.default_network = "bridge" if self.name == "docker" else "podman"
        # podman follows links of the path anyway, as the container sees them.
        self.copy_options = ("--follow-link",) if self.name == "docker" else ()
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("TASKCLUSTER_")}

    def remove(self, *containers: str) -> list[str]:
        """Return the arguments for removing containers, and killing what runs in them."""
        # docker does not wait before it kills.
        timeout = () if self.name == "docker" else ("--time", "0")
        return ["rm", "--force", "--volumes", *timeout, *containers]

    async def problem(self) -> str | None:
        """Return why this engine cannot be used, if so."""
        if shutil.which(self.program) is None:
            return "not found"
        result = await self.call("info", "--format", "{{json .}}")
        return result.message if result.status else None

    async def image_id(self, name: str) -> str | None:
        """Return the ID of an image that is on this machine."""
        result = await self.call("image", "inspect", "--format", "{{.Id}}", name)
        return result.output.strip() or None if result.status == 0 else None

    async def output(self, *arguments: str) -> str:
        """Return what a command prints.

        Raises:
            TaskFailed: It fails.
        """
        result = await self.call(*arguments)
        if result.status:
            raise TaskFailed(f"{self.name} {arguments[0]} failed: {result.message}")
        return result.output

    async def call(self, *arguments: str, pass_fds: Sequence[int] = ()) -> _Result:
        """Run a command to its end."""
        process = await self.start(*arguments, errors=subprocess.PIPE, pass_fds=pass_fds)
        try:
            output, errors = await process.communicate()
        finally:
            if process.returncode is None:
                process.terminate()
                await completely(process.wait())
        return _Result(await process.wait(), output, errors)

    async def start(
        self, *arguments: str, errors: int = subprocess.STDOUT, pass_fds: Sequence[int] = ()
    ) -> asyncio.subprocess.Process:
        """Start a command in a new session, so that Ctrl-C is for the worker only."""
        return await asyncio.create_subprocess_exec(
            self.program,
            *arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=self.environment,
            start_new_session=True,
            pass_fds=pass_fds,
        )


def _complete_name(name: str) -> str:
    """Return the name of an image with its registry, as docker completes it; podman may ask or refuse."""
    first, slash, _ = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return name
    return f"docker.io/{name}" if slash else f"docker.io/library/{name}"


def _gateways(network: Mapping[str, Any]) -> list[str]:
    """Return the gateways of a network as podman or docker describes it."""
    subnets = network.get("subnets") or network.get("IPAM", {}).get("Config") or ()
    found = [subnet.get("gateway") or subnet.get("Gateway") for subnet in subnets]
    return [address for address in found if address]
