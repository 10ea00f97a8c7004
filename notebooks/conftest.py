"""`pytest --nbval` runs each tutorial as its saved outputs were made: from the cassette beside it, so without a model, a network or a key."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llmspell_kernel.kernel.cassettes import NOTEBOOK_VARIABLE
from llmspell_kernel.settings import CASSETTE_ENDING

PLAIN = {"LLMSPELL_DISPLAY": "static", "LLMSPELL_MODEL": "spell/echo", "LLMSPELL_JOURNAL": "off"}
"""For a tutorial that has no cassette of its own, as it shows how one is recorded."""
REPLAYED = {"LLMSPELL_DISPLAY": "static", "LLMSPELL_MODEL": "spell/local", "LLMSPELL_JOURNAL": "replay"}


def environment_of(notebook: Path) -> dict[str, str]:
    cassette = notebook.with_suffix(CASSETTE_ENDING)
    return {NOTEBOOK_VARIABLE: str(notebook), **(REPLAYED if cassette.exists() else PLAIN)}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before nbval starts the kernel of a notebook's first cell."""
    if item.path.suffix == ".ipynb":
        os.environ.update(environment_of(item.path))
