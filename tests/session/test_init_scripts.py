"""The init script of a language: it runs in every fresh state before anything else, and its faults are told with its own name and line."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from llmspell_kernel.errors import ConfigError, Interrupted, LimitError, LoadError, ScriptError
from llmspell_kernel.journal.events import InitStarted, StateOpened
from llmspell_kernel.policy.limits import Limits
from llmspell_kernel.render.errors import traceback_lines
from llmspell_kernel.settings import Settings

from ..workers.processes import until
from .world import ENGINES, LIMITS, Probe, World, world

FILE = {"lua": "init.lua", "javascript": "init.js"}
MARK = {"lua": 'mark = (mark or 0) + 1 print("begun")', "javascript": 'globalThis.mark = (globalThis.mark ?? 0) + 1; console.log("begun")'}
GET = {"lua": "return mark", "javascript": "globalThis.mark ?? null"}
FAIL = {"lua": 'local x = 1\nerror("no such day")', "javascript": 'let x = 1\nthrow new Error("no such day")'}
ENDLESS = {"lua": "while true do end", "javascript": "while (true) {}"}
HANG = {"lua": "probe.hang()", "javascript": "await probe.hang()"}
CALL = {"lua": "probe.echo(1) probe.echo(2)", "javascript": "await probe.echo(1); await probe.echo(2)"}
BACKGROUND = {
    "lua": "async.background(function() probe.hang() end)",
    "javascript": "async.background(async () => { await probe.hang() })",
}


def settings(folder: Path, engine: str, code: str | bytes | None) -> Settings:
    path = folder / FILE[engine]
    if code is not None:
        path.write_bytes(code.encode() if isinstance(code, str) else code)
    return Settings(init={engine: str(path)})


def begun(made: World) -> int:
    return made.sink.text("stdout").count("begun")


@pytest.mark.parametrize("engine", ENGINES)
def test_it_runs_once_in_each_fresh_state_before_its_first_cell_and_what_it_prints_is_shown(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with world(settings=settings(tmp_path, engine, MARK[engine])) as made:
            for _ in range(2):
                outcome = await made.session.run(GET[engine], engine=engine)
                assert outcome.values == [1]
            assert begun(made) == 1
            assert (await made.session.run(GET[engine], engine=engine, state="other")).values == [1]
            assert begun(made) == 2
            other = next(name for name in ENGINES if name != engine)
            assert (await made.session.run(GET[other], engine=other)).values in ([None], []), "another language has none"
            started = made.events(InitStarted)
            assert [(event.state, event.chunk, event.code) for event in started] == [
                ("main", FILE[engine], MARK[engine]),
                ("other", FILE[engine], MARK[engine]),
            ]

    asyncio.run(play())


@pytest.mark.parametrize("engine", ENGINES)
def test_it_runs_again_after_a_reset_and_after_a_lost_worker(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with world(settings=settings(tmp_path, engine, MARK[engine])) as made:
            await made.session.run("", engine=engine)
            await made.session.forget("main", engine)
            assert (await made.session.run(GET[engine], engine=engine)).values == [1]
            worker = made.session.states["main", engine].worker
            assert worker is not None
            worker.lose("on purpose")
            assert (await made.session.run(GET[engine], engine=engine)).values == [1]
            assert begun(made) == 3

    asyncio.run(play())


@pytest.mark.parametrize("engine", ENGINES)
def test_its_output_is_the_first_cells_and_counts_with_it(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with world(settings=settings(tmp_path, engine, f"{MARK[engine]}\n{CALL[engine]}")) as made:
            outcome = await made.session.run(CALL[engine], engine=engine)
            assert str(outcome.output) == "begun\n"
            assert (outcome.metrics.effects, outcome.metrics.output_bytes) == (4, 6)
            assert (await made.session.run("", engine=engine)).metrics.effects == 0

    asyncio.run(play())


@pytest.mark.parametrize("engine", ENGINES)
def test_the_limits_of_the_first_cell_hold_for_both_together(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with world(settings=settings(tmp_path, engine, CALL[engine]), limits=LIMITS._replace(effects=3)) as made:
            outcome = await made.session.run(CALL[engine], engine=engine)
            assert outcome.error is not None and "effects" in outcome.error.message
            assert made.probe.calls == ["echo"] * 3

    asyncio.run(play())


@pytest.mark.parametrize("engine", ENGINES)
def test_its_fault_is_told_with_its_own_name_and_line_and_the_next_cell_tries_again(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        chosen = settings(tmp_path, engine, FAIL[engine])
        async with world(settings=chosen) as made:
            for _ in range(2):
                error = (await made.session.run("1 +", engine=engine)).error
                assert isinstance(error, ScriptError)
                assert "no such day" in error.message
                assert (
                    f"(in the init script {tmp_path / FILE[engine]}, so the cell did not run; the next one tries it again" in error.message
                )
                assert (error.frames[0].chunk, error.frames[0].line) == (FILE[engine], 2)
                shown = "\n".join(traceback_lines(error, made.session.sources, colour=False))
                assert "no such day" in shown and f"{FILE[engine]}" in shown
            settings(tmp_path, engine, MARK[engine])
            assert (await made.session.run(GET[engine], engine=engine)).values == [1]
            assert "lost" not in made.sink.text("stderr")

    asyncio.run(play())


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot read the init script: No such file"),
        (b"x = 1\n\xff", "line 2: is not UTF-8"),
        (b" " * 5_000_000, "larger than the limit value_bytes"),
    ],
    ids=["absent", "not text", "too large"],
)
def test_a_file_that_cannot_be_read_is_one_clear_error_and_the_cell_after_its_mend_works(
    engine: str, content: bytes | None, why: str, tmp_path: Path
) -> None:
    async def play() -> None:
        async with world(settings=settings(tmp_path, engine, content)) as made:
            error = (await made.session.run("", engine=engine)).error
            assert isinstance(error, LoadError) and why in error.message and str(tmp_path / FILE[engine]) in error.message
            settings(tmp_path, engine, MARK[engine])
            assert (await made.session.run(GET[engine], engine=engine)).values == [1]

    asyncio.run(play())


def test_a_pipe_as_the_file_holds_nobody_up(tmp_path: Path) -> None:
    async def play() -> None:
        os.mkfifo(tmp_path / "init.lua")
        async with world(settings=settings(tmp_path, "lua", None)) as made, asyncio.timeout(10):
            error = (await made.session.run("")).error
            assert isinstance(error, LoadError) and "is not a file" in error.message

    asyncio.run(play())


@pytest.mark.parametrize("engine", ENGINES)
def test_one_that_never_ends_meets_the_cells_limit_and_ends_the_state(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        limits: Limits = LIMITS._replace(script_time_s=0.3)
        async with world(settings=settings(tmp_path, engine, ENDLESS[engine]), limits=limits) as made:
            error = (await made.session.run("", engine=engine)).error
            assert isinstance(error, LimitError) and error.limit in ("script_time_s", "instructions") and "init script" in error.message
            assert made.session.status().states[0].pid is None

    asyncio.run(play())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_stop_ends_it_and_the_next_cell_runs_it_again(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        probe = Probe()
        async with world(settings=settings(tmp_path, engine, HANG[engine]), probe=probe) as made:
            running = asyncio.ensure_future(made.session.run(GET[engine], engine=engine))
            await probe.waiting.wait()
            made.session.interrupt()
            assert isinstance((await running).error, Interrupted)
            assert probe.cancelled == 1
            settings(tmp_path, engine, MARK[engine])
            assert (await made.session.run(GET[engine], engine=engine)).values == [1]

    asyncio.run(play())


@pytest.mark.parametrize("engine", ENGINES)
def test_who_goes_away_while_it_runs_leaves_no_state_half_made(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        probe = Probe()
        async with world(settings=settings(tmp_path, engine, f"{MARK[engine]}\n{HANG[engine]}"), probe=probe) as made:
            running = asyncio.ensure_future(made.session.run("", engine=engine))
            await probe.waiting.wait()
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            settings(tmp_path, engine, MARK[engine])
            assert (await made.session.run(GET[engine], engine=engine)).values == [1]

    asyncio.run(play())


@pytest.mark.parametrize("engine", ENGINES)
def test_what_it_leaves_in_the_background_goes_on_and_can_be_stopped(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        probe = Probe()
        async with world(settings=settings(tmp_path, engine, BACKGROUND[engine]), probe=probe) as made, asyncio.timeout(20):
            assert (await made.session.run("", engine=engine)).error is None
            await probe.waiting.wait()
            assert len(made.session.background) == 1
            assert (await made.session.run("", engine=engine)).error is None
            assert probe.cancelled == 0
            made.session.interrupt()
            await made.session.background_ended()
            assert probe.cancelled == 1

    asyncio.run(play())


@pytest.mark.parametrize("engine", ENGINES)
def test_values_read_and_set_from_python_find_it_done(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with world(settings=settings(tmp_path, engine, MARK[engine])) as made:
            assert await made.session.get("mark", engine=engine) == 1
            await made.session.set("mark", 5, engine=engine, state="b")
            assert await made.session.get("mark", engine=engine, state="b") == 5
            assert (await made.session.call_function("nothing", engine=engine, state="c")).error is not None
            assert await made.session.get("mark", engine=engine, state="c") == 1
            assert len(made.events(StateOpened)) == len(made.events(InitStarted)) == 3

    asyncio.run(play())


def test_a_question_of_the_editor_runs_nothing_of_it(tmp_path: Path) -> None:
    async def play() -> None:
        async with world(settings=settings(tmp_path, "lua", MARK["lua"])) as made:
            assert await made.session.ask("is_complete", "x =", engine="lua", open_state=True)
            assert begun(made) == 0
            assert (await made.session.run(GET["lua"])).values == [1]

    asyncio.run(play())


def test_a_relative_path_begins_in_the_sessions_folder_and_an_alias_names_the_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        (tmp_path / "start.js").write_text(MARK["javascript"])
        monkeypatch.chdir(tmp_path)
        async with world(settings=Settings(init={"js": "start.js"})) as made:
            assert (await made.session.run(GET["javascript"], engine="javascript")).values == [1]

    asyncio.run(play())


def test_a_script_for_an_engine_there_is_not_is_refused(tmp_path: Path) -> None:
    async def play() -> None:
        with pytest.raises(ConfigError, match="luah"):
            async with world(settings=Settings(init={"luah": "x.lua"})):
                raise AssertionError

    asyncio.run(play())


def test_two_first_cells_at_once_run_it_once(tmp_path: Path) -> None:
    """The second is refused as busy, also while the first waits in the init script."""

    async def play() -> None:
        probe = Probe()
        async with world(settings=settings(tmp_path, "lua", HANG["lua"]), probe=probe) as made:
            first = asyncio.ensure_future(made.session.run(""))
            await until(probe.waiting.is_set)
            second = await made.session.run("")
            assert second.error is not None and "busy" in second.error.message
            made.session.interrupt()
            await first
            assert len(made.events(InitStarted)) == 1

    asyncio.run(play())


TICKER = {"lua": "ticker = probe.ticker(9)", "javascript": "globalThis.ticker = await probe.ticker(9)"}
TICK = {"lua": "return ticker:next()", "javascript": "await ticker.next()"}


@pytest.mark.parametrize("engine", ENGINES)
def test_what_it_opened_stays_open_when_the_first_cell_fails_or_another_states_init_script_does(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with world(settings=settings(tmp_path, engine, TICKER[engine])) as made:
            assert (await made.session.run(FAIL[engine], engine=engine)).error is not None
            assert (await made.session.run(TICK[engine], engine=engine)).values == [1]
            await made.session.set("x", 1, engine=engine, state="set by python")
            (tmp_path / FILE[engine]).write_text(FAIL[engine])
            with pytest.raises(ScriptError):
                await made.session.set("x", 1, engine=engine, state="that fails")
            assert (await made.session.run(TICK[engine], engine=engine, state="set by python")).values == [1]

    asyncio.run(play())
