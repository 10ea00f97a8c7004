"""The table of conversions as data, for the documentation: read from the types themselves."""

from __future__ import annotations

from typing import NamedTuple

from . import _registry


class Conversion(NamedTuple):
    """One row: what a Python type is for scripts, and what a script gives where one is wanted ("" = it cannot)."""

    name: str
    to_scripts: str
    from_scripts: str
    note: str


PLAIN = (
    Conversion("None", "nil / null", "nil / null / undefined", "a member that is undefined is dropped, and in Lua one that is nil"),
    Conversion("bool", "boolean", "boolean", ""),
    Conversion("int", "integer / number", "integer, or a number that is integral", "to 64 bits; beyond 2^53 a BigInt in JavaScript"),
    Conversion("float", "number", "number", "NaN and infinities too; a parameter annotated `float` refuses them"),
    Conversion("str", "string", "string", "a lone surrogate is an error"),
    Conversion(
        "bytes", "string / Uint8Array", "string / typed array, ArrayBuffer, DataView", "Lua text that is valid UTF-8 is text for Python"
    ),
    Conversion("list, tuple", "list / array", "list / array", "an empty Lua table is a list where a schema says so, else an object"),
    Conversion("dict", "table / object", "table / object", "keys must be strings"),
)


def conversions() -> list[Conversion]:
    """Every row: plain values first, then the host types in the order of their families."""
    return [*PLAIN, *(Conversion(known.name, known.to_scripts, known.from_scripts, known.note) for known in _registry.built_in())]
