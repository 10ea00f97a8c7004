"""The script that runs in every fresh state of a language before anything else: which it is, and its text.

It is read anew for each state, so that after a change of the file a reset is enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..engines._registry import EngineRegistry
from ..errors import LoadError, SpellError


class InitScript(NamedTuple):
    chunk: str
    """The name that errors show."""
    code: str


def init_files(named: Mapping[str, str], engines: EngineRegistry, folder: Path) -> dict[str, Path]:
    """By engine, the file of its init script; a relative path begins in the session's folder.  Raises ConfigError for an engine there is not."""
    found = {engines.get(name).name: Path(path).expanduser() for name, path in named.items() if path}
    return {engine: folder / path for engine, path in found.items()}


def read_init(path: Path, most_bytes: int) -> InitScript:
    """Raises LoadError, naming the file."""
    try:
        if path.exists() and not path.is_file():  # a FIFO would never end
            raise LoadError("the init script is not a file", file=str(path))
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except OSError as error:
        raise LoadError(f"cannot read the init script: {error.strerror or error}", file=str(path)) from None
    if len(data) > most_bytes:
        raise LoadError(f"the init script is larger than the limit value_bytes, {most_bytes}", file=str(path))
    try:
        return InitScript(path.name, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise LoadError(f"is not UTF-8 text (byte 0x{data[error.start]:02x}); save it as UTF-8", file=str(path), line=line) from None


def add_place(error: SpellError, path: Path, folder: Path) -> None:
    """Says where it comes from and what happens next: the cell did not run, and the state is not kept half made."""
    shown = path.relative_to(folder) if path.is_relative_to(folder) else path
    error.message += f" (in the init script {shown}, so the cell did not run; the next one tries it again in a new state)"
