"""Looks names up by the system's resolver, in threads of its own.

Rules
- Threads are daemons: a look-up cannot be cancelled, and nobody waits for one that hangs, also at the end of the process.
- No more than MOST run at once: a script that asks for names that hang, again and again, is told so, and the rest of the host has its threads.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from llmspell_kernel.errors import BridgeError

MOST = 16
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a name, for a port.  Raises BridgeError with the code no_such_host."""


class SystemResolver:
    """The look-ups of one session."""

    def __init__(
        self, look_up: Callable[..., list[tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]]] | None = None
    ) -> None:
        self._look_up = look_up or socket.getaddrinfo
        self._running = 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        if self._running >= MOST:
            raise BridgeError(f"{MOST} look-ups of names are still running; wait until some end", retryable=True, code="unreachable")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[list[str]] = loop.create_future()

        def tell(found: list[str] | None, failure: Exception | None) -> None:
            self._running -= 1
            if done.done():
                return  # given up in the meantime
            if failure is None:
                done.set_result(found or [])
            else:
                done.set_exception(failure)

        def work() -> None:
            found, failure = None, None
            try:
                found = [str(entry[4][0]) for entry in self._look_up(host, port, type=socket.SOCK_STREAM)]
            except (OSError, UnicodeError) as error:
                failure = error
            with suppress(RuntimeError):  # the loop has ended: nobody waits
                loop.call_soon_threadsafe(tell, found, failure)

        self._running += 1
        try:
            threading.Thread(target=work, name=f"look up {host}", daemon=True).start()
        except RuntimeError as error:
            self._running -= 1
            raise BridgeError("no thread is left to look up a name", retryable=True, code="unreachable") from error
        return await _found(host, done)


async def _found(host: str, done: asyncio.Future[list[str]]) -> list[str]:
    try:
        found = await done
    except (OSError, UnicodeError) as error:
        again = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
        what = "its name server does not answer" if again else "there is no such name"
        raise BridgeError(f"the host {host} was not found: {what}", retryable=again, code="no_such_host") from error
    if not found:
        raise BridgeError(f"the host {host} was not found: it has no address", code="no_such_host")
    return found
