"""Back to an earlier cell, a second state from there, and states that outlive their kernel."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.errors import ConfigError, DeniedError, Interrupted, LoadError, ScriptError
from llmspell_kernel.journal.checked_lines import read_lines, with_sum
from llmspell_kernel.protocol.transitions import Phase
from llmspell_kernel.session import Session
from llmspell_kernel.session.history import PastCell
from llmspell_kernel.session.saved_states import load

from ..workers.processes import until
from .test_recovery import World, play
from .world import ENGINES

COUNT = {"lua": "n = (n or 0) + counted.number()", "javascript": "n = (globalThis.n || 0) + await counted.number()"}
LOOK = {"lua": "return n", "javascript": "n"}


async def value(session: Session, engine: str, state: str = "main") -> object:
    return await session.get("n", engine=engine, state=state)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_state_goes_back_to_an_earlier_cell_and_forgets_the_later_ones(engine: str) -> None:
    async def body(world: World) -> None:
        for _ in range(3):
            await world.run(**COUNT)  # 1, 3, 6
        restored = await world.session.go_back("main", engine, to=2)
        assert (restored.cells, restored.left_out) == (2, [])
        assert await value(world.session, engine) == 3
        assert len(world.bridge.calls) == 3
        await world.run(**COUNT)
        assert await value(world.session, engine) == 3 + 4
        await world.kill()
        assert await world.run(**LOOK) == [7]
        with pytest.raises(ConfigError, match="no cell of the .* state 'main' has a number up to 0"):
            await world.session.go_back("main", engine, to=0)

    play(engine, body)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_fork_begins_where_it_is_told_and_goes_its_own_way(engine: str) -> None:
    async def body(world: World) -> None:
        for _ in range(3):
            await world.run(**COUNT)
        await world.session.fork("then", engine, at=1)
        await world.session.fork("now", engine)
        assert [await value(world.session, engine, state) for state in ("main", "then", "now")] == [6, 1, 6]
        await world.session.run(COUNT[engine], engine=engine, state="then")
        assert [await value(world.session, engine, state) for state in ("main", "then", "now")] == [6, 5, 6]
        with pytest.raises(ConfigError, match="there is a .* state 'now' already"):
            await world.session.fork("now", engine)
        with pytest.raises(ConfigError, match="there is no .* state 'mian'; did you mean 'main'"):
            await world.session.fork("x", engine, state="mian")

    play(engine, body)


@pytest.mark.parametrize("engine", ENGINES)
def test_saved_states_come_back_in_another_session_with_what_they_may_not_call(engine: str, tmp_path: Path) -> None:
    file = tmp_path / "n.states.jsonl"

    async def first(world: World) -> None:
        await world.run(**COUNT)
        await world.session.set("given", ["x"], engine=engine)
        world.session.narrow("main", engine, deny=["llm.*"])
        await world.run(lua="function twice() return n * 2 end; s = llm", javascript="function twice() { return n * 2 }")
        assert world.session.save(file) == 3

    async def second(world: World) -> None:
        restored = await world.session.resume(file)
        assert {key: one.cells for key, one in restored.items()} == {("main", engine): 2}
        assert await value(world.session, engine) == 1 and world.bridge.calls == []
        assert await world.session.get("given", engine=engine) == ["x"]
        assert (await world.session.call_function("twice", engine=engine)).value == 2
        with pytest.raises(DeniedError):
            await world.run(lua="llm.model()", javascript="await llm.model()")
        await world.kill()
        assert await value(world.session, engine) == 1
        with pytest.raises(ConfigError, match="there is a .* state 'main' already"):
            await world.session.resume(file)

    play(engine, first)
    play(engine, second)


def test_a_damaged_file_of_states_makes_no_state(tmp_path: Path) -> None:
    file = tmp_path / "n.states.jsonl"

    async def body(world: World) -> None:
        await world.run(**COUNT)
        await world.run(lua="return llm.chat('x')")
        world.session.save(file)
        text = file.read_bytes()
        for at in range(0, len(text), 7):
            file.write_bytes(text[:at] + bytes([text[at] ^ 2]) + text[at + 1 :])
            with pytest.raises(LoadError):
                await world.session.resume(file)
        for end in range(0, len(text), 13):
            file.write_bytes(text[:end])
            with pytest.raises(LoadError):
                await world.session.resume(file)
        assert list(world.session.states) == [("main", "lua")]

    play("lua", body)


SECRET = "kept-out-of-every-file-71"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("way", ["code", "global", "key", "argument", "escaped"])
def test_states_that_hold_a_secret_anywhere_are_not_saved(engine: str, way: str, tmp_path: Path) -> None:
    file = tmp_path / "n.states.jsonl"

    async def body(world: World) -> None:
        session = world.session
        session.secrets.set("token", SECRET)
        await world.run(lua="function g(x) n = x end", javascript="function g(x) { n = x }")
        assert session.save(file) == 1
        before = file.read_bytes()
        match way:
            case "code":
                await session.run(f"x = '{SECRET}'", engine=engine)
            case "global":
                await session.set("k", ["a", SECRET], engine=engine)
            case "key":
                await session.set("k", {SECRET: 1}, engine=engine)
            case "argument":
                assert (await session.call_function("g", {"deep": [SECRET]}, engine=engine)).error is None
            case "escaped":
                await session.set("k", "".join(f"%{ord(char):02x}" for char in SECRET), engine=engine)
        with pytest.raises(ConfigError, match="the states are not saved: .* holds a secret; reset that state") as caught:
            session.save(file)
        assert SECRET not in str(caught.value)
        assert file.read_bytes() == before
        await session.forget("main", engine)
        assert session.save(file) == 0

    play(engine, body)


@pytest.mark.parametrize(
    ("line", "change", "said"),
    [
        (2, lambda state: {**state, "allow": [["llm.*"], []]}, "2 lists of what it may call, and 1 of what not"),
        (2, lambda state: {**state, "deny": []}, "1 lists of what it may call, and 0 of what not"),
        (3, lambda cell: {**cell, "times": []}, "0 times for 2 calls"),
        (3, lambda cell: {**cell, "times": [*cell["times"], 1.0]}, "3 times for 2 calls"),
    ],
)
def test_saved_states_that_do_not_fit_together_are_refused_at_their_line(
    line: int, change: Callable[[dict[str, Any]], dict[str, Any]], said: str, tmp_path: Path
) -> None:
    file = tmp_path / "n.states.jsonl"

    async def first(world: World) -> None:
        await world.run(lua="counted.number() counted.number()")
        world.session.narrow("main", "lua", deny=["llm.*"])
        world.session.save(file)

    async def second(world: World) -> None:
        with pytest.raises(LoadError, match=said) as caught:
            await world.session.resume(file)
        assert (caught.value.file, caught.value.line) == (file.name, line)
        assert not world.session.states

    play("lua", first)
    lines = [json.loads(text) for text in read_lines(file.read_bytes(), file.name)]
    lines[line - 1] = change(lines[line - 1])
    file.write_bytes(b"".join(with_sum(json.dumps(each, separators=(",", ":")).encode()) for each in lines))
    play("lua", second)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_cell_from_a_file_counts_as_much_as_it_did(engine: str, tmp_path: Path) -> None:
    file = tmp_path / "n.states.jsonl"

    async def body(world: World) -> None:
        await world.run(
            lua="counted.take(string.rep('a', 5000)) llm.chat(string.rep('b', 3000)) counted.each(3, function(x) return x end)",
            javascript="await counted.take('a'.repeat(5000)); await llm.chat('b'.repeat(3000)); await counted.each(3, x => x)",
        )
        world.session.save(file)
        (live,) = world.session.states["main", engine].history.cells
        (saved,) = load(file)[0].past
        assert abs(saved.size_bytes - live.size_bytes) < 100

    play(engine, body)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("history_bytes", "said"), [(300, "take more than limits.history_bytes, 300 bytes; raise"), (0, "no cell of it is kept")]
)
def test_states_too_large_for_this_session_are_not_resumed_and_their_names_stay_free(
    engine: str, history_bytes: int, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "n.states.jsonl"

    async def first(world: World) -> None:
        await world.session.set("small", 1, engine=engine, state="a")
        await world.run(**COUNT)
        world.session.save(file)

    async def second(world: World) -> None:
        limits = world.session.limits
        world.session.limits = limits._replace(history_bytes=history_bytes)
        with pytest.raises(ScriptError, match=f"state '.*' cannot be restored: .*{said}"):
            await world.session.resume(file)
        assert not world.session.states and world.session.status().pool.workers == 0
        world.session.limits = limits
        assert len(await world.session.resume(file)) == 2
        assert await value(world.session, engine) == 1

    play(engine, first)
    play(engine, second)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_fork_that_cannot_be_made_leaves_its_name_free(engine: str) -> None:
    async def body(world: World) -> None:
        await world.run(**COUNT)
        limits = world.session.limits
        world.session.limits = limits._replace(history_bytes=300)
        with pytest.raises(ScriptError, match="state 'then' cannot be restored: its cells and their answers take more than"):
            await world.session.fork("then", engine)
        assert list(world.session.states) == [("main", engine)]
        world.session.limits = limits
        assert (await world.session.fork("then", engine)).cells == 1

    play(engine, body)


def test_a_file_that_holds_a_state_twice_makes_none(tmp_path: Path) -> None:
    file = tmp_path / "n.states.jsonl"

    async def body(world: World) -> None:
        await world.run(lua="a = 1")
        world.session.save(file)
        header, *state = read_lines(file.read_bytes(), file.name)
        file.write_bytes(b"".join(map(with_sum, [header.replace(b'"states":1', b'"states":2'), *state, *state])))
        await world.session.forget("main", "lua")
        with pytest.raises(LoadError, match="holds two lua states 'main'"):
            await world.session.resume(file)
        assert not world.session.states

    play("lua", body)


LINGER = {
    "lua": "async.background(function() counted.later(60, 'x') end)",
    "javascript": "async.background(async () => { await counted.later(60, 'x') })",
}


@pytest.mark.parametrize("engine", ENGINES)
def test_no_cell_begins_in_a_state_that_goes_back(engine: str) -> None:
    async def body(world: World) -> None:
        await world.run(**COUNT)
        await world.run(**LINGER)
        back, ran = await asyncio.gather(world.session.go_back("main", engine, to=1), world.session.run(LOOK[engine], engine=engine))
        assert back.cells == 1
        assert ran.error is not None and "is busy with another cell" in ran.error.message
        assert await world.run(**LOOK) == [1]

    play(engine, body)


def wait_when_restored(cell: PastCell, *, wait: bool = True) -> None:
    """Its call is as one that nobody waited for, and gets no answer when the cell runs again."""
    for made in cell.calls:
        made.given_up = wait


async def stop_when_it_waits(world: World, state: str) -> None:
    key = (state, world.engine)
    await until(lambda: key in world.session.states and world.session.states[key].phase() is Phase.WAITING)
    world.session.interrupt()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("way", ["stop", "cancel"])
def test_a_stop_on_the_way_back_leaves_the_state_as_it_was(engine: str, way: str) -> None:
    async def body(world: World) -> None:
        for _ in range(3):
            await world.run(**COUNT)  # 1, 3, 6
        second = world.session.states["main", engine].history.cells[1]
        wait_when_restored(second)
        worker = world.session.states["main", engine].worker
        back = asyncio.create_task(world.session.go_back("main", engine, to=2))
        await until(lambda: world.session.states["main", engine].worker not in (worker, None))
        if way == "stop":
            await stop_when_it_waits(world, "main")
            with pytest.raises(Interrupted, match="the .* state 'main' is restored as it was before its next cell"):
                await back
        else:
            await until(lambda: world.session.states["main", engine].phase() is Phase.WAITING)
            back.cancel()
            with pytest.raises(asyncio.CancelledError):
                await back
        wait_when_restored(second, wait=False)
        assert await world.run(**LOOK) == [6]
        assert len(world.bridge.calls) == 3

    play(engine, body)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_stopped_fork_or_resume_leaves_no_state(engine: str, tmp_path: Path) -> None:
    file = tmp_path / "n.states.jsonl"

    async def first(world: World) -> None:
        await world.session.run("x = 1", engine=engine, state="a")
        await world.run(**COUNT)
        (cell,) = world.session.states["main", engine].history.cells
        wait_when_restored(cell)
        world.session.save(file)
        with pytest.raises(Interrupted):
            await asyncio.gather(world.session.fork("then", engine), stop_when_it_waits(world, "then"))
        assert sorted(name for name, _ in world.session.states) == ["a", "main"]
        assert await world.run(**LOOK) == [1]

    async def second(world: World) -> None:
        with pytest.raises(Interrupted):
            await asyncio.gather(world.session.resume(file), stop_when_it_waits(world, "main"))
        assert not world.session.states and world.session.status().pool.workers == 0

    play(engine, first)
    play(engine, second)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_state_that_cannot_go_back_stays_as_it_was(engine: str) -> None:
    async def body(world: World) -> None:
        await world.run(lua="id = uuid.v4()", javascript="id = crypto.randomUUID()")
        for _ in range(3):
            await world.run(**COUNT)  # 1, 3, 6
        made = world.session.states["main", engine].history.cells[1].calls[0]
        written, made.written = made.written, b"nonsense"
        before = await world.session.get("id", engine=engine)
        with pytest.raises(
            ScriptError, match="state not restored: .*; the .* state 'main' is restored as it was before its next cell"
        ) as caught:
            await world.session.go_back("main", engine, to=2)
        assert "run the cells above again" not in str(caught.value)
        made.written = written
        assert await world.run(**LOOK) == [6]
        assert await world.session.get("id", engine=engine) == before
        assert "not restored" not in world.told and len(world.bridge.calls) == 3

    play(engine, body)
