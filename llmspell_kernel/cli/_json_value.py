"""A script's results as JSON text for `--json`."""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from ..values import Callback, EmptyTable, Opaque, ResourceRef, Value


def json_line(values: Sequence[Value]) -> str:
    """One line: a single result itself, several (Lua) as an array, none as null."""
    whole: Value = values[0] if len(values) == 1 else list(values) or None
    return json.dumps(_plain(whole), ensure_ascii=False, allow_nan=False)


def _plain(value: Value) -> Any:
    match value:
        case bytes():
            return b64encode(value).decode()
        case float() if not math.isfinite(value):
            return None  # as JSON.stringify writes it: JSON has no such number
        case Opaque(text=text):
            return text
        case Callback():
            return "function"
        case ResourceRef(id=number, type=kind):
            return f"{kind} {number}"
        case EmptyTable():
            return {}
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
    return value
