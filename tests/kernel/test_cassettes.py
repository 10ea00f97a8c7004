"""The names of a notebook's files, where nobody says what the notebook is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmspell_kernel.errors import ConfigError
from llmspell_kernel.kernel.cassettes import cassette_of, states_file_of


@pytest.mark.parametrize(("mode", "command"), [("record", "record"), ("replay", "replay"), ("auto", "replay auto")])
def test_who_must_name_a_file_is_told_the_command_that_does(mode: str, command: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"name the file, as in %llmspell {command} notes\.cassette\.jsonl$"):
        cassette_of("", {}, tmp_path, mode)
    with pytest.raises(ConfigError, match=r"name the file, as in %llmspell save notes\.states\.jsonl$"):
        states_file_of("", {}, tmp_path)


def test_a_wrong_ending_is_told_without_a_word_of_what_is_not_done_to_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must end with \.cassette\.jsonl, and 'foo\.txt' does not$"):
        cassette_of("foo.txt", {}, tmp_path, "replay")
    with pytest.raises(ConfigError, match=r"must end with \.states\.jsonl, and 'foo\.txt' does not$"):
        states_file_of("foo.txt", {}, tmp_path)
