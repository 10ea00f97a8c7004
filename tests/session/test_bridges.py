"""The bridges of a session: opened by their needs, closed in reverse, added and removed while scripts run; functions of the notebook."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from llmspell_kernel import Bridge, BridgeSession, Context, Resource, method
from llmspell_kernel.errors import ArgumentError, BridgeError, ConfigError, DeniedError, LimitError, ScriptError, ValueCrossingError
from llmspell_kernel.journal.events import CallDenied, CallFailed, CallFinished, CallStarted, CellStarted
from llmspell_kernel.policy.decide import Grants
from llmspell_kernel.policy.limits import Limits
from llmspell_kernel.protocol.steps import Answer, Fault, Finished
from llmspell_kernel.session import Session
from llmspell_kernel.settings import Settings
from llmspell_kernel.testing.fake_worker import FakePool, FakeWorker
from llmspell_kernel.values import loads

from .test_effects import answers, asks, effect, fault_code
from .world import ENGINES, LIMITS, Recording, World, world

QUICK = LIMITS._replace(bridge_open_s=0.05, bridge_close_s=0.05)


def play(run: Any) -> Any:
    async def limited() -> Any:
        async with asyncio.timeout(20):
            return await run()

    return asyncio.run(limited())


class Diary:
    """What the bridges of one test did, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.opened: list[BridgeSession] = []


class Noted(Bridge):
    """Writes its life down."""

    name = "noted"

    def __init__(self, diary: Diary) -> None:
        self._diary = diary
        self.hangs = asyncio.Event()
        self.cancels = 0

    async def open(self, session: BridgeSession) -> None:
        self._diary.lines.append(f"open {self.name}")
        self._diary.opened.append(session)

    async def close(self) -> None:
        self._diary.lines.append(f"close {self.name}")

    @method
    async def ping(self, ctx: Context) -> str:
        """Answers."""
        self._diary.lines.append(f"ping {self.name}")
        return self.name

    @method
    async def hang(self, ctx: Context) -> None:
        """Waits until it is cancelled."""
        self.hangs.set()
        try:
            await asyncio.Event().wait()
        finally:
            self._diary.lines.append(f"hang {self.name} ended")


def noted(diary: Diary, name: str, *needs: str, **members: Any) -> Noted:
    kind = type(name, (Noted,), {"__doc__": "Writes its life down.", "name": name, "needs": needs, **members})
    return kind(diary)  # type: ignore[no-any-return]


@asynccontextmanager
async def session_of(*bridges: Bridge, limits: Limits = QUICK, **more: Any) -> AsyncIterator[Session]:
    session = Session(bridges=bridges, limits=limits, pool=more.pop("pool", None) or FakePool(), **more)
    try:
        yield session
    finally:
        await session.close()


async def _hangs(self: Any, *arguments: Any) -> None:
    await asyncio.Event().wait()


async def _resists(self: Any, *arguments: Any) -> None:
    for _ in range(2):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


# -- opening and closing ------------------------------------------------------------------------------------------------------------------


def test_bridges_open_after_those_they_need_and_close_before_them() -> None:
    diary = Diary()

    async def run() -> None:
        async with session_of(noted(diary, "a", "b", "c"), noted(diary, "b", "c"), noted(diary, "c"), noted(diary, "d")) as session:
            await session.call_bridge("a", "ping")
            await session.call_bridge("c", "ping")

    play(run)
    assert diary.lines == ["open c", "open b", "open a", "ping a", "ping c", "close a", "close b", "close c"]


def test_a_bridge_gets_the_bridges_that_it_needs_and_no_others_and_the_settings_as_they_are() -> None:
    diary = Diary()

    async def run() -> None:
        first, second = noted(diary, "first"), noted(diary, "second", "first")
        async with session_of(first, second, settings=Settings(seed=7)) as session:
            await session.call_bridge("second", "ping")
            view = diary.opened[1]
            assert await view.bridge("first") is first
            with pytest.raises(ConfigError, match="'second' asks for 'second', which its needs do not name"):
                await view.bridge("second")
            assert view.settings["seed"] == 7
            assert view.modules is session.modules
            with pytest.raises(TypeError):
                view.settings["seed"] = 8  # type: ignore[index]

    play(run)


