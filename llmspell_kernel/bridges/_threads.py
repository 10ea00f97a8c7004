"""Runs a plain function in a thread of its own, so that one which never ends keeps neither the process nor other functions from going on.

Rules
- Threads are daemons: at the end of the process nobody waits for them, as the event loop's own executor would.
- No more than MOST run at once, whoever started them: a script that calls a hanging function again and again is told so.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from llmspell_kernel.errors import LimitError

MOST = 64
_running = threading.BoundedSemaphore(MOST)


async def in_thread(function: Callable[..., Any], *args: Any) -> Any:
    """The function's value, or what it raises.  Cancelled, the wait ends and the function runs on.  Raises LimitError where too many run."""
    slots = _running
    if not slots.acquire(blocking=False):
        raise LimitError(
            f"{MOST} calls of Python functions are still running; they cannot be stopped, so wait until some end",
            limit="threads",
            value=MOST,
            used=MOST + 1,
        )
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
        value, failure = None, None
        try:
            value = context.run(function, *args)
        except BaseException as error:
            failure = error
        finally:
            slots.release()
        with suppress(RuntimeError):  # the loop has ended: nobody waits
            loop.call_soon_threadsafe(tell, value, failure)

    try:
        threading.Thread(target=run, name=f"exposed {getattr(function, '__name__', '')}", daemon=True).start()
    except BaseException:
        slots.release()
        raise
    return await done
