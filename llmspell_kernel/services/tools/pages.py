"""Tools described for readers, in Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from .registry import Tool


def page(tools: Iterable[Tool]) -> str:
    return "\n\n".join(map(_section, tools)) or "There are no tools."


def _section(tool: Tool) -> str:
    spec = tool.spec
    lines = [f"## {spec.name}", "", spec.description.strip() or "(no description)"]
    if spec.deprecated:
        lines += ["", f"Deprecated: {spec.deprecated}"]
    lines += ["", f"- level: {spec.level}", f"- version: {spec.version}", f"- source: {tool.source}"]
    lines += ["", "Parameters:", "", *_parameters(spec.parameters)]
    if spec.returns is not None:
        lines += ["", f"Returns: {_type(spec.returns)}{_said(spec.returns)}"]
    return "\n".join(lines)


def _parameters(schema: Mapping[str, Any]) -> list[str]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or not properties:
        return ["none"]
    required = schema.get("required") or ()
    return [
        f"- `{name}` ({', '.join([_type(of), *(['required'] if name in required else []), *_default(of)])}){_said(of)}"
        for name, of in properties.items()
    ]


def _type(schema: Any) -> str:
    if not isinstance(schema, Mapping):
        return "anything"
    if "enum" in schema:
        return "one of " + ", ".join(_json(value) for value in schema["enum"])
    kind = schema.get("type", "anything")
    if kind == "array" and isinstance(schema.get("items"), Mapping):
        return f"array of {_type(schema['items'])}"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _default(schema: Any) -> list[str]:
    return [f"default {_json(schema['default'])}"] if isinstance(schema, Mapping) and "default" in schema else []


def _said(schema: Any) -> str:
    text = schema.get("description") if isinstance(schema, Mapping) else None
    return f": {text}" if isinstance(text, str) and text else ""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
