"""Files that a user asked for by name: pages, tables."""

from __future__ import annotations

from pathlib import Path

from ..errors import ConfigError


def write_file(file: Path, text: str) -> None:
    """Raises ConfigError where it cannot be written."""
    try:
        file.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror or error}; name another file", file=str(file)) from None
