"""What `--in` says of a variable that cannot be given."""

from __future__ import annotations

import pytest

from llmspell_kernel.errors import ConfigError
from llmspell_kernel.kernel.variables import given


def double(number: int) -> int:
    return 2 * number


def test_a_function_points_to_what_makes_it_callable() -> None:
    with pytest.raises(ConfigError, match=r"--in double: .*; @llmspell\.expose makes a function callable from scripts$"):
        given(["double"], {"double": double})


def test_the_known_names_are_the_authors_own() -> None:
    namespace = {"In": [], "Out": {}, "get_ipython": double, "exit": 1, "quit": 1, "_": 1, "rows": [], "total": 1}
    with pytest.raises(ConfigError, match="there is no Python variable 'nope'; known: rows, total$"):
        given(["nope"], namespace)
