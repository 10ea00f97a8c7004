"""The texts in a value: taken out to be looked at, and put back changed; and what it holds beside them, which can only be looked at."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

from llmspell_kernel.errors import LimitError
from llmspell_kernel.values import Callback, EmptyTable, ResourceRef

Change = Callable[[str], str]
Walk = Callable[[Any, Change], Any]
"""Goes through a value: the same one with each of its texts changed, in an order that is always the same."""
WHOLE = (Callback, ResourceRef, EmptyTable)
"""Tuples to Python, and yet no lists: nothing of them is a text or a number of the script's."""
SMALL = 1_000_000
"""A setting is: a temperature, a length, a number of seconds.  A card or another number of somebody has more digits."""


class Fixed(NamedTuple):
    """What a value holds that nothing can take the place of: a tool knows its arguments by their names, and counts with numbers.

    `numbers` are as they are written, and `raw` are bytes as texts: to Lua both are one.
    """

    names: Sequence[str] = ()
    numbers: Sequence[str] = ()
    raw: Sequence[str] = ()


NO_FIXED = Fixed()


def mapped(value: Any, change: Change) -> Any:
    """Every text, wherever it stands; names of members are none."""
    match value:
        case str():
            return change(value)
        case Callback() | ResourceRef() | EmptyTable():
            return value
        case list() | tuple():
            return [mapped(item, change) for item in value]
        case dict():
            return {key: mapped(item, change) for key, item in value.items()}
    return value


def texts_of(value: Any, walk: Walk = mapped) -> list[str]:
    """Every text that a walk comes to."""
    found: list[str] = []

    def take(text: str) -> str:
        found.append(text)
        return text

    walk(value, take)
    return found


def with_texts(value: Any, texts: list[str], walk: Walk = mapped) -> Any:
    """The same with others in their places, in the order of `texts_of`."""
    rest = iter(texts)
    return walk(value, lambda _: next(rest))


def inside(value: Any) -> Iterator[Any]:
    """The value and all that stands in it.  Each is met once: lists that are made anew at each depth would take as many times longer."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        yield item
        if isinstance(item, dict):
            waiting.extend(reversed(item.values()))
        elif isinstance(item, (list, tuple)) and not isinstance(item, WHOLE):
            waiting.extend(reversed(item))


def is_bound(value: Any) -> bool:
    """Does it hold a function or a thing of the host?  No interceptor changes an argument that does."""
    return any(isinstance(item, (Callback, ResourceRef)) for item in inside(value))


def fixed_of(value: Any, settings: Collection[str] = ()) -> Fixed:
    """As `names_of`, `numbers_of` and `raw_of` have it."""
    return Fixed(names_of(value), numbers_of(value, settings), raw_of(value))


def names_of(value: Any) -> list[str]:
    """The names of all members in it."""
    return [str(key) for item in inside(value) if isinstance(item, dict) for key in item]


def numbers_of(value: Any, settings: Collection[str] = ()) -> list[str]:
    """Every number in it as it is written, once each; no small ones that are the members of those names.

    Raises LimitError for one with more digits than Python writes.
    """
    found: dict[str, None] = {}
    for item in inside([value]):
        match item:
            case dict():
                found.update(
                    (_written(one), None) for key, one in item.items() if _is_number(one) and not (key in settings and _is_small(one))
                )
            case list() | tuple() if not isinstance(item, WHOLE):
                found.update((_written(one), None) for one in item if _is_number(one))
    return list(found)


def raw_of(value: Any) -> list[str]:
    """All bytes in it, as texts."""
    return [text for item in inside(value) if isinstance(item, (bytes, bytearray)) for text in _readings(bytes(item))]


def _is_number(value: Any) -> bool:
    """A yes or no is none, whatever Python says."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_small(number: float) -> bool:
    return -SMALL < number < SMALL


def _written(number: float) -> str:
    """With all its digits: a whole number of JavaScript may come as a float."""
    if isinstance(number, float):
        return f"{number:.0f}" if math.isfinite(number) and number.is_integer() else repr(number)
    try:
        return str(number)
    except ValueError as error:
        raise LimitError(
            "a number has more digits than are looked through; give it as a text", limit="guardrail_digits", value=4_300
        ) from error


def _readings(raw: bytes) -> list[str]:
    """As UTF-8; where it is none, also with each byte as a letter, as one wrong byte may stand within what is looked for."""
    try:
        return [raw.decode()]
    except UnicodeDecodeError:
        return [raw.decode(errors="replace"), raw.decode("latin-1")]
