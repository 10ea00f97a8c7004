"""`%load_ext llmspell_kernel`: script cells in any IPython kernel or shell."""

from __future__ import annotations

import atexit
import os
from typing import Any

from ..engines._registry import EngineRegistry, discover
from ..settings import from_environment
from ..workers.spawn import WorkerProcess
from .cells import PYTHON
from .entrance import Entrance, start_spare
from .magics import register_all
from .transform import make_transformer

MARK = "transform_script_cell"


def load_ipython_extension(shell: Any) -> None:
    """Adds `%%lua` and `%%js` cells, the magics and the name `llmspell` to a shell.  Loading it again changes nothing."""
    if getattr(shell, "llmspell", None) is not None:
        return
    engines = discover()
    notebook = install(shell, default=PYTHON, engines=engines, spare=start_spare(engines))
    if getattr(shell, "Completer", None) is not None:
        from .matcher import make_matcher

        notebook.notebook.keeps_globals = True
        shell.Completer.custom_matchers.append(make_matcher(notebook))


def install(shell: Any, *, default: str, engines: EngineRegistry, spare: WorkerProcess | None) -> Entrance:
    """What the extension and our own kernel share; `default` is the language of cells without a magic."""
    notebook = Entrance(shell, from_environment(os.environ), default, engines, spare)
    shell.llmspell = notebook
    # position 0: before IPython's own cell_magic takes the cell
    shell.input_transformers_cleanup.insert(0, make_transformer(frozenset(notebook.magics), lambda: notebook.default))
    register_all(shell, notebook)
    shell.user_ns["llmspell"] = notebook
    shell.user_ns_hidden["llmspell"] = notebook
    atexit.register(notebook.close)
    return notebook


def unload_ipython_extension(shell: Any) -> None:
    """Ends every state, and takes away what loading added."""
    notebook: Entrance | None = getattr(shell, "llmspell", None)
    if notebook is None:
        return
    notebook.close()
    shell.input_transformers_cleanup[:] = [each for each in shell.input_transformers_cleanup if getattr(each, "__name__", "") != MARK]
    for name in notebook.magics:
        shell.magics_manager.magics["cell"].pop(name, None)
    shell.user_ns.pop("llmspell", None)
    del shell.llmspell
