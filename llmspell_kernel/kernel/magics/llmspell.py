"""`%llmspell`: the languages, the language of plain cells, what states there are, and ending one."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Coroutine, Sequence
from typing import Any

from ...configuration.rules import rows, written
from ...errors import ConfigError, Interrupted, SpellError, nearest
from ...render.text import clean_clipped
from ..frameless import stopped_task, without_frames

COMMANDS = ("states", "status", "tasks", "stop", "engines", "engine", "reset", "config", "budget", "policy")


def register(shell: Any, notebook: Any) -> None:
    def llmspell(line: str) -> Awaitable[None] | None:
        """Look after the notebook's script states.

        %llmspell states                 what states there are
        %llmspell status                 what each of them uses, against what it may
        %llmspell tasks                  what goes on in the background (`async.background`)
        %llmspell stop [ENGINE [NAME]]   end it: everywhere, in one language, or in one state
        %llmspell engines                the languages: magics, endings of files, features
        %llmspell engine                 the language of plain cells
        %llmspell engine NAME            from the next cell on, plain cells are in that language: an engine's, or python
        %llmspell reset ENGINE [NAME]    end a state: the next cell that names it gets a new one
        %llmspell budget                 what models were used, by cell, session and day, against their budgets
        %llmspell config                 every setting, and where it comes from
        %llmspell config KEY=VALUE ...   change settings of this notebook
        %llmspell policy                 what scripts may call and use, and the layers around them

        %llmspell record [FILE]          from now on, calls and answers are written to a cassette (FILE, the setting cassette, or beside the notebook)
        %llmspell replay [FILE]          from now on, calls are answered from it: no network, no key, no cost
        %llmspell replay auto [FILE]     ... and what is not on it is called, and added
        %llmspell record off             ends it; so does `replay off`
        %llmspell restart-state [ENGINE [NAME]] --to N     back to what a state was after cell N
        %llmspell fork NEW [ENGINE [NAME]] [--at N]        a second state that went through the same cells, up to N
        %llmspell save [FILE]            writes what the states went through to a file
        %llmspell resume [FILE]          makes them again, in this kernel or another one, without calling anything
        %llmspell trace [N]              the calls of a cell, or of all
        %llmspell cost [--by cell,model,day] [--csv FILE]  what models took
        %llmspell diff A B               two cells, or two journals, side by side
        """
        # not at the top: most kernels never need them
        from ..journal_commands import COMMANDS as OF_THE_JOURNAL

        def show(shown: Any) -> None:
            from ...render.shown import shown_bundle

            shell.display_pub.publish(shown_bundle(shown, "None"))

        try:
            words = shlex.split(line) or ["states"]
            command = OF_THE_JOURNAL.get(words[0])
            answer = _run(words, line, shell, notebook) if command is None else command(words[1:], notebook, show)
            return _begun(answer, notebook) if isinstance(answer, Coroutine) else None
        except SpellError as error:
            raise without_frames(error) from None

    shell.register_magic_function(llmspell, magic_kind="line", magic_name="llmspell")


def _begun(command: Coroutine[Any, Any, None], notebook: Any) -> Awaitable[None]:
    """Runs also where nobody waits for it."""

    async def shown() -> None:
        try:
            with notebook.stop_signal.taken():
                await command
        except Interrupted as error:
            raise stopped_task(error) from None
        except SpellError as error:
            raise without_frames(error) from None

    try:
        return asyncio.get_running_loop().create_task(shown())
    except RuntimeError:  # IPython in a terminal, where the transformed line awaits it
        return shown()


def _run(words: Sequence[str], line: str, shell: Any, notebook: Any) -> Coroutine[Any, Any, None] | None:
    match words:
        case ["budget"]:
            return _show_budget(notebook)
        case ["states"]:
            print(notebook)
        case ["status"]:
            _show_status(shell, notebook)
        case ["tasks"]:
            print(_tasks(notebook))
        case ["stop", *which] if len(which) <= 2:
            print(f"Stopping:\n{_tasks(notebook)}" if notebook.background else _tasks(notebook))
            notebook.stop(engine=which[0] if which else None, state=which[1] if len(which) > 1 else None)
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
        case ["config"]:
            print(_settings(notebook))
        case ["config", *pairs]:
            print("\n".join(notebook.configure(*pairs)))
        case ["policy"]:
            from ...configuration.policy_overview import text

            print(text(notebook.policy))
        case ["reset", *_]:
            raise ConfigError("%llmspell reset needs the language, and may have a state's name: %llmspell reset ENGINE [NAME]")
        case ["stop" | "engine" | "policy", *_]:
            raise ConfigError(f"'%llmspell {line}' has too many words; see %llmspell?")
        case [command, *_]:
            from ..journal_commands import COMMANDS as OF_THE_JOURNAL

            raise ConfigError(f"%llmspell has no such command: '{line}'{nearest(command, [*COMMANDS, *OF_THE_JOURNAL])}")
    return None


async def _show_budget(notebook: Any) -> None:
    from ...policy.budgets import table

    print(table(await notebook.session.budgets.report()))


def _tasks(notebook: Any) -> str:
    tasks = notebook.background
    return (
        "\n".join(f"{task.engine} '{task.state}': {clean_clipped(task.label, 200)}" for task in tasks)
        or "Nothing goes on in the background."
    )


def _settings(notebook: Any) -> str:
    found = [(row.key, written(row.value), str(row.origin)) for row in rows(notebook.settings)]
    widths = [max(len(row[column]) for row in found) for column in (0, 1)]
    return "\n".join(f"{key:<{widths[0]}}  {value:<{widths[1]}}  {origin}" for key, value, origin in found)


def _show_status(shell: Any, notebook: Any) -> None:
    from ...render.status import status_bundle

    shell.display_pub.publish(status_bundle(notebook.status()))


def _show_engines(shell: Any, notebook: Any) -> None:
    from ...engines._overview import overview
    from ...render.engines import engine_bundle
    from ...render.guard import published

    shell.display_pub.publish(published(engine_bundle(overview(notebook.engines)), {}).data)
