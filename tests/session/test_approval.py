"""Asking before an effect: no by default, one question at a time, one answer for one call, and time that stands still."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmspell_kernel import ApprovalRequest, Bridge, Context, method
from llmspell_kernel.errors import DeniedError, Interrupted, LimitError, RefusedError
from llmspell_kernel.journal.events import AnyEvent, CallAsked, CallDenied, CallStarted
from llmspell_kernel.policy.decide import Grants
from llmspell_kernel.policy.limits import PRESETS, Limits
from llmspell_kernel.session import Session
from llmspell_kernel.settings import Settings
from llmspell_kernel.testing.fake_clock import FakeClock

from .world import Probe, Recording

ENGINES = ["lua", "javascript"]
BY_ENGINE = pytest.mark.parametrize("engine", ENGINES)
ECHO = {"lua": 'return probe.echo("a\\nb")', "javascript": 'await probe.echo("a\\nb")'}
THREE = {
    "lua": """
local calls = {}
for i = 1, 3 do calls[i] = function() return (pcall(probe.echo, i)) end end
return async.all(calls)""",
    "javascript": "(await Promise.allSettled([1, 2, 3].map(i => probe.echo(i)))).map(call => call.status === 'fulfilled')",
}


class Scripted:
    """An approver that gives the answers it was told to, and notes what it was asked; without any left it waits for ever."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[ApprovalRequest] = []
        self.open = 0
        self.most_open = 0
        self.began = asyncio.Event()
        self.cancelled = 0

    async def ask(self, request: ApprovalRequest) -> bool:
        self.asked.append(request)
        self.began.set()
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await asyncio.sleep(0)
            if not self.answers:
                await asyncio.Event().wait()
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer  # type: ignore[no-any-return]
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.open -= 1


class Steps(Bridge):
    """Asks in the middle of a call."""

    name = "steps"

    def __init__(self) -> None:
        self.done: list[str] = []

    @method
    async def send(self, ctx: Context, to: str) -> None:
        """Sends, if it may."""
        await ctx.approve("send a mail", {"to": to})
        self.done.append(to)

    @method(level="dangerous")
    async def erase(self, ctx: Context) -> str:
        """Erases all."""
        self.done.append("erase")
        return "gone"

    @method(replay="again")
    async def erase_all(self, ctx: Context) -> str:
        """Has everything erased, if the user will have it."""
        try:
            return str(await ctx.call("steps", "hand_on", ask="it cannot be undone"))
        except RefusedError as error:
            return f"refused: {error.capability}"

    @method(replay="again", inner=True)
    async def hand_on(self, ctx: Context) -> str:
        """Hands on why the user is to be asked."""
        return str(await ctx.call("steps", "erase", ask=ctx.ask))

    @method(level="write")
    async def note(self, ctx: Context) -> str:
        """Notes it."""
        return "noted"


class Asking:
    def __init__(self, approver: Any, *, ask: tuple[str, ...] = ("probe.echo",), limits: Limits = PRESETS["standard"], **more: Any) -> None:
        self.approver = approver
        self.probe, self.steps, self.sink = Probe(), Steps(), Recording()
        grants = more.pop("grants", Grants(ask=ask))
        self.session = Session(sink=self.sink, bridges=[self.probe, self.steps], grants=grants, limits=limits, approver=approver, **more)

    def events(self, *kinds: type[AnyEvent]) -> list[Any]:
        return [event for event in self.session.recorder if isinstance(event, kinds)]


@BY_ENGINE
def test_a_call_that_the_user_allows_goes_on(engine: str) -> None:
    async def play() -> None:
        one = Asking(Scripted(True))
        async with one.session as session:
            result = await session.run(ECHO[engine], engine=engine, state="s", chunk="cell[7]")
            assert result.value == "a\nb"
        (request,) = one.approver.asked
        assert request._replace(reason="") == ApprovalRequest("probe.echo", "read", {"1": "a\nb"}, engine, "s", "cell[7]", "")
        assert '  1 = "a\\nb"\n' in request.text
        assert [type(event) for event in one.events(CallAsked, CallStarted, CallDenied)] == [CallAsked, CallStarted]
        assert one.events(CallAsked)[0].allowed is True

    asyncio.run(play())


