"""What only the JavaScript engine promises: stops, hostile scripts, re-declarations, columns, the written form of its values."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from llmspell_kernel import values
from llmspell_kernel.engines._source import MAX_SOURCE_BYTES
from llmspell_kernel.engines.javascript.rewrite import rewrite
from llmspell_kernel.errors import ScriptError, ValueCrossingError
from llmspell_kernel.protocol.steps import Answer, Failed, Fault, Finished, Invocation

from .javascript_world import World, arguments, done, failed, machinery, new_world, places, raw, waiting, world

__all__ = ["machinery", "new_world", "world"]  # fixtures


# -- stopping ------------------------------------------------------------------------------------------------------------------------------------

ENDLESS = [
    "for (;;);",
    "for (;;) { try { for (;;) {} } catch (e) {} finally {} }",
    "function* g() { try { for (;;) yield 1 } finally { for (;;); } }\nfor (const x of g()) { if (x) break }",
    "const f = () => Promise.resolve().then(f); await f()",
    "f = () => Promise.resolve().then(f); f(); 1",
    "for (;;) await null",
    "(async () => { for (;;) { try { await null } catch {} finally {} } })(); 5",
    "const p = Promise.resolve(); await Promise.all(Array.from({length: 1000}, async () => { for (;;) await p }))",
    "queueMicrotask(function again() { queueMicrotask(again) }); await new Promise(() => {})",
    "async function* g() { for (;;) yield 1 }\nfor await (const x of g());",
    "llm.chat({ get a() { for (;;); } })",
    "({ get a() { for (;;); } })",
    "llm.chat(new Proxy({}, { ownKeys() { for (;;); } }))",
    "throw { toString() { for (;;); } }",
    "class E extends Error { get name() { for (;;); } }\nthrow new E()",
    "JSON.stringify({ toJSON() { for (;;); } })",
    "/(a+)+$/.test('a'.repeat(40) + 'b')",
    "for (;;) console.log('x'.repeat(1000))",
]


@pytest.mark.parametrize("code", ENDLESS)
def test_a_stop_ends_every_loop_and_the_state_goes_on(world: World, code: str) -> None:
    world.result("kept = 7")
    fault = failed(world.stopped(code))
    assert (fault.code, fault.message) == ("interrupted", "stopped")
    assert world.result("kept + 1") == [8]


def test_nothing_of_a_stopped_cell_runs_in_the_next_one(world: World) -> None:
    world.stopped("count = 0; const f = () => Promise.resolve().then(() => { count++; return f() }); await f()")
    before = world.result("count")
    assert world.result("await null; await null; count") == before


def test_an_answer_to_an_effect_of_a_stopped_cell_finds_no_one(world: World) -> None:
    [effect] = world.effects("globalThis.seen = 0; await llm.chat('a'); seen = 1")
    world.flag.set(stop=True)
    failed(world.answer())
    world.flag.set(stop=False)
    [later] = world.effects("await llm.chat('b')")
    assert later.id > effect.id
    waiting(world.answer(Answer(effect.id, raw("late"))))
    assert done(world.answer(Answer(later.id, raw("in time")))) == ["in time"]
    assert world.result("seen") == [0]


def test_what_was_printed_before_a_stop_is_shown(world: World) -> None:
    world.stopped("console.log('first'); for (;;);")
    assert world.printed == [(1, "first\n")]


# -- top-level names -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "let y = 20 + 1;\ny * 2",
        "const y = 42; y",
        "class A { x = 42 }\nnew A().x",
        "const { y, b: [q] } = { y: 40, b: [2] }; y + q",
        "let [y, ...rest] = [42, 1]; y",
        "function y() { return 42 }\ny()",
        "async function y() { return 42 }\nawait y()",
        "let y = 1; function z() {}; let q = 41; y + q",
        "var y = 42; y",
    ],
)
def test_every_kind_of_top_level_name_can_be_declared_again(world: World, code: str) -> None:
    for _ in range(2):
        assert world.result(code) == [42]
    assert world.result("let y = 1; y") == [1]
    assert world.result(code) == [42]


def test_let_without_a_value_starts_anew(world: World) -> None:
    world.result("let y = 5")
    assert world.result("let y; y") == []


def test_declarations_inside_blocks_and_loops_are_untouched(world: World) -> None:
    assert world.result(
        "for (const i of [1]) { let inner = i }\n{ const block = 1 }\nlbl: for (;;) { break lbl }\ntypeof inner + typeof block"
    ) == ["undefinedundefined"]
    assert world.fault("{ const fixed = 1; fixed = 2 }").name == "TypeError"


def test_the_rewrite_keeps_every_position_it_can() -> None:
    source = b"let a = 1;\nconst b = 2;\nfor (const c of []) { let d }\n"
    assert rewrite(source).code == b"var a = 1;\nvar   b = 2;\nfor (const c of []) { let d }\n"


def test_a_const_without_a_value_stays_a_syntax_error(world: World) -> None:
    assert world.fault("const a").name == "SyntaxError"


def test_a_bridge_may_be_shadowed(world: World) -> None:
    assert world.result("let llm = 1; llm") == [1]


def test_a_cell_that_is_too_long_is_refused_with_the_limit(world: World) -> None:
    fault = world.fault(" " * (MAX_SOURCE_BYTES + 1))
    assert fault.code == "limit" and str(MAX_SOURCE_BYTES) in fault.message


# -- places of errors ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "line", "column"),
    [
        ("null.x", 1, 1),
        ("1;  null.x", 1, 5),
        ("let zz; missing", 1, 9),
        ("let a, b; missing", 1, 11),
        ("const c = missing", 1, 11),
        ("/*é😀é*/ missing", 1, 9),
        ("'é😀é'; missing", 1, 8),
        ("#!/usr/bin/env js\n  missing", 2, 3),
        ("1 +;", 1, 4),
        ("let ok = 1\n  let 1x = 2", 2, 7),
        ("await null;\n missing", 2, 2),
    ],
)
def test_an_error_names_the_readers_line_and_column(world: World, code: str, line: int, column: int) -> None:
    assert places(world.fault(code)) == [("cell[1]", line, column, "")]


def test_a_method_of_a_rewritten_class_keeps_its_column(world: World) -> None:
    fault = world.fault("class C { m(a) { return a.x } }  new C().m()")
    assert places(fault)[0] == ("cell[1]", 1, 25, "m")


def test_a_function_of_an_earlier_cell_shows_both_cells(world: World) -> None:
    world.result("function deep(a) {\n  return a.b.c\n}")
    assert places(world.fault("1;\ndeep({})")) == [("cell[1]", 2, 10, "deep"), ("cell[2]", 2, 1, "")]


def test_a_place_the_engine_does_not_know_has_no_line(world: World) -> None:
    world.result("function f() {\n  return null.x\n}")
    assert places(world.fault("f()")) == [("cell[1]", 0, 0, "f"), ("cell[2]", 1, 1, "")]


def test_our_own_frames_are_never_shown(world: World) -> None:
    fault = world.fault("llm.chat({ rows: [0, { when: Symbol('x') }] })")
    assert [place[0] for place in places(fault)] == ["cell[1]"]


def test_a_failed_effect_points_at_its_call(world: World) -> None:
    world.result("async function ask() {\n  return await llm.chat('x')\n}")
    [effect] = world.effects("await ask()")
    fault = failed(world.answer(Answer(effect.id, fault=Fault("denied", "no"))))
    assert (fault.code, fault.name) == ("denied", "DeniedError")
    assert [(place.chunk, place.line) for place in fault.frames] == [("cell[1]", 2), ("cell[2]", 1)]


def test_import_says_that_a_cell_is_no_module(world: World) -> None:
    assert "not a module" in world.fault('import x from "y"').message


# -- faults --------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("throw 'boom'", "boom"),
        ("throw { a: 1 }", "{ a: 1 }"),
        ("throw { toString() { return 'own' } }", "own"),
        ("throw Symbol('s')", "Symbol(s)"),
        ("throw undefined", "undefined"),
        ("throw { toString() { throw 1 } }", "an error that throws when it is read"),
        ("Promise.reject(new Error('alone')); 5", "alone"),
        ("queueMicrotask(() => { throw new Error('job') }); 5", "job"),
        ("await new Promise(() => {})", "nothing left to wait for: the cell awaits a promise that nothing can settle"),
    ],
)
def test_whatever_is_thrown_has_a_message(world: World, code: str, message: str) -> None:
    assert world.fault(code).message == message
    assert world.result("1 + 1") == [2]


def test_a_rejection_that_is_handled_late_is_no_error(world: World) -> None:
    assert world.result("const p = Promise.reject(new Error('x')); await null; p.catch(() => {}); 5") == [5]


def test_effects_not_awaited_are_waited_for_also_when_the_cell_failed(world: World) -> None:
    [effect] = world.effects("llm.chat('kept'); throw new Error('after')")
    assert failed(world.answer(Answer(effect.id))).message == "after"


@pytest.mark.parametrize(
    "code", ["const a = []; for (;;) a.push(new Array(1000).fill(1))", "new Array(1e9).fill(1)", "let s = 'x'; for (;;) s += s"]
)
def test_a_memory_bomb_meets_the_limit_and_the_state_still_answers(new_world: Callable[..., World], code: str) -> None:
    world = new_world(memory_bytes=32 * 1024 * 1024)
    fault = world.fault(code)
    assert fault.code == "limit" or fault.name == "InternalError", fault  # one string has a limit of its own
    assert isinstance(world.start("1 + 1"), (Finished, Failed))


@pytest.mark.parametrize("code", ["'a'.repeat(1e7).replace(/(a+)+b/, '')", "await null; /(a+)+b/.test('a'.repeat(1e7))"])
def test_a_pattern_that_needs_more_memory_than_there_is_meets_the_limit(new_world: Callable[..., World], code: str) -> None:
    world = new_world(memory_bytes=32 * 1024 * 1024)
    fault = world.fault(code)
    assert (fault.code, fault.limit) == ("limit", "memory_bytes"), fault
    assert world.result("1 + 1") == [2]


def test_endless_recursion_is_an_error_of_the_script(world: World) -> None:
    fault = world.fault("function r(n) { return r(n + 1) + 1 }\nr(0)")
    assert (fault.name, fault.code) == ("RangeError", "script")
    assert world.result("(function d(n) { return n === 0 ? 0 : d(n - 1) })(1000)") == [0]


# -- values --------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "written"),
    [
        ("1", "1"),
        ("-0", "-0.0"),
        ("2 ** 53 + 2", "9007199254740994"),
        ("9007199254740993n", "9007199254740993"),
        ("-(2n ** 63n)", "-9223372036854775808"),
        ("-(2 ** 63)", "-9223372036854775808"),
        ("NaN", '{"$":["n","nan"]}'),
        ("-Infinity", '{"$":["n","-inf"]}'),
        ("new Uint8Array([1, 2, 3])", '{"$":["b","AQID"]}'),
        ("new Uint16Array([1, 2]).subarray(1)", '{"$":["b","AgA="]}'),
        ("new ArrayBuffer(2)", '{"$":["b","AAA="]}'),
        ("new Date(0)", '"1970-01-01T00:00:00.000Z"'),
        ("[undefined, , 1]", "[null,null,1]"),
        ("({ a: undefined, b: null })", '{"b":null}'),
        ("({ $: 1 })", '{"$":["o",{"$":1}]}'),
        ("new Proxy({ a: 1 }, {})", '{"a":1}'),
        ("new (class A { x = 1 })", '{"x":1}'),
        ("Object.assign(Object.create(null), { a: 1 })", '{"a":1}'),
        (r"'a\0b\u2028é😀'", '"a\\u0000b\u2028é😀"'),
        ("'ab'.repeat(3) + [1, 2].map(String).join('-')", '"ababab1-2"'),
    ],
)
def test_a_value_has_one_written_form_as_argument_and_as_result(world: World, code: str, written: str) -> None:
    [effect] = world.effects(f"const value = ({code}); await llm.chat(value)\nvalue")
    assert bytes(effect.args).decode() == f"[{written}]"
    step = world.answer(Answer(effect.id))
    assert isinstance(step, Finished)
    assert bytes(step.values).decode() == f"[{written}]"


@pytest.mark.parametrize(
    ("code", "path"),
    [
        ("new Map()", "args[0]"),
        ("{ rows: [0, { when: Symbol('x') }] }", "args[0].rows[1].when"),
        ("1, new Set()", "args[1]"),
        ("{ 'a b': new WeakMap() }", 'args[0]["a b"]'),
        ("(() => { const a = {}; a.b = [a]; return a })()", "args[0].b[0]"),
        (r"'\ud800'", "args[0]"),
        (r"{ '\ud800': 1 }", "args[0]"),
        ("2n ** 63n", "args[0]"),
        ("new Date(NaN)", "args[0]"),
        ("Promise.resolve(1)", "args[0]"),
        ("/x/", "args[0]"),
        ("new Error('x')", "args[0]"),
        ("(() => { let d = []; for (let i = 0; i < 1e5; i++) d = [d]; return d })()", "args[0][0][0]"),
    ],
)
def test_what_cannot_cross_is_a_type_error_at_the_call_that_names_the_path(world: World, code: str, path: str) -> None:
    fault = world.fault(f"llm.chat({code})")
    assert (fault.code, fault.name) == ("value", "TypeError")
    assert f"(at {path}" in fault.message
    assert world.result(f"try {{ llm.chat({code}) }} catch (e) {{ [e.code, e instanceof TypeError] }}") == [["value", True]]


@pytest.mark.parametrize(
    "code",
    [
        "'x'.repeat(3000)",
        "'é'.repeat(600)",
        "new Array(1e9)",
        "new Uint8Array(2000)",
        "new Proxy([], { get: (t, k) => k === 'length' ? Infinity : 1 })",
    ],
)
def test_a_value_over_the_limit_is_refused(new_world: Callable[..., World], code: str) -> None:
    fault = new_world(max_value_bytes=1000).fault(f"llm.chat({code})")
    assert fault.code == "value" and "1000" in fault.message


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("(function f() {})", "[Function: f]"),
        ("Symbol('s')", "Symbol(s)"),
        ("new TypeError('msg')", "TypeError: msg"),
        ("(function* () {})()", "Object [Generator] {}"),
        ("new (class A {})", "A {}"),
        ("2n ** 100n", "1267650600228229401496703205376n"),
        ("llm", "[bridge llm]"),
    ],
)
def test_a_result_that_cannot_cross_is_shown(world: World, code: str, text: str) -> None:
    assert world.result(code) == [values.Opaque(text)]


def test_maps_and_sets_are_results_as_objects_and_arrays(world: World) -> None:
    assert world.result("[new Map([['a', 1]]), new Map([[1, 2]]), new Set([1, 2])]") == [[{"a": 1}, [[1, 2]], [1, 2]]]


def test_a_promise_as_the_last_expression_gives_its_value(world: World) -> None:
    assert world.result("Promise.resolve(5)") == [5]


def test_answers_become_values_of_the_language(world: World) -> None:
    [effect] = world.effects("const v = await llm.chat(); [typeof v.big, v.bytes instanceof Uint8Array, v.bytes.length, v.nan, v.odd.$, v]")
    answer = {"big": 2**60, "bytes": b"\0\1", "nan": float("nan"), "odd": {"$": 1}}
    result = done(world.answer(Answer(effect.id, raw(answer))))[0]
    assert result[:3] == ["bigint", True, 2] and result[3] != result[3] and result[4] == 1
    assert result[5]["big"] == 2**60 and result[5]["bytes"] == b"\0\1"


# -- effects, resources, callbacks ---------------------------------------------------------------------------------------------------------------


def test_effects_asked_together_come_in_one_step(world: World) -> None:
    effects = world.effects("await Promise.all([llm.chat(1), (async () => llm.setModel('m', undefined))(), sleep(0.5)])")
    assert [(e.bridge, e.method, arguments(e)) for e in effects] == [
        ("llm", "chat", [1]),
        ("llm", "set_model", ["m"]),
        ("timer", "sleep", [0.5]),
    ]
    assert waiting(world.answer(Answer(effects[2].id), Answer(effects[0].id, raw("a")))).effects == []
    assert done(world.answer(Answer(effects[1].id, raw("b")))) == [["a", "b", None]]


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        (Fault("bridge", "m", name="BridgeError", retryable=True), "BridgeError"),
        (Fault("limit", "m"), "LimitError"),
        (Fault("argument", "m"), "TypeError"),
    ],
)
def test_a_fault_is_an_error_a_script_can_catch(world: World, fault: Fault, name: str) -> None:
    [effect] = world.effects(
        "try { await llm.chat() } catch (e) { [e.name, e.code, e.retryable, e.message, e instanceof Error, e instanceof TypeError] }"
    )
    caught = done(world.answer(Answer(effect.id, fault=fault)))[0]
    assert caught == [name, fault.code, fault.retryable, "m", True, name == "TypeError"]


def test_an_unknown_method_names_the_nearest(world: World) -> None:
    assert world.fault("llm.chatt('x')").message == "llm has no method 'chatt'; did you mean 'chat'?"
    assert world.result("['chat' in llm, 'chatt' in llm, typeof llm.then, Object.isFrozen(llm)]") == [[True, False, "undefined", True]]


def test_a_resource_is_iterated_and_closed_when_the_loop_is_left(world: World) -> None:
    [asked] = world.effects("for await (const c of await llm.stream('p')) if (c === 'b') break")
    [first] = waiting(world.answer(Answer(asked.id, raw(values.ResourceRef(7, "llm.stream"))))).effects
    assert (first.bridge, first.method, first.target) == ("llm.stream", "next", 7)
    [second] = waiting(world.answer(Answer(first.id, raw("a")))).effects
    [closing] = waiting(world.answer(Answer(second.id, raw("b")))).effects
    assert (closing.method, closing.target) == ("close", 7)
    assert done(world.answer(Answer(closing.id))) == []


def test_a_resource_cannot_be_forged(world: World) -> None:
    [asked] = world.effects("r = await llm.stream('p')")
    done(world.answer(Answer(asked.id, raw(values.ResourceRef(7, "llm.stream")))))
    for code in ("r.text.call({})", "Object.create(Object.getPrototypeOf(r)).text()", "llm.chat(Object.create(Object.getPrototypeOf(r)))"):
        assert world.fault(code).name == "TypeError"
    [passed] = world.effects("llm.chat(r)")
    assert arguments(passed) == [{"$": ["r", 7, "llm.stream"]}]


def test_the_host_calls_functions_of_the_script_while_its_cell_waits(world: World) -> None:
    code = "await llm.chat(async (x) => { const y = await llm.chat(x); if (x > 2) throw new RangeError('big'); return y * 2 })"
    [outer] = world.effects(code)
    [callback] = arguments(outer)
    number = callback["$"][1]
    calls = (Invocation(1, number, raw([1])), Invocation(2, number, raw([5])), Invocation(3, 99, raw([])))
    step = waiting(world.answer(invocations=calls))
    assert [arguments(effect) for effect in step.effects] == [[1], [5]]
    assert [(r.id, r.fault is not None) for r in step.returned] == [(3, True)]
    step = waiting(world.answer(*(Answer(effect.id, raw(10)) for effect in step.effects)))
    assert [(r.id, bytes(r.value), r.fault and r.fault.name) for r in step.returned] == [(1, b"20", None), (2, b"null", "RangeError")]
    assert done(world.answer(Answer(outer.id, raw("end")))) == ["end"]


# -- hostile scripts -----------------------------------------------------------------------------------------------------------------------------

POLLUTIONS = [
    "for (let i = 0; i < 10; i++) Object.defineProperty(Array.prototype, i, { set(v) { hit = v }, get() { return 9 } })",
    "Object.prototype.extra = 1; Object.prototype.toJSON = () => 'BAD'; String.prototype.toJSON = () => 'BAD'",
    "Array.prototype[Symbol.iterator] = () => { throw 1 }; Array.prototype.push = Array.prototype.map = null",
    "JSON.stringify = JSON.parse = () => 'bad'; Reflect.apply = null; String.prototype.slice = 1; String.prototype[Symbol.replace] = () => ({})",
    "Promise.prototype.then = () => { throw 2 }; Map.prototype.get = 0; WeakMap.prototype.get = 0; WeakSet.prototype.has = () => true",
    "Promise = null; Error = null; Object = null; Proxy = null",
    "Promise.prototype.constructor = class X {}",
    "Reflect.ownKeys(globalThis).forEach((k) => { if (k !== 'llm' && k !== 'console') delete globalThis[k] })",
    "Error.stackTraceLimit = 0; Error.captureStackTrace = () => { throw 3 }; Error.prepareStackTrace = () => { throw 4 }",
]


@pytest.mark.parametrize("pollution", POLLUTIONS)
def test_a_polluted_world_still_talks_and_prints(world: World, pollution: str) -> None:
    world.start(pollution)
    [effect] = world.effects("console.log('say', { a: [1] }); const v = await llm.chat([1, 'x'], { a: [2] }); v")
    assert arguments(effect) == [[1, "x"], {"a": [2]}]
    assert world.printed == [(1, "say { a: [ 1 ] }\n")]
    assert done(world.answer(Answer(effect.id, raw({"n": [1]})))) == [{"n": [1]}]
    assert world.fault("null.x").message == "cannot read property 'x' of null"


def test_showing_a_value_runs_no_getter_and_no_trap(world: World) -> None:
    traps = (
        "new Proxy({}, { get() { hit = 1 }, ownKeys() { hit = 1 }, getPrototypeOf() { hit = 1 }, getOwnPropertyDescriptor() { hit = 1 } })"
    )
    world.result(f"hit = 0; console.log({{ get a() {{ hit = 1 }}, p: {traps} }}); hit")
    assert world.printed == [(1, "{ a: [Getter], p: [Proxy] }\n")]
    world.result(f"bad = {traps}; odd = {{ get a() {{ hit = 1 }} }}; Object.setPrototypeOf(odd, bad); 0")
    world.state.query("members", "bad", b"")
    world.state.query("members", "odd", b"")
    with pytest.raises(ValueCrossingError):
        world.state.query("get", "bad", b"")
    with pytest.raises(ValueCrossingError):
        world.state.query("get", "odd", b"")
    assert world.result("hit") == [0]


def test_only_the_language_is_in_the_environment(world: World) -> None:
    assert world.result(
        "['std', 'os', 'scriptArgs', 'performance', 'process', 'Atomics', 'SharedArrayBuffer'].map((n) => typeof globalThis[n])"
    ) == [["undefined"] * 7]
    assert "could not load" in world.fault("await import('/etc/passwd')").message


def test_the_same_seed_gives_the_same_numbers(new_world: Callable[..., World]) -> None:
    draw = "Array.from({ length: 5 }, Math.random)"
    first, again, other = (new_world(seed=seed).result(draw)[0] for seed in (7, 7, 2**63))
    assert first == again != other
    assert all(0 <= number < 1 for number in first)


# -- printing ------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("console.log('raw', 1, [1, 'q'], { a: { b: 'x' } })", "raw 1 [ 1, 'q' ] { a: { b: 'x' } }"),
        (
            "console.log(new Map([['a', 1]]), new Set([1]), new Error('e'), () => 1, class Q {})",
            "Map(1) { 'a' => 1 } Set(1) { 1 } Error: e [Function (anonymous)] [class Q]",
        ),
        ("const o = {}; o.self = o; console.log(o)", "{ self: [Circular] }"),
        ("console.log('%s=%d %j %%', 'a', '2', [1], 3)", "a=2 [ 1 ] % 3"),
        (
            "console.log(-0, 10n, null, undefined, Symbol('s'), /x/g, new Date(0))",
            "-0 10n null undefined Symbol(s) /x/g 1970-01-01T00:00:00.000Z",
        ),
        ("console.log([[[[[[1]]]]]])", "[ [ [ [ [ [Array] ] ] ] ] ]"),
        (r"console.log('\ud800')", "\ufffd"),
        ('print("it\'s", ["it\'s"])', "it's [ 'it\\'s' ]"),
    ],
)
def test_values_are_printed_as_people_read_them(world: World, call: str, text: str) -> None:
    world.result(call)
    assert world.printed == [(1, text + "\n")]


def test_both_streams_keep_their_order_and_come_before_the_step(world: World) -> None:
    [effect] = world.effects("console.log(1); console.error(2); console.info(3); await llm.chat(); console.warn(4)")
    assert world.printed == [(1, "1\n"), (2, "2\n"), (1, "3\n")]
    world.answer(Answer(effect.id))
    assert world.printed[3:] == [(2, "4\n")]


def test_what_is_printed_without_an_await_is_bounded(world: World) -> None:
    world.result("for (let i = 0; i < 20; i++) console.log('x'.repeat(1e6))")
    assert sum(len(text) for _, text in world.printed) < 9 * 1024 * 1024
    assert "output cut" in world.printed[-1][1]


# -- questions -----------------------------------------------------------------------------------------------------------------------------------


def test_members_are_names_and_types(world: World) -> None:
    world.result("let mine = { a: 1, f() {}, get g() { return 1 }, list: [] }; class K { m() {} }; let k = new K()")
    query = world.state.query
    assert ["mine", "object"] in json.loads(query("members", "", b""))
    assert json.loads(query("members", "mine", b"")) == [["a", "number"], ["f", "function"], ["g", "property"], ["list", "array"]]
    assert ["m", "function"] in json.loads(query("members", "k", b""))
    assert json.loads(query("members", "llm", b"")) == [["chat", "function"], ["setModel", "function"], ["stream", "function"]]
    assert json.loads(query("members", "mine.nothing.more", b"")) == []


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("let x = 1", "complete"),
        ("await 1", "complete"),
        ("", "complete"),
        ("foo(", "incomplete"),
        ("if (1) {", "incomplete"),
        ("1 +", "incomplete"),
        ("`abc", "incomplete"),
        ("`a${b", "incomplete"),
        ("/* abc", "incomplete"),
        ("let é = (", "incomplete"),
        ("'abc", "invalid"),
        ("a b", "invalid"),
        ("a\n)", "invalid"),
        ("let 1x", "invalid"),
    ],
)
def test_is_complete(world: World, code: str, status: str) -> None:
    assert json.loads(world.state.query("is_complete", code, b""))["status"] == status


def test_the_next_line_is_indented_inside_a_block(world: World) -> None:
    answer = json.loads(world.state.query("is_complete", "function f() {\n  g(() => {", b""))
    assert (answer["status"], answer["indent"], answer["line"]) == ("incomplete", "    ", 2)


def test_a_question_that_ends_in_an_error_runs_nothing_of_the_script(world: World) -> None:
    world.result("asked = 0; Error.stackTraceLimit = { valueOf() { asked++; return 3 } }; asked = 0")
    assert json.loads(world.state.query("is_complete", "a b", b""))["status"] == "invalid"
    with pytest.raises(ScriptError):
        world.state.query("get", "missing", b"")
    assert world.result("asked") == [0]


def test_how_deep_stack_traces_go_is_the_script_s_to_set(world: World) -> None:
    deep = "function f(n) { return n === 0 ? new Error().stack.trim().split('\\n').length : f(n - 1) }; "
    assert world.result(deep + "Error.stackTraceLimit = '3'; [f(20), Error.stackTraceLimit]") == [[3, 3]]
    assert world.result("Error.stackTraceLimit = Infinity; f(20)") == [22]


def test_what_a_promise_s_constructor_says_is_not_the_script_s_to_set(world: World) -> None:
    """Each `await` of our own asks for it."""
    assert world.result("Promise.prototype.constructor = null; 5") == [5]
    assert "TypeError" in world.fault("Object.defineProperty(Promise.prototype, 'constructor', { get() { for (;;) {} } })").name
    assert world.result("class P extends Promise {}; [P.resolve(1).constructor === P, await P.resolve(2)]") == [[True, 2]]


def test_globals_are_given_and_taken(world: World) -> None:
    world.state.query("set", "rows", values.dumps([{"a": 2**60, "b": b"x"}]))
    assert world.result("typeof rows[0].a + rows[0].b.length") == ["bigint1"]
    assert values.loads(world.state.query("get", "rows", b"")) == [{"a": 2**60, "b": b"x"}]
    with pytest.raises(ScriptError, match="'rowss'; did you mean 'rows'"):
        world.state.query("get", "rowss", b"")
    world.result("f = () => 1")
    with pytest.raises(ValueCrossingError):
        world.state.query("get", "f", b"")


def test_no_accessor_can_be_put_on_every_object_where_it_would_meet_each_cells_result(world: World) -> None:
    fault = world.fault("Object.defineProperty(Object.prototype, 'value', {get() { return 1 }, set(_) { for (;;); }, configurable: true})")
    assert "not extensible" in fault.message
    assert world.result("3") == [3]
