"""The commands of `%llmspell` that look after states, languages, settings and budgets."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from ..configuration.rules import amount, rows
from ..errors import ConfigError
from ..render.text import clean_clipped

LABEL_CHARS = 200
VALUE_CHARS = 20


def states(words: Sequence[str], notebook: Any, show: Callable[[Any], None]) -> None:
    print(notebook)


def status(words: Sequence[str], notebook: Any, show: Callable[[Any], None]) -> None:
    from ..render.status import status_bundle

    notebook.shell.display_pub.publish(status_bundle(notebook.status()))


def tasks(words: Sequence[str], notebook: Any, show: Callable[[Any], None]) -> None:
    print(_tasks(notebook))


def stop(words: Sequence[str], notebook: Any, show: Callable[[Any], None]) -> None:
    engine, state = (*words, None, None)[:2]
    if engine is not None:
        notebook.engines.get(engine)  # a wrong name is told alone
    print(f"Stopping:\n{_tasks(notebook)}" if notebook.background else _tasks(notebook))
    notebook.stop(engine=engine, state=state)


def engines(words: Sequence[str], notebook: Any, show: Callable[[Any], None]) -> None:
    from ..engines._overview import overview
    from ..render.engines import engine_bundle
    from ..render.guard import published

    notebook.shell.display_pub.publish(published(engine_bundle(overview(notebook.engines)), {}).data)


def engine(words: Sequence[str], notebook: Any, show: Callable[[Any], None]) -> None:
    if words:
        notebook.set_default(words[0])
        print(f"From the next cell on, plain cells are {notebook.default_title}.")
    else:
        print(f"Plain cells are {notebook.default_title}.")


def reset(words: Sequence[str], notebook: Any, show: Callable[[Any], None]) -> None:
    if not words:
        raise ConfigError("%llmspell reset needs the language, and may have a state's name: %llmspell reset ENGINE [NAME]")
    name, state = (*words, "main")[:2]
    notebook.reset_soon(state, name)
    print(f"The {notebook.engines.get(name).name} state '{state}' is gone; the next cell starts a new one.")


async def budget(words: Sequence[str], notebook: Any, show: Callable[[Any], None]) -> None:
    from ..policy.budgets import table

    print(table(await notebook.session.budgets.report()))


def config(words: Sequence[str], notebook: Any, show: Callable[[Any], None]) -> None:
    print("\n".join(notebook.configure(*words)) if words else _settings(notebook))
    for line in notebook.session.unmet_rules() if words else ():
        print(line, file=sys.stderr)


def policy(words: Sequence[str], notebook: Any, show: Callable[[Any], None]) -> None:
    from ..configuration.policy_overview import text

    print(text(notebook.policy))


def _tasks(notebook: Any) -> str:
    found = [f"{task.engine} '{task.state}': {clean_clipped(task.label, LABEL_CHARS)}" for task in notebook.background]
    return "\n".join(found) or "Nothing goes on in the background."


def _settings(notebook: Any) -> str:
    found = [(row.key, amount(row.key, row.value), str(row.origin)) for row in rows(notebook.settings)]
    # one long list must not push every origin out of the screen
    widths = [max(len(row[0]) for row in found), min(VALUE_CHARS, max(len(row[1]) for row in found))]
    return "\n".join(f"{key:<{widths[0]}}  {value:<{widths[1]}}  {origin}" for key, value, origin in found)