@BY_ENGINE
@pytest.mark.parametrize("answer", [False, None, 0, 1, "y", RuntimeError("broken"), DeniedError("stdin is off")])
def test_whatever_is_not_a_yes_denies_and_never_reaches_the_bridge(engine: str, answer: Any) -> None:
    async def play() -> None:
        one = Asking(Scripted(answer))
        async with one.session as session:
            error = (await session.run(ECHO[engine], engine=engine)).error
        assert isinstance(error, DeniedError)
        assert error.capability == "probe.echo"
        assert "needs the user's consent" in error.message
        assert one.probe.calls == []
        (denied,) = one.events(CallDenied)
        assert (denied.bridge, denied.method, denied.code) == ("probe", "echo", "denied")
        assert [event.allowed for event in one.events(CallAsked)] == [False]
        assert not one.events(CallStarted)

    asyncio.run(play())


@BY_ENGINE
def test_without_anybody_to_ask_the_call_is_denied_and_the_error_says_so(engine: str) -> None:
    async def play() -> None:
        one = Asking(None)
        async with one.session as session:
            error = (await session.run(ECHO[engine], engine=engine)).error
        assert isinstance(error, DeniedError)
        assert "nobody to ask" in error.message

    asyncio.run(play())


@BY_ENGINE
@pytest.mark.parametrize(
    ("answer", "levels", "value", "reason"),
    [
        (True, (), "gone", "it cannot be undone"),
        (False, (), "refused: steps.erase", "it cannot be undone"),
        (False, ("dangerous",), "refused: steps.erase", "your settings: every effect of the level 'dangerous'; it cannot be undone"),
    ],
)
def test_who_makes_a_call_can_have_the_user_asked_about_it_once_whatever_the_policy_says(
    engine: str, answer: bool, levels: Any, value: str, reason: str
) -> None:
    async def play() -> None:
        one = Asking(Scripted(answer), grants=Grants(ask_levels=levels))
        code = {"lua": "return steps.erase_all()", "javascript": "await steps.eraseAll()"}[engine]
        async with one.session as session:
            assert (await session.run(code, engine=engine)).value == value
        (request,) = one.approver.asked
        assert (request.capability, request.level, request.reason) == ("steps.erase", "dangerous", reason)
        assert one.steps.done == (["erase"] if answer else [])

    asyncio.run(play())


@BY_ENGINE
def test_a_call_that_the_policy_denies_is_denied_and_not_refused_by_the_user(engine: str) -> None:
    async def play() -> None:
        one = Asking(Scripted(True), grants=Grants(deny=("steps.erase",)))
        code = {"lua": "return steps.erase_all()", "javascript": "await steps.eraseAll()"}[engine]
        async with one.session as session:
            error = (await session.run(code, engine=engine)).error
        assert type(error) is DeniedError and one.approver.asked == []

    asyncio.run(play())


@BY_ENGINE
def test_a_script_can_catch_the_no(engine: str) -> None:
    code = {
        "lua": "local ok, err = pcall(probe.echo, 1) return err.code",
        "javascript": "let code; try { await probe.echo(1) } catch (err) { code = err.code }; code",
    }

    async def play() -> None:
        one = Asking(Scripted(False))
        async with one.session as session:
            assert (await session.run(code[engine], engine=engine)).value == "denied"

    asyncio.run(play())


