"""The table of attacks in docs/security.md: what it says of plain lupa and of us is what happens, and what it says of others has its source."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest

from llmspell_kernel.session import Session

from . import compare
from .compare import Attack, Outcome, against_lupa, read, sources

ATTACKS = {attack.name: attack for attack in read()}
PAGE = Path(compare.PAGE).read_text("utf-8").partition(compare.HEAD)[2].partition(compare.END)[0]


def row_of(attack: Attack) -> list[str]:
    (line,) = (line for line in PAGE.splitlines() if line.startswith(f"| {attack.title} |"))
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_comes_to_nothing_with_us(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compare.VARIABLE, compare.SECRET)
    outcome = asyncio.run(compare.against_us(ATTACKS[name]))
    assert outcome.harm == ""
    assert row_of(ATTACKS[name])[4] == str(outcome)


@pytest.mark.parametrize("name", ATTACKS)
def test_what_plain_lupa_does_is_what_the_page_says(name: str) -> None:
    assert row_of(ATTACKS[name])[3] == str(against_lupa(ATTACKS[name]))


def test_what_is_said_of_others_is_cited_or_unknown() -> None:
    used: set[str] = set()
    for attack in ATTACKS.values():
        for text, cell in zip((attack.go, attack.rs), row_of(attack)[1:3], strict=True):
            assert cell == (f"cited: {text}" if text else "unknown")
            names = set(re.findall(r"\[([a-z-]+)\]", text))
            assert names <= sources().keys() and bool(names) == bool(text), attack.name
            used |= names
    assert used | {"rs-javascript"} == set(sources())


def test_every_source_is_linked_at_a_fixed_version() -> None:
    for name, address in sources().items():
        assert f"[{name}]: {address}" in PAGE
        assert re.search(r"/blob/[0-9a-f]{40}/|docs\.rs/\w+/\d", address), address


HARMFUL = {
    "the secret is told": Attack("x", "", "return '@SECRET@'", "", "", "", ""),
    "it is reached": Attack("x", "", "return '@REACHED@'", "", "", "", ""),
}


@pytest.mark.parametrize("harm", HARMFUL)
def test_the_oracle_sees_harm_that_is_done(harm: str) -> None:
    assert asyncio.run(compare.against_us(HARMFUL[harm])) == Outcome(harm, "it comes to nothing")


def test_the_oracle_sees_a_file_that_was_made(tmp_path: Path) -> None:
    place = compare.Place(tmp_path)
    assert compare.harm_of(place, "", 0, 0) == ""
    place.made.touch()
    assert compare.harm_of(place, "", 0, 0) == "it is done"


def test_the_oracle_sees_memory_and_output_without_end(tmp_path: Path) -> None:
    place = compare.Place(tmp_path)
    assert compare.harm_of(place, "", compare.MUCH_MEMORY + 1, 0) == "the memory grows far over its cap"
    assert compare.harm_of(place, "", 0, compare.MUCH_OUTPUT + 1) == "all of it is printed"


def test_a_runtime_with_the_key_in_its_environment_is_what_is_attacked() -> None:
    """Else reading it would come to nothing for want of a key."""
    assert compare.VARIABLE not in os.environ
    assert "secret" in str(against_lupa(ATTACKS["read-the-environment"]))


def test_a_state_of_ours_that_is_attacked_has_what_the_attacks_use() -> None:
    async def play() -> object:
        async with Session() as session:
            for function in (compare.lines, compare.blob):
                session.expose(function)
            return (await session.run("return host.lines(), #host.blob()")).values

    assert asyncio.run(play()) == [["one"], 1_000_000]
