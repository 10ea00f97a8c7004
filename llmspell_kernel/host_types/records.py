"""Types with named fields, which cross as objects: data classes, named tuples, msgspec Structs, pydantic models."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from ..values import Value
from ._record import HostType, Misfit

_LISTS = {"list_type", "tuple_type", "set_type", "frozen_set_type"}
"""pydantic's names of the error that a list was wanted."""
MAX_PLACES = 25_000
"""Of one value that do not fit: pydantic takes some microseconds to tell each, and a script may send a million."""
FIRST_ITEMS = 1_000
"""Of each list that are looked at again where there are more."""


def _of_dataclass(value: Any) -> Value:
    return {known.name: getattr(value, known.name) for known in dataclasses.fields(value)}


def _of_attrs(value: Any) -> Value:
    return {known.name: getattr(value, known.name) for known in type(value).__attrs_attrs__}


def _of_named_tuple(value: Any) -> Value:
    return dict(zip(value._fields, value, strict=True))


def _of_struct(value: Any) -> Value:
    config = value.__struct_config__
    tag = {config.tag_field: config.tag} if config.tag is not None else {}
    return tag | {known.encode_name: getattr(value, known.name) for known in msgspec.structs.fields(value)}


def _of_model(value: Any) -> Value:
    return value.model_dump()


def _model(value: Value, cls: Any) -> Any:
    """The model itself checks and converts: its validators hold for scripts as for Python."""
    if not isinstance(value, dict) and not cls.__pydantic_root_model__:
        raise Misfit("must be an object")
    value = _own_spelling(value, cls)
    try:
        return cls.model_validate(value)
    except _validation_error() as error:
        if error.error_count() > MAX_PLACES:
            raise _many(value, cls, error.error_count()) from None
        problems = error.errors(include_url=False)
    # an empty Lua table says not whether it is a list: where the model wants one, it is
    empty = [problem["loc"] for problem in problems if problem["type"] in _LISTS and problem["input"] == {}]
    for place in empty:
        value = _put_list(value, place)
    try:
        return cls.model_validate(value)
    except _validation_error() as error:
        raise _misfit(error) from None


def _misfit(error: Any, more: str = "") -> Misfit:
    problem = error.errors(include_url=False)[0]
    text = problem["msg"].removeprefix("Value error, ")
    return Misfit(f"does not fit: {text[:1].lower()}{text[1:]}{more}", problem["loc"])


def _many(value: Value, cls: Any, count: int) -> Misfit:
    """Names the first place as far as it stands among the first items; an empty Lua table is not made a list any more."""
    try:
        cls.model_validate(_first(value))
    except _validation_error() as error:
        if error.error_count() <= MAX_PLACES:
            return _misfit(error, f", as in {count} places in all")
    return Misfit(f"does not fit in {count} places; give fewer items to see where")


def _first(value: Value) -> Value:
    if isinstance(value, list):
        return [_first(item) for item in value[:FIRST_ITEMS]]
    return {key: _first(item) for key, item in value.items()} if isinstance(value, dict) else value


def _validation_error() -> type[Any]:
    found: type[Any] = sys.modules["pydantic_core"].ValidationError
    return found


def _own_spelling(value: Value, cls: Any) -> Value:
    """Keys as the model writes them: JavaScript may spell `maxTokens`."""
    if not isinstance(value, dict):
        return value
    known = set(cls.model_fields) | {str(field.alias) for field in cls.model_fields.values() if field.alias}
    out = {}
    for key, item in value.items():
        snake = key if len(key) > 80 else re.sub(r"[A-Z]", lambda capital: f"_{capital[0].lower()}", key)
        out[snake if key not in known and snake in known and snake not in value else key] = item
    return out


def _put_list(value: Value, place: tuple[str | int, ...]) -> Value:
    """The value with an empty list at a place.  It is changed itself, as it is ours: a copy for each of many thousand places takes minutes."""
    if not place:
        return []
    *way, last = place
    inner = value
    for step in way:
        if not _has(inner, step):
            return value  # a step of a union, which is no key: the model tells what is wrong
        inner = inner[step]
    if _has(inner, last):
        inner[last] = []
    return value


def _has(value: Value, step: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(step, int) and 0 <= step < len(value)
    return isinstance(value, dict) and step in value


def _model_schema(cls: Any) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = cls.model_json_schema(ref_template="#/$defs/{model}")
    return schema


def _object(name: str, to_plain: Any, note: str = "", **more: Any) -> HostType:
    return HostType(name, more.pop("classes", ()), to_plain, to_scripts="object", from_scripts="object", note=note, **more)


_FIELDS = "one key a field; unknown keys are refused with the nearest name"

TYPES = (
    _object("data class", _of_dataclass, _FIELDS, claims=lambda cls: "__dataclass_fields__" in vars(cls)),
    _object("attrs class", _of_attrs, _FIELDS, claims=lambda cls: "__attrs_attrs__" in vars(cls)),
    _object("named tuple", _of_named_tuple, _FIELDS, claims=lambda cls: issubclass(cls, tuple) and "_fields" in vars(cls)),
    _object("msgspec Struct", _of_struct, f"{_FIELDS}; with its tag, if it has one", classes=("msgspec:Struct",)),
    _object("TypedDict", lambda value: value, "a plain dict; its keys are checked where a schema names it", claims=lambda cls: False),
    _object(
        "pydantic model",
        _of_model,
        "`model_dump()` and `model_validate()`: its serializers, aliases and validators hold",
        classes=("pydantic:BaseModel",),
        from_plain=_model,
        wanted="an object",
        schema=_model_schema,
    ),
)
