"""The errors of cells that met a limit: what happened, and how to raise the limit."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import Frame, LimitError
from ..policy.limits import raising, told


def met(
    limit: str, value: float, used: float, *, message: str = "", tail: str = "", frames: Sequence[Frame] = (), engine: str = ""
) -> LimitError:
    """`message` is said instead of what policy has to say of the limit; `tail` comes before the way to raise it."""
    text = f"{message or told(limit, value)}{tail}"
    mend = raising(limit)
    if mend and mend not in text:
        text = f"{text}; {mend}"
    return LimitError(text, limit=limit, value=value, used=used, frames=frames, engine=engine)