@pytest.mark.parametrize("opening", [_hangs, _resists])
def test_a_bridge_that_does_not_open_in_time_is_named_and_the_others_work(opening: Any) -> None:
    diary = Diary()

    async def run() -> None:
        async with session_of(noted(diary, "slow", open=opening), noted(diary, "needing", "slow"), noted(diary, "well")) as session:
            with pytest.raises(BridgeError, match=r"the bridge 'slow' did not open within 0\.05 s") as caught:
                await session.call_bridge("slow", "ping")
            assert caught.value.retryable
            with pytest.raises(BridgeError, match="the bridge 'needing' needs another one: the bridge 'slow' did not open"):
                await session.call_bridge("needing", "ping")
            assert await session.call_bridge("well", "ping") == "well"

    play(run)


def test_a_bridge_that_cannot_be_configured_says_so_as_a_configuration_error() -> None:
    async def unset(self: Any, session: BridgeSession) -> None:
        raise ConfigError("PLACE is not set; set it")

    async def run() -> None:
        async with session_of(noted(Diary(), "place", open=unset)) as session:
            with pytest.raises(ConfigError, match="the bridge 'place' could not be opened: PLACE is not set; set it"):
                await session.call_bridge("place", "ping")

    play(run)


@pytest.mark.parametrize("closing", [_hangs, _resists])
def test_a_bridge_that_does_not_close_in_time_is_reported_and_the_next_one_closed(closing: Any) -> None:
    diary, told = Diary(), []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["message"]))
        async with session_of(noted(diary, "well"), noted(diary, "stuck", "well", close=closing)) as session:
            await session.call_bridge("stuck", "ping")

    play(run)
    assert diary.lines[-1] == "close well"
    assert [line for line in told if "the bridge 'stuck' failed to close: TimeoutError" in line]


def test_needs_that_cannot_be_met_are_an_error_of_the_session_that_is_given_such_bridges() -> None:
    async def run() -> None:
        for bridges, words in (
            ([noted(Diary(), "a", "timr")], "the bridge 'a': it needs the bridge 'timr', which is not there; did you mean 'timer'?"),
            ([noted(Diary(), "a", "b"), noted(Diary(), "b", "a")], "in a circle: a -> b -> a"),
        ):
            with pytest.raises(ConfigError) as caught:
                Session(bridges=bridges, pool=FakePool())
            assert words in caught.value.message

    play(run)


# -- added and removed ----------------------------------------------------------------------------------------------------------------------


def declared(fake: FakeWorker) -> list[Any]:
    return [json.loads(value) for _, kind, _, value in fake.of("query") if kind == "declare"]  # type: ignore[call-overload, misc]


def test_an_added_bridge_can_be_called_at_once_and_open_states_are_told() -> None:
    diary = Diary()

    async def run() -> World:
        async with world([Finished()], [asks(effect(1, "ping", bridge="late")), Finished()]) as made:
            await made.session.run("x")
            await made.session.add_bridge(noted(diary, "late"))
            assert await made.session.call_bridge("late", "ping") == "late"
            await made.session.run("x", state="new")
            return made

    done = play(run)
    (change,) = declared(done.fake)
    assert change["remove"] == [] and change["add"]["bridges"] == {"late": ["hang", "ping"]}
    assert declared(done.fakes[1]) == []
    assert json.loads(done.fakes[1].of("open")[0][2])["bridges"]["late"] == ["hang", "ping"]


def test_a_state_that_waits_in_a_cell_is_told_between_its_steps() -> None:
    async def run() -> World:
        async with world([asks(effect(1, "hang")), Finished()]) as made:
            cell = asyncio.create_task(made.session.run("x"))
            await made.probe.waiting.wait()
            await made.session.add_bridge(noted(Diary(), "late"))
            assert declared(made.fake)
            made.session.interrupt()
            await cell
            return made

    names = [name for name, _ in play(run).fake.calls]
    assert names.index("begin") < names.index("query") < names.index("resume")


def test_a_change_before_a_loop_runs_reaches_the_state_before_its_next_cell() -> None:
    runner = asyncio.Runner()
    fake = FakeWorker([Finished(), Finished()])

    async def make() -> Session:
        session = Session(pool=FakePool([fake]), limits=LIMITS)
        await session.run("x")
        return session

    session = runner.run(make())

    def double(number: int) -> int:
        return 2 * number

    session.expose(double)
    assert declared(fake) == []
    runner.run(session.run("x"))
    assert [change["add"]["bridges"] for change in declared(fake)] == [{"host": ["double"]}]
    names = [name for name, _ in fake.calls]
    assert names.index("query") < len(names) - 1 - names[::-1].index("begin")
    runner.run(session.close())
    runner.close()


