"""The defaults of a JSON Schema, filled in where a value has nothing.

Rule: a default is counted each time it is put in, before the value is written out.  A schema of a few bytes could else make gigabytes of a list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .sizes import check_size, text_bytes

_NONE: Mapping[str, Any] = {}


def filled(value: Any, schema: Any) -> Any:
    """A copy of the value with the `default` of each property that it leaves out, at any depth of `properties` and `items`.

    Raises ArgumentError where the value is too large, or would be with them.
    """
    size_bytes = text_bytes(value)
    check_size(size_bytes)
    return _Filling(size_bytes).filled(value, schema)


class _Filling:
    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._defaults: dict[int, list[tuple[str, Any, int]]] = {}
        """By the identity of `properties`: names, defaults and their bytes, looked for once and put in many times."""

    def filled(self, value: Any, schema: Any) -> Any:
        if not isinstance(schema, Mapping):
            return value
        if isinstance(value, dict):
            properties = schema.get("properties")
            properties = properties if isinstance(properties, Mapping) else _NONE
            given = {key: self.filled(item, properties.get(key)) for key, item in value.items()}
            for key, default, size_bytes in self._defaults_of(properties):
                if key not in value:
                    self._size_bytes += size_bytes
                    check_size(self._size_bytes)
                    given[key] = default
            return given
        if isinstance(value, list):
            return [self.filled(item, schema.get("items")) for item in value]
        return value

    def _defaults_of(self, properties: Mapping[str, Any]) -> list[tuple[str, Any, int]]:
        if id(properties) not in self._defaults:
            self._defaults[id(properties)] = [
                (key, of["default"], text_bytes(key) + text_bytes(of["default"]))
                for key, of in properties.items()
                if isinstance(of, Mapping) and "default" in of
            ]
        return self._defaults[id(properties)]
