"""`%load_ext llmspell_kernel`: script cells in any IPython kernel or shell."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..configuration.sources import read_settings
from ..engines._registry import EngineRegistry, discover
from ..errors import ConfigError
from ..settings import PYTHON, Settings
from ..workers.spawn import WorkerProcess
from .entrance import Entrance, start_spare
from .magics import register_all
from .transform import await_commands, make_transformer


def load_ipython_extension(shell: Any) -> None:
    """Adds `%%lua` and `%%js` cells, the magics and the name `llmspell` to a shell.  Loading it again changes nothing."""
    if getattr(shell, "llmspell", None) is not None:
        return
    engines = discover()
    notebook = install(shell, default=PYTHON, engines=engines, spare=start_spare(engines))
    if getattr(shell, "Completer", None) is not None:
        from .matcher import make_matcher

        notebook.notebook.keeps_globals = True
        matcher, matchers = make_matcher(notebook), shell.Completer.custom_matchers
        matchers.append(matcher)
        notebook.added.append(lambda: matchers.remove(matcher))


def install(shell: Any, *, default: str, engines: EngineRegistry, spare: WorkerProcess | None) -> Entrance:
    """What the extension and our own kernel share; `default` is the language of cells without a magic."""
    notebook = Entrance(shell, lambda: _checked_settings(engines), default, engines, spare)
    shell.llmspell = notebook
    transformer, transformers = make_transformer(frozenset(notebook.magics), lambda: notebook.default), shell.input_transformers_cleanup
    # position 0: before IPython's own cell_magic takes the cell
    transformers.insert(0, transformer)
    notebook.added.append(lambda: transformers.remove(transformer))
    after = shell.input_transformers_post
    after.append(await_commands)
    notebook.added.append(lambda: after.remove(await_commands))
    notebook.added.append(_add_magics(shell, notebook))
    for names in (shell.user_ns, shell.user_ns_hidden):
        notebook.added.append(_add_name(names, "llmspell", notebook))
    atexit.register(notebook.close)
    notebook.added.append(lambda: atexit.unregister(notebook.close))
    return notebook


def settings_here(engines: EngineRegistry) -> Settings:
    """A kernel's working directory is its notebook's folder."""
    return read_settings(os.environ, Path.cwd(), engines)


def _checked_settings(engines: EngineRegistry) -> Settings:
    from ..spells.running import checked_settings  # with the session, at the first script cell

    return checked_settings(engines)


def plain_engine(engines: EngineRegistry) -> str:
    """The language of plain cells in our own kernel where its kernelspec leaves it open; Python while a settings file is wrong."""
    with suppress(ConfigError):  # told at the first script cell
        if (chosen := settings_here(engines).engine) not in ("", PYTHON):
            return engines.get(chosen).name
    return PYTHON


def unload_ipython_extension(shell: Any) -> None:
    """Ends every state, and takes away what loading added."""
    notebook: Entrance | None = getattr(shell, "llmspell", None)
    if notebook is None:
        return
    notebook.close()
    while notebook.added:
        notebook.added.pop()()
    del shell.llmspell


def _add_magics(shell: Any, notebook: Entrance) -> Callable[[], None]:
    """Registers our magics; returns what takes them away and gives back those that had their names."""
    magics: dict[str, dict[str, Any]] = shell.magics_manager.magics
    before = {kind: dict(named) for kind, named in magics.items()}
    register_all(shell, notebook)
    ours = {(kind, name): magic for kind, named in magics.items() for name, magic in named.items() if before[kind].get(name) is not magic}

    def remove() -> None:
        for (kind, name), magic in ours.items():
            if magics[kind].get(name) is not magic:
                continue  # the user's own by now
            del magics[kind][name]
            if name in before[kind]:
                magics[kind][name] = before[kind][name]

    return remove


def _add_name(names: dict[str, Any], name: str, value: object) -> Callable[[], None]:
    names[name] = value

    def remove() -> None:
        if names.get(name) is value:
            del names[name]

    return remove
