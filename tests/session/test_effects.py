"""One effect from request to answer, without a process: what is refused never reaches its bridge, and the journal tells it all."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any

import msgspec
import pytest

from llmspell_kernel.errors import BridgeError, DeniedError, LimitError, ScriptError
from llmspell_kernel.journal.events import CallDenied, CallFailed, CallFinished, CallStarted
from llmspell_kernel.policy.decide import Grants
from llmspell_kernel.protocol.steps import Answer, Effect, Finished, Suspended
from llmspell_kernel.session import ExecutionResult
from llmspell_kernel.shown import Data, Table, measured
from llmspell_kernel.testing.fake_worker import FakeWorker, Item
from llmspell_kernel.values import dumps, loads

from .world import LIMITS, Probe, World, world


def effect(number: int, method: str, *args: Any, bridge: str = "probe", target: int | None = None) -> Effect:
    return Effect(number, bridge, method, msgspec.Raw(b"[" + b",".join(map(dumps, args)) + b"]"), target)


def asks(*effects: Effect) -> Item:
    return Suspended(list(effects))


def answers(fake: FakeWorker) -> dict[int, Answer]:
    """Every answer that the worker got, by the effect's id."""
    return {answer.id: answer for _, given, _ in fake.of("resume") for answer in given}  # type: ignore[attr-defined]


def fault_code(world: World, number: int = 1) -> str:
    fault = answers(world.fake)[number].fault
    assert fault is not None
    return fault.code


def one_effect(item: Effect, **more: Any) -> World:
    """A world in which a script asked for that effect and then ended."""

    async def play() -> World:
        async with world([asks(item), Finished()], **more) as made:
            outcome = await made.session.run("x")
            assert outcome.error is None
            return made

    return asyncio.run(play())


def test_an_effect_reaches_its_bridge_and_its_answer_the_script() -> None:
    done = one_effect(effect(1, "echo", {"a": [1, 2.5, None]}))
    assert done.probe.calls == ["echo"]
    assert loads(answers(done.fake)[1].value) == {"a": [1, 2.5, None]}


@pytest.mark.parametrize("grants", [Grants(deny=("probe.echo",)), Grants(allow=("log.*",)), Grants(allow=("probe.echo",), deny=("*",))])
def test_a_denied_effect_never_reaches_its_bridge(grants: Grants) -> None:
    done = one_effect(effect(1, "echo", 1), grants=grants)
    assert done.probe.calls == []
    assert fault_code(done) == "denied"
    (denied,) = done.events(CallDenied)
    assert (denied.bridge, denied.method, denied.arguments, denied.code) == ("probe", "echo", [1], "denied")
    assert not done.events(CallStarted)


@pytest.mark.parametrize(
    ("item", "code", "words"),
    [
        (effect(1, "count", "three"), "argument", "probe.count: argument 1 (number) must be"),
        (effect(1, "count"), "argument", "is missing"),
        (effect(1, "count", 1, 2), "argument", "takes 1 argument"),
        (effect(1, "cuont", 1), "unknown", "did you mean 'count'?"),
        (effect(1, "release"), "unknown", "probe has no method 'release'"),
        (effect(1, "__init__"), "unknown", "no method '__init__'"),
        (effect(1, "close"), "unknown", "no method 'close'"),
        (effect(1, "echo", bridge="prob"), "unknown", "there is no bridge 'prob'; did you mean 'probe' or 'prompt'?"),
        (Effect(1, "probe", "echo", msgspec.Raw(b'{"a":1}')), "value", "list"),
        (Effect(1, "probe", "echo", msgspec.Raw(b'[{"$":["zz"]}]')), "value", "malformed tagged value"),
        (Effect(1, "probe", "echo", msgspec.Raw(b"[" * 80 + b"]" * 80)), "value", "deeper than 64"),
    ],
)
def test_a_wrongly_called_effect_never_reaches_its_bridge(item: Effect, code: str, words: str) -> None:
    done = one_effect(item)
    assert done.probe.calls == []
    fault = answers(done.fake)[1].fault
    assert fault is not None
    assert fault.code == code
    assert words in fault.message
    (denied,) = done.events(CallDenied)
    assert (denied.code, denied.message) == (fault.code, fault.message)


