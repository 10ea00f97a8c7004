"""Types and values in the words of scripts: string, number, integer, boolean, list, object, function, nothing."""

from __future__ import annotations

import types
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import inspect as kinds

from llmspell_kernel.host_types._registry import types as host_types
from llmspell_kernel.values import SAFE_INT, Callback, EmptyTable, ResourceRef, Value

from ._bridge import Resource
from ._host_kinds import class_of, host_type, is_record, resource_class

_NAMES: dict[Any, str] = {
    None: "nothing",
    type(None): "nothing",
    Any: "any",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    bytes: "bytes",
    list: "list",
    dict: "object",
    Callback: "function",
    ResourceRef: "resource",
}
_SHOWN_CHARACTERS = 40


def type_text(annotation: Any, *, optional: bool = False) -> str:
    """A Python annotation as one short text for signatures; `optional` leaves out None, which the signature shows otherwise."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_text(parts[0], optional=optional)
    if origin is Literal:
        return " | ".join(shown(value) for value in parts)
    if origin in (Union, types.UnionType):
        texts = [type_text(part) for part in parts if not (optional and part is type(None))]
        return " | ".join(dict.fromkeys(texts))
    if origin is tuple and Ellipsis not in parts:
        return "(" + ", ".join(_titled(part) for part in parts) + ")"
    if isinstance(origin, type):
        return _container_text(origin, parts)
    if annotation in _NAMES:
        return _NAMES[annotation]
    if (
        isinstance(annotation, type)
        and (record := host_types.of(annotation)) is not None
        and not issubclass(annotation, (tuple, set, frozenset))
    ):
        return record.signature_of(annotation)
    if isinstance(annotation, type):
        return annotation.type if issubclass(annotation, Resource) else _class_text(annotation)
    return str(annotation)


def _titled(part: Any) -> str:
    """One of several results, with the title that its `msgspec.Meta` gives: `tokens: integer`."""
    extras = get_args(part)[1:] if get_origin(part) is Annotated else ()
    title = next((extra.title for extra in extras if isinstance(extra, msgspec.Meta) and extra.title), "")
    return f"{title}: {type_text(part)}" if title else type_text(part)


def _container_text(origin: type, parts: tuple[Any, ...]) -> str:
    if issubclass(origin, Mapping):
        return "object"
    if issubclass(origin, Collection):
        item = type_text(parts[0]) if parts else "any"
        return "list" if item in ("any", "object") else f"list[{item}]"
    return _class_text(origin)


def _class_text(annotation: type) -> str:
    if issubclass(annotation, Mapping):
        return "object"
    return "list" if issubclass(annotation, Sequence) else annotation.__name__


def wanted(kind: kinds.Type) -> str:
    """What an argument must be: "a string or a list of objects"."""
    if (record := host_type(kind)) is not None:
        return record.wanted_of(class_of(kind))
    if (resource := resource_class(kind)) is not None:
        return f"a resource ({resource.type})"
    match kind:
        case kinds.Metadata(type=inner):
            return wanted(inner)
        case kinds.UnionType(types=members):
            return _either([wanted(member) for member in members if not isinstance(member, kinds.NoneType)])
        case kinds.LiteralType(values=values):
            return _either(sorted(shown(value) for value in values))
        case kinds.AnyType():
            return "any value"
        case kinds.NoneType():
            return "nothing"
        case kinds.BytesType():
            return "bytes"
    name, space, rest = _plural(kind).partition(" ")
    one = name.removesuffix("s") + space + rest
    return f"an {one}" if one[0] in "aeio" else f"a {one}"


def _plural(kind: kinds.Type) -> str:
    if (resource := resource_class(kind)) is not None:
        return f"resources ({resource.type})"
    match kind:
        case kinds.Metadata(type=inner):
            return _plural(inner)
        case kinds.BoolType():
            return "booleans"
        case kinds.IntType():
            return "integers" + _range(kind)
        case kinds.FloatType():
            return "numbers" + _range(kind)
        case kinds.StrType(pattern=pattern):
            return "strings" + _length(kind, "character") + (f" matching {pattern}" if pattern else "")
        case kinds.ListType(item_type=item):
            of = "" if isinstance(item, kinds.AnyType) else f" of {_plural(item)}"
            return "lists" + of + _length(kind, "item")
        case kinds.DictType():
            return "objects" + _length(kind, "key")
        case kinds.SetType(item_type=item) | kinds.FrozenSetType(item_type=item):
            return ("lists" if isinstance(item, kinds.AnyType) else f"lists of {_plural(item)}") + _length(kind, "item")
        case _ if is_record(kind):
            return "objects"
        case kinds.NamedTupleType(cls=cls):
            return f"{_NAMES.get(cls, cls.__name__)}s"
        case kinds.UnionType(types=members):
            return _either([_plural(member) for member in members])
    return wanted(kind)


def _range(kind: kinds.IntType | kinds.FloatType) -> str:
    if kind.ge is not None and kind.le is not None:
        return f" from {shown(kind.ge)} to {shown(kind.le)}"
    bounds = {"of at least": kind.ge, "above": kind.gt, "of at most": kind.le, "below": kind.lt, "that is a multiple of": kind.multiple_of}
    texts = [f"{word} {shown(bound)}" for word, bound in bounds.items() if bound is not None]
    return " " + " and ".join(texts) if texts else ""


def _length(kind: kinds.StrType | kinds.ListType | kinds.DictType | kinds.SetType | kinds.FrozenSetType, unit: str) -> str:
    bounds = {"at least": kind.min_length, "at most": kind.max_length}
    texts = [f"{word} {count} {unit}{'' if count == 1 else 's'}" for word, count in bounds.items() if count is not None]
    return " with " + " and ".join(texts) if texts else ""


def _either(texts: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(texts))
    return " or ".join([", ".join(distinct[:-1]), distinct[-1]]) if len(distinct) > 1 else distinct[0]


def given(value: Value) -> str:
    """What an argument is: "a number"."""
    if value is None:
        return "nothing"
    if isinstance(value, EmptyTable):
        return "an empty table"
    if isinstance(value, ResourceRef):
        return f"a resource ({value.type})"
    words = {bool: "a boolean", int: "a number", float: "a number", str: "a string", bytes: "bytes"}
    words |= {list: "a list", dict: "an object", Callback: "a function"}
    return words.get(type(value), "a value that cannot be an argument")


def shown(value: Value) -> str:
    """A value as a script would write it, shortened to one line."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) <= SAFE_INT:
        value = int(value)
    if isinstance(value, msgspec.Struct):
        value = msgspec.to_builtins(value)
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."
