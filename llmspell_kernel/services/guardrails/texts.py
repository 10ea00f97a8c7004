"""The texts in prompts, arguments and answers: taken out to be looked at, and put back changed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

NO_TEXTS = frozenset({"role", "type", "id", "tool_call_id", "image_url", "input_audio", "file_data", "url", "data", "format", "detail"})
"""Members of messages that say what something is, or hold what is no text."""


def texts_of(value: Any, leave: Collection[str] = ()) -> list[str]:
    """Every text in it, but for the members that `leave` names; names of members are none."""
    found: list[str] = []

    def take(text: str) -> str:
        found.append(text)
        return text

    mapped(value, take, leave)
    return found


def names_of(value: Any) -> list[str]:
    """The names of all members in it."""
    match value:
        case list() | tuple():
            return [name for item in value for name in names_of(item)]
        case dict():
            return [*map(str, value), *(name for item in value.values() for name in names_of(item))]
    return []


def with_texts(value: Any, texts: list[str], leave: Collection[str] = ()) -> Any:
    """The same with others in their places, in the order of `texts_of`."""
    rest = iter(texts)
    return mapped(value, lambda _: next(rest), leave)


def mapped(value: Any, change: Callable[[str], str], leave: Collection[str] = ()) -> Any:
    match value:
        case str():
            return change(value)
        case list() | tuple():
            return [mapped(item, change, leave) for item in value]
        case dict():
            return {key: item if key in leave else mapped(item, change, leave) for key, item in value.items()}
    return value
