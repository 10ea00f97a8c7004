"""Recording and replaying the calls of cells, with real workers in every language."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel import ApprovalRequest, Bridge, Context, method
from llmspell_kernel.errors import BridgeError, ConfigError, Interrupted, LoadError, SpellError
from llmspell_kernel.journal import cassette_file
from llmspell_kernel.journal.cassette import Used, text_of
from llmspell_kernel.journal.cassette_file import load_cassette
from llmspell_kernel.journal.event_file import journals_in, load_events
from llmspell_kernel.journal.events import CallChunk, CallFailed, CallUsage, CellStarted
from llmspell_kernel.policy.decide import Grants
from llmspell_kernel.session import ExecutionResult, Session
from llmspell_kernel.session.taping import MODES, Mode
from llmspell_kernel.settings import Settings
from llmspell_kernel.values import Callback, Value

from .world import ENGINES, Recording


class Counted(Bridge):
    """Calls that can be counted."""

    name = "counted"

    def __init__(self) -> None:
        self.calls: list[Any] = []

    @method
    async def number(self, ctx: Context, key: str = "") -> int:
        """A number that no other call has got."""
        self.calls.append(key)
        return len(self.calls)

    @method
    async def fails(self, ctx: Context) -> None:
        """Fails."""
        self.calls.append("fails")
        raise BridgeError("the world is gone", retryable=True, code="gone")

    @method
    async def each(self, ctx: Context, count: int, function: Callback) -> list[int]:
        """Calls a function with 1, 2, 3 ..."""
        self.calls.append("each")
        return [await ctx.invoke(function, number, as_type=int) for number in range(1, count + 1)]

    @method
    async def take(self, ctx: Context, value: Value) -> int:
        """Takes anything."""
        self.calls.append("take")
        return len(self.calls)

    @method
    async def later(self, ctx: Context, seconds: float, text: str) -> str:
        """A text, after a while."""
        await asyncio.sleep(seconds)
        self.calls.append(text)
        return text


class Played:
    """Cells that were run in one session."""

    def __init__(self, results: list[ExecutionResult], bridge: Counted, session: Session, printed: str) -> None:
        self.values = [result.values for result in results]
        self.errors = [result.error for result in results]
        self.calls = bridge.calls
        self.events = list(session.recorder)
        self.printed = printed


def play(mode: Mode | None, file: Path, engine: str, *cells: str, **more: Any) -> Played:
    async def run() -> Played:
        bridge, sink = Counted(), Recording()
        async with Session(bridges=[bridge], settings=Settings(model="spell/echo"), sink=sink, **more) as session:
            if mode is not None:
                session.tape(mode, file)
            results = [await session.run(cell, engine=engine) for cell in cells]
        return Played(results, bridge, session, sink.text("stdout"))

    return asyncio.run(run())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "n.cassette.jsonl"


SEVERAL = {
    "lua": [
        "a = counted.number('x') + counted.number('x') * 10; return a, counted.number('y')",
        "local ok, err = pcall(counted.fails); return ok, err.code, err.retryable, err.message",
        "local got = {}; for piece in llm.stream('one two') do got[#got + 1] = piece end; return got, llm.chat('hi')",
        "return counted.each(3, function(n) return n * counted.number('in') end)",
        "print('printed'); log.info('said'); return a",
    ],
    "javascript": [
        "a = await counted.number('x') + await counted.number('x') * 10; [a, await counted.number('y')]",
        "try { await counted.fails() } catch (err) { [err.code, err.retryable, err.message] }",
        "got = []; for await (const piece of llm.stream('one two')) got.push(piece); [got, await llm.chat('hi')]",
        "await counted.each(3, async n => n * await counted.number('in'))",
        "console.log('printed'); await log.info('said'); a",
    ],
}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_replay_gives_the_same_and_reaches_no_bridge(file: Path, engine: str) -> None:
    recorded = play("record", file, engine, *SEVERAL[engine])
    assert recorded.errors == [None] * len(recorded.errors) and recorded.calls
    replayed = play("replay", file, engine, *SEVERAL[engine])
    assert (replayed.values, replayed.errors, replayed.printed) == (recorded.values, recorded.errors, recorded.printed)
    assert replayed.calls == []


@pytest.mark.parametrize("engine", ENGINES)
def test_recording_the_same_answers_again_changes_no_byte(file: Path, engine: str) -> None:
    play("record", file, engine, *SEVERAL[engine])
    first = file.read_bytes()
    play("record", file, engine, *SEVERAL[engine])
    assert file.read_bytes() == first


@pytest.mark.parametrize("engine", ENGINES)
def test_a_replay_shows_the_text_of_models_again_and_costs_nothing(file: Path, engine: str) -> None:
    def told(played: Played) -> tuple[str, list[tuple[int, int]]]:
        text = "".join(event.text for event in played.events if isinstance(event, CallChunk))
        return text, [(event.input_tokens, event.output_tokens) for event in played.events if isinstance(event, CallUsage)]

    recorded, replayed = (play(mode, file, engine, SEVERAL[engine][2]) for mode in MODES[:2])
    assert told(recorded) == told(replayed) and told(recorded)[1]
    assert all(not event.cost_usd for event in replayed.events if isinstance(event, CallUsage))


EDITED = {"lua": "return llm.chat('another question')", "javascript": "await llm.chat('another question')"}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_call_that_is_not_recorded_is_an_error_with_the_nearest_and_the_other_cells_go_on(file: Path, engine: str) -> None:
    cells = [EDITED[engine].replace("another", "the"), *SEVERAL[engine]]
    recorded = play("record", file, engine, *cells)
    replayed = play("replay", file, engine, EDITED[engine], *SEVERAL[engine])
    error = replayed.errors[0]
    assert isinstance(error, SpellError)
    assert "llm.chat is not on the cassette n.cassette.jsonl" in error.message
    assert '- "the question"' in error.message and '+ "another question"' in error.message
    assert replayed.values[1:] == recorded.values[1:]


@pytest.mark.parametrize("engine", ENGINES)
def test_auto_replays_what_is_known_and_adds_what_is_new(file: Path, engine: str) -> None:
    cells = SEVERAL[engine][:1]
    fresh = play("auto", file, engine, *cells)
    assert len(fresh.calls) == 3
    longer = play("auto", file, engine, *cells, *cells)
    assert longer.values[0] == fresh.values[0] and len(longer.calls) == 3
    again = play("replay", file, engine, *cells, *cells)
    assert again.values == longer.values and again.calls == []


IDS = {
    "lua": "local t = os.time(); sleep(0.2); return uuid.v4(), math.random(), os.time() - t, os.clock(), counted.number(os.date())",
    "javascript": "t = Date.now(); await sleep(0.2); [crypto.randomUUID(), Math.random(), Date.now() - t, await counted.number(String(new Date()))]",
}


@pytest.mark.parametrize("engine", ENGINES)
def test_ids_random_numbers_and_clocks_are_those_of_the_recording(file: Path, engine: str) -> None:
    recorded, replayed = (play(mode, file, engine, IDS[engine], IDS[engine]) for mode in MODES[:2])
    assert recorded.errors == [None, None]
    assert recorded.values == replayed.values and recorded.values[0] != recorded.values[1]
    assert play(None, file, engine, IDS[engine]).values != recorded.values[:1]


RACE = {
    "lua": """
        local function later(s, text) return async.spawn(function() return counted.later(s, text) end) end
        return async.race({later(0.3, 'slow'), later(0.01, 'fast')})
    """,
    "javascript": "await Promise.race([counted.later(0.3, 'slow'), counted.later(0.01, 'fast')])",
}


@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_call_wins_a_race(file: Path, engine: str) -> None:
    recorded = play("record", file, engine, RACE[engine])
    assert recorded.errors == [None] and "fast" in str(recorded.values)
    assert play("replay", file, engine, RACE[engine]).values == recorded.values


@pytest.mark.parametrize("engine", ENGINES)
def test_a_replay_stays_under_the_policy(file: Path, engine: str) -> None:
    play("record", file, engine, *SEVERAL[engine])
    denied = play("replay", file, engine, SEVERAL[engine][0], grants=Grants(deny=("counted.number",)))
    assert "counted.number is denied" in str(denied.errors[0])


def test_a_damaged_cassette_is_refused_before_anything_runs(file: Path) -> None:
    play("record", file, "lua", SEVERAL["lua"][0])
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(data)
    with pytest.raises(LoadError, match=r"n.cassette.jsonl, line \d+: does not have the checksum"):
        play("replay", file, "lua", "return 1")


def test_a_call_that_the_disk_refuses_to_record_is_an_error_and_the_cell_goes_on(tmp_path: Path) -> None:
    gone = tmp_path / "gone" / "n.cassette.jsonl"
    done = play(None, gone, "lua", "return 1")
    assert done.errors == [None]

    async def run() -> tuple[ExecutionResult, ExecutionResult]:
        async with Session(bridges=[Counted()]) as session:
            session.tape("record", gone)
            results = await session.run("return counted.number()"), await session.run("return pcall(counted.number)")
            session.taping = None
            return results

    first, second = asyncio.run(run())
    assert "could not be recorded in n.cassette.jsonl: No such file or directory" in str(first.error)
    assert second.values[0] is False


REFUSED_TWICE = {
    "lua": "local seen = {}; for i = 1, 2 do local _, err = pcall(counted.number); seen[i] = err.code end; return seen",
    "javascript": "const seen = []; for (let i = 0; i < 2; i++) try { await counted.number() } catch (err) { seen.push(err.code) }; seen",
}


class Refuses:
    """An approver that says no."""

    async def ask(self, request: ApprovalRequest) -> bool:
        return False


@pytest.mark.parametrize("engine", ENGINES)
def test_a_no_that_the_disk_refuses_to_record_is_the_script_s_answer_all_the_same_and_told_once(tmp_path: Path, engine: str) -> None:
    async def run() -> tuple[ExecutionResult, Recording]:
        sink = Recording()
        async with Session(bridges=[Counted()], sink=sink, settings=Settings(ask=("counted.*",)), approver=Refuses()) as session:
            session.tape("record", tmp_path / "gone" / "n.cassette.jsonl")
            result = await session.run(REFUSED_TWICE[engine], engine=engine)
            session.taping = None
            return result, sink

    result, sink = asyncio.run(run())
    assert result.value == ["denied", "denied"]
    assert sink.text("stderr") == (
        "[counted.number was refused, and could not be recorded in n.cassette.jsonl: No such file or directory]\n"
    )


class Notes:
    """An approver that says yes, and counts."""

    def __init__(self) -> None:
        self.asked = 0

    async def ask(self, request: ApprovalRequest) -> bool:
        self.asked += 1
        return True


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("mode", "asked"), [("replay", 0), ("auto", 1)])
def test_a_strict_replay_asks_nobody_and_auto_asks_before_it_looks(file: Path, engine: str, mode: Mode, asked: int) -> None:
    call = {"lua": "return counted.number()", "javascript": "await counted.number()"}[engine]
    settings = Settings(ask=("counted.*",))

    async def run(mode: Mode, approver: Notes) -> tuple[ExecutionResult, Counted]:
        bridge = Counted()
        async with Session(bridges=[bridge], settings=settings, approver=approver) as session:
            session.tape(mode, file)
            return await session.run(call, engine=engine), bridge

    asyncio.run(run("record", Notes()))
    approver = Notes()
    result, bridge = asyncio.run(run(mode, approver))
    assert (result.value, bridge.calls, approver.asked) == (1, [], asked)


class Held(Bridge):
    """A call that is answered when the test says so."""

    name = "held"

    def __init__(self) -> None:
        self.asked, self.let = asyncio.Event(), asyncio.Event()

    @method
    async def back(self, ctx: Context) -> str:
        """Waits."""
        self.asked.set()
        await self.let.wait()
        return "late"


BACKGROUND = {
    "lua": "async.background(function() held.back(); counted.number('after') end); return counted.number('before')",
    "javascript": "async.background(async () => { await held.back(); await counted.number('after') }); await counted.number('before')",
}


@pytest.mark.parametrize("mode", ["record", "auto"])
@pytest.mark.parametrize("engine", ENGINES)
def test_calls_of_background_work_that_outlives_its_recording_are_made_and_change_no_file(file: Path, engine: str, mode: Mode) -> None:
    async def run() -> None:
        held, counted = Held(), Counted()
        async with Session(bridges=[held, counted]) as session:
            session.tape(mode, file)
            assert (await session.run(BACKGROUND[engine], engine=engine)).error is None
            await held.asked.wait()
            session.end_taping()
            finished = text_of(*load_cassette(file))
            assert [entry.call for entry in load_cassette(file).entries] == ["counted.number"]
            held.let.set()
            await session.background_ended()
            assert counted.calls == ["before", "after"]
        assert text_of(*load_cassette(file)) == finished

    asyncio.run(run())


TWICE = {
    ("cell", "lua"): "held.back(); held.back()",
    ("cell", "javascript"): "await held.back(); await held.back()",
    ("background", "lua"): "async.background(function() held.back(); held.back() end)",
    ("background", "javascript"): "async.background(async () => { await held.back(); await held.back() })",
}


@pytest.mark.parametrize("is_over", [False, True], ids=["recording", "after-recording"])
@pytest.mark.parametrize("where", ["cell", "background"])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_call_that_is_stopped_with_its_script_is_told_as_stopped_and_no_replay_waits_for_it(
    file: Path, engine: str, where: str, is_over: bool
) -> None:
    async def run() -> None:
        held = Held()
        async with Session(bridges=[held]) as session:
            session.tape("record", file)
            cell = asyncio.ensure_future(session.run(TWICE[where, engine], engine=engine))
            await held.asked.wait()
            if is_over:
                session.end_taping()
            held.asked.clear()
            held.let.set()
            held.let = asyncio.Event()
            await held.asked.wait()
            session.interrupt()
            error = (await cell).error
            assert error is None if where == "background" else isinstance(error, Interrupted)
            await session.background_ended()
            (stopped,) = [event for event in session.recorder if isinstance(event, CallFailed)]
            session.end_taping()
        assert (stopped.code, stopped.cancelled) == ("cancelled", True)
        assert [(entry.call, entry.given_up) for entry in load_cassette(file).entries] == ([] if is_over else [("held.back", False)])

    asyncio.run(run())


def test_recording_and_then_replaying_the_same_file_plays_it_in_its_lasting_order(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)

    async def run() -> None:
        async with Session(bridges=[Counted()]) as session:
            session.tape("record", file)
            await session.run(RACE["lua"])
            tape = session.tape("replay", Path(file.name)).playback.tape
            assert [bytes(tape[at].arguments) for at in range(len(tape))] == [
                bytes(entry.arguments) for entry in load_cassette(file).entries
            ]
            assert b"slow" in bytes(tape[0].arguments) and b"fast" in bytes(tape[1].arguments)

    asyncio.run(run())


def test_a_cassette_that_cannot_be_played_leaves_the_recording_of_another_file_going(file: Path) -> None:
    async def run() -> None:
        async with Session(bridges=[Counted()]) as session:
            recording = session.tape("record", file)
            with pytest.raises(LoadError, match="there is no such cassette"):
                session.tape("replay", file.with_name("none"))
            assert session.taping is recording
            await session.run("return counted.number()")
        assert len(load_cassette(file).entries) == 1

    asyncio.run(run())


KILLED = """
import os, sys
from tests.session.test_taping import Counted, Path, Session, asyncio

