"""Large answers are written in the thread for them, one at a time, and what they hold is closed where nobody gets it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.session import Session, call_answers
from llmspell_kernel.session.large_values import LARGE_ITEMS, apart, by_items, has_many_items
from llmspell_kernel.values import Value, dumps_plain

from .world import ENGINES, Probe, Ticker

MANY = [0] * (LARGE_ITEMS + 1)


@pytest.mark.parametrize(
    ("value", "many"),
    [
        (None, False),
        ("x" * 100_000, False),
        ([0] * LARGE_ITEMS, False),
        (MANY, True),
        ([[0] * 100] * 100, True),
        ({str(at): at for at in range(LARGE_ITEMS + 1)}, True),
        ({"a": [{"b": MANY}]}, True),
        ({"a": [{"b": [1, 2, 3]}]}, False),
    ],
)
def test_a_value_has_many_items_wherever_they_are(value: Value, many: bool) -> None:
    assert has_many_items(value) is many


def test_what_holds_itself_or_is_nested_without_end_is_looked_at_no_further() -> None:
    itself: list[Any] = []
    itself.append(itself)
    assert not has_many_items(itself)
    itself *= 2
    assert has_many_items(itself)


@pytest.mark.parametrize(("value", "is_apart"), [(MANY, True), ([1, 2], False)])
def test_a_value_of_many_items_is_worked_on_apart_and_a_small_one_at_once(value: Value, is_apart: bool) -> None:
    thread = asyncio.run(by_items(value, lambda _: threading.get_ident()))
    assert (thread != threading.get_ident()) is is_apart


@pytest.mark.parametrize("engine", ENGINES)
def test_a_large_answer_is_written_outside_the_event_loop(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    def spied(value: Value) -> bytes | None:
        threads.append(threading.get_ident())
        return dumps_plain(value)

    async def play() -> None:
        probe = Probe()
        probe.answer = MANY
        async with Session(bridges=[probe], folder=tmp_path) as session:
            monkeypatch.setattr(call_answers, "dumps_plain", spied)
            result = await session.run({"lua": "#probe.give()", "javascript": "(await probe.give()).length"}[engine], engine=engine)
            assert result.error is None and result.values == [len(MANY)]
        assert threads and threading.get_ident() not in threads

    asyncio.run(play())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_thing_in_a_large_answer_is_closed_where_the_cell_stops_while_it_is_written(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        probe, writes, free = Probe(), asyncio.Event(), threading.Event()
        ticker = Ticker(probe, 1)
        probe.answer = [*MANY, ticker]

        async def told(value: Value, function: Any) -> Any:
            writes.set()
            return await by_items(value, function)

        async with Session(bridges=[probe], folder=tmp_path) as session:
            monkeypatch.setattr(call_answers, "by_items", told)
            busy = asyncio.create_task(apart(free.wait))
            try:
                cell = asyncio.create_task(session.run({"lua": "probe.give()", "javascript": "await probe.give()"}[engine], engine=engine))
                await writes.wait()
                session.interrupt()
                result = await cell
            finally:
                free.set()
            await busy
            assert result.error is not None and result.error.code == "interrupted"
            assert ticker.released == 1

    asyncio.run(play())
