"""Globals of a script, read and set from outside of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..host_types._crossing import written
from ..values import Value
from .large_values import by_size
from .resources import refuse_references
from .value_lists import read_value

if TYPE_CHECKING:
    from ..redaction import Redactor
    from .script_state import ScriptState


async def read_global(script: ScriptState, name: str, most_bytes: int, redactor: Redactor, *, undecided: bool = False) -> Value:
    """`undecided` leaves empty Lua tables as such.  Raises ScriptError for what belongs to the state alone."""
    text = await script.query("get", name)
    value = await by_size(len(text), read_value, text, f"the global '{name}'", most_bytes, not undecided)
    if b'"$"' in text:
        refuse_references(value, name)
    return redactor.redact_value(value)


def written_global(value: Value, name: str) -> bytes:
    """As a state takes it.  Raises ScriptError for what belongs to another state alone."""
    plain, text = written(value, name)
    if b'"$"' in text:
        refuse_references(plain, name)
    return text
