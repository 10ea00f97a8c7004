"""Output in the smallest of pieces costs the host no more than in large ones."""

from __future__ import annotations

import asyncio

from llmspell_kernel.session.result import MAX_PIECES, KeptOutput
from llmspell_kernel.session.sink import NullSink

from ..session.world import world


def test_a_stream_that_changes_with_each_letter_is_kept_in_a_limited_number_of_pieces() -> None:
    kept = KeptOutput(NullSink())
    for _ in range(MAX_PIECES):
        kept.write("stdout", "a")
        kept.write("stderr", "b")
    output = kept.output()
    assert len(output) == MAX_PIECES
    assert output.stdout == "a" * MAX_PIECES
    assert output.stderr == "b" * MAX_PIECES


def test_what_comes_late_from_a_stream_that_was_silent_is_kept() -> None:
    kept = KeptOutput(NullSink())
    for _ in range(2 * MAX_PIECES):
        kept.write("stdout", "a")
    kept.write("stderr", "b")
    kept.write("stdout", "c")
    assert kept.output().stderr == "b"


def test_a_script_that_changes_streams_with_each_letter_keeps_all_it_printed() -> None:
    async def run() -> None:
        async with world() as made, asyncio.timeout(30):
            code = "for (let i = 0; i < 20000; i++) { console.log(''); console.error(''); }"
            output = (await made.session.run(code, engine="javascript")).output
            assert len(output) == MAX_PIECES
            assert output.stdout == output.stderr == "\n" * 20000

    asyncio.run(run())
