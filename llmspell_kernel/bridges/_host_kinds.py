"""Host types among the kinds of msgspec: which a script may give, in what form, and the value made of it."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec
from msgspec import inspect as kinds

from llmspell_kernel.host_types._record import HostType, Misfit
from llmspell_kernel.host_types._registry import types
from llmspell_kernel.values import Callback, EmptyTable, ResourceRef, Value, resolve_empty

from ._bridge import Resource

_CLASSES: dict[type, type] = {
    kinds.DateTimeType: datetime,
    kinds.DateType: date,
    kinds.TimeType: time,
    kinds.TimeDeltaType: timedelta,
    kinds.UUIDType: UUID,
    kinds.DecimalType: Decimal,
}
RECORDS = (kinds.StructType, kinds.DataclassType, kinds.TypedDictType, kinds.NamedTupleType)


def kind_of(annotation: Any) -> kinds.Type:
    """What msgspec says of an annotation.  Raises TypeError for one that it refuses."""
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return kinds.CustomType(annotation)  # msgspec knows only those of text or of integers
    return kinds.type_info(annotation)


def made(fitted: Value, annotation: Any, kind: kinds.Type) -> Any:
    """The annotated type from what fits it.  A host type is made already; a resource stays the reference that the session resolves."""
    if host_type(kind) is not None or type(fitted) is ResourceRef:
        return fitted
    if type(fitted) is list and fitted and holds_resource(kind):
        return fitted
    return msgspec.convert(fitted, annotation, strict=True)


def resource_class(kind: kinds.Type) -> type[Resource] | None:
    """The class of things that the host keeps, where a kind is one."""
    cls = kind.cls if isinstance(kind, kinds.CustomType) else None
    return cls if isinstance(cls, type) and issubclass(cls, Resource) else None


def holds_resource(kind: kinds.Type) -> bool:
    """Is it a resource, a resource or nothing, or a list of them?  Deeper inside, none can be given."""
    match kind:
        case kinds.Metadata(type=inner) | kinds.ListType(item_type=inner):
            return holds_resource(inner)
        case kinds.UnionType(types=members):
            return any(map(holds_resource, members))
    return resource_class(kind) is not None


def class_of(kind: kinds.Type) -> Any:
    return _CLASSES.get(type(kind)) or getattr(kind, "cls", None)


def host_type(kind: kinds.Type) -> HostType | None:
    """The host type that makes values of a kind; None where msgspec makes them, from fields or as they are."""
    cls = class_of(kind)
    if not isinstance(cls, type) or cls in (Callback, ResourceRef):
        return None
    record = types.of(cls)
    return record if record is not None and record.from_plain is not None else None


def is_record(kind: kinds.Type) -> bool:
    """Is it an object with known keys, whose parts are kinds of their own?"""
    return isinstance(kind, RECORDS) and class_of(kind) not in (Callback, ResourceRef)


def host_rank(record: HostType, value: Value) -> int | None:
    """As `_checking._rank`."""
    if isinstance(value, EmptyTable):
        return 0 if not record.takes or record.takes & {list, dict} else None
    if not record.takes:
        return None if value is None else 0
    # a number that an integer takes too is the integer
    return int(not record.takes & {list, dict}) if type(value) in record.takes else None


def host_value(record: HostType, kind: kinds.Type, value: Value) -> Any:
    """The instance.  Raises Misfit with what is wrong."""
    assert record.from_plain is not None
    cls = class_of(kind)
    plain = [] if isinstance(value, EmptyTable) and list in record.takes else resolve_empty(value)
    try:
        return record.from_plain(plain, cls)
    except Misfit:
        raise
    except (ValueError, TypeError, LookupError) as error:
        told = "" if record.takes <= {str, int, float, bool} and record.takes else f" ({error})" if str(error) else ""
        raise Misfit(f"must be {record.wanted_of(cls)}{told}") from error


def names_item(steps: Iterable[str | int]) -> list[str]:
    """A path in the words of scripts, innermost first."""
    return [f"[item {step + 1}]" if isinstance(step, int) else f".{step}" for step in steps][::-1]


def schemas_of(annotations: list[Any]) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
    """JSON schemas, and the definitions they refer to."""
    nested: dict[str, Any] = {}

    def of_host_type(cls: type) -> dict[str, Any]:
        record = types.of(cls)
        schema = record.schema_of(cls) if record is not None else {}
        nested.update(schema.pop("$defs", {}))
        return schema or {"title": cls.__name__}

    # an enumeration that msgspec refuses is asked for by itself
    asked = [msgspec.Raw if _is_foreign(annotation) else annotation for annotation in annotations]
    schemas, definitions = msgspec.json.schema_components(asked, schema_hook=of_host_type, ref_template="#/$defs/{name}")
    for definition in definitions.values():
        if "description" in definition:
            definition["description"] = inspect.cleandoc(definition["description"])
        if "properties" in definition:
            definition["additionalProperties"] = False
    whole = tuple(
        of_host_type(annotation) if _is_foreign(annotation) else schema for annotation, schema in zip(annotations, schemas, strict=True)
    )
    return whole, {**nested, **definitions}


def _is_foreign(annotation: Any) -> bool:
    if not (isinstance(annotation, type) and issubclass(annotation, Enum)):
        return False
    try:
        kinds.type_info(annotation)
    except TypeError:
        return True
    return False


def field_values(kind: kinds.NamedTupleType, fitted: Mapping[str, Value]) -> list[Value]:
    """In the order of the fields, as msgspec takes a named tuple; those left out at the end have their defaults."""
    out: list[Value] = []
    for known in kind.fields:
        if known.encode_name in fitted:
            out.append(fitted[known.encode_name])
        else:
            out.append(known.default if known.default is not msgspec.NODEFAULT else None)
    return out
