"""What `make nbval` runs the tutorials from."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmspell_kernel.journal.cassette import text_of
from llmspell_kernel.journal.cassette_file import load_cassette
from llmspell_kernel.settings import CASSETTE_ENDING

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
RECORDS_ITSELF = {"03-again-tomorrow"}
TUTORIALS = sorted(file for file in NOTEBOOKS.glob("*.ipynb") if file.stem not in RECORDS_ITSELF)
MOST_BYTES = 200_000


@pytest.mark.parametrize("notebook", TUTORIALS, ids=lambda file: file.stem)
def test_a_tutorial_has_a_small_cassette_that_the_same_answers_would_leave_as_it_is(notebook: Path) -> None:
    file = notebook.with_suffix(CASSETTE_ENDING)
    assert file.stat().st_size < MOST_BYTES
    found = load_cassette(file)
    assert found.entries
    assert text_of(*found) == file.read_bytes()
