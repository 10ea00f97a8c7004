"""The options of a `%%lua` line, each once: cells.py knows them by these, and help and docs are made from them."""

from __future__ import annotations

from typing import NamedTuple


class CellOption(NamedTuple):
    name: str
    value: str
    """What is written after it."""
    what: str
    default: str | None = None
    """Of one that takes a single name; None for one that takes a list."""


OPTIONS = (
    CellOption("--state", "NAME", "another world of the same language; `main` where none is named", "main"),
    CellOption(
        "--in", "A,B", "give the Python variables A and B to the script, as globals; a frame is a list of records, a data class an object"
    ),
    CellOption(
        "--out",
        "A,B:TYPE",
        "take the script's globals A and B as Python variables afterwards; with a TYPE, made into one: pandas, polars or numpy (imported "
        "before), datetime, Decimal, ... or a class of the notebook, such as a data class; of a list of records, each is made one",
    ),
    CellOption("--module", "NAME", 'do not run the cell: register it as a module, which scripts load with require("NAME")', ""),
    CellOption(
        "--allow", "A,B", "from this cell on, the state may call nothing but A and B (`llm.*` for all of a bridge), as far as it may now"
    ),
    CellOption("--deny", "A,B", "from this cell on, the state may not call A and B"),
)
SINGLE = {option.name: option.default for option in OPTIONS if option.default is not None}
LISTS = tuple(option.name for option in OPTIONS if option.default is None)
