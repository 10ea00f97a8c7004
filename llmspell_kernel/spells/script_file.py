"""A script's file and its parameters, read into data or refused with one clear error."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ..engines._registry import EngineRegistry
from ..errors import ConfigError

MAX_SCRIPT_BYTES = 4 * 1024 * 1024
"""More than any script a person writes; a larger file is a wrong path (a model's weights, a log)."""


class Script(NamedTuple):
    code: str
    engine: str
    chunk: str
    """The name that errors show."""


def load(path: Path, engine: str | None, engines: EngineRegistry) -> Script:
    """The script in a file; a given `engine` overrides what its ending says.  Raises ConfigError."""
    chosen = engines.get(engine) if engine is not None else engines.for_file(path.name)
    return Script(_text(path), chosen.name, path.name)


def parameters(pairs: Iterable[str]) -> dict[str, Any]:
    """`key=value` texts as a dict: a value that is JSON other than a quoted string is that value, anything else is text."""
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f'-p needs KEY=VALUE, got {pair!r}; for example: -p topic=tea -p count=3 -p \'tags=["a","b"]\'')
        found[key.strip()] = _value(text)
    return found


def _value(text: str) -> Any:
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return text
    # `-p name="tea"` reaches us as `name=tea` from most shells: text in quotes stays as it is written, quotes and all.
    return text if isinstance(value, str) else value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")  # Python's reader takes NaN and Infinity, JSON does not: they stay text


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SCRIPT_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot read the script {path}: {error.strerror or error}") from None
    if len(data) > MAX_SCRIPT_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_SCRIPT_BYTES // 1024 // 1024} MiB: is it a script?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path} is not UTF-8 text (byte 0x{data[error.start]:02x} in line {line}); save it as UTF-8") from None
