"""How much work a rendering does, counted: the same on every machine, however busy it is."""

import html
import json
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from llmspell_kernel.render import text

_LOOKED_THROUGH = {text.clean.__code__: "text", text.width.__code__: "text", html.escape.__code__: "s", json.dumps.__code__: "obj"}
"""Functions that look at each character of a text, in C or by regular expressions, and the name of that text."""
CHARACTERS_A_STEP = 10
"""Such a look costs about a tenth of a call."""


class TooMuchWork(AssertionError):
    """Raised in the midst of it, so that a test that fails does not hang."""


def steps(act: Callable[[], object], limit: int) -> int:
    """Calls of functions, ours or C's, and the characters that are looked through.  Raises TooMuchWork beyond `limit`."""
    count = 0

    def note(frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal count
        if event == "call":
            count += 1
            name = _LOOKED_THROUGH.get(frame.f_code)
            if name is not None and isinstance(looked := frame.f_locals[name], str):
                count += len(looked) // CHARACTERS_A_STEP
        elif event == "c_call":
            count += 1
        if count > limit:
            raise TooMuchWork(f"more than {limit:,} steps")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(before)
    return count
