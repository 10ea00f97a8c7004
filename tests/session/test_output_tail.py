"""Of output over a cell's limit, the end is kept."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell_kernel.session.output_tail import TAIL_BYTES, OutputTail

from .world import ENGINES, LIMITS, world

COUNT = {"lua": "for i = 1, 20000 do print('line ' .. i) end", "javascript": "for (let i = 1; i <= 20000; i++) console.log('line ' + i)"}
THEN = {"lua": " error('on purpose')", "javascript": "; throw new Error('on purpose')"}
LATER = {
    "lua": "async.background(function() timer.sleep(0.01) for i = 1, 20000 do print('later ' .. i) end end)",
    "javascript": "async.background(async () => { await timer.sleep(0.01); for (let i = 1; i <= 20000; i++) console.log('later ' + i) }); 0",
}


@given(st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.binary(max_size=3 * TAIL_BYTES)), max_size=8))
def test_what_is_kept_and_what_is_left_out_are_together_all_that_was_added(pieces: list[tuple[str, bytes]]) -> None:
    tail = OutputTail(10 * TAIL_BYTES)
    for stream, data in pieces:
        tail.add(stream, data.replace(b"\xff", b"").decode("latin-1").encode("ascii", "replace"))
    total = sum(len(data.replace(b"\xff", b"")) for _, data in pieces)
    taken = tail.take()
    assert tail.left_out + sum(len(text) for _, text in taken) == total
    assert sum(len(text) for _, text in taken) <= TAIL_BYTES
    assert tail.take() == []


def test_it_begins_with_a_whole_line_and_knows_its_stream() -> None:
    tail = OutputTail(10 * TAIL_BYTES)
    tail.add("stdout", b"x" * TAIL_BYTES + b"\nlast\n")
    tail.add("stderr", b"oops\n")
    assert tail.take() == [("stdout", "last\n"), ("stderr", "oops\n")]


def test_a_character_cut_in_two_is_not_shown() -> None:
    tail = OutputTail(10 * TAIL_BYTES)
    tail.add("stdout", "ä".encode() * TAIL_BYTES + b".")
    ((_, text),) = tail.take()
    assert set(text) == {"ä", "."}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("fails", [False, True], ids=["ends well", "fails"])
def test_a_cells_last_lines_are_shown_however_it_ends(engine: str, fails: bool) -> None:
    async def play() -> None:
        async with world(limits=LIMITS._replace(output_bytes=100_000)) as made:
            outcome = await made.session.run(COUNT[engine] + (THEN[engine] if fails else ""), engine=engine)
            assert (outcome.error is not None) is fails
            lines = made.sink.text("stdout").splitlines()
            assert lines[-1] == "line 20000" and lines[0] == "line 1"
            assert 100_000 < len(made.sink.text("stdout")) <= 100_000 + TAIL_BYTES
            notices = made.sink.text("stderr").split("\n")
            assert notices[1] == "[output over 100000 bytes is not shown, but for its end]" and "bytes left out]" in notices[2]
            assert str(outcome.output) == made.sink.text("stdout")[:100_000] + "\n".join(notices) + made.sink.text("stdout")[100_000:]

    asyncio.run(play())


@pytest.mark.parametrize("engine", ENGINES)
def test_the_last_lines_of_background_work_are_shown_too(engine: str) -> None:
    async def play() -> None:
        async with world(limits=LIMITS._replace(output_bytes=1_000)) as made, asyncio.timeout(20):
            await made.session.run(LATER[engine], engine=engine)
            await made.session.background_ended()
            assert made.sink.text("stdout").splitlines()[-1] == "later 20000"

    asyncio.run(play())


def test_output_that_fits_is_untouched() -> None:
    async def play() -> Any:
        async with world(limits=LIMITS._replace(output_bytes=6)) as made:
            await made.session.run("print('12345')", engine="lua")
            return made.sink.got

    assert asyncio.run(play()) == [("stdout", "12345\n")]
