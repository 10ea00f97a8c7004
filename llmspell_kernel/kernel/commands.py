"""The commands of `%llmspell`, each once: from here come its help, the hints for wrong names, and what IPython must be made to wait for."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from .written_help import two_columns
from .written_pairs import pairs

Run = Callable[[Sequence[str], Any, Callable[[Any], None]], Any]
"""`run(words, notebook, show)`: the words after the command; `show` displays a table or the like.  One that takes a while is a coroutine."""
ANY = 1_000_000


class Command(NamedTuple):
    """`usages` are lines of the help: how it is written, and what that does.  `most_words` may follow it; ANY where it looks itself."""

    module: str
    """Imported when it is first used: most kernels need few of them."""
    name: str
    usages: Sequence[tuple[str, str]]
    most_words: int = ANY
    is_awaited: bool = False
    """It takes a while, and IPython does not await what a line magic returns: transform.py makes it."""

    split: Callable[[str], list[str]] = shlex.split
    """What is written after its name, as words.  Raises ValueError for quotes that do not end."""

    def function(self) -> Run:
        run: Run = getattr(import_module(self.module, __package__), self.name.replace("-", "_"))
        return run


STATES, JOURNAL, TOOLS, HELP = ".state_commands", ".journal_commands", ".tool_commands", ".help_commands"
GROUPS: Mapping[str, Sequence[Command]] = {
    "States and languages": (
        Command(STATES, "states", [("states", "what states there are")], 0),
        Command(STATES, "status", [("status", "what each of them uses, against what it may")], 0),
        Command(STATES, "tasks", [("tasks", "what goes on in the background (`async.background`)")], 0),
        Command(STATES, "stop", [("stop [ENGINE [NAME]]", "end it: everywhere, in one language, or in one state")], 2),
        Command(STATES, "reset", [("reset ENGINE [NAME]", "end a state: the next cell that names it gets a new one")], 2),
        Command(STATES, "engines", [("engines", "the languages: magics, endings of files, features")], 0),
        Command(
            STATES,
            "engine",
            [
                ("engine", "the language of plain cells"),
                ("engine NAME", "from the next cell on, plain cells are in that language: an engine's, or python"),
            ],
            1,
        ),
        Command(
            JOURNAL,
            "restart-state",
            [("restart-state [ENGINE [NAME]] --to N", "back to what a state was after cell N")],
            is_awaited=True,
        ),
        Command(
            JOURNAL,
            "fork",
            [("fork NEW [ENGINE [NAME]] [--at N]", "a second state that went through the same cells, up to N")],
            is_awaited=True,
        ),
        Command(JOURNAL, "save", [("save [FILE]", "writes what the states went through to a file")]),
        Command(
            JOURNAL,
            "resume",
            [("resume [FILE]", "makes them again, in this kernel or another one, without calling anything")],
            is_awaited=True,
        ),
    ),
    "Settings": (
        Command(
            STATES,
            "config",
            [("config", "every setting, and where it comes from"), ("config KEY=VALUE ...", "change settings of this notebook")],
            split=pairs,
        ),
        Command(STATES, "policy", [("policy", "what scripts may call and use, and the layers around them")], 0),
        Command(
            STATES, "budget", [("budget", "what models were used, by cell, session and day, against their budgets")], 0, is_awaited=True
        ),
    ),
    "Tools": (
        Command(TOOLS, "tools", [("tools [TEXT]", "the tools there are, or those whose name or description has TEXT")], 1, is_awaited=True),
        Command(TOOLS, "tool", [("tool NAME", "a form that calls a tool")], 1, is_awaited=True),
    ),
    "The journal": (
        Command(JOURNAL, "trace", [("trace [N]", "the calls of a cell, or of all")]),
        Command(JOURNAL, "cost", [("cost [--by cell,model,day] [--csv FILE]", "what models took")]),
        Command(JOURNAL, "diff", [("diff A B", "two cells, or two journals, side by side")]),
        Command(
            JOURNAL,
            "record",
            [
                (
                    "record [FILE]",
                    "from now on, calls and answers are written to a cassette (FILE, the setting cassette, or beside the notebook)",
                ),
                ("record off", "ends it; so does `replay off`"),
            ],
        ),
        Command(
            JOURNAL,
            "replay",
            [
                ("replay [FILE]", "from now on, calls are answered from it: no network, no key, no cost"),
                ("replay auto [FILE]", "... and what is not on it is called, and added"),
            ],
        ),
    ),
    "Help": (Command(HELP, "help", [("help [COMMAND]", "these lines, or those of one command")], 1),),
}
COMMANDS: Mapping[str, Command] = {command.name: command for commands in GROUPS.values() for command in commands}


def help_text() -> str:
    """As `%llmspell`, `%llmspell help` and `%llmspell?` show it."""
    lines = ["%llmspell COMMAND looks after this notebook."]
    for title, commands in GROUPS.items():
        lines += ["", title, *two_columns(usage for command in commands for usage in command.usages)]
    return "\n".join(lines)
