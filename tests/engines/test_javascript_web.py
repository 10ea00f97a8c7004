"""Timers, signals and what else scripts know from the web, as the engine asks for it and abandons it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llmspell_kernel import values
from llmspell_kernel.engines.javascript.interpreter import LATE
from llmspell_kernel.protocol.steps import Answer, Fault, Finished

from .javascript_world import World, arguments, done, failed, machinery, new_world, places, raw, waiting, world

__all__ = ["machinery", "new_world", "world"]  # fixtures


# -- timers --------------------------------------------------------------------------------------------------------------------------------------


def test_a_cell_waits_for_its_timers(world: World) -> None:
    [effect] = world.effects("said = []; setTimeout((...a) => said.push(...a), 250, 'x', 'y'); 1")
    assert (effect.bridge, effect.method, arguments(effect)) == ("timer", "sleep", [0.25])
    assert done(world.answer(Answer(effect.id))) == [1]
    assert world.result("said") == [["x", "y"]]


@pytest.mark.parametrize(("delay", "seconds"), [("", 0), ("-5", 0), ("'20'", 0.02), ("NaN", 0), ("Infinity", 0)])
def test_a_delay_is_a_number_of_milliseconds(world: World, delay: str, seconds: float) -> None:
    [effect] = world.effects(f"setTimeout(() => {{}}, {delay})")
    assert arguments(effect) == [seconds]


def test_clearing_a_timer_abandons_its_effect(world: World) -> None:
    effects = world.effects("a = setTimeout(() => { seen = 1 }, 9); b = setTimeout(() => { clearTimeout(a) }, 1); globalThis.seen = 0")
    step = world.answer(Answer(effects[1].id))
    assert done(step) == [0]
    assert world.result("seen") == [0]


def test_a_timer_cleared_at_once_is_never_asked_for(world: World) -> None:
    step = waiting(world.start("clearTimeout(setTimeout(() => {}, 9)); await llm.chat()"))
    assert ([effect.bridge for effect in step.effects], step.abandoned) == (["llm"], [])


def test_an_abandoned_effect_is_named_while_the_cell_goes_on(world: World) -> None:
    timer, chat = world.effects("t = setTimeout(() => {}, 9); await llm.chat(1); clearTimeout(t); await llm.chat(2)")
    assert waiting(world.answer(Answer(chat.id))).abandoned == [timer.id]
    waiting(world.answer(Answer(timer.id)))  # an answer that was on its way finds no one


def test_an_interval_asks_again_until_it_is_cleared(world: World) -> None:
    [effect] = world.effects("let n = 0; const id = setInterval(() => { if (++n === 3) clearInterval(id) }, 10); 0")
    for _ in range(2):
        [effect] = waiting(world.answer(Answer(effect.id))).effects
    done(world.answer(Answer(effect.id)))
    assert world.result("n") == [3]


def test_an_error_of_a_timer_is_the_cells_error_at_once(world: World) -> None:
    first, _ = world.effects("setTimeout(() => { null.x }, 1); setInterval(() => {}, 1000)")
    fault = failed(world.answer(Answer(first.id)))
    assert (fault.name, fault.frames[0].chunk) == ("TypeError", "cell[1]")
    assert world.result("1") == [1]


def test_a_timer_that_the_host_refuses_points_at_its_call(world: World) -> None:
    [effect] = world.effects("1;\nsetTimeout(() => {}, 1)")
    fault = failed(world.answer(Answer(effect.id, fault=Fault("denied", "no"))))
    assert (fault.code, fault.frames[0].line) == ("denied", 2)


def test_a_stop_ends_an_interval_for_good(world: World) -> None:
    [effect] = world.effects("globalThis.n = 0; setInterval(() => { n++ }, 1); await new Promise(() => {})")
    world.flag.set(stop=True)
    assert failed(world.answer()).code == "interrupted"
    world.flag.set(stop=False)
    assert failed(world.start("await new Promise(() => {})")).message.startswith("nothing left")
    assert world.result("n") == [0]
    assert effect.id == 1


def test_a_timer_takes_a_function(world: World) -> None:
    assert world.fault("setTimeout('evil()', 1)").message == "setTimeout takes a function"


# -- signals -------------------------------------------------------------------------------------------------------------------------------------


def test_a_signal_is_taken_out_of_the_arguments(world: World) -> None:
    code = "const { signal } = new AbortController(); llm.chat('p', { signal, model: 'm' }); llm.chat('q', { signal });"
    code += "llm.chat({ signal: 'text' }); 0"
    assert [arguments(effect) for effect in world.effects(code)] == [["p", {"model": "m"}], ["q"], [{"signal": "text"}]]


def test_aborting_rejects_the_promise_and_abandons_the_effect(world: World) -> None:
    code = """
      controller = new AbortController();
      const asked = llm.chat('long', { signal: controller.signal }).catch((e) => [e.name, e instanceof DOMException, e.message]);
      await llm.chat('short'); controller.abort(); result = await asked; await llm.chat('after'); result"""
    long, short = world.effects(code)
    step = waiting(world.answer(Answer(short.id)))
    assert step.abandoned == [long.id]
    [after] = step.effects
    assert done(world.answer(Answer(long.id, raw("too late")), Answer(after.id))) == [["AbortError", True, "This operation was aborted"]]


def test_a_reason_is_what_the_promise_is_rejected_with(world: World) -> None:
    code = "const c = new AbortController(); const p = llm.chat({ signal: c.signal }); c.abort(new RangeError('mine')); await p"
    fault = world.fault(code)
    assert (fault.name, fault.message) == ("RangeError", "mine")


def test_an_uncaught_abort_has_a_name_and_a_place(world: World) -> None:
    fault = world.fault("const c = new AbortController();\nc.abort();\nawait llm.chat({ signal: c.signal })")
    assert (fault.code, fault.name, fault.message) == ("script", "AbortError", "This operation was aborted")
    assert places(fault)[0][:2] == ("cell[1]", 2)


def test_an_aborted_signal_asks_nothing(world: World) -> None:
    assert world.result("await llm.chat({ signal: AbortSignal.abort('why') }).catch((e) => e)") == ["why"]


def test_an_effect_answered_in_time_is_not_aborted_later(world: World) -> None:
    [effect] = world.effects("const c = new AbortController(); const v = await llm.chat({ signal: c.signal }); c.abort(); v")
    assert done(world.answer(Answer(effect.id, raw(5)))) == [5]


def test_a_method_of_a_resource_takes_a_signal(world: World) -> None:
    [asked] = world.effects(
        "const c = new AbortController(); r = await llm.stream(); const p = r.text({ signal: c.signal }); c.abort(); await p.catch((e) => e.name)"
    )
    assert done(world.answer(Answer(asked.id, raw(values.ResourceRef(7, "llm.stream"))))) == ["AbortError"]


def test_a_timeout_signal_aborts_and_keeps_no_cell_waiting(world: World) -> None:
    timer, chat = world.effects("await llm.chat({ signal: AbortSignal.timeout(1500) }).catch((e) => e.name)")
    assert arguments(timer) == [1.5]
    assert done(world.answer(Answer(timer.id))) == ["TimeoutError"]
    timer, chat = world.effects("await llm.chat({ signal: AbortSignal.timeout(1500) })")
    step = world.answer(Answer(chat.id, raw("in time")))
    assert done(step) == ["in time"] and isinstance(step, Finished) and step.background is None
    assert world.result("1") == [1]


def test_a_cell_waits_for_a_timeout_that_it_awaits(world: World) -> None:
    [timer] = world.effects("await new Promise((resolve) => { AbortSignal.timeout(5).onabort = resolve }); 3")
    assert done(world.answer(Answer(timer.id))) == [3]


def test_any_follows_the_first(world: World) -> None:
    code = """
      const a = new AbortController(), b = new AbortController(), any = AbortSignal.any([a.signal, b.signal]);
      const seen = []; any.addEventListener('abort', (e) => seen.push(e.type, e.target === any, any.reason));
      b.abort('b'); a.abort('a'); [any.aborted, ...seen, AbortSignal.any([b.signal]).reason]"""
    assert world.result(code) == [[True, "abort", True, "b", "b"]]


def test_signals_cannot_be_made_or_faked(world: World) -> None:
    assert world.fault("new AbortSignal()").name == "TypeError"
    assert world.fault("Object.create(AbortSignal.prototype).aborted").name == "TypeError"
    [effect] = world.effects("llm.chat({ signal: { aborted: true, addEventListener() {} } })")
    assert arguments(effect)[0]["signal"]["aborted"] is True
    assert "an AbortSignal cannot cross" in world.fault("llm.chat({ deep: { signal: new AbortController().signal } })").message


def test_looking_for_a_signal_runs_no_trap(world: World) -> None:
    world.effects("hit = 0; llm.chat(new Proxy({}, { getOwnPropertyDescriptor() { hit = 1 } }))")
    world.effects("Object.prototype.signal = AbortSignal.abort(); llm.chat({ a: 1 })")
    assert world.result("delete Object.prototype.signal; hit") == [0]


def test_an_abort_works_in_a_polluted_world(world: World) -> None:
    world.start(
        "c = new AbortController(); Map.prototype.get = WeakMap.prototype.get = null; Array.prototype[Symbol.iterator] = null;"
        "Object.defineProperty(Array.prototype, 0, { set() { throw 1 } }); EventTarget.prototype.dispatchEvent = null; Event.prototype = null"
    )
    [effect] = world.effects("setTimeout(() => c.abort('stop'), 5); await llm.chat('x', { signal: c.signal }).catch((e) => e)")[:1]
    assert done(world.answer(Answer(effect.id))) == ["stop"]


def test_an_event_reaches_its_listeners_in_order(world: World) -> None:
    code = """
      const t = new EventTarget(), seen = [], twice = () => seen.push('f');
      t.addEventListener('x', twice); t.addEventListener('x', twice);
      t.addEventListener('x', { handleEvent(e) { seen.push('o'); e.preventDefault() } }, { once: true });
      const c = new AbortController(); t.addEventListener('x', () => seen.push('signal'), { signal: c.signal });
      t.addEventListener('x', (e) => { seen.push('s'); e.stopImmediatePropagation() }); t.addEventListener('x', () => seen.push('never'));
      const first = t.dispatchEvent(new Event('x', { cancelable: true }));
      c.abort(); t.removeEventListener('x', twice);
      [first, t.dispatchEvent(new Event('x')), ...seen]"""
    assert world.result(code) == [[False, True, "f", "o", "signal", "s", "s"]]


# -- async ---------------------------------------------------------------------------------------------------------------------------------------


def test_a_timeout_abandons_its_timer_when_the_promise_is_in_time(world: World) -> None:
    chat, timer = world.effects("const v = await async.timeout(llm.chat(), 2); await llm.chat(v)")
    assert arguments(timer) == [2]
    assert waiting(world.answer(Answer(chat.id, raw("v")))).abandoned == [timer.id]


def test_a_timeout_is_an_error_with_a_code(world: World) -> None:
    chat, timer = world.effects("await async.timeout(llm.chat(), 0.5)")
    waiting(world.answer(Answer(timer.id)))  # the call itself goes on, and the cell waits for it
    fault = failed(world.answer(Answer(chat.id)))
    assert (fault.code, fault.name, fault.message) == ("timeout", "TimeoutError", "not done after 0.5 s")


def test_a_map_keeps_its_concurrency_and_its_order(world: World) -> None:
    one, two = world.effects("await async.map([1, 2, 3], (x, i, signal) => llm.chat(x, i), { concurrency: 2 })")
    [three] = waiting(world.answer(Answer(two.id, raw("b")))).effects
    assert arguments(three) == [3, 2]
    assert done(world.answer(Answer(three.id, raw("c")), Answer(one.id, raw("a")))) == [["a", "b", "c"]]


def test_a_failed_map_starts_nothing_more_and_aborts_what_listens(world: World) -> None:
    code = """
      try { await async.map([1, 2, 3], (x, _, signal) => llm.chat(x, { signal }), { concurrency: 2 }) }
      catch (e) { await llm.chat('end'); e.message }"""
    one, two = world.effects(code)
    step = waiting(world.answer(Answer(one.id, fault=Fault("bridge", "broken"))))
    assert step.abandoned == [two.id]
    [end] = step.effects
    assert arguments(end) == ["end"]
    assert done(world.answer(Answer(end.id))) == ["broken"]


def test_a_pause_can_be_aborted(world: World) -> None:
    code = "const c = new AbortController(); const p = sleep(60, { signal: c.signal }); c.abort(); await p.catch((e) => e.name)"
    assert world.result(code) == ["AbortError"]


# -- what is made late ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for names in LATE.values() for name in names])
def test_a_late_global_becomes_an_ordinary_one_when_it_is_named(world: World, name: str) -> None:
    lazy = f"typeof Object.getOwnPropertyDescriptor(globalThis, '{name}').get"
    assert world.result(lazy) == ["function"]
    assert world.result(f"['function', 'object'].includes(typeof {name})") == [True]
    assert world.result(lazy) == ["undefined"]
    assert world.result("Object.getOwnPropertyNames(globalThis).filter((n) => n.includes('core-js'))") == [[]]


def test_a_late_global_may_be_replaced_before_it_is_made(world: World) -> None:
    assert world.result("URL = 5; [URL, new URLSearchParams('a=1').get('a'), URL]") == [[5, "1", 5]]


def test_what_is_made_late_has_no_more_rights_than_the_script(world: World) -> None:
    code = """
      seen = []; const spy = (o, n) => { const f = o[n]; o[n] = function (...a) { seen.push(this, ...a); return f.apply(this, a) } };
      spy(Function.prototype, 'call'); spy(Reflect, 'apply'); spy(Map.prototype, 'set'); spy(WeakMap.prototype, 'set'); spy(Array.prototype, 'push');
      try { new URL('http://a/?b=1').searchParams.get('b'); structuredClone({ a: [1] }); text.lines('a'); uuid.v4() } catch {}
      const reach = (thing) => (typeof thing === 'object' || typeof thing === 'function') && thing !== null ? Reflect.ownKeys(thing).map(String) : [];
      seen.some((thing) => reach(thing).some((k) => ['pending', 'resolve', 'argumentsText', 'remember', 'resume', 'abandon'].includes(k)))"""
    assert world.result(code) == [False]
    [effect] = world.effects("await llm.chat({ a: 1 })")
    assert arguments(effect) == [{"a": 1}]


def test_a_library_that_a_stop_interrupts_is_made_again(world: World) -> None:
    world.result("kept = Reflect; Object.defineProperty(globalThis, 'Reflect', { get() { for (;;); }, configurable: true }); 0")
    assert failed(world.stopped("new TextEncoder()")).code == "interrupted"
    world.result("kept.defineProperty(globalThis, 'Reflect', { value: kept }); 0")
    assert world.result("new TextEncoder().encode('a').length") == [1]


def test_urls_and_the_rest_cannot_cross_by_accident(world: World) -> None:
    assert "pass String(it)" in world.fault("llm.chat(new URL('http://a'))").message
    assert world.result("new URL('http://a')") == [values.Opaque("URL {}")]


# -- crypto --------------------------------------------------------------------------------------------------------------------------------------


def test_ids_come_from_the_entropy_that_the_host_keeps(new_world: Callable[..., World]) -> None:
    draw = "[crypto.randomUUID(), uuid.v4(), [...crypto.getRandomValues(new Uint8Array(7))]]"
    first, again, other, seeded = (
        new_world(seed=7, entropy=entropy).result(draw)[0] for entropy in ("0123456789abcdef" * 2, "0123456789abcdef" * 2, "f" * 32, "")
    )
    assert first == again
    assert len({str(drawn) for drawn in (first, other, seeded)}) == 3
    assert first[0] != first[1]


def test_random_values_are_bounded_and_of_integers(world: World) -> None:
    assert world.fault("crypto.getRandomValues(new Uint8Array(65537))").name == "QuotaExceededError"
    assert world.fault("crypto.getRandomValues(new Float64Array(1))").name == "TypeMismatchError"


# -- console -------------------------------------------------------------------------------------------------------------------------------------


def test_warnings_errors_assertions_and_traces_go_to_stderr(world: World) -> None:
    world.result("console.warn(1); console.error(2); console.assert(true, 3); console.assert(false, 4); console.trace(5)")
    assert (
        "".join(text for stream, text in world.printed if stream == 2)
        == "1\n2\nAssertion failed: 4\nTrace: 5\n    at <eval> (cell[1]:1:95)\n"
    )
    assert all(stream == 2 for stream, _ in world.printed)


def test_a_table_has_aligned_columns_and_runs_no_getter(world: World) -> None:
    world.result(
        "console.table({ 0: { a: 1 }, x: { a: 'two', b: true }, 2: { get b() { throw 1 } } }); console.table([[1, 2]]); console.table(5)"
    )
    text = "\n".join(line.rstrip() for line in world.printed[0][1].split("\n"))
    assert text == (
        "(index)  a    b\n-------  ---  --------\n0        1\n2             [Getter]\nx        two  true\n"
        "(index)  0  1\n-------  -  -\n0        1  2\n5\n"
    )


def test_a_group_indents_until_it_ends_and_no_further_than_its_cell(world: World) -> None:
    world.result("console.group('g'); console.log('a\\nb'); console.groupEnd(); console.log('c'); console.group('open')")
    world.result("console.log('next')")
    assert "".join(text for _, text in world.printed) == "g\n  a\n  b\nc\nopen\nnext\n"


def test_counts_are_kept_by_label(world: World) -> None:
    world.result("console.count(); console.count('x'); console.count(); console.countReset(); console.count()")
    assert world.printed == [(1, "default: 1\nx: 1\ndefault: 2\ndefault: 1\n")]