@BY_ENGINE
def test_calls_at_once_are_asked_one_after_another_and_each_has_its_own_answer(engine: str) -> None:
    async def play() -> None:
        one = Asking(Scripted(True, False, True))
        async with one.session as session:
            result = await session.run(THREE[engine], engine=engine)
        assert sorted(result.value) == [False, True, True]
        assert [request.arguments for request in one.approver.asked] == [{"1": 1}, {"1": 2}, {"1": 3}]
        assert one.approver.most_open == 1
        assert len(one.probe.calls) == 2

    asyncio.run(play())


def test_two_cells_at_once_are_asked_one_after_another() -> None:
    async def play() -> None:
        one = Asking(Scripted(True, True))
        async with one.session as session:
            await asyncio.gather(session.run(ECHO["lua"], state="a"), session.run(ECHO["lua"], state="b"))
        assert {request.state for request in one.approver.asked} == {"a", "b"}
        assert one.approver.most_open == 1

    asyncio.run(play())


def test_one_answer_is_for_one_call() -> None:
    async def play() -> None:
        one = Asking(Scripted(True, False))
        async with one.session as session:
            assert (await session.run(ECHO["lua"])).value == "a\nb"
            assert isinstance((await session.run(ECHO["lua"])).error, DeniedError)

    asyncio.run(play())


@BY_ENGINE
def test_a_stop_while_the_question_is_open_allows_nothing(engine: str) -> None:
    async def play() -> None:
        one = Asking(Scripted())
        async with one.session as session:
            running = asyncio.create_task(session.run(ECHO[engine], engine=engine))
            await one.approver.began.wait()
            session.interrupt()
            assert isinstance((await running).error, Interrupted)
            assert one.approver.cancelled == 1
            assert one.probe.calls == []
            (denied,) = one.events(CallDenied)
            assert denied.code == "interrupted"
            assert [event.allowed for event in one.events(CallAsked)] == [False]
            one.approver.answers.append(True)
            assert (await session.run(ECHO[engine], engine=engine)).value == "a\nb"

    asyncio.run(play())


def test_other_cells_go_on_while_a_question_is_open() -> None:
    async def play() -> None:
        one = Asking(Scripted())
        async with one.session as session:
            asking = asyncio.create_task(session.run(ECHO["lua"], state="a"))
            await one.approver.began.wait()
            assert (await session.run("return probe.count(5)", state="b")).value == 5
            session.interrupt()
            await asking

    asyncio.run(play())


def test_the_total_time_stands_still_while_the_user_thinks() -> None:
    clock = FakeClock()

    class Slow:
        """Answers after more than the cell's whole time."""

        async def ask(self, request: ApprovalRequest) -> bool:
            clock.advance(0.4)
            return True

    async def play() -> None:
        one = Asking(Slow(), limits=PRESETS["standard"]._replace(total_time_s=0.3), clock=clock)
        async with one.session as session:
            assert (await session.run(ECHO["lua"])).value == "a\nb"
            going = asyncio.ensure_future(session.run('probe.echo("a") probe.hang()'))
            await one.probe.waiting.wait()
            clock.advance(0.4)
            late = (await going).error
            assert isinstance(late, LimitError) and late.limit == "total_time_s"

    asyncio.run(play())


@BY_ENGINE
def test_arguments_are_checked_before_anybody_is_asked(engine: str) -> None:
    async def play() -> None:
        one = Asking(Scripted(), ask=("probe.*",))
        async with one.session as session:
            code = 'probe.count("x")' if engine == "lua" else 'await probe.count("x")'
            error = (await session.run(code, engine=engine)).error
            assert error is not None and error.code == "argument"
        assert one.approver.asked == []

    asyncio.run(play())


@pytest.mark.parametrize(("deny", "allow"), [(("probe.echo",), ("*",)), ((), ("log.*",))])
def test_what_is_denied_is_not_asked(deny: tuple[str, ...], allow: tuple[str, ...]) -> None:
    async def play() -> None:
        one = Asking(Scripted(True), grants=Grants(allow, deny, ask=("*",)))
        async with one.session as session:
            assert isinstance((await session.run(ECHO["lua"])).error, DeniedError)
        assert one.approver.asked == []

    asyncio.run(play())


