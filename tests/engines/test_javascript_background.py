"""Work that a JavaScript cell does not wait for: what lingers, what ends it, and what the host is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llmspell_kernel.engines._source import MAX_SOURCE_BYTES
from llmspell_kernel.protocol.steps import Answer, Background, Failed, Finished, Invocation, Step
from llmspell_kernel.values import Opaque

from .javascript_world import World, arguments, done, failed, machinery, new_world, raw, waiting, world

__all__ = ["machinery", "new_world", "world"]  # fixtures


def left(step: Step) -> Background:
    assert isinstance(step, Finished | Failed) and step.background is not None, step
    return step.background


LOOP = "log = []; async.background(async () => { for (;;) log.push(await llm.chat(log.length)) }, 'poller')"


def test_a_cell_ends_while_its_background_work_waits(world: World) -> None:
    background = left(world.start(LOOP + "; 5"))
    [effect] = background.effects
    assert (arguments(effect), background.open, background.tasks, background.failed) == ([0], [effect.id], ["poller"], [])


def test_background_work_goes_on_without_a_cell(world: World) -> None:
    [first] = left(world.start(LOOP)).effects
    background = world.idle(Answer(first.id, raw("a")))
    assert background is not None
    [second] = background.effects
    assert (arguments(second), background.open, background.tasks) == ([1], [second.id], ["poller"])
    assert done(world.start("[...log]")) == [["a"]]


def test_what_ended_is_told_no_more(world: World) -> None:
    [effect] = left(world.start("async.background(async () => { got = await llm.chat() })")).effects
    assert world.idle(Answer(effect.id, raw(7))) is None
    step = world.start("got")
    assert done(step) == [7] and isinstance(step, Finished) and step.background is None


def test_a_task_without_a_name_gets_a_number_and_is_listed_for_the_script(world: World) -> None:
    step = world.start("const wait = () => llm.chat(); async.background(wait); async.background(wait, 'mine'); async.tasks()")
    assert left(step).tasks == ["task 1", "mine"]
    assert done(step) == [[{"name": name, "background": True, "done": False} for name in ("task 1", "mine")]]


def test_background_work_lives_beside_the_next_cell(world: World) -> None:
    [first] = left(world.start(LOOP)).effects
    [own] = world.effects("const mine = await llm.chat('mine'); [mine, ...log]")
    [second] = waiting(world.answer(Answer(first.id, raw("a")))).effects
    step = world.answer(Answer(own.id, raw("m")))
    assert done(step) == [["m", "a"]]
    assert left(step).open == [second.id]


def test_a_task_can_be_awaited_by_a_later_cell_and_shown_by_the_first(world: World) -> None:
    step = world.start("job = async.background(() => llm.chat(), 'mine')")
    assert done(step) == [Opaque("[task mine]")]
    waiting(world.start("const v = await job; [v, job.done, job.name]"))
    assert done(world.answer(Answer(left(step).effects[0].id, raw(1)))) == [[1, True, "mine"]]
    assert "a Task cannot cross" in world.fault("llm.chat(job)").message


def test_what_a_cell_did_not_await_lingers_with_its_background_work(world: World) -> None:
    background = left(world.start("llm.chat('free').then((v) => { free = v }); async.background(() => llm.chat('task'))"))
    free, task = background.effects
    later = world.idle(Answer(task.id))
    assert later is not None and (later.open, later.tasks) == ([free.id], ["calls that a cell did not await"])
    assert world.idle(Answer(free.id, raw("x"))) is None
    assert done(world.start("free")) == ["x"]


def test_a_failed_task_is_told_once_and_is_no_error_of_a_cell(world: World) -> None:
    [effect] = left(world.start("async.background(async () => { await llm.chat(); null.x })")).effects
    background = world.idle(Answer(effect.id))
    assert background is not None
    [fault] = background.failed
    assert (fault.name, fault.frames[0].chunk, background.open, background.tasks) == ("TypeError", "cell[1]", [], [])
    step = world.start("1")
    assert done(step) == [1] and isinstance(step, Finished) and step.background is None


def test_a_task_that_fails_during_a_cell_is_told_at_its_end(world: World) -> None:
    [effect] = world.effects("async.background(async () => { throw new RangeError('x') }); await llm.chat(); 3")
    step = world.answer(Answer(effect.id))
    assert done(step) == [3]
    assert [fault.name for fault in left(step).failed] == ["RangeError"]


@pytest.mark.parametrize("code", ["Promise.reject(new Error('lost'))", "queueMicrotask(() => { throw new Error('lost') })"])
def test_errors_that_nobody_catches_between_cells_are_told(world: World, code: str) -> None:
    [effect] = left(world.start(f"async.background(async () => {{ await llm.chat(); {code} }})")).effects
    background = world.idle(Answer(effect.id))
    assert background is not None and [fault.message for fault in background.failed] == ["lost"]
    assert done(world.start("1")) == [1]


def test_an_ordinary_failure_of_a_cell_keeps_background_work(world: World) -> None:
    [first] = left(world.start(LOOP)).effects
    step = world.start("null.x")
    assert failed(step).name == "TypeError" and left(step).open == [first.id]
    for code in ("1 +", "'\ud800'", " " * (MAX_SOURCE_BYTES + 1)):
        step = world.start(code)
        assert failed(step).name == "SyntaxError" and left(step).open == [first.id]
    background = world.idle(Answer(first.id, raw("a")))
    assert background is not None and len(background.effects) == 1


@pytest.mark.parametrize("code", ["for (;;);", "for (;;) await null"])
def test_a_stop_ends_all_background_work(world: World, code: str) -> None:
    [effect] = left(world.start(LOOP)).effects
    step = world.stopped(code)
    assert failed(step).code == "interrupted"
    assert world.idle(Answer(effect.id, raw("late"))) is None
    assert world.result("[log.length, async.tasks().length]") == [[0, 0]]


def test_a_stop_between_cells_ends_all_background_work(world: World) -> None:
    left(world.start(LOOP))
    world.flag.set(stop=True)
    assert failed(world.state.resume((), ())).code == "interrupted"
    world.flag.set(stop=False)
    assert world.result("async.tasks().length") == [0]


def test_a_background_loop_between_cells_can_be_stopped(world: World) -> None:
    [effect] = left(world.start("async.background(async () => { await llm.chat(); for (;;) await null })")).effects
    world.flag.set(stop=True)
    assert failed(world.answer(Answer(effect.id))).code == "interrupted"
    world.flag.set(stop=False)
    assert world.result("1") == [1]


def test_a_full_memory_ends_all_background_work(new_world: Callable[..., World]) -> None:
    world = new_world(memory_bytes=32 * 1024 * 1024)
    left(world.start(LOOP))
    step = world.start("const a = []; for (;;) a.push(new Array(1000).fill(1))")
    assert isinstance(step, Failed) and (step.fault.code, step.background) == ("limit", None)


def test_an_interval_lives_on_beside_background_work_until_it_is_cleared(world: World) -> None:
    background = left(world.start("ticks = 0; timer1 = setInterval(() => { ticks++ }, 1000); async.background(() => llm.chat())"))
    tick, chat = background.effects
    assert (tick.method, arguments(tick)) == ("sleep", [1])
    background = world.idle(Answer(tick.id))
    assert background is not None
    [again] = background.effects
    step = world.start("clearInterval(timer1); ticks")
    assert done(step) == [1]
    assert (left(step).abandoned, left(step).open) == ([again.id], [chat.id])


def test_the_host_may_call_a_function_of_background_work_between_cells(world: World) -> None:
    [effect] = left(world.start("async.background(() => llm.chat((x) => x + 1))")).effects
    [callback] = arguments(effect)
    step = world.answer(invocations=(Invocation(1, callback["$"][1], raw([1])),))
    [returned] = left(step).returned
    assert (returned.id, bytes(returned.value), left(step).open) == (1, b"2", [effect.id])


def test_work_that_waits_for_a_later_cell_is_listed_and_opens_nothing(world: World) -> None:
    background = left(
        world.start("let go; async.background(() => new Promise((resolve) => { go = resolve }).then(() => llm.chat('went')))")
    )
    assert (background.open, background.tasks) == ([], ["task 1"])
    [effect] = left(world.start("go()")).effects
    assert arguments(effect) == ["went"]
    assert world.idle(Answer(effect.id)) is None


def test_a_polluted_world_keeps_its_background_work(world: World) -> None:
    [first] = left(world.start(LOOP.replace("log.push(", "log = (").replace("log.length", "1").replace("log = []", "log = 0"))).effects
    world.start(
        "Map.prototype.set = Map.prototype.delete = Map.prototype.forEach = null; Array.prototype[Symbol.iterator] = null;"
        "Promise.prototype.then = () => { throw 1 }; Object.keys = null; JSON.stringify = () => 'bad'"
    )
    background = world.idle(Answer(first.id, raw("a")))
    assert background is not None and background.tasks == ["poller"] and len(background.effects) == 1


def test_a_timeout_signal_that_outlived_everything_holds_up_no_later_cell(world: World) -> None:
    timer, chat = left(world.start("AbortSignal.timeout(60000); async.background(() => llm.chat())")).effects
    assert world.idle(Answer(chat.id)) is None  # the host cancels the timer now, and never answers it
    assert world.fault("await new Promise(() => {})").message.startswith("nothing left to wait for")
    assert timer.id == 1


def test_a_call_of_a_function_as_a_cell_leaves_background_work_alone(world: World) -> None:
    [first] = left(world.start(LOOP + "; function add(a, b) { return a + b }")).effects
    step = world.state.call("add", raw([1, 2]), "call[1]")
    assert done(step) == [3] and left(step).open == [first.id]