def test_a_state_that_does_not_take_the_change_keeps_nobody_else_from_it() -> None:
    told: list[str] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["message"]))
        refusing = FakeWorker([Finished()], replies={("declare", ""): Fault("script", "no")})
        async with world(refusing, [Finished()]) as made:
            await made.session.run("x")
            await made.session.run("x", state="b")
            await made.session.add_bridge(noted(Diary(), "late"))
            assert declared(made.fakes[1])

    play(run)
    assert "did not take a change of the bridges" in told[0]


def test_a_name_that_is_taken_and_needs_that_cannot_be_met_are_refused() -> None:
    async def run() -> None:
        async with session_of(noted(Diary(), "a")) as session:
            with pytest.raises(ConfigError, match="there is a bridge 'a' already"):
                await session.add_bridge(noted(Diary(), "a"))
            with pytest.raises(ConfigError, match="it needs the bridge 'z'"):
                await session.add_bridge(noted(Diary(), "b", "z"))
            assert "b" not in session.declarations
            await session.add_bridge(type(noted(Diary(), "b")))
            with pytest.raises(ConfigError, match="the bridge 'b' cannot start: TypeError"):
                await session.call_bridge("b", "ping")

    play(run)


def test_removing_a_bridge_ends_its_calls_with_a_clear_error_and_closes_it() -> None:
    diary = Diary()

    async def run() -> World:
        async with world([asks(effect(1, "hang", bridge="late")), asks(effect(2, "ping", bridge="late")), Finished()]) as made:
            late = noted(diary, "late")
            await made.session.add_bridge(late)
            cell = asyncio.create_task(made.session.run("x"))
            await late.hangs.wait()
            await made.session.remove_bridge("late")
            assert (await cell).error is None
            assert "late" not in made.session.declarations
            return made

    done = play(run)
    assert diary.lines == ["open late", "hang late ended", "close late"]
    assert [answers(done.fake)[number].fault.code for number in (1, 2)] == ["bridge_removed", "unknown"]  # type: ignore[union-attr]
    assert "was removed while this call was running" in done.events(CallFailed)[0].message
    assert not done.events(CallFailed)[0].cancelled
    assert declared(done.fake)[-1] == {"remove": ["late"], "add": declared(done.fake)[-1]["add"]}


def test_a_call_that_does_not_end_when_its_bridge_is_removed_is_left_alone_and_reported() -> None:
    told: list[str] = []
    go = asyncio.Event()

    async def stubborn(self: Any, ctx: Context) -> str:
        """Is not cancelled until the test says so."""
        self.hangs.set()
        while not go.is_set():
            try:
                await go.wait()
            except asyncio.CancelledError:
                continue
        return "late"

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["message"]))
        late = noted(Diary(), "late", stay=method(stubborn))
        async with world([asks(effect(1, "stay", bridge="late")), Finished()], limits=QUICK) as made:
            await made.session.add_bridge(late)
            cell = asyncio.create_task(made.session.run("x"))
            await late.hangs.wait()
            await made.session.remove_bridge("late")
            go.set()
            assert (await cell).error is None
            assert answers(made.fake)[1].fault is None

    play(run)
    assert "1 calls of the removed bridge 'late' go on" in told[0]


def test_a_python_call_that_runs_when_its_bridge_is_removed_is_not_a_cancelled_task() -> None:
    async def run() -> None:
        late = noted(Diary(), "late")
        async with session_of(late) as session:
            task = asyncio.create_task(session.call_bridge("late", "hang"))
            await late.hangs.wait()
            await session.remove_bridge("late")
            with pytest.raises(BridgeError, match="was removed") as caught:
                await task
            assert caught.value.code == "bridge_removed"

    play(run)


class Line(Resource):
    """Something open."""

    type = "phone.line"

    def __init__(self, diary: Diary) -> None:
        self._diary = diary

    @method
    async def say(self, ctx: Context) -> str:
        """Says something."""
        return "hello"

    async def release(self) -> None:
        self._diary.lines.append("release")


