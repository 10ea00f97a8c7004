"""Runs a plain function in a thread of its own, so that one which never ends keeps neither the process nor other functions from going on.

Rules
- Threads are daemons: at the end of the process nobody waits for them, as the event loop's own executor would.
- No more than `allow` says run at once, whoever started them: a script that calls a hanging function again and again is told so.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from llmspell_kernel.errors import LimitError


class Slots:
    """How many functions run, and how many may; any number until somebody says."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self.most: int | None = None

    def take(self) -> None:
        with self._lock:
            if self.most is not None and self._running >= self.most:
                raise LimitError(
                    f"{self._running} calls of Python functions are still running; they cannot be stopped, so wait until some end",
                    limit="threads",
                    value=self.most,
                    used=self._running + 1,
                )
            self._running += 1

    def give_back(self) -> None:
        with self._lock:
            self._running -= 1


_slots = Slots()


def allow(most: int) -> None:
    """The limit is the process's, as its threads are: where several sessions live in it, it is that of the one that spoke last."""
    _slots.most = most


async def in_thread(function: Callable[..., Any], *args: Any) -> Any:
    """The function's value, or what it raises.  Cancelled, the wait ends and the function runs on.  Raises LimitError where too many run."""
    slots = _slots
    slots.take()
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()

    def tell(value: Any, error: BaseException | None) -> None:
        if done.done():
            return  # given up in the meantime
        if error is None:
            done.set_result(value)
        else:
            done.set_exception(error)

    def run() -> None:
        value: Any = None
        failure: BaseException | None = None
        try:
            value = context.run(function, *args)
        except StopIteration as error:  # which no future takes; a coroutine tells of it in the same way
            failure = RuntimeError("the function raised StopIteration")
            failure.__cause__ = error
        except BaseException as error:
            failure = error
        finally:
            slots.give_back()
        with suppress(RuntimeError):  # the loop has ended: nobody waits
            loop.call_soon_threadsafe(tell, value, failure)

    try:
        threading.Thread(target=run, name=f"exposed {getattr(function, '__name__', '')}", daemon=True).start()
    except BaseException:
        slots.give_back()
        raise
    return await done
