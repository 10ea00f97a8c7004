"""What tools may be called: names that every provider's models can say."""

from __future__ import annotations

import re
from collections.abc import Sequence

from llmspell_kernel.errors import ScriptError, nearest

MAX_CHARS = 64
"""What OpenAI's and Anthropic's wires take; both also take capitals and `-`, which no language here has in its names of functions."""
_NAME = re.compile(rf"[a-z][a-z0-9_]{{0,{MAX_CHARS - 1}}}")
_SHOWN_CHARS = 80


def is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> None:
    """Raises ScriptError for what cannot be one, with the nearest that can."""
    if not is_name(name):
        meant = as_name(name)
        hint = f"; '{meant}' would do" if meant else ""
        raise ScriptError(
            f"'{name[:_SHOWN_CHARS]}' cannot name a tool: use small letters, digits and _, beginning with a letter, at most {MAX_CHARS}"
            f" characters{hint}",
            code="tool_name",
        )


def as_name(text: str) -> str:
    """`getWeather`, `get-weather` and `Get weather` as `get_weather`; "" where no letter is left."""
    text = text[: 2 * MAX_CHARS]
    spaced = "".join(f"_{char}" if char.isupper() and place and not text[place - 1].isupper() else char for place, char in enumerate(text))
    made = "".join(char if char.isascii() and char.isalnum() else "_" for char in spaced.lower())
    while "__" in made:
        made = made.replace("__", "_")
    made = made.strip("_")[:MAX_CHARS].rstrip("_")
    return made if is_name(made) else ""


def unknown(name: str, known: Sequence[str]) -> ScriptError:
    """The error of a name that no tool has."""
    shown = name[:_SHOWN_CHARS]
    return ScriptError(f"there is no tool '{shown}'{nearest(shown, known) or '; tools.register makes one'}", code="unknown_tool")
