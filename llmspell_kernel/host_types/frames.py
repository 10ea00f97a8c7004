"""pandas and polars: frames are lists of records, series lists."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from ..values import MAX_ITEMS, Value
from ._record import HostType

MAX_COLUMNS = 10_000
"""Making a column costs 50 us, whatever it holds."""
MAX_CELLS = 4 * MAX_ITEMS
"""A frame has a cell for each row and column, also where the rows hold nothing: ten thousand rows of one key each, all different, are 10^8."""


def _of_pandas_frame(frame: Any) -> Value:
    columns = [*_named_levels(frame.index), *zip(frame.columns, [frame.iloc[:, at] for at in range(frame.shape[1])], strict=True)]
    names = _column_names([name for name, _ in columns])
    if not names:
        return [{} for _ in range(len(frame))]
    items = [_of_pandas_series(column) for _, column in columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*items, strict=True)]


def _named_levels(index: Any) -> list[tuple[Any, Any]]:
    return [(name, index.get_level_values(level)) for level, name in enumerate(index.names) if name is not None]


def _of_pandas_series(series: Any) -> list[Value]:
    values: list[Value] = series.tolist()
    missing = series.isna()
    return [None if gone else value for value, gone in zip(values, missing, strict=True)] if missing.any() else values


def _column_names(names: Iterable[Any]) -> list[str]:
    seen: dict[str, None] = {}
    for name in names:
        if not isinstance(name, str):
            raise ValueError(f"the column {name!r} has a name that is not a string; rename the columns")
        if name in seen:
            raise ValueError(f"two columns (or a column and the index) are called '{name}'; rename one")
        seen[name] = None
    return list(seen)


def _of_polars_frame(frame: Any) -> Value:
    return frame.fill_nan(None).to_dicts()


def _of_polars_series(series: Any) -> Value:
    return [None if value != value else value for value in series.to_list()] if series.dtype.is_float() else series.to_list()


def _records(value: Value) -> Sequence[dict[str, Value]]:
    for at, item in enumerate(value, 1):
        if not isinstance(item, dict):
            raise ValueError(f"item {at} is not an object")
    rows: Sequence[dict[str, Value]] = value
    return rows


def _columns(rows: Sequence[dict[str, Value]]) -> dict[str, list[Value]]:
    """By column in the order in which they first appear; Lua drops a member that is nil, so a row may lack some."""
    names = dict.fromkeys(name for row in rows for name in row)
    if len(names) > MAX_COLUMNS:
        raise ValueError(f"it has {len(names):,} columns, the limit is {MAX_COLUMNS:,}")
    if len(names) * len(rows) > MAX_CELLS:
        raise ValueError(f"{len(rows):,} rows of {len(names):,} columns are {len(names) * len(rows):,} cells, the limit is {MAX_CELLS:,}")
    return {name: [row.get(name) for row in rows] for name in names}


def _pandas_frame(value: Value, cls: Any) -> Any:
    return cls(_columns(_records(value)), index=range(len(value)))


def _polars_frame(value: Value, cls: Any) -> Any:
    return _strictly(cls, {name: _of_one_sort(column) for name, column in _columns(_records(value)).items()})


def _polars_series(value: Value, cls: Any) -> Any:
    return _strictly(lambda column, strict: cls("", column, strict=strict), _of_one_sort(_flat(value)))


def _strictly(make: Any, data: Any) -> Any:
    try:
        return make(data, strict=True)
    except (TypeError, sys.modules["polars"].exceptions.PolarsError) as error:
        raise ValueError(f"a column holds values of several types: {str(error).splitlines()[0]}") from None


def _of_one_sort(column: list[Value]) -> list[Value]:
    """A script's 1 beside its 1.5 is a number like it."""
    if float in set(map(type, column)):
        return [float(item) if type(item) is int else item for item in column]
    return column


def _flat(value: Value) -> list[Value]:
    if any(isinstance(item, dict) for item in value):
        raise ValueError("it holds objects")
    items: list[Value] = value
    return items


def _frame(library: str, classes: tuple[str, ...], to_plain: Any, from_plain: Any, note: str) -> HostType:
    return HostType(
        f"{library} DataFrame",
        classes,
        to_plain,
        from_plain,
        takes=frozenset({list}),
        wanted="a list of objects",
        signature="list[object]",
        schema={"type": "array", "items": {"type": "object"}},
        to_scripts="list of objects",
        from_scripts="list of objects",
        note=note,
        short=library,
    )


def _series(library: str, classes: tuple[str, ...], to_plain: Any, from_plain: Any, note: str) -> HostType:
    return HostType(
        f"{library} Series",
        classes,
        to_plain,
        from_plain,
        takes=frozenset({list}),
        wanted="a list",
        signature="list",
        schema={"type": "array"},
        to_scripts="list",
        from_scripts="list",
        note=note,
        short=library,
    )


_COLUMNS = "column names must be strings; NaN, NaT and missing values are null; a Lua table has no order, so columns come back sorted"

TYPES = (
    _frame(
        "pandas",
        ("pandas:DataFrame",),
        _of_pandas_frame,
        _pandas_frame,
        f"{_COLUMNS}; an index that has a name is a column, one that has none is dropped",
    ),
    _series(
        "pandas",
        ("pandas:Series", "pandas:Index"),
        _of_pandas_series,
        lambda value, cls: cls(_flat(value)),
        "the index is dropped; missing values are null",
    ),
    HostType("pandas NaT, NA", ("pandas.api.typing:NaTType", "pandas.api.typing:NAType"), lambda value: None, to_scripts="null"),
    _frame("polars", ("polars:DataFrame",), _of_polars_frame, _polars_frame, _COLUMNS),
    _series(
        "polars",
        ("polars:Series",),
        _of_polars_series,
        _polars_series,
        "NaN and missing values are null",
    ),
)