async def run():
    async with Session(bridges=[Counted()]) as session:
        session.tape("auto", Path(sys.argv[1]))
        await session.call_bridge("counted", "number", "new")
        os._exit(9)

asyncio.run(run())
"""


def test_a_kill_after_the_first_new_call_leaves_the_known_answers(file: Path) -> None:
    play("record", file, "lua", SEVERAL["lua"][0])
    known = load_cassette(file).entries
    assert subprocess.run([sys.executable, "-c", KILLED, str(file)], timeout=60).returncode == 9
    found = load_cassette(file).entries
    assert found[:-1] == known and bytes(found[-1].arguments) == b'["new"]'


def full(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_that_is_full_at_the_end_of_a_recording_keeps_every_line_and_is_one_clear_error(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with Session(bridges=[Counted()]) as session:
            session.tape("record", file)
            await session.run(SEVERAL["lua"][0])
            before = len(os.listdir("/proc/self/fd"))
            with monkeypatch.context() as patch, pytest.raises(ConfigError, match="No space left on device; the file keeps its lines"):
                patch.setattr(cassette_file, "replace_file", full)
                session.end_taping()
            assert len(os.listdir("/proc/self/fd")) == before - 1
            assert session.taping is None and session.end_taping() is None

    asyncio.run(run())
    assert len(load_cassette(file).entries) == 3


def test_a_session_that_cannot_end_its_recording_reports_it_and_keeps_its_result(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[str] = []

    async def run() -> ExecutionResult:
        asyncio.get_running_loop().set_exception_handler(lambda _, about: reported.append(about["message"]))
        async with Session(bridges=[Counted()]) as session:
            session.tape("record", file)
            result = await session.run("return counted.number()")
            monkeypatch.setattr(cassette_file, "replace_file", full)
        return result

    assert asyncio.run(run()).values == [1]
    assert len(reported) == 1 and "No space left on device" in reported[0]
    assert len(load_cassette(file).entries) == 1


def test_python_calls_are_recorded_too(file: Path) -> None:
    async def call(mode: Mode) -> Any:
        async with Session(bridges=[Counted()]) as session:
            session.tape(mode, file)
            return await session.call_bridge("counted", "number", "k")

    assert asyncio.run(call("record")) == asyncio.run(call("replay")) == 1
    assert [entry.call for entry in load_cassette(file).entries] == ["counted.number"]


SECRET = "s3cr3t-t0ken-0f-the-user"


class Echoes(Bridge):
    """Gives a secret back in every way."""

    name = "echoes"

    @method
    async def all(self, ctx: Context, text: str, function: Callback) -> str:
        """In a chunk, to a function, and as an answer."""
        ctx.chunk(SECRET[:9])
        ctx.chunk(SECRET[9:])
        await ctx.invoke(function, f"<{SECRET}>")
        return text + SECRET

    @method
    async def fails(self, ctx: Context) -> None:
        """In an error."""
        raise BridgeError(f"the key {SECRET} is wrong")


LEAKS = {
    "lua": f"local got; local a = echoes.all('mine {SECRET}', function(t) got = t end); return a, got, errors.try(echoes.fails)",
    "javascript": f"""
        let got, e; const a = await echoes.all('mine {SECRET}', t => {{ got = t }})
        try {{ await echoes.fails() }} catch (x) {{ e = x.message }}
        [a, got, e]
    """,
}


@pytest.mark.parametrize("engine", ENGINES)
def test_no_secret_gets_on_a_cassette_and_it_plays_all_the_same(file: Path, engine: str) -> None:
    async def run(mode: Mode) -> ExecutionResult:
        async with Session(bridges=[Echoes()]) as session:
            session.secrets.set("token", SECRET)
            session.tape(mode, file)
            return await session.run(LEAKS[engine], engine=engine)

    recorded, replayed = asyncio.run(run("record")), asyncio.run(run("replay"))
    assert recorded.error is None and replayed.values == recorded.values
    assert SECRET not in file.read_text() and "[secret token]" in file.read_text()
    assert len(load_cassette(file).entries) == 2


def test_a_line_that_holds_a_secret_all_the_same_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> ExecutionResult:
        async with Session(bridges=[Counted()]) as session:
            session.secrets.set("token", SECRET)
            session.tape("record", file)
            return await session.run(f"return counted.number('{SECRET}')")

    monkeypatch.setattr("llmspell_kernel.redaction.Redactor.redact_value", lambda self, value: value)  # a fault of the redaction
    result = asyncio.run(run())
    assert "is not recorded: a secret is still in it" in str(result.error)
    assert SECRET not in file.read_text()


def test_states_with_a_secret_in_their_code_are_not_saved(file: Path) -> None:
    async def run() -> None:
        async with Session() as session:
            session.secrets.set("token", SECRET)
            await session.run(f"x = '{SECRET}'")
            with pytest.raises(ConfigError, match="holds a secret; reset that state"):
                session.save(file.with_name("n.states.jsonl"))
            assert not file.with_name("n.states.jsonl").exists()

    asyncio.run(run())


@pytest.mark.parametrize("journal", [False, True])
def test_code_with_a_lone_surrogate_is_a_fault_of_the_script_and_the_next_cell_runs(tmp_path: Path, journal: bool) -> None:
    async def run() -> list[ExecutionResult]:
        async with Session(folder=tmp_path) as session:
            if journal:
                session.keep_journal()
            codes = ["return 1", "-- one\nreturn '\ud800'", "return 2"]
            return [*[await session.run(code) for code in codes], await session.call_function("f\udc80")]

    first, wrong, next_one, call = asyncio.run(run())
    assert (first.values, next_one.values) == ([1], [2])
    assert "line 2 holds a lone surrogate" in str(wrong.error) and "lone surrogate" in str(call.error)
    assert len(journals_in(tmp_path)) == journal
    for file in journals_in(tmp_path):
        found = load_events(file)
        assert found.unreadable == 0
        assert [event.code for event in found.events if isinstance(event, CellStarted)][1] == "-- one\nreturn '\\ud800'"


def test_text_of_a_bridge_with_a_lone_surrogate_fails_no_cell_that_is_recorded(file: Path) -> None:
    async def run(mode: Mode) -> ExecutionResult:
        async with Session(bridges=[Odd()], folder=file.parent) as session:
            session.keep_journal()
            session.tape(mode, file)
            return await session.run("return odd.shows()")

    for mode in MODES[:2]:
        result = asyncio.run(run(mode))
        assert result.error is None and result.values == ["done"]
    assert load_cassette(file).entries[0].chunks == ["a\\ud800"]


class Odd(Bridge):
    """Shows what is not valid Unicode."""

    name = "odd"

    @method
    async def shows(self, ctx: Context) -> str:
        """A chunk that cannot be written."""
        ctx.chunk("a\ud800")
        return "done"


class Twice(Bridge):
    """A call that asks a model two times."""

    name = "twice"

    @method
    async def asked(self, ctx: Context) -> str:
        """Uses a model twice."""
        for cost_usd in (0.25, 0.5):
            ctx.usage(model="m", input_tokens=10, output_tokens=1, cached_tokens=2, cost_usd=cost_usd, finish_reason="stop")
        return "done"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_call_that_asked_a_model_several_times_is_recorded_with_all_that_it_used(file: Path, engine: str) -> None:
    async def run() -> None:
        async with Session(bridges=[Twice()]) as session:
            session.tape("record", file)
            code = "return twice.asked()" if engine == "lua" else "await twice.asked()"
            assert (await session.run(code, engine=engine)).values == ["done"]
            session.end_taping()

    asyncio.run(run())
    (entry,) = load_cassette(file).entries
    assert entry.used == Used("m", 20, 2, 4, 0.75, "stop")