def test_the_journal_tells_a_call_from_start_to_end_in_order() -> None:
    done = one_effect(effect(1, "say", "hey"))
    assert done.names() == [
        "CellStarted",
        "StateOpened",
        "CallStarted",
        "CallChunk",
        "CallChunk",
        "CallChunk",
        "CallUsage",
        "CallFinished",
        "CellFinished",
    ]
    started, *rest = [event for event in done.events() if hasattr(event, "call")]
    assert {event.call for event in rest} == {started.call}
    assert {event.cell for event in done.events()} == {1}
    times = [event.time for event in done.events()]
    assert times == sorted(times)


def test_every_call_ends_in_the_journal_exactly_once() -> None:
    async def play() -> World:
        each = [effect(1, "echo", 1), effect(2, "fail"), effect(3, "count", "x"), effect(4, "say", "a")]
        probe = Probe()
        probe.raises = ValueError("no")
        async with world([*map(asks, each), asks(effect(5, "hang"), effect(6, "echo")), Finished()], probe=probe) as made:
            await made.session.run("x")
            return made

    done = asyncio.run(play())
    started = [event.call for event in done.events(CallStarted)]
    ended = [event.call for event in done.events(CallFinished, CallFailed)]
    assert sorted(started) == sorted(ended)
    assert len(set(ended)) == len(ended) == 5
    (cancelled,) = [event for event in done.events(CallFailed) if event.cancelled]
    assert cancelled.code == "cancelled"


def test_the_effect_over_the_limit_is_refused_and_ends_its_cell_even_where_the_worker_goes_on() -> None:
    async def play() -> tuple[World, ExecutionResult]:
        async with world(
            [*[asks(effect(number, "echo", number)) for number in (1, 2, 3)], Finished()], limits=LIMITS._replace(effects=2)
        ) as made:
            return made, await made.session.run("x")

    done, result = asyncio.run(play())
    assert done.probe.calls == ["echo", "echo"]
    assert 3 not in answers(done.fake)
    assert isinstance(result.error, LimitError)
    assert (result.error.limit, result.error.value) == ("effects", 2)
    assert "%llmspell config limits.effects=" in result.error.message


def test_the_effect_limit_counts_anew_in_each_cell() -> None:
    async def play() -> World:
        async with world(
            [asks(effect(1, "echo")), Finished(), asks(effect(2, "echo")), Finished()], limits=LIMITS._replace(effects=1)
        ) as made:
            await made.session.run("x")
            await made.session.run("y")
            return made

    assert asyncio.run(play()).probe.calls == ["echo", "echo"]


class Odd(Exception):
    """Of a kind nobody foresaw."""


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ValueError("boo"), "bridge", "probe.fail failed: ValueError: boo"),
        (RuntimeError(), "bridge", "probe.fail failed: RuntimeError"),
        (Odd("é\n"), "bridge", "probe.fail failed: Odd: é\n"),
        (StopAsyncIteration("x"), "bridge", "StopAsyncIteration"),
        (RecursionError("deep"), "bridge", "RecursionError: deep"),
        (MemoryError(), "bridge", "MemoryError"),
        (TimeoutError("late"), "bridge", "TimeoutError: late"),
        (BridgeError("down", retryable=True), "bridge", "down"),
        (BridgeError("slow", code="rate_limit"), "rate_limit", "slow"),
        (DeniedError("not that file", capability="x"), "denied", "not that file"),
        (ScriptError("not so", code="mine"), "mine", "not so"),
    ],
)
def test_whatever_a_bridge_raises_is_an_error_for_the_script(error: Exception, code: str, message: str) -> None:
    probe = Probe()
    probe.raises = error
    done = one_effect(effect(1, "fail"), probe=probe)
    fault = answers(done.fake)[1].fault
    assert fault is not None
    assert fault.code == code
    assert message in fault.message
    assert fault.retryable == getattr(error, "retryable", isinstance(error, TimeoutError))
    assert "Traceback" not in fault.message
    assert ".py" not in fault.message
    (failed,) = done.events(CallFailed)
    assert (failed.code, failed.message, failed.cancelled) == (fault.code, fault.message, False)


