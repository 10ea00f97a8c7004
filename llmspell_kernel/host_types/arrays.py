"""numpy: scalars are plain values, arrays nested lists."""

from __future__ import annotations

import sys
from typing import Any

from ..values import Value
from ._record import HostType


def _numpy() -> Any:
    return sys.modules["numpy"]


def _of_array(array: Any) -> Value:
    match array.dtype.kind:
        case "M":
            return _dates(_numpy().datetime_as_string(array).tolist())
        case "m":
            return array.astype("timedelta64[us]").tolist()
        case "V" if array.dtype.names:
            return _named(array.tolist(), array.ndim, array.dtype.names)
        case "f" if array.dtype.itemsize > 8:
            return array.astype("float64").tolist()
    return array.tolist()


def _dates(value: Value) -> Value:
    if isinstance(value, list):
        return [_dates(item) for item in value]
    return None if value == "NaT" else value


def _named(value: Any, dimensions: int, names: tuple[str, ...]) -> Value:
    """The rows of a structured array as objects."""
    if dimensions:
        return [_named(item, dimensions - 1, names) for item in value]
    return dict(zip(names, value, strict=True))


def _of_scalar(value: Any) -> Value:
    return _of_array(_numpy().asarray(value))


def _array(value: Value, cls: Any) -> Any:
    array = _numpy().asarray(value)
    # numpy makes text of a number beside a string
    if array.dtype == object or (array.dtype.kind == "U" and array.tolist() != value):
        raise ValueError("its items are not all of one sort, or its rows not of one length")
    return array


TYPES = (
    HostType(
        "numpy array",
        ("numpy:ndarray",),
        _of_array,
        _array,
        takes=frozenset({list}),
        wanted="a list, or lists of one length, of numbers, strings or booleans",
        signature="list",
        schema={"type": "array"},
        to_scripts="nested lists",
        from_scripts="nested lists of one shape",
        note="datetime64 as ISO text, timedelta64 as an ISO duration, NaT as null; structured rows as objects; NaN stays NaN; "
        "the element type of an annotation is not enforced",
        short="numpy",
    ),
    HostType(
        "numpy scalar",
        ("numpy:generic",),
        _of_scalar,
        to_scripts="the plain value",
        note="datetime64 and timedelta64 as in arrays",
    ),
)