def test_removing_a_bridge_releases_its_resources_before_it_closes() -> None:
    diary = Diary()

    async def dial(self: Any, ctx: Context) -> Line:
        """A line."""
        return Line(diary)

    async def run() -> World:
        say = effect(2, "say", bridge="phone.line", target=1)
        async with world([asks(effect(1, "dial", bridge="phone")), Finished(), asks(say), Finished()]) as made:
            await made.session.add_bridge(noted(diary, "phone", dial=method(dial), resources=(Line,)))
            await made.session.run("x")
            assert len(made.session.resources) == 1
            await made.session.remove_bridge("phone")
            assert len(made.session.resources) == 0
            await made.session.run("y")
            return made

    done = play(run)
    assert diary.lines == ["open phone", "release", "close phone"]
    assert fault_code(done, 2) != ""


def test_a_bridge_that_another_one_needs_cannot_be_removed() -> None:
    async def run() -> None:
        async with session_of(noted(Diary(), "a", "b"), noted(Diary(), "b")) as session:
            with pytest.raises(ConfigError, match="the bridge 'b' is needed by a; remove it first"):
                await session.remove_bridge("b")
            with pytest.raises(ConfigError, match="there is no bridge 'z'"):
                await session.remove_bridge("z")

    play(run)


# -- deprecated -----------------------------------------------------------------------------------------------------------------------------


def test_a_deprecated_method_works_and_is_told_once_a_session() -> None:
    async def old(self: Any, ctx: Context) -> int:
        """As it was."""
        return 1

    async def run() -> World:
        first = [asks(effect(1, "old", bridge="late"), effect(2, "old", bridge="late")), Finished()]
        async with world(first, [asks(effect(1, "old", bridge="late")), Finished()]) as made:
            await made.session.add_bridge(noted(Diary(), "late", old=method(deprecated="use late.ping", since="1")(old)))
            await made.session.run("x")
            await made.session.run("x", state="b")
            return made

    done = play(run)
    assert done.sink.text("stderr") == "late.old is deprecated: use late.ping\n"
    assert len(done.events(CallFinished)) == 3


def test_a_denied_call_of_a_deprecated_method_is_not_told_of() -> None:
    async def old(self: Any, ctx: Context) -> int:
        """As it was."""
        return 1

    async def run() -> World:
        async with world([asks(effect(1, "old", bridge="late")), Finished()], grants=Grants(deny=("late.*",))) as made:
            await made.session.add_bridge(noted(Diary(), "late", old=method(deprecated="use late.ping")(old)))
            await made.session.run("x")
            return made

    assert play(run).sink.text("stderr") == ""


# -- exposed --------------------------------------------------------------------------------------------------------------------------------


def lookup(city: str) -> dict[str, Any]:
    """What is known of a city."""
    return {"city": city}


class Crm:
    """Customers."""

    def find(self, name: str, *tags: str) -> list[str]:
        """One of them."""
        return [name, *tags]


EXPOSED = {
    "lua": "local ok, err = pcall(host.lookup, 7) return {host.lookup('Oslo'), crm.find('Ann', 'a', 'b'), ok, err.code}",
    "javascript": "let err; try { await host.lookup(7) } catch (e) { err = e } "
    "[await host.lookup('Oslo'), await crm.find('Ann', 'a', 'b'), false, err.code]",
}


@pytest.mark.parametrize("engine", ENGINES)
def test_exposed_functions_and_objects_answer_every_engine(engine: str) -> None:
    async def run() -> World:
        async with world() as made:
            assert made.session.expose(lookup) is lookup
            made.session.expose(Crm())
            outcome = await made.session.run(EXPOSED[engine], engine=engine)
            assert outcome.error is None
            assert outcome.values == [[{"city": "Oslo"}, ["Ann", "a", "b"], False, "argument"]]
            return made

    done = play(run)
    calls = [(event.bridge, event.method, event.arguments) for event in done.events(CallStarted)]
    assert calls == [("host", "lookup", ["Oslo"]), ("crm", "find", ["Ann", "a", "b"])]
    assert [event.code for event in done.events(CallDenied)] == ["argument"]


def test_the_policy_decides_over_exposed_functions_too() -> None:
    async def run() -> None:
        async with session_of(grants=Grants(deny=("host.lookup",))) as session:
            session.expose(lookup)
            with pytest.raises(DeniedError, match=r"host\.lookup"):
                await session.call_bridge("host", "lookup", "Oslo")

    play(run)