def test_a_bridge_that_meets_a_cancellation_of_its_own_has_failed_and_the_script_goes_on() -> None:
    done = one_effect(effect(1, "give_up"))
    assert fault_code(done) == "bridge"
    (failed,) = done.events(CallFailed)
    assert not failed.cancelled


@pytest.mark.parametrize(
    ("value", "path"),
    [(object(), ""), ({"rows": [1, 2j]}, ".rows[1]"), ([2**64], "[0]"), ({"a": {1: 1}}, ".a"), ("\ud800", "")],
)
def test_an_answer_that_cannot_cross_is_the_calls_error_naming_the_path(value: Any, path: str) -> None:
    probe = Probe()
    probe.answer = value
    done = one_effect(effect(1, "give"), probe=probe)
    fault = answers(done.fake)[1].fault
    assert fault is not None
    assert fault.code == "value"
    assert f"(at value{path})" in fault.message
    assert not done.events(CallFinished)
    assert len(done.events(CallFailed)) == 1


def test_a_listener_of_the_journal_that_fails_does_not_keep_the_script_waiting() -> None:
    async def play() -> World:
        async with world([asks(effect(1, "echo", 1)), Finished()]) as made:

            def broken(event: Any) -> None:
                if isinstance(event, CallStarted):
                    raise OSError("disk full")

            made.session.recorder.listen(broken)
            async with asyncio.timeout(5):
                await made.session.run("x")
            return made

    done = asyncio.run(play())
    assert fault_code(done) == "internal"


def test_concurrent_effects_are_answered_each_as_it_ends() -> None:
    async def play() -> World:
        async with world([asks(effect(1, "wait", 0.05), effect(2, "echo", "first")), Suspended(), Finished()]) as made:
            await made.session.run("x")
            return made

    done = asyncio.run(play())
    rounds = [[answer.id for answer in given] for _, given, _ in done.fake.of("resume")]  # type: ignore[attr-defined]
    assert rounds == [[2], [1]]


def test_an_abandoned_effect_is_cancelled_and_never_answered() -> None:
    async def play() -> World:
        async with world([asks(effect(1, "hang"), effect(2, "echo")), Suspended([effect(3, "echo")], abandoned=[1]), Finished()]) as made:
            await made.session.run("x")
            return made

    done = asyncio.run(play())
    assert sorted(answers(done.fake)) == [2, 3]
    assert done.probe.cancelled == 1


class Unreadable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("a\ud800b"), "probe.fail failed: ValueError: a\\ud800b"),
        (BridgeError("a\ud800b"), "a\\ud800b"),
        (Unreadable(), "probe.fail failed: Unreadable: (its text cannot be read)"),
    ],
)
def test_an_error_whose_text_cannot_be_sent_still_reaches_the_script(error: Exception, message: str) -> None:
    probe = Probe()
    probe.raises = error
    done = one_effect(effect(1, "fail"), probe=probe)
    fault = answers(done.fake)[1].fault
    assert fault is not None
    assert fault.message == message
    assert len(done.events(CallFailed)) == 1


def test_what_a_bridge_shows_and_answers_is_journaled_and_shown_in_plain_data() -> None:
    probe = Probe()
    probe.answer = {"when": date(2025, 1, 31), "tags": {"b", "a"}}
    done = one_effect(effect(1, "give"), probe=probe)
    (finished,) = done.events(CallFinished)
    assert finished.value == {"when": "2025-01-31", "tags": ["a", "b"]}
    assert measured(Data(date(2025, 1, 31)))[0] == Data("2025-01-31")
    assert measured(Table([{"day": date(2025, 1, 31)}]))[0] == Table([{"day": "2025-01-31"}])
