"""What a form asks for a tool's arguments, and the arguments that its texts stand for.  Pure.

Rule: what a person leaves empty is left out, so that the schema's own defaults hold, and what is required and missing is told by its path.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..render.text import clean

SHOWN_CHARS = 200
MAX_FIELDS = 50
"""A schema may have thousands of properties, and each widget is an object in the page: beyond these, one field takes all as JSON."""
MAX_CHOICES = 200
INITIAL_CHARS = 2_000


class Field(NamedTuple):
    """`kind` is `text`, `json`, `choice`, `yes_no`, or `all`: the whole arguments as JSON.

    `choices` are what is read of `values`.  The widget's value, as `initial`, is of a `choice` its index in these, None where it is left out:
    texts would be the same for "1" and 1, and for an empty text and none.
    """

    name: str
    kind: str
    label: str
    hint: str
    initial: Any
    choices: tuple[str, ...] = ()
    values: tuple[Any, ...] = ()


def fields_of(schema: Mapping[str, Any]) -> list[Field]:
    """One for each property, the required ones first; of more than MAX_FIELDS, one for all."""
    properties, required = schema.get("properties"), schema.get("required") or ()
    known = properties if isinstance(properties, Mapping) else {}
    if len(known) > MAX_FIELDS:
        return [Field("arguments", "all", "arguments", f"a JSON object; there are {len(known):,} properties", "")]
    return [_field(name, known[name], name in required) for name in sorted(known, key=lambda name: (name not in required, name))]


def arguments_of(fields: Sequence[Field], given: Mapping[str, Any]) -> dict[str, Any]:
    """What to call the tool with.  Raises ValueError that names the field whose text is no JSON."""
    arguments: dict[str, Any] = {}
    for field in fields:
        raw = given[field.name]
        match field.kind:
            case "yes_no":
                arguments[field.name] = bool(raw)
            case "choice":
                if raw is not None:
                    arguments[field.name] = field.values[raw]
            case "all":
                arguments.update(_object(field.name, raw))
            case "json":
                if raw.strip():
                    arguments[field.name] = _json(field.name, raw)
            case _:
                if raw:
                    arguments[field.name] = raw
    return arguments


def problems_by_field(fields: Sequence[Field], errors: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """What does not fit, by the field it is about; "" for what is about none."""
    told: dict[str, list[str]] = {}
    for error in errors:
        path, message = error["path"], error["message"]
        about = next((field.name for field in fields if _is_about(path, message, field.name)), "")
        told.setdefault(about, []).append(message if path in ("$", f"$.{about}") else f"{path}: {message}")
    return told


def _is_about(path: str, message: str, name: str) -> bool:
    inside = path.removeprefix("$.").removeprefix(name)
    if path.startswith(f"$.{name}") and inside[:1] in ("", ".", "["):
        return True
    return path == "$" and message == f"{name!r} is a required property"


def _field(name: str, of: Any, is_required: bool) -> Field:
    schema = of if isinstance(of, Mapping) else {}
    kind, default = _kind(schema, is_required), schema.get("default")
    label = f"{name} *" if is_required else name
    hint = " ".join(str(part) for part in (kind, schema.get("description", "")) if part)[:SHOWN_CHARS]
    if isinstance(values := schema.get("enum"), list) and len(values) <= MAX_CHOICES:
        initial = _place_of(default, values) if "default" in schema else None
        return Field(name, "choice", label, hint, initial, _choices(values), tuple(values))
    if kind == "boolean" and (is_required or isinstance(default, bool)):
        return Field(name, "yes_no", label, hint, bool(default))
    if kind == "boolean":  # which can be left out, too
        return Field(name, "choice", label, hint, None, ("true", "false"), (True, False))
    if kind == "string":
        return Field(name, "text", label, hint, _initial(default) if isinstance(default, str) else "")
    return Field(name, "json", label, hint, "" if default is None else _initial(json.dumps(default, ensure_ascii=False)))


def _kind(schema: Mapping[str, Any], is_required: bool) -> str:
    """Its type where it has one; null beside it is as good as left out, unless it is required.  "" where it has several, or none."""
    told = schema.get("type", schema.get("anyOf"))
    kinds = [one.get("type") if isinstance(one, Mapping) else one for one in told] if isinstance(told, list) else [told]
    others = [kind for kind in kinds if is_required or kind != "null"]
    return others[0] if len(others) == 1 and isinstance(others[0], str) else ""


def _place_of(value: Any, values: Sequence[Any]) -> int | None:
    """By their JSON: for Python 1, 1.0 and True are the same."""
    written = [json.dumps(one, sort_keys=True) for one in (value, *values)]
    return written.index(written[0], 1) - 1 if written[0] in written[1:] else None


def _choices(values: Sequence[Any]) -> tuple[str, ...]:
    """Texts as they are, unless they would look like nothing, or like another value."""
    others = {json.dumps(value) for value in values if not isinstance(value, str)}
    is_plain = [isinstance(value, str) and clean(value).strip() != "" and value not in others for value in values]
    return tuple(value if plain else json.dumps(value) for value, plain in zip(values, is_plain, strict=True))


def _initial(text: str) -> str:
    """What a field begins with: nothing where the text cannot be shown as it is, and then the schema's own default holds."""
    return text if len(text) <= INITIAL_CHARS and clean(text) == text else ""


def _object(name: str, text: str) -> dict[str, Any]:
    found = _json(name, text) if text.strip() else {}
    if not isinstance(found, dict):
        raise ValueError(f'{name}: write a JSON object, as in {{"city": "Nice"}}')
    return found


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f'{name}: this is no JSON; write it as in 3, true, [1, 2] or {{"a": 1}}, and a text in quotation marks') from None
