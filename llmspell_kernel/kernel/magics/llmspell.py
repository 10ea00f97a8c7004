"""`%llmspell`: the languages, the language of plain cells, what states there are, and ending one."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from ...errors import ConfigError, nearest

COMMANDS = ("states", "engines", "engine", "reset")


def register(shell: Any, notebook: Any) -> None:
    def llmspell(line: str) -> None:
        """Look after the notebook's script states.

        %llmspell states               what states there are
        %llmspell engines              the languages: magics, endings of files, features
        %llmspell engine               the language of plain cells
        %llmspell engine NAME          from the next cell on, plain cells are in that language: an engine's, or python
        %llmspell reset ENGINE [NAME]  end a state: the next cell that names it gets a new one
        """
        try:
            _run(shlex.split(line) or ["states"], line, shell, notebook)
        except ConfigError as error:
            raise _without_frames(error) from None

    shell.register_magic_function(llmspell, magic_kind="line", magic_name="llmspell")


def _run(words: Sequence[str], line: str, shell: Any, notebook: Any) -> None:
    match words:
        case ["states"]:
            print(notebook)
        case ["engines"]:
            _show_engines(shell, notebook)
        case ["engine"]:
            print(f"Plain cells are {notebook.default_title}.")
        case ["engine", name]:
            notebook.set_default(name)
            print(f"From the next cell on, plain cells are {notebook.default_title}.")
        case ["reset", engine, *name] if len(name) <= 1:
            state = name[0] if name else "main"
            notebook.reset_soon(state, engine)
            print(f"The {notebook.engines.get(engine).name} state '{state}' is gone; the next cell starts a new one.")
        case [command, *_]:
            raise ConfigError(f"%llmspell has no such command: '{line}'{nearest(command, COMMANDS)}")


def _show_engines(shell: Any, notebook: Any) -> None:
    from ...engines._overview import overview
    from ...render.engines import engine_bundle

    shell.display_pub.publish(engine_bundle(overview(notebook.engines)))


def _without_frames(error: ConfigError) -> ConfigError:
    """The same error, shown by its text alone: a wrong word in a magic's line is no fault in our code."""
    from ...render.errors import traceback_lines

    lines = traceback_lines(error, {}, colour=True)
    error.__class__ = type("ConfigError", (type(error),), {"_render_traceback_": lambda self: lines})
    return error
