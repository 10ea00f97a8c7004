"""`%%lua`, `%%js`, `%%javascript`: registered for %lsmagic, completion and help; the input transformer runs such cells before IPython sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import ConfigError
from ..cell_options import OPTIONS
from ..written_help import two_columns


def register(shell: Any, notebook: Any) -> None:
    for engine in notebook.engines:
        for name in engine.names:
            shell.register_magic_function(_explain(name, engine.title), magic_kind="cell", magic_name=name)


def _explain(name: str, engine: str) -> Callable[[str, str], None]:
    def script_cell(line: str, cell: str) -> None:
        raise ConfigError(f"%%{name} must be the first line of a cell, with nothing but empty lines above it")

    rows = ((f"{option.name} {option.value}", option.what) for option in OPTIONS)
    script_cell.__doc__ = "\n".join(
        [
            f"Run the cell as a {engine} script in a sandboxed state that lives as long as the notebook.",
            "",
            f"%%{name} [OPTIONS]",
            "",
            *two_columns(rows),
        ]
    )
    return script_cell