def test_exposing_a_name_again_replaces_it_and_keeps_the_others() -> None:
    async def run() -> None:
        async with session_of() as session:
            session.expose(lookup)

            @session.expose(name="twice")
            def double(number: int) -> int:
                return 2 * number

            assert await session.call_bridge("host", "twice", 4) == 8

            @session.expose(name="lookup")
            def other(city: str, country: str) -> str:
                return f"{city}, {country}"

            assert await session.call_bridge("host", "lookup", "Oslo", "Norway") == "Oslo, Norway"
            assert await session.call_bridge("host", "twice", 5) == 10
            session.expose(Crm())
            session.expose(Crm())

    play(run)


def test_what_cannot_be_exposed_changes_nothing() -> None:
    def wrong(city) -> str:  # type: ignore[no-untyped-def]
        return ""

    async def run() -> None:
        async with session_of(noted(Diary(), "noted")) as session:
            session.expose(lookup)
            with pytest.raises(ConfigError, match="has no annotation"):
                session.expose(wrong)
            with pytest.raises(ConfigError, match="'noted' is the name of another bridge"):
                session.expose(Crm(), name="noted")
            assert sorted(session.declarations["host"].methods) == ["lookup"]
            assert await session.call_bridge("noted", "ping") == "noted"

    play(run)


def test_removing_host_takes_every_exposed_function_away() -> None:
    async def run() -> None:
        async with session_of() as session:
            session.expose(lookup)
            await session.remove_bridge("host")

            @session.expose
            def other() -> int:
                return 1

            assert sorted(session.declarations["host"].methods) == ["other"]
            with pytest.raises(ScriptError, match="host has no method 'lookup'"):
                await session.call_bridge("host", "lookup", "Oslo")
            with pytest.raises(ArgumentError, match="takes no arguments"):
                await session.call_bridge("host", "other", 1)

    play(run)


# -- a function of the script, called from Python ---------------------------------------------------------------------------------------------

FUNCTIONS = {
    "lua": "words = {count = function(text) return #text end}\n"
    "function shout(text, extra) sleep(0) return text .. '!', extra end\n"
    "function fail() error('on purpose') end\n"
    "function loop() while true do end end\n"
    "function keeps(t) return t.a[1], t.b == null end\n"
    "five = 5",
    "javascript": "const words = {count(text) { return text.length + (this === words ? 0 : 100) }};\n"
    "async function shout(text, extra) { await sleep(0); return text + '!' }\n"
    "function fail() { throw new Error('on purpose') }\n"
    "function loop() { for (;;) {} }\n"
    "function keeps(t) { return t.a[0] }\n"
    "var five = 5",
}


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def calling(engine: str, *calls: tuple[Any, ...], limits: Limits = LIMITS) -> tuple[World, list[Any]]:
    async def run() -> tuple[World, list[Any]]:
        async with world(limits=limits) as made:
            assert (await made.session.run(FUNCTIONS[engine], engine=engine, chunk="cell[1]")).error is None
            return made, [await made.session.call_function(*call, engine=engine, chunk="python[1]") for call in calls]

    return play(run)  # type: ignore[no-any-return]


def test_a_function_of_a_script_is_called_with_values_and_may_wait_for_bridges(engine: str) -> None:
    done, (shouted, counted, kept) = calling(
        engine, ("shout", "hey", 2**60), ("words.count", "four"), ("keeps", {"a": [b"\xff"], "b": None})
    )
    assert shouted.values == (["hey!", 2**60] if engine == "lua" else ["hey!"])
    assert counted.values == [4]
    assert kept.values[0] == b"\xff"
    starts = [(event.function, event.code, event.chunk) for event in done.events(CellStarted)][1:]
    assert starts[0] == ("shout", f'["hey",{{"$":["i","{2**60}"]}}]', "python[1]")
    assert [event.bridge for event in done.events(CallStarted)] == ["timer"]


def test_a_called_functions_error_is_the_outcomes_and_points_into_the_cell_that_made_it(engine: str) -> None:
    _, (failed,) = calling(engine, ("fail",))
    assert isinstance(failed.error, ScriptError) and "on purpose" in failed.error.message
    assert (failed.error.frames[0].chunk, failed.error.frames[0].line) == ("cell[1]", 3)


