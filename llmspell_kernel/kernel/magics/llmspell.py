"""`%llmspell`: what states there are, and ending one."""

from __future__ import annotations

import shlex
from typing import Any

from ...errors import ConfigError, nearest

COMMANDS = ("states", "engines", "reset")


def register(shell: Any, notebook: Any) -> None:
    def llmspell(line: str) -> None:
        """Look after the notebook's script states.

        %llmspell states               what states there are
        %llmspell engines              the languages, and the endings of their files
        %llmspell reset ENGINE [NAME]  end a state: the next cell that names it gets a new one
        """
        words = shlex.split(line) or ["states"]
        match words:
            case ["states"]:
                print(notebook)
            case ["engines"]:
                for engine in notebook.engines:
                    print(f"{engine.name:<12} %%{', %%'.join((engine.name, *engine.aliases))}   files: {', '.join(engine.file_endings)}")
            case ["reset", engine, *name] if len(name) <= 1:
                state = name[0] if name else "main"
                notebook.reset_soon(state, engine)
                print(f"The {notebook.engines.get(engine).name} state '{state}' is gone; the next cell starts a new one.")
            case [command, *_]:
                raise ConfigError(f"%llmspell has no such command: '{line}'{nearest(command, COMMANDS)}")

    shell.register_magic_function(llmspell, magic_kind="line", magic_name="llmspell")
