"""The texts in a value: taken out to be looked at, and put back changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Change = Callable[[str], str]
Walk = Callable[[Any, Change], Any]
"""Goes through a value: the same one with each of its texts changed, in an order that is always the same."""


def mapped(value: Any, change: Change) -> Any:
    """Every text, wherever it stands; names of members are none."""
    match value:
        case str():
            return change(value)
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


def names_of(value: Any) -> list[str]:
    """The names of all members in it."""
    match value:
        case list() | tuple():
            return [name for item in value for name in names_of(item)]
        case dict():
            return [*map(str, value), *(name for item in value.values() for name in names_of(item))]
    return []
