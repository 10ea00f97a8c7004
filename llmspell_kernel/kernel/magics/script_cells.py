"""`%%lua`, `%%js`, `%%javascript`: registered for %lsmagic, completion and help; the input transformer runs such cells before IPython sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import ConfigError


def register(shell: Any, notebook: Any) -> None:
    for engine in notebook.engines:
        for name in engine.names:
            shell.register_magic_function(_explain(name, engine.title), magic_kind="cell", magic_name=name)


def _explain(name: str, engine: str) -> Callable[[str, str], None]:
    def script_cell(line: str, cell: str) -> None:
        raise ConfigError(f"%%{name} must be the first line of a cell, with nothing but empty lines above it")

    script_cell.__doc__ = f"""Run the cell as a {engine} script in a sandboxed state that lives as long as the notebook.

    %%{name} [--state NAME] [--in A,B] [--out A,B:TYPE] [--module NAME] [--allow ...] [--deny ...]

    --state NAME   another world of the same language (default: main)
    --in A,B       give the Python variables A and B to the script, as globals; a frame is a list of records, a data class an object
    --out A,B      take the script's globals A and B as Python variables afterwards
    --out A:TYPE   ... and make A a TYPE: pandas, polars or numpy (imported before), datetime, Decimal, ... or a class of the notebook,
                   such as a data class; of a list of records, each is made one
    --module NAME  do not run the cell: register it as a module, which scripts load with require("NAME")
    --allow A,B    from this cell on, the state may call nothing but A and B (`llm.*` for all of a bridge), as far as it may now
    --deny A,B     from this cell on, the state may not call A and B
    """
    return script_cell
