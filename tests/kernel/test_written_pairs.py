"""Settings typed after `%llmspell config` reach the rules as they are written."""

from __future__ import annotations

import pytest

from llmspell_kernel.configuration.rules import apply, entry_of
from llmspell_kernel.kernel.written_pairs import pairs
from llmspell_kernel.settings import Origin, Settings


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("", []),
        ("seed=1  display=static ", ["seed=1", "display=static"]),
        ('grants.ask=["storage.*"]', ['grants.ask=["storage.*"]']),
        ('grants.ask=["storage.*", "http.*"] seed=1', ['grants.ask=["storage.*", "http.*"]', "seed=1"]),
        ("grants.ask=['storage.*', 'a]b'] seed=1", ["grants.ask=['storage.*', 'a]b']", "seed=1"]),
        ("""grants.ask='["storage.*"]'""", ['grants.ask=["storage.*"]']),
        ("""'grants.ask=["storage.*"]' seed=1""", ['grants.ask=["storage.*"]', "seed=1"]),
        ('"seed=1"', ["seed=1"]),
        ('init.lua="my own.lua"', ['init.lua="my own.lua"']),
        (r'init.lua="a\" b"', [r'init.lua="a\" b"']),
        ('secrets.T={env = "T", hosts = ["a.b"]} seed=1', ['secrets.T={env = "T", hosts = ["a.b"]}', "seed=1"]),
    ],
)
def test_a_line_is_cut_into_pairs_and_the_quotes_of_a_value_stay(line: str, found: list[str]) -> None:
    assert pairs(line) == found


@pytest.mark.parametrize("line", ['seed="1', "seed='1", r'seed="1\"'])
def test_a_quotation_mark_without_its_other_one_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="closing quotation"):
        pairs(line)


@pytest.mark.parametrize("written", ['["storage.*", "http.*"]', "['storage.*', 'http.*']", """'["storage.*", "http.*"]'"""])
def test_a_list_as_the_error_recommends_it_is_taken(written: str) -> None:
    layer = [entry_of(pair, Origin("%llmspell config")) for pair in pairs(f"grants.ask={written} model=spell/echo")]
    settings = apply(Settings(), layer, engines=["lua"])
    assert (settings.ask, settings.model) == (("storage.*", "http.*"), "spell/echo")
