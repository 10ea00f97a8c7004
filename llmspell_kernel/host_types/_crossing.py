"""Values of the host on their way to a script: the plain form of whatever they are, all the way down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ConfigError, ValueCrossingError
from ..values import MANY_ITEMS, MAX_DEPTH, Callback, EmptyTable, Opaque, ResourceRef, Value, dumps, dumps_plain, kinds_in
from . import _registry
from ._record import HostType

_AS_THEY_ARE = {type(None), bool, int, float, str, bytes, Callback, ResourceRef, Opaque, EmptyTable}
_PLAIN = (str, bool, int, float, bytes, bytearray, memoryview)
_MOST_CONVERSIONS = 8
"""From one type to another on the way to a plain one; more is a circle."""


class _Uncrossable(Exception):
    """The place is gathered while the error rises, so that values which cross pay nothing for it."""

    def __init__(self, problem: str, cause: BaseException | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.cause = cause
        self.steps: list[str] = []


def written(value: Value, root: str = "value") -> tuple[Value, bytes]:
    """The plain form of a value, and that as text.  Raises ValueCrossingError naming the path, which begins with `root`."""
    fast = dumps_plain(value)
    if fast is not None:
        return value, fast
    plain = to_plain(value, root)
    return plain, dumps(plain, root)


def to_plain(value: Value, root: str = "value") -> Value:
    """The same value in plain data alone; what is plain already is left as it is."""
    try:
        return _plain(value, 0)
    except _Uncrossable as error:
        raise ValueCrossingError(error.problem, path=root + "".join(reversed(error.steps))) from error.cause


def _plain(value: Value, depth: int) -> Value:
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if depth > MAX_DEPTH:
        raise _Uncrossable(f"nested deeper than {MAX_DEPTH} levels, or contains itself")
    if kind is list or kind is tuple:
        return _plain_list(value, depth)
    if kind is dict:
        return _plain_dict(value, depth)
    for _ in range(_MOST_CONVERSIONS):
        record = _registry.types.of(type(value))
        if record is None:
            return _unknown(value, depth)
        value = _converted(record, value)
        if type(value) in _AS_THEY_ARE:
            return value
        if type(value) in (list, tuple, dict):
            return _plain(value, depth)
    raise _Uncrossable(f"the conversion of a {_name(kind)} does not come to an end")


def _converted(record: HostType, value: Any) -> Value:
    try:
        return record.to_plain(value)
    except Exception as error:  # a stranger's code, and a stranger's value
        text = str(error) if isinstance(error, (ValueError, ConfigError)) else f"{type(error).__name__}: {error}"
        raise _Uncrossable(f"a {_name(type(value))} cannot be given to a script: {text}", error) from None


def _unknown(value: Value, depth: int) -> Value:
    """A value of a class that nobody registered: what it inherits from a plain one is enough."""
    if isinstance(value, Mapping):
        return _plain_dict(value, depth)
    if isinstance(value, (list, tuple)):
        return _plain_list(value, depth)
    if isinstance(value, _PLAIN):
        return value
    problem = (
        f"a Python {_name(type(value))} cannot be given to a script; use None, bool, int, float, str, bytes, a list or a dict with string "
        "keys, or register the class with llmspell_kernel.register_type"
    )
    for name, reason in _registry.failed.items():
        problem += f" (the types of '{name}' could not be loaded: {reason})"
    raise _Uncrossable(problem)


def _plain_list(items: Any, depth: int) -> list[Value]:
    if type(items) is list and len(items) > MANY_ITEMS and _is_as_it_is(items, depth):
        return items
    out: list[Value] = []
    try:
        for item in items:
            out.append(item if type(item) in _AS_THEY_ARE else _plain(item, depth + 1))
    except _Uncrossable as error:
        error.steps.append(f"[{len(out)}]")
        raise
    return out


def _is_as_it_is(items: list[Value], depth: int) -> bool:
    kinds = kinds_in(items, MAX_DEPTH - depth)
    return kinds is not None and kinds <= _AS_THEY_ARE | {list, dict}


def _plain_dict(entries: Mapping[Any, Any], depth: int) -> dict[Any, Value]:
    out = {}
    for key, item in entries.items():
        try:
            out[key] = item if type(item) in _AS_THEY_ARE else _plain(item, depth + 1)
        except _Uncrossable as error:
            error.steps.append(f".{key}" if isinstance(key, str) else f"[{key!r}]")
            raise
    return out


def _name(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
