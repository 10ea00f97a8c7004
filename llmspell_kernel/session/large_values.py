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

from ..values import MAX_DEPTH, Value

T = TypeVar("T")
LARGE_BYTES = 8 * 1024
"""Of text: reading it and what is made of it takes about a millisecond; the way to a thread and back costs a tenth."""
LARGE_ITEMS = 5_000
"""Of lists and objects: writing so many takes about a millisecond."""
_HOLDERS = (list, dict)
_turn = ThreadPoolExecutor(1, "large values")


async def by_size(size_bytes: int, function: Callable[..., T], *args: Any) -> T:
    """What a function gives, or raises, for a value whose text has that size.  Cancelled, the wait ends and the function runs on."""
    return function(*args) if size_bytes <= LARGE_BYTES else await apart(function, *args)


async def by_items(value: Value, function: Callable[[Value], T]) -> T:
    """As `by_size`, for a value that has no text yet."""
    return await apart(function, value) if has_many_items(value) else function(value)


def has_many_items(value: Value) -> bool:
    """Looks at no more than LARGE_ITEMS of them."""
    return type(value) in _HOLDERS and _left(value, LARGE_ITEMS, 0) < 0


def _left(holder: Any, left: int, depth: int) -> int:
    """How many of so many items are left once all that it holds are taken; below 0 where it holds more."""
    left -= len(holder)
    if left < 0 or depth == MAX_DEPTH:
        return left
    for item in holder.values() if type(holder) is dict else holder:
        if type(item) in _HOLDERS:
            left = _left(item, left, depth + 1)
            if left < 0:
                break
    return left


async def apart(function: Callable[..., T], *args: Any) -> T:
    """In the thread, when it is free."""
    return await asyncio.get_running_loop().run_in_executor(_turn, copy_context().run, _contained, function, args)


def _contained(function: Callable[..., T], args: tuple[Any, ...]) -> T:
    try:
        return function(*args)
    except StopIteration as error:  # a stranger's class may raise it, and no future takes it
        raise RuntimeError("the function raised StopIteration") from error
