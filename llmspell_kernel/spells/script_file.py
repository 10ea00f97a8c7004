"""A script's file and its parameters, read into data or refused with one clear error."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ..engines._declaration import EngineDeclaration
from ..engines._registry import EngineRegistry
from ..errors import ConfigError, LoadError
from ..settings import PYTHON

MAX_SCRIPT_BYTES = 4 * 1024 * 1024
"""More than any script a person writes; a larger file is a wrong path (a model's weights, a log)."""
STDIN = "stdin"


class Script(NamedTuple):
    code: str
    engine: str
    chunk: str
    """The name that errors show."""


def load(path: Path, engine: str | None, engines: EngineRegistry, default_engine: str = "") -> Script:
    """The script in a file; a given `engine` overrides what its ending says, and `default_engine` is for a file whose ending says nothing.

    Raises ConfigError where the language cannot be known, LoadError where the file cannot be read.
    """
    if path.is_dir():
        raise LoadError("is a folder; name the file of a script", file=str(path))
    chosen = engines.get(engine) if engine is not None else _by_ending(path.name, engines, default_engine)
    try:
        with path.open("rb") as file:
            return Script(_text(file, str(path)), chosen.name, os.fsencode(path.name).decode(errors="backslashreplace"))
    except OSError as error:
        raise LoadError(f"cannot read the script: {error.strerror or error}", file=str(path)) from None


def load_from(stream: BinaryIO, engine: str | None, engines: EngineRegistry, default_engine: str = "") -> Script:
    """The script that comes from a stream, such as standard input.  Raises as `load`."""
    return Script(_text(stream, STDIN), engine_of(engine, engines, default_engine), STDIN)


def engine_of(engine: str | None, engines: EngineRegistry, default_engine: str = "") -> str:
    """The name of the language of a script that has no file.  Raises ConfigError."""
    if not engine and default_engine in ("", PYTHON):
        known = ", ".join(declaration.name for declaration in engines)
        set_to = f" (engine = '{PYTHON}' of your settings is that of plain cells)" if default_engine else ""
        raise ConfigError(f"the script's language is not known{set_to}; name it as in --engine lua (one of {known}), or set 'engine'")
    return engines.get(engine or default_engine).name


def _by_ending(name: str, engines: EngineRegistry, default_engine: str) -> EngineDeclaration:
    try:
        return engines.for_file(name)
    except ConfigError:
        if default_engine in ("", PYTHON):
            raise
        return engines.get(default_engine)


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


def _text(file: BinaryIO, name: str) -> str:
    data = file.read(MAX_SCRIPT_BYTES + 1)
    if len(data) > MAX_SCRIPT_BYTES:
        raise LoadError(f"is larger than {MAX_SCRIPT_BYTES // 1024 // 1024} MiB: is it a script?", file=name)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise LoadError(f"is not UTF-8 text (byte 0x{data[error.start]:02x}); save it as UTF-8", file=name, line=line) from None
