"""Work on values that may be large: a small one at once, a large one in a thread, so that the event loop answers meanwhile.

There is one thread for the whole process: of what is made of many large values at once, the host holds one at a time beside those that
are in use.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

T = TypeVar("T")
LARGE_BYTES = 8 * 1024
"""Of text: reading it and what is made of it takes about a millisecond; the way to a thread and back costs a tenth."""
_turn = ThreadPoolExecutor(1, "large values")


async def by_size(size_bytes: int, function: Callable[..., T], *args: Any) -> T:
    """What a function gives, or raises, for a value whose text has that size.  Cancelled, the wait ends and the function runs on."""
    if size_bytes <= LARGE_BYTES:
        return function(*args)
    return await asyncio.get_running_loop().run_in_executor(_turn, copy_context().run, _contained, function, args)


def _contained(function: Callable[..., T], args: tuple[Any, ...]) -> T:
    try:
        return function(*args)
    except StopIteration as error:  # a stranger's class may raise it, and no future takes it
        raise RuntimeError("the function raised StopIteration") from error
