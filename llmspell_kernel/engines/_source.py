"""How long the text of a cell or module may be, for every engine: compiling it runs no hook, and is held by no limit of the script."""

from __future__ import annotations

from ..protocol.steps import Fault

MAX_SOURCE_BYTES = 1024 * 1024


def too_long(size_bytes: int) -> Fault:
    """What a longer cell ends with."""
    message = f"the cell is {size_bytes} bytes long, over the limit of {MAX_SOURCE_BYTES} bytes; move data to a file or a Python variable"
    return Fault(code="limit", name="SyntaxError", message=message)
