"""How vectors are asked for."""

from __future__ import annotations

from typing import Annotated

import msgspec

from .models import Seconds

MAX_DIMENSIONS = 16_384
MAX_NUMBERS = 500_000
"""Of all vectors of one call: 16 MB of memory and some 10 MB as a value of a script, which is about as large as one may be."""


class EmbedOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How vectors are made.

    - model: such as openai/text-embedding-3-small, or spell/embed, which needs no key and knows words alone; else one of the provider in use
    - dimensions: how many numbers a vector has, where the model can choose
    - timeout_s: seconds to wait for the model
    """

    model: str | None = None
    dimensions: Annotated[int, msgspec.Meta(ge=8, le=MAX_DIMENSIONS)] | None = None
    timeout_s: Seconds = 120.0
