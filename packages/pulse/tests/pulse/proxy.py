"""A TCP proxy in front of a broker, whose connections can be made silent."""

from __future__ import annotations

import asyncio
import ssl

from taskcluster_pulse.loop_thread import LoopThread

__all__ = ["Proxy"]


class Proxy:
    """Forwards connections to a port of this machine, until they are made silent.

    Args:
        target: The port.
        context: For TLS between the proxy and its clients.
    """

    def __init__(self, target: int, context: ssl.SSLContext | None = None) -> None:
        self._target = target
        self._context = context
        self._passing: set[asyncio.Event] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self._accepting: set[asyncio.Task[None]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = LoopThread("proxy")
        self.port = self._thread.call(self._start())

    async def _start(self) -> int:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._context)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def silence(self) -> None:
        """Forward nothing more on the open connections, which stay open; new ones are forwarded."""
        self._thread.call(self._silence())

    async def _silence(self) -> None:
        for passing in self._passing:
            passing.clear()
        self._passing.clear()

    def cut(self) -> None:
        """End the open connections; new ones are forwarded."""
        self._thread.call(self._cut())

    async def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def close(self) -> None:
        self._thread.call(self._close())
        self._thread.close()

    async def _close(self) -> None:
        self._server.close()
        while self._accepting:
            await asyncio.wait(self._accepting)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._cut()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepting = asyncio.current_task()
        assert accepting is not None
        self._accepting.add(accepting)
        accepting.add_done_callback(self._accepting.discard)
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers += [writer, back]
        passing = asyncio.Event()
        passing.set()
        self._passing.add(passing)
        for source, target in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._forward(source, target, passing))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forward(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, passing: asyncio.Event
    ) -> None:
        try:
            while data := await source.read(65536):
                await passing.wait()
                target.write(data)
                await target.drain()
        except OSError:
            pass
        finally:
            target.close()
