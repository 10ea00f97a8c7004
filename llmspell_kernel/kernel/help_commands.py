"""`%llmspell help`: every command, or one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import ConfigError, nearest
from .commands import COMMANDS, Command, help_text
from .written_help import two_columns


def help(words: Sequence[str], notebook: Any, show: Callable[[Any], None]) -> None:  # a command's function has its name
    print("\n".join(two_columns(known(words[0]).usages, "%llmspell ")) if words else help_text())


def known(name: str) -> Command:
    """Raises ConfigError with the nearest names."""
    if name not in COMMANDS:
        hint = nearest(name, list(COMMANDS))
        near = hint if "did you mean" in hint else ""
        raise ConfigError(f"%llmspell has no such command: '{name}'{near}{'' if near else '.'} %llmspell help lists them all")
    return COMMANDS[name]
