"""Connections that can be cut: a port of ours in front of programs that come and go. An edge."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import struct
from typing import TYPE_CHECKING

from local.settings import HOST

if TYPE_CHECKING:
    from collections.abc import Sequence

CHUNK = 65_536
# "Linger for no time": closing then resets the connection, whatever was still on its way.
AT_ONCE = struct.pack("ii", 1, 0)


class Proxy:
    """Takes connections on one port and hands each to one of the programs behind it, in turns."""

    def __init__(self, port: int, targets: Sequence[int]) -> None:
        self.port = port
        self.cut_count = 0
        self._targets = list(targets)
        self._turns = itertools.count()
        self._open: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._take, HOST, self.port)

    async def stop(self) -> None:
        """Listen no more, and cut what is open."""
        if self._server is not None:
            self._server.close()
        self.cut()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def cut(self) -> None:
        """Reset every connection, in the middle of whatever it carries."""
        for writer in list(self._open):
            reset(writer)
            self.cut_count += 1

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await self._connect()
        if behind is None:
            reset(writer)
            return
        other_reader, other_writer = behind
        both = {writer, other_writer}
        self._open |= both
        tasks = {
            asyncio.create_task(pump(reader, other_writer)),
            asyncio.create_task(pump(other_reader, writer)),
        }
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._open -= both
            for each in both:
                each.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """Find a program that is up, as a load balancer does."""
        first = next(self._turns)
        for number in range(len(self._targets)):
            port = self._targets[(first + number) % len(self._targets)]
            with contextlib.suppress(OSError):
                return await asyncio.open_connection(HOST, port)
        return None


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes one way until there are no more."""
    with contextlib.suppress(OSError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection at once and rudely."""
    connection = writer.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    writer.transport.abort()