@pytest.mark.parametrize("method_name", ["erase", "note"])
def test_strict_asks_for_each_effect_of_the_levels_write_and_dangerous(method_name: str) -> None:
    async def play() -> None:
        approver = Scripted(True)
        probe, steps = Probe(), Steps()
        async with Session(settings=Settings(preset="strict"), bridges=[probe, steps], approver=approver) as session:
            await session.call_bridge("probe", "echo", 1)
            assert approver.asked == []
            await session.call_bridge("steps", method_name)
            assert [(request.capability, request.level) for request in approver.asked] == [
                (f"steps.{method_name}", "dangerous" if method_name == "erase" else "write")
            ]

    asyncio.run(play())


@BY_ENGINE
def test_a_bridge_can_ask_in_the_middle_of_its_work(engine: str) -> None:
    code = 'steps.send("me@example.com")' if engine == "lua" else 'await steps.send("me@example.com")'

    async def play() -> None:
        one = Asking(Scripted(True, False), ask=())
        async with one.session as session:
            assert (await session.run(code, engine=engine)).error is None
            assert isinstance((await session.run(code, engine=engine)).error, DeniedError)
        assert one.steps.done == ["me@example.com"]
        assert one.approver.asked[0].capability == "steps.send"
        assert '  to do:  "send a mail"\n' in one.approver.asked[0].text
        assert '  to = "me@example.com"\n' in one.approver.asked[0].text

    asyncio.run(play())


@BY_ENGINE
def test_nobody_is_asked_for_what_goes_on_in_the_background(engine: str) -> None:
    code = {
        "lua": "async.background(function() sleep(0.05) local ok, err = pcall(probe.echo, 1) print(err.code) probe.count(9) end)",
        "javascript": """async.background(async () => {
  await sleep(0.05);
  try { await probe.echo(1) } catch (err) { console.log(err.code) }
  await probe.count(9);
})""",
    }

    async def play() -> None:
        one = Asking(Scripted(True))
        async with one.session as session:
            await session.run(code[engine], engine=engine)
            await session.background_ended()
        assert one.approver.asked == []
        assert "denied" in one.sink.text("stdout")
        assert one.probe.calls == ["count"]

    asyncio.run(play())


@BY_ENGINE
def test_a_question_whose_cell_ends_is_withdrawn_and_denied(engine: str) -> None:
    code = {
        "lua": "async.background(function() local ok, err = pcall(probe.echo, 1) print(err.code) end) probe.count(1)",
        "javascript": "async.background(async () => { try { await probe.echo(1) } catch (err) { console.log(err.code) } }); await probe.count(1)",
    }

    async def play() -> None:
        one = Asking(Scripted())
        async with one.session as session:
            await session.run(code[engine], engine=engine)
            await session.background_ended()
        assert one.approver.cancelled == len(one.approver.asked) <= 1
        assert "denied" in one.sink.text("stdout")

    asyncio.run(play())


def test_python_s_own_call_of_a_bridge_is_asked_about_as_well() -> None:
    async def play() -> None:
        one = Asking(Scripted(False))
        async with one.session as session:
            with pytest.raises(DeniedError):
                await session.call_bridge("probe", "echo", 1)

    asyncio.run(play())


def test_a_secret_among_the_arguments_is_not_shown_in_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """The front end keeps what it asked, and a notebook saves it."""
    monkeypatch.setenv("MY_TOKEN", "sesame-0123456789")

    async def play() -> None:
        secrets = {"mine": {"env": "MY_TOKEN", "hosts": ["api.example.com"]}}
        one = Asking(Scripted(True), settings=Settings(secrets=secrets))
        async with one.session as session:
            await session.run('probe.echo("x" .. "sesame-" .. "0123456789")')
        (request,) = one.approver.asked
        assert "sesame" not in request.text

    asyncio.run(play())
