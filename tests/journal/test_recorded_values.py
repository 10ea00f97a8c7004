"""Answers that no recording holds are refused where they are read, with their line; what one may hold is played in every language."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from llmspell_kernel.errors import LoadError
from llmspell_kernel.journal.canonical import canonical
from llmspell_kernel.journal.cassette import read
from llmspell_kernel.journal.checked_lines import with_sum
from llmspell_kernel.session import ExecutionResult, Session
from llmspell_kernel.settings import Settings
from llmspell_kernel.values import EMPTY_TABLE, INT_MAX, INT_MIN, Callback, Opaque, ResourceRef, Value, dumps

from ..session.world import ENGINES

LOOK = {"lua": "local found = llm.chat('hi') return true", "javascript": "await llm.chat('hi'); true"}


def cassette(answer: bytes, *, clock_s: str = "5.0", more: bytes = b"") -> bytes:
    call = b'{"call":"llm.chat","arguments":["hi"],"answer":' + answer + more + b"}"
    return with_sum(b'{"llmspell_cassette":1,"clock_s":%s}' % clock_s.encode()) + with_sum(call)


def replayed(file: Path, engine: str, code: str) -> ExecutionResult:
    async def run() -> ExecutionResult:
        async with Session(settings=Settings(model="spell/echo")) as session:
            session.tape("replay", file)
            return await session.run(code, engine=engine)

    return asyncio.run(run())


@pytest.mark.parametrize(
    "answer",
    [
        b'{"$":["f",1]}',
        b'{"a":[{"$":["f",7]}]}',
        b'{"$":["f",true]}',
        b'{"$":["r",1,"llm.stream"]}',
        b'{"\\u0024":["r",1,"llm.stream"]}',
        b'{"$":["r","llm.stream"],"more":1}',
        b"1" + b"0" * 30,
        b"[-1" + b"0" * 400 + b"]",
        b"9223372036854775808",
        b'{"$":["o",{"$":18446744073709551616}]}',
        b'{"$":["o",{"a":1}]}',
        b'{"$":["i","99999999999999999999"]}',
        b'{"$":["i","x"]}',
        b'{"$":["b","!"]}',
        b'{"$":["n","7"]}',
        b'{"$":["q"]}',
        b'{"$":[]}',
        b'{"$":1}',
    ],
)
@pytest.mark.parametrize("place", ["answer", "invoked"])
def test_what_no_recording_holds_is_refused_with_its_line(answer: bytes, place: str) -> None:
    text = cassette(answer) if place == "answer" else cassette(b"1", more=b',"invoked":[["",0,[%s]]]' % answer)
    with pytest.raises(LoadError, match="is no recorded call: ") as caught:
        read(text, "n.cassette.jsonl")
    assert (caught.value.file, caught.value.line) == ("n.cassette.jsonl", 2)


@pytest.mark.parametrize("value", ["1e308", "253402300800", "-1", "-1e308"])
def test_times_that_no_clock_shows_are_refused_with_their_line(value: str) -> None:
    with pytest.raises(LoadError) as caught:
        read(cassette(b"1", clock_s=value), "n")
    assert caught.value.line == 1
    with pytest.raises(LoadError) as caught:
        read(cassette(b"1", more=b',"passed_s":%s' % value.encode()), "n")
    assert caught.value.line == 2


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "answer",
    [
        b'{"$":["x","t"]}',
        b'[{"$":["e"]}]',
        b'{"$":["r","llm.stream"]}',
        b'{"$":["o",{"$":1}]}',
        b'{"$":["i","9223372036854775807"]}',
        b"-9223372036854775808",
    ],
)
def test_what_one_may_hold_is_played(engine: str, answer: bytes, tmp_path: Path) -> None:
    file = tmp_path / "n.cassette.jsonl"
    file.write_bytes(cassette(answer))
    result = replayed(file, engine, LOOK[engine])
    assert (result.values, result.error) == ([True], None)


@pytest.mark.parametrize("engine", ENGINES)
def test_clocks_of_a_replay_go_on_from_the_last_time_there_is(engine: str, tmp_path: Path) -> None:
    file = tmp_path / "n.cassette.jsonl"
    file.write_bytes(cassette(b"1", clock_s="253402300799", more=b',"passed_s":253402300799'))
    code = {"lua": "llm.chat('hi') return os.time()", "javascript": "await llm.chat('hi'); Math.floor(Date.now() / 1000)"}
    result = replayed(file, engine, code[engine])
    assert result.error is None and 2 * 253402300799 <= result.values[0] < 2 * 253402300799 + 5


HELD = some.recursive(
    some.none()
    | some.booleans()
    | some.integers(INT_MIN, INT_MAX)
    | some.floats()
    | some.text(some.characters(codec="utf-8"), max_size=5)
    | some.binary(max_size=5)
    | some.builds(Callback, some.integers(0, 9))
    | some.builds(ResourceRef, some.integers(0, 9), some.just("llm.stream"))
    | some.builds(Opaque, some.just("a symbol"))
    | some.just(EMPTY_TABLE),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.sampled_from(["$", "a", "b"]), inner, max_size=3),
    max_leaves=8,
)


@given(HELD)
def test_whatever_a_host_answers_is_read_from_its_recording(value: Value) -> None:
    assert read(cassette(canonical(dumps(value))), "n").entries