@pytest.mark.parametrize("name", ["five", "nothing", "words.nothing", "five.six", "fail()", "words.", "__proto__.x"])
def test_what_is_no_function_of_the_script_is_an_error_that_runs_nothing(engine: str, name: str) -> None:
    _, (failed, after) = calling(engine, (name,), ("words.count", "ok"))
    assert failed.error is not None and "there is no global function" in failed.error.message
    assert after.values == [2]


def test_a_called_function_is_under_the_limits_of_a_cell(engine: str) -> None:
    _, (failed, after) = calling(engine, ("loop",), ("words.count", "ok"), limits=LIMITS._replace(script_time_s=0.3))
    assert isinstance(failed.error, LimitError) and failed.error.limit == "script_time_s"
    assert after.values == [2]


def test_arguments_that_cannot_cross_are_refused_before_the_script_is_asked() -> None:
    async def run() -> None:
        async with world([]) as made:
            with pytest.raises(ValueCrossingError):
                await made.session.call_function("f", object())
            with pytest.raises(LimitError, match="the arguments of f"):
                await made.session.call_function("f", "x" * LIMITS.value_bytes)
            with pytest.raises(ScriptError, match="the name of a function is empty"):
                await made.session.call_function("")
            assert made.names() == []

    play(run)


# -- modules --------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_a_registered_module_reaches_scripts_by_name_and_language(engine: str) -> None:
    async def run() -> None:
        async with world() as made:
            made.session.add_module("text/words", "first\nsecond", engine)
            made.session.add_module("text/words", "again", engine)
            code = f"modules.source('text/words', '{engine}')"
            outcome = await made.session.run(f"await {code}" if engine == "javascript" else f"return {code}", engine=engine)
            assert outcome.values == ["again"]
            assert made.session.sources["module[text/words]"] == "again"

    play(run)


def test_a_module_of_an_engine_by_alias_is_one_of_that_engine() -> None:
    async def run() -> None:
        async with session_of() as session:
            session.add_module("a", "1", "js")
            assert list(session.modules) == [("a", "javascript")]
            with pytest.raises(ConfigError, match="there is no engine 'jss'"):
                session.add_module("a", "1", "jss")

    play(run)


def test_answers_are_what_the_effects_asked_for() -> None:
    """The journal of an exposed call is that of any other: started, finished, with the value that the script got."""

    async def run() -> tuple[World, Answer]:
        async with world([asks(effect(1, "lookup", "Oslo", bridge="host")), Finished()]) as made:
            made.session.expose(lookup)
            await made.session.run("x", sink=Recording())
            return made, answers(made.fake)[1]

    done, answer = play(run)
    assert loads(answer.value) == {"city": "Oslo"} == done.events(CallFinished)[0].value


# -- built-in bridges, which are imported at their first use


def test_a_built_in_bridge_that_cannot_be_imported_is_a_clear_error_of_its_call_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llmspell_kernel.bridges.timer", None)

    async def run() -> World:
        script = [asks(effect(1, "sleep", 0.0, bridge="timer")), asks(effect(2, "ping", bridge="noted")), Finished()]
        async with world(script) as made:
            await made.session.add_bridge(noted(Diary(), "noted"))
            assert (await made.session.run("x")).error is None
            with pytest.raises(ScriptError, match="could not be loaded"):
                await made.session.call_bridge("timer", "sleep", 0.0)
            with pytest.raises(ConfigError, match="the bridge 'timer' could not be loaded: .*ModuleNotFoundError"):
                await made.session.bridge("timer")
            await made.session.remove_bridge("timer")
            assert "timer" not in made.session.declarations
            return made

    done = play(run)
    fault, answer = (answers(done.fake)[number] for number in (1, 2))
    assert fault.fault.message.startswith(  # type: ignore[union-attr]
        "there is no bridge 'timer': it could not be loaded: llmspell_kernel.bridges.timer: ModuleNotFoundError: "
    )
    assert isinstance(answer, Answer) and loads(answer.value) == "noted"


def test_a_bridge_whose_need_cannot_be_imported_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llmspell_kernel.bridges.timer", None)

    async def run() -> None:
        async with session_of(noted(Diary(), "a", "timer")) as session:
            with pytest.raises(ConfigError, match="the bridge 'a' needs another one: the bridge 'timer' could not be loaded: .*halted"):
                await session.bridge("a")

    play(run)
