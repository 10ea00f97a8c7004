"""Keywords whose check by the library writes out the whole value, once for each alternative that it does not fit, and keeps it.

They mean what they mean there, and say it in its words.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sized
from typing import Any

from jsonschema.exceptions import ValidationError

from .quoting import quoted

Check = Callable[[Any, Any, Any, Any], Iterator[ValidationError]]


def _type(validator: Any, types: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    names = [types] if isinstance(types, str) else types
    if not any(validator.is_type(instance, name) for name in names):
        yield ValidationError(f"{quoted(instance)} is not of type {', '.join(map(repr, names))}")


def _enum(validator: Any, values: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not any(_is_same(value, instance) for value in values):
        yield ValidationError(f"{quoted(instance)} is not one of {quoted(values)}")


def _const(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not _is_same(value, instance):
        yield ValidationError(f"{quoted(value)} was expected")


def _is_same(one: Any, other: Any) -> bool:
    """1 and 1.0 are one number to JSON Schema, and no boolean is a number."""
    match one:
        case bool():
            return one is other
        case list():
            return isinstance(other, list) and len(one) == len(other) and all(map(_is_same, one, other))
        case dict():
            return isinstance(other, dict) and one.keys() == other.keys() and all(_is_same(one[key], other[key]) for key in one)
    return not isinstance(other, bool) and bool(one == other)


def _any_of(validator: Any, schemas: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not any(_fits(validator, instance, inner) for inner in schemas):
        yield ValidationError(f"{quoted(instance)} is not valid under any of the given schemas")


def _one_of(validator: Any, schemas: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    fitting = [inner for inner in schemas if _fits(validator, instance, inner)]
    if not fitting:
        yield ValidationError(f"{quoted(instance)} is not valid under any of the given schemas")
    elif len(fitting) > 1:
        yield ValidationError(f"{quoted(instance)} is valid under each of {', '.join(map(quoted, fitting[:3]))}")


def _not(validator: Any, inner: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if _fits(validator, instance, inner):
        yield ValidationError(f"{quoted(instance)} should not be valid under {quoted(inner)}")


def _contains(validator: Any, inner: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, list):
        return
    least, most, found = schema.get("minContains", 1), schema.get("maxContains", len(instance)), 0
    for item in instance:
        found += _fits(validator, item, inner)
        if found > most:
            yield ValidationError(f"Too many items match the given schema (expected at most {most})")
            return
    if found < least and not found:
        yield ValidationError(f"{quoted(instance)} does not contain items matching the given schema")
    elif found < least:
        yield ValidationError(f"Too few items match the given schema (expected at least {least} but only {found} matched)")


def _fits(validator: Any, instance: Any, schema: Any) -> bool:
    """The first error is enough; the library makes them all."""
    return next(validator.descend(instance, schema), None) is None


def _sized(kind: type[Sized], is_wrong: Callable[[int, int], bool], extreme: int, said_of_extreme: str, said: str) -> Check:
    def check(validator: Any, limit: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        if isinstance(instance, kind) and is_wrong(len(instance), limit):
            yield ValidationError(f"{quoted(instance)} {said_of_extreme if limit == extreme else said}")

    return check


QUOTING: Mapping[str, Check] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "contains": _contains,
    "minLength": _sized(str, operator.lt, 1, "should be non-empty", "is too short"),
    "maxLength": _sized(str, operator.gt, 0, "is expected to be empty", "is too long"),
    "minItems": _sized(list, operator.lt, 1, "should be non-empty", "is too short"),
    "maxItems": _sized(list, operator.gt, 0, "is expected to be empty", "is too long"),
    "minProperties": _sized(dict, operator.lt, 1, "should be non-empty", "does not have enough properties"),
    "maxProperties": _sized(dict, operator.gt, 0, "is expected to be empty", "has too many properties"),
}
