"""Times that are read from a file, which may be a stranger's.  Pure."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

LATEST_S = 253_402_300_799
"""The end of the year 9999, in Unix seconds: every language has a date for it."""
Seconds = Annotated[float, Meta(ge=0, le=LATEST_S)]
"""An instant in Unix seconds, or how long something took.  JSON of msgspec has no infinity and no NaN."""
