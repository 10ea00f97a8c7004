"""Checks a script's arguments against a method's types and converts them; every misfit is one ArgumentError in the words of scripts.

Rules
- A value is checked here before msgspec converts it.  msgspec takes a list for a NamedTuple, so a script could forge the id of a function;
  it takes base64 text for bytes; it ignores unknown keys; and its errors speak Python.
- Nothing given (nil, null, undefined) for an optional parameter or key means its default.
- Positions are spoken of as "item 1" for the first, because one language counts from 0 and another from 1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import inspect as kinds

from llmspell_kernel.errors import ArgumentError, nearest
from llmspell_kernel.host_types._record import Misfit
from llmspell_kernel.values import INT_MAX, INT_MIN, EmptyTable, ResourceRef, Value, resolve_empty

from ._host_kinds import field_values, host_rank, host_type, host_value, is_record, kind_of, made, names_item, resource_class
from ._wording import given, shown, wanted

if TYPE_CHECKING:
    from ._declaration import Parameter


# a key of megabytes must neither keep the search for near names busy nor fill an error
_KEY_CHARACTERS = 80
_PLAIN_SORTS: dict[type, set[type]] = {
    kinds.StrType: {str},
    kinds.BoolType: {bool},
    kinds.IntType: {int},
    kinds.FloatType: {float, int},
}


_ANY_OBJECT = kinds.DictType(kinds.StrType(), kinds.AnyType())


class _Misfit(Exception):
    """A value does not fit its type.  Its place is gathered while the error rises, so that values which fit pay nothing for it."""

    def __init__(self, problem: str, *, inside: bool = False) -> None:
        super().__init__(problem)
        self.problem = problem
        self.steps: list[str] = []
        self.inside = inside
        """Is the problem one of keys, so that the value is spoken of by its path also at the top?"""

    def text(self, position: int, name: str) -> str:
        subject = "" if self.steps or self.inside else f"argument {position} ({name})"
        return f"{subject} {self.problem}" if subject else self.about(name)

    def about(self, name: str) -> str:
        return f"{name}{''.join(reversed(self.steps))} {self.problem}"


def bind(label: str, parameters: Sequence[Parameter], args: Sequence[Value]) -> list[Any]:
    """One converted value for each parameter, in order, then the others of a variadic one.

    Raises ArgumentError naming the method, the argument and what was expected.
    """
    if parameters and parameters[-1].variadic:
        parameters = _repeated(parameters, args)
    if any(value is not None for value in args[len(parameters) :]):
        raise ArgumentError(f"{label} {_takes(parameters)}, but got {len(args)}")
    bound = []
    for position, parameter in enumerate(parameters, 1):
        try:
            bound.append(_argument(parameter, args[position - 1 : position]))
        except _Misfit as misfit:
            raise ArgumentError(f"{label}: {misfit.text(position, parameter.name)}") from None
        except msgspec.ValidationError as error:  # from a Struct's own __post_init__: everything else was checked before
            raise ArgumentError(f"{label}: argument {position} ({parameter.name}): {error}") from error
    return bound


def _repeated(parameters: Sequence[Parameter], args: Sequence[Value]) -> Sequence[Parameter]:
    """The parameters with the variadic last one once for each argument that it takes, a nothing at the end not counted unless it may be one."""
    *single, rest = parameters
    count = len(args)
    if _choose(rest.kind, None) is None:
        while count > len(single) and args[count - 1] is None:
            count -= 1
    return [*single, *[rest] * (count - len(single))]


def converted(value: Value, annotation: Any, name: str) -> Any:
    """A script's value as what an annotation says.  Raises ArgumentError naming the place, which begins with `name`."""
    try:
        kind = kind_of(annotation)
    except TypeError as error:
        raise ArgumentError(f"{name} cannot be made a {annotation!r}: {error}") from error
    try:
        return made(_fit(value, kind), annotation, kind)
    except _Misfit as misfit:
        raise ArgumentError(misfit.about(name)) from misfit.__cause__
    except msgspec.ValidationError as error:  # from a __post_init__: everything else was checked before
        raise ArgumentError(f"{name}: {error}") from error


def takes(annotation: Any, value: Value) -> bool:
    """Is a value of the right sort for an annotation, whatever it holds?"""
    return _choose(kind_of(annotation), value) is not None


def _takes(parameters: Sequence[Parameter]) -> str:
    if not parameters:
        return "takes no arguments"
    names = ", ".join(parameter.name for parameter in parameters)
    most = "at most " if not parameters[-1].required else ""
    return f"takes {most}{len(parameters)} argument{'s' if len(parameters) > 1 else ''} ({names})"


