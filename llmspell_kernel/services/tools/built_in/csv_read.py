"""The tool `csv_read`: rows of a CSV text or file, by Python's csv module; a column of numbers becomes numbers."""

from __future__ import annotations

import asyncio
import csv
import math
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from llmspell_kernel.errors import ArgumentError, LimitError, ScriptError
from llmspell_kernel.values import INT_MAX, INT_MIN, Value

from ..tool import BuiltIn, Calls, ToolSpec
from .files import PATH, text_of_file

MAX_CHARS = 4_000_000
MAX_ROWS = 50_000
MAX_COLUMNS = 1_000
MAX_CELLS = 500_000
MAX_FIELD_CHARS = 100_000
"""The module itself has a limit, 131,072, which is the whole process's, so it is left as it is."""
MAX_NUMBER_CHARS = 40
DELIMITERS = [",", ";", "\t", "|", ":", " "]


def table(text: str, delimiter: str = ",", header: bool = True, max_rows: int = 1_000) -> dict[str, Any]:
    """`{columns, rows, truncated}`.  Raises ScriptError that names the line, LimitError."""
    if len(text) > MAX_CHARS:
        raise LimitError(f"csv_read: the text has more than {MAX_CHARS:,} characters", limit="csv_chars", value=MAX_CHARS, used=len(text))
    found = _records(text.removeprefix("\ufeff"), delimiter)
    names = next(found, []) if header else []
    records = list(islice(_counted(found), max_rows))
    truncated = next(found, None) is not None
    columns = _columns(names, max([len(names), *map(len, records)]))
    if len(columns) * len(records) > MAX_CELLS:
        raise LimitError(f"csv_read: more than {MAX_CELLS:,} cells; ask for fewer with max_rows", limit="csv_cells", value=MAX_CELLS)
    cells = [_typed([record[at] if at < len(record) else "" for record in records]) for at in range(len(columns))]
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*cells, strict=True)]
    return {"columns": columns, "rows": rows, "truncated": truncated}


def _records(text: str, delimiter: str) -> Iterator[list[str]]:
    """Rows that hold anything."""
    # lines by "\n" alone: splitlines would break a field at a form feed
    reader = csv.reader((f"{line}\n" for line in text.split("\n")), delimiter=delimiter)
    try:
        for record in reader:
            if len(record) > MAX_COLUMNS:
                raise LimitError(
                    f"csv_read: line {reader.line_num} has more than {MAX_COLUMNS:,} columns", limit="csv_columns", value=MAX_COLUMNS
                )
            if any(len(field) > MAX_FIELD_CHARS for field in record):
                raise _too_long(reader.line_num)
            if record and record != [""]:
                yield record
    except csv.Error as error:
        if "field larger" in str(error):
            raise _too_long(reader.line_num) from None
        raise ScriptError(f"csv_read: line {reader.line_num}: {error}", code="csv") from None


def _too_long(line: int) -> LimitError:
    return LimitError(
        f"csv_read: a field that ends at line {line} is longer than {MAX_FIELD_CHARS:,} characters: is a quote not closed?",
        limit="csv_field_chars",
        value=MAX_FIELD_CHARS,
    )


def _counted(records: Iterator[list[str]]) -> Iterator[list[str]]:
    cells = 0
    for record in records:
        cells += len(record)
        if cells > MAX_CELLS:
            raise LimitError(f"csv_read: more than {MAX_CELLS:,} cells; ask for fewer with max_rows", limit="csv_cells", value=MAX_CELLS)
        yield record


def _columns(names: Sequence[str], count: int) -> list[str]:
    """As many names, each one of a kind: `price`, `price_2`; `column3` for one without a name."""
    used: dict[str, None] = {}
    for at in range(count):
        name = (names[at].strip() if at < len(names) else "") or f"column{at + 1}"
        number, unique = 1, name
        while unique in used:
            number += 1
            unique = f"{name}_{number}"
        used[unique] = None
    return list(used)


def _typed(fields: list[str]) -> list[Any]:
    """Numbers where every field that holds anything is one, nothing where such a column has no value; else the texts."""
    numbers = [_number(field) if field.strip() else None for field in fields]
    if any(number is None and field.strip() for number, field in zip(numbers, fields, strict=True)) or not any(map(str.strip, fields)):
        return list(fields)
    return numbers


def _number(field: str) -> int | float | None:
    """None for a text.  A number with zeros before it is a code (a postcode, a telephone number), and stays what it is."""
    text = field.strip()
    digits = text.removeprefix("-").removeprefix("+")
    if len(text) > MAX_NUMBER_CHARS or not text.isascii() or not digits[:1].replace(".", "0").isdigit() or "_" in text:
        return None
    if digits.isdigit():
        whole = int(text)
        return None if (digits[0] == "0" and len(digits) > 1) or not INT_MIN <= whole <= INT_MAX else whole
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) and not (digits[0] == "0" and digits[1:2].isdigit()) else None


async def _run(call: Calls, args: dict[str, Any]) -> Value:
    if ("text" in args) == ("path" in args):
        raise ArgumentError("csv_read: give one of text and path")
    text = args["text"] if "text" in args else await text_of_file(call, args["path"])
    return await asyncio.to_thread(table, text, args.get("delimiter", ","), args.get("header", True), int(args.get("max_rows", 1_000)))


CSV_READ = BuiltIn(
    ToolSpec(
        name="csv_read",
        description=(
            "Read rows of a CSV text, or of a file in the scripts' folder: give one of text and path. A column in which every value is a number "
            "gives numbers."
        ),
        parameters={
            "type": "object",
            "properties": {
                "text": {"type": "string", "maxLength": MAX_CHARS, "description": "the CSV itself"},
                "path": PATH,
                "delimiter": {"enum": DELIMITERS, "default": ",", "description": "what stands between two fields"},
                "header": {
                    "type": "boolean",
                    "default": True,
                    "description": "does the first row name the columns? else they are column1, column2 ...",
                },
                "max_rows": {"type": "integer", "minimum": 1, "maximum": MAX_ROWS, "default": 1_000, "description": "the most to give"},
            },
            "additionalProperties": False,
        },
        returns={
            "type": "object",
            "properties": {
                "columns": {"type": "array", "items": {"type": "string"}, "description": "names, in order"},
                "rows": {"type": "array", "items": {"type": "object"}, "description": "each by the names of the columns"},
                "truncated": {"type": "boolean", "description": "were there more rows?"},
            },
            "required": ["columns", "rows", "truncated"],
        },
    ),
    _run,
)
