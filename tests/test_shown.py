"""The size of what is to be shown is known before it is rendered."""

import pytest

from llmspell_kernel.errors import ValueCrossingError
from llmspell_kernel.shown import Data, Markdown, Matrix, Progress, Shown, Table, Tree, measured


@pytest.mark.parametrize(
    ("shown", "size"),
    [
        (Data("x" * 98), 100),
        (Data("x" * 98, "title"), 105),
        (Tree([1, 2], "é"), 7),
        (Matrix(["é"], [[1]], [[0.5]], "t"), 8),
        (Table([[1]], ["a", "bc"], "t"), 9),
        (Markdown("日本"), 6),
        (Progress(1, 1, 2, "label", "text"), 9),
    ],
)
def test_every_part_counts(shown: Shown, size: int) -> None:
    assert measured(shown) == (shown, size)


def test_what_no_script_can_hold_is_refused() -> None:
    with pytest.raises(ValueCrossingError):
        measured(Data(object()))