def _argument(parameter: Parameter, rest: Sequence[Value]) -> Any:
    if not (parameter.required or parameter.variadic) and (not rest or rest[0] is None):
        return parameter.default
    if not rest and not isinstance(_choose(parameter.kind, None), kinds.NoneType):
        raise _Misfit(f"is missing; it must be {wanted(parameter.kind)}")
    fitted = _fit(rest[0] if rest else None, parameter.kind)
    return made(fitted, parameter.annotation, parameter.kind)


def _fit(value: Value, kind: kinds.Type) -> Value:
    chosen = _choose(kind, value)
    if chosen is None:
        what = shown(value) if _is_near(kind, value) else given(value)
        raise _Misfit(f"must be {wanted(kind)}, not {what}")
    fitted = _fit_inside(value, chosen)
    if not _obeys(chosen, fitted):
        what = shown(value) if isinstance(value, (str, int, float)) else f"{len(fitted)}"
        raise _Misfit(f"must be {wanted(kind)}, not {what}")
    return fitted


def _fit_inside(value: Value, kind: kinds.Type) -> Value:
    if (record := host_type(kind)) is not None:
        try:
            return host_value(record, kind, value)
        except Misfit as error:
            raise _inner(error, value) from error.__cause__ or error
    match kind:
        case kinds.ListType(item_type=item_kind) | kinds.SetType(item_type=item_kind) | kinds.FrozenSetType(item_type=item_kind):
            return _fit_list([] if isinstance(value, EmptyTable) else value, item_kind)
        case kinds.DictType(key_type=key_kind, value_type=value_kind):
            return _fit_dict({} if isinstance(value, EmptyTable) else value, key_kind, value_kind)
        case kinds.NamedTupleType() if is_record(kind):
            return field_values(kind, _fit_struct({} if isinstance(value, EmptyTable) else value, kind))
        case kinds.StructType() | kinds.DataclassType() | kinds.TypedDictType():
            return _fit_struct({} if isinstance(value, EmptyTable) else value, kind)
        case kinds.AnyType():
            return resolve_empty(value)
        case kinds.IntType() if type(value) is float:
            return int(value)
        case kinds.LiteralType(values=values):
            return next(literal for literal in values if _same(literal, value))
        case kinds.BytesType() if isinstance(value, str):
            return value.encode()
    return value


def _inner(error: Misfit, value: Value) -> _Misfit:
    """What a host type says of a value, in the words of scripts; a problem inside the value names its place there."""
    shows = not error.steps and isinstance(value, (str, int, float)) and ", not " not in error.problem
    misfit = _Misfit(f"{error.problem}, not {shown(value)}" if shows else error.problem)
    misfit.steps += names_item(error.steps)
    return misfit


def _fit_list(items: list[Value], kind: kinds.Type) -> list[Value]:
    if isinstance(kind, kinds.AnyType) or (kind == _ANY_OBJECT and set(map(type, items)) == {dict}):
        return [resolve_empty(item) for item in items]
    if _all_plain(items, kind):
        return items
    fitted: list[Value] = []
    try:
        for item in items:
            fitted.append(_fit(item, kind))  # not a comprehension: the length tells which item is at fault
    except _Misfit as misfit:
        misfit.steps.append(f"[item {len(fitted) + 1}]")
        raise
    return fitted


def _all_plain(items: list[Value], kind: kinds.Type) -> bool:
    """Is every item of just the wanted kind, without bounds?  A list of a million numbers must not hold up the session for a second."""
    sorts = _PLAIN_SORTS.get(type(kind))
    if sorts is None or kind != type(kind)() or not set(map(type, items)) <= sorts:
        return False
    return not isinstance(kind, kinds.FloatType) or all(map(math.isfinite, items))


def _fit_dict(entries: dict[str, Value], key_kind: kinds.Type, value_kind: kinds.Type) -> dict[str, Value]:
    fitted = {}
    for key, item in entries.items():
        try:
            _fit(key, key_kind)
        except _Misfit as misfit:
            raise _Misfit(f"has the key {shown(key)}, but keys {misfit.problem}", inside=True) from None
        fitted[key] = _fit_member(key, item, value_kind)
    return fitted


def _fit_member(key: str, value: Value, kind: kinds.Type) -> Value:
    try:
        return _fit(value, kind)
    except _Misfit as misfit:
        misfit.steps.append(f".{key[:_KEY_CHARACTERS]}")
        raise


def _fit_struct(
    value: dict[str, Value], kind: kinds.StructType | kinds.DataclassType | kinds.TypedDictType | kinds.NamedTupleType
) -> dict[str, Value]:
    fields = {field.encode_name: field for field in kind.fields}
    value = _snake_keys(value, fields)
    fitted = {}
    for name, field in fields.items():
        if name in value and not (value[name] is None and not field.required):
            fitted[name] = _fit_member(name, value[name], field.type)
        elif field.required:
            raise _Misfit(f"needs the key '{name}': {wanted(field.type)}", inside=True)
    return fitted


