"""The program of an MCP server, spoken to over its input and output: a transport for the package mcp, with bounds that its own has not.

Rules
- A line is a message, at most MAX_MESSAGE_BYTES, and holds no more than counts as much; a larger one ends the conversation.
- A large one is counted and read in a thread.
- The program gets an environment of its own: the variables PASSED and those that the settings name.  It runs in the user's home folder, not in the
  notebook's, where a stranger's file could be taken for a part of it.
- At the end its input is closed; what is left of its process group after GRACE_S is killed, whoever stopped waiting for it.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from llmspell_kernel.errors import BridgeError

from .mcp_sizes import LARGE_BYTES, MAX_MESSAGE_BYTES, TOO_LONG, TooLarge, check_message

GRACE_S = 1.0
TOLD_CHARS = 500
"""Of what the program wrote to its standard error, for the message of a failure."""
PASSED = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "TERM", "SHELL")


class Program:
    """A running program; `told` is the end of what it wrote to its standard error."""

    def __init__(self, command: Sequence[str], named: Sequence[str], environ: Mapping[str, str]) -> None:
        self._command = command
        self._environment = {name: environ[name] for name in (*PASSED, *named) if name in environ}
        self.told = ""
        self.ended = asyncio.Event()
        """Set when the program says nothing more."""

    @asynccontextmanager
    async def talk(self) -> AsyncIterator[Any]:
        """The two streams that a client of the package mcp speaks over.  Raises BridgeError where the program cannot be started."""
        import anyio

        process = await self._started()
        to_client, from_server = anyio.create_memory_object_stream[Any](0)
        to_server, from_client = anyio.create_memory_object_stream[Any](0)
        tasks = [
            asyncio.create_task(work) for work in (self._read(process, to_client), _write(process, from_client), self._listen(process))
        ]
        try:
            yield from_server, to_server
        finally:
            for stream in (to_client, from_server, to_server, from_client):
                stream.close()
            for task in tasks:
                task.cancel()
            # in a task of its own: whoever is cancelled here a second time leaves no process behind
            await asyncio.shield(asyncio.ensure_future(_end(process, tasks)))

    async def _started(self) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        try:
            return await asyncio.create_subprocess_exec(
                *self._command,
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                env=self._environment,
                cwd=Path.home(),
                start_new_session=True,
                limit=MAX_MESSAGE_BYTES,
            )
        except OSError as error:
            raise BridgeError(f"cannot start {self._command[0]!r}: {error.strerror or error}", code="mcp_start") from None

    async def _read(self, process: asyncio.subprocess.Process, to_client: Any) -> None:
        from anyio import BrokenResourceError, ClosedResourceError

        assert process.stdout is not None
        with suppress(ClosedResourceError, BrokenResourceError):  # the client has gone
            try:
                while line := await process.stdout.readline():
                    try:
                        message = _message(line) if len(line) <= LARGE_BYTES else await asyncio.to_thread(_message, line)
                    except ValueError:
                        self._tell(line[:TOLD_CHARS])  # programs print what belongs to their standard error
                    else:
                        await to_client.send(message)
            except TooLarge as error:
                self._tell(str(error).encode())
            except ValueError:  # of readline: longer than its limit
                self._tell(TOO_LONG.encode())
            finally:
                self.ended.set()
                to_client.close()

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while piece := await process.stderr.read(4096):
            self._tell(piece)

    def _tell(self, piece: bytes) -> None:
        self.told = (self.told + piece.decode("utf-8", "replace"))[-TOLD_CHARS:]


def _message(line: bytes) -> Any:
    """Raises TooLarge, and ValueError for what is no message."""
    from mcp.shared.message import SessionMessage
    from mcp_types import jsonrpc_message_adapter

    check_message(line)
    return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))


async def _write(process: asyncio.subprocess.Process, from_client: Any) -> None:
    assert process.stdin is not None
    with suppress(ConnectionError):
        async for message in from_client:
            text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            process.stdin.write(f"{text}\n".encode())
            await process.stdin.drain()


async def _end(process: asyncio.subprocess.Process, tasks: Sequence[asyncio.Task[None]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)
    assert process.stdin is not None
    process.stdin.close()
    with suppress(TimeoutError):
        await asyncio.wait_for(_exited(process), GRACE_S)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # also what the program has started and left behind
    with suppress(TimeoutError):  # what it has started in a group of its own may hold its output open
        await asyncio.wait_for(_exited(process), GRACE_S)


async def _exited(process: asyncio.subprocess.Process) -> None:
    """Reads what still comes: a program whose output is full cannot end."""
    assert process.stdout is not None and process.stderr is not None
    for stream in (process.stdout, process.stderr):
        while await stream.read(65_536):
            pass
    await process.wait()
