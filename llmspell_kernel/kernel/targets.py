"""What `--out rows:TYPE` may name: a class of the notebook, or a short name such as `pandas`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import GenericAlias
from typing import Any, get_origin

from ..bridges._checking import takes
from ..errors import ConfigError, nearest
from ..host_types._record import HostType
from ..host_types._registry import types
from ..values import EmptyTable, Value


def target(text: str, namespace: Mapping[str, Any]) -> Sequence[Any]:
    """The annotations that a name stands for, of which the first that takes the value is meant.  Raises ConfigError.

    A name of the notebook (`Row`, `models.Row`, `Rows = list[Row]`) comes before a short name; a library is never imported for one.
    """
    found = _named(text, namespace)
    if isinstance(found, type) or get_origin(found) is not None:
        return (found,)
    short = [record for record in types.all() if text == _short(record)]
    if not short:
        known = sorted({_short(record) for record in types.all() if record.from_plain is not None and record.classes})
        raise ConfigError(f"'{text}' is neither a class of this notebook nor a known type{nearest(text, known)}")
    classes = [record.loaded()[0] for record in short if record.loaded()]
    if not classes:
        raise ConfigError(f"{text} is not imported; run `import {text}` in a Python cell first")
    return classes


def fitting(targets: Sequence[Any], value: Value) -> Any:
    """The annotation for a value: the first that takes it, or a list of the first where the value is a list of what it takes."""
    for annotation in targets:
        if takes(annotation, value) and not (len(targets) > 1 and _is_other(annotation, value)):
            return annotation
    first = targets[0]
    return GenericAlias(list, (first,)) if isinstance(value, list) and not takes(first, value) else targets[-1]


def _is_other(annotation: Any, value: Value) -> bool:
    """Do frames take only lists of objects?  A list of anything else is a series."""
    record = types.of(annotation) if isinstance(annotation, type) else None
    if record is None or "object" not in record.from_scripts or isinstance(value, EmptyTable):
        return False
    return bool(value) and not any(isinstance(item, dict) for item in value)


def _named(text: str, namespace: Mapping[str, Any]) -> Any:
    first, *rest = text.split(".")
    found = namespace.get(first)
    for part in rest:
        found = getattr(found, part, None)
    return found


def _short(record: HostType) -> str:
    return record.short or record.name