def _snake_keys(value: dict[str, Value], fields: Collection[str]) -> dict[str, Value]:
    """The same entries under the fields' own names: JavaScript may spell `maxTokens`, and an engine is not known here."""
    spelled = {}
    for key, item in value.items():
        name = key if key in fields else re.sub(r"[A-Z]", lambda capital: f"_{capital[0].lower()}", key[:_KEY_CHARACTERS])
        if name not in fields:
            raise _Misfit(f"has no key {shown(key)}{nearest(key[:_KEY_CHARACTERS], list(fields))}", inside=True)
        if name in spelled:
            raise _Misfit(f"has the key '{name}' twice, in two spellings", inside=True)
        spelled[name] = item
    return spelled


def _choose(kind: kinds.Type, value: Value) -> kinds.Type | None:
    """The member of a union (or the only kind) that takes a value of this sort, the closest first; None when there is none."""
    if isinstance(kind, kinds.Metadata):
        return _choose(kind.type, value)
    if not isinstance(kind, kinds.UnionType):
        return kind if _rank(kind, value) is not None else None
    ranked = [(rank, index) for index, member in enumerate(kind.types) if (rank := _rank(member, value)) is not None]
    return kind.types[min(ranked)[1]] if ranked else None


def _rank(kind: kinds.Type, value: Value) -> int | None:
    """0 for a value of just this kind, 1 for one that converts without loss, None for one that does not fit."""
    sort = type(value)
    if (record := host_type(kind)) is not None:
        return host_rank(record, value)
    if (resource := resource_class(kind)) is not None:
        return 0 if sort is ResourceRef and value.type == resource.type else None
    match kind:
        case kinds.AnyType() | kinds.Metadata():
            return 0
        case kinds.NoneType():
            return 0 if value is None else None
        case kinds.BoolType():
            return 0 if sort is bool else None
        case kinds.IntType():
            return 0 if sort is int else 1 if _is_integral(value) else None
        case kinds.FloatType():
            return 0 if sort is float and math.isfinite(value) else 1 if sort is int else None
        case kinds.StrType():
            return 0 if sort is str else None
        case kinds.BytesType():  # Lua text that happens to be valid UTF-8 arrives as a string
            return 0 if sort is bytes else 1 if sort is str else None
        case kinds.LiteralType(values=values):
            return 0 if any(_same(literal, value) for literal in values) else None
        case kinds.ListType() | kinds.SetType() | kinds.FrozenSetType():
            return 0 if sort in (list, EmptyTable) else None
        case _ if is_record(kind):
            return 0 if sort is dict else 1 if sort is EmptyTable else None
        case kinds.DictType():
            return 0 if sort is dict else 1 if sort is EmptyTable else None
        case kinds.NamedTupleType(cls=cls):
            return 0 if sort is cls else None
    return None


def _is_integral(value: Value) -> bool:
    return type(value) is float and value.is_integer() and INT_MIN <= value < INT_MAX


def _same(literal: Any, value: Value) -> bool:
    if type(literal) is int and _is_integral(value):
        return bool(literal == value)
    return type(literal) is type(value) and bool(literal == value)


def _is_near(kind: kinds.Type, value: Value) -> bool:
    """Is the value of the right sort, so that the error must show the value itself (1.5 for an integer, a wrong word)?"""
    if isinstance(kind, kinds.Metadata):
        return _is_near(kind.type, value)
    if isinstance(kind, kinds.UnionType):
        return any(_is_near(member, value) for member in kind.types)
    if isinstance(kind, kinds.LiteralType):
        return type(value) in {type(literal) for literal in kind.values}
    return isinstance(kind, (kinds.IntType, kinds.FloatType)) and type(value) is float


def _obeys(kind: kinds.Type, value: Value) -> bool:
    """Does a value of the right kind keep the bounds of `msgspec.Meta`?"""
    match kind:
        case kinds.IntType() | kinds.FloatType():
            return (
                (kind.ge is None or value >= kind.ge)
                and (kind.gt is None or value > kind.gt)
                and (kind.le is None or value <= kind.le)
                and (kind.lt is None or value < kind.lt)
                and (kind.multiple_of is None or value % kind.multiple_of == 0)
            )
        case kinds.StrType(pattern=str(pattern)) if not re.search(pattern, value):
            return False
        case kinds.StrType() | kinds.BytesType() | kinds.ListType() | kinds.DictType() | kinds.SetType() | kinds.FrozenSetType():
            return (kind.min_length or 0) <= len(value) <= (math.inf if kind.max_length is None else kind.max_length)
    return True
