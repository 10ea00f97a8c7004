"""`pytest --nbval` runs each tutorial as its saved outputs were made: from the cassette beside it, so without a model, a network or a key."""

from __future__ import annotations

import os
from pathlib import Path

import nbval.plugin
import pytest
from nbval.kernel import RunningKernel

from llmspell_kernel.kernel.cassettes import NOTEBOOK_VARIABLE
from llmspell_kernel.settings import CASSETTE_ENDING

PLAIN = {"LLMSPELL_DISPLAY": "static", "LLMSPELL_MODEL": "spell/echo", "LLMSPELL_JOURNAL": "off"}
"""For a tutorial that has no cassette of its own, as it shows how one is recorded."""
REPLAYED = {"LLMSPELL_DISPLAY": "static", "LLMSPELL_MODEL": "spell/local", "LLMSPELL_JOURNAL": "replay"}


class NumberedCells(RunningKernel):  # type: ignore[misc]
    """Cells get their numbers as in a notebook: nbval asks for none, and `%llmspell fork NAME --at 15` would have nothing to go by."""

    def execute_cell_input(self, cell_input: str, allow_stdin: bool | None = None) -> str:
        return str(self.kc.execute(cell_input, store_history=True, allow_stdin=allow_stdin, stop_on_error=False))


def environment_of(notebook: Path) -> dict[str, str]:
    cassette = notebook.with_suffix(CASSETTE_ENDING)
    return {NOTEBOOK_VARIABLE: str(notebook), **(REPLAYED if cassette.exists() else PLAIN)}


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    nbval.plugin.RunningKernel = NumberedCells
    if config.getoption("nbval", default=False) and not config.getoption("nbval_sanitize_with"):
        config.option.nbval_sanitize_with = str(Path(__file__).with_name("differs.cfg"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before nbval starts the kernel of a notebook's first cell."""
    if item.path.suffix == ".ipynb":
        os.environ.update(environment_of(item.path))
