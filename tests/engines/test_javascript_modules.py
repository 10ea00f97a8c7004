"""`require`, a catalogue that changes while a state runs, and states that are full."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from llmspell_kernel import values
from llmspell_kernel.engines._source import MAX_SOURCE_BYTES
from llmspell_kernel.errors import ScriptError
from llmspell_kernel.protocol.steps import Answer, Fault, Step, Suspended

from .javascript_world import World, arguments, done, failed, machinery, new_world, places, raw, world

__all__ = ["machinery", "new_world", "world"]  # fixtures

UNKNOWN = Fault("unknown_module", "there is no module of that name")


def run(world: World, code: str, modules: dict[str, str], asked: list[str] | None = None) -> Step:
    """The end of a cell whose modules have these texts."""
    step = world.start(code)
    while isinstance(step, Suspended):
        answers = []
        for effect in step.effects:
            name, language = arguments(effect)
            assert (effect.bridge, effect.method, language) == ("modules", "source", "javascript")
            if asked is not None:
                asked.append(name)
            answers.append(Answer(effect.id, raw(modules[name])) if name in modules else Answer(effect.id, fault=UNKNOWN))
        step = world.answer(*answers)
    return step


# -- require -------------------------------------------------------------------------------------------------------------------------------------


def test_a_module_gives_its_exports_and_is_loaded_once(world: World) -> None:
    asked: list[str] = []
    modules = {"m": "globalThis.loads = (globalThis.loads ?? 0) + 1; exports.x = await Promise.resolve(loads); const hidden = 1"}
    code = "const [a, b] = await Promise.all([require('m'), require('m')]); [a === b, a.x, typeof hidden]"
    assert done(run(world, code, modules, asked)) == [[True, 1, "undefined"]]
    assert done(run(world, "(await require('m')).x", modules, asked)) == [1]
    assert asked == ["m"]


def test_a_module_may_replace_its_exports_and_require_others(world: World) -> None:
    modules = {"a": "const b = await require('b'); module.exports = (x) => b.twice(x) + 1", "b": "exports.twice = (x) => x * 2"}
    assert done(run(world, "(await require('a'))(4)", modules)) == [9]


@pytest.mark.parametrize(
    ("source", "line", "column", "name"),
    [
        ("null.x", 1, 1, "TypeError"),
        ("1;\n  null.x", 2, 3, "TypeError"),
        ("let a = ;", 1, 9, "SyntaxError"),
        ("#!/usr/bin/env js\n missing", 2, 2, "ReferenceError"),
        ("/*é*/ missing", 1, 7, "ReferenceError"),
    ],
)
def test_an_error_in_a_module_has_its_place(world: World, source: str, line: int, column: int, name: str) -> None:
    fault = failed(run(world, "await require('m')", {"m": source}))
    assert (fault.name, places(fault)[0][:3]) == (name, ("module[m]", line, column))


def test_a_function_of_a_module_keeps_its_frames(world: World) -> None:
    modules = {"m": "exports.deep = function deep(a) {\n  return a.b.c\n}"}
    fault = failed(run(world, "const m = await require('m');\nm.deep({})", modules))
    assert places(fault) == [("module[m]", 2, 10, "deep"), ("cell[1]", 2, 3, "")]


def test_a_cycle_is_an_error_that_names_it(world: World) -> None:
    modules = {name: f"exports.next = await require('{other}')" for name, other in (("a", "b"), ("b", "c"), ("c", "a"))}
    fault = failed(run(world, "await require('a')", modules))
    assert (fault.code, fault.message) == ("module_cycle", "modules that require each other: a -> b -> c -> a")
    fault = failed(run(world, "await require('self')", {"self": "await require('self')"}))
    assert fault.message == "modules that require each other: self -> self"


def test_two_modules_may_share_a_third_that_is_being_loaded(world: World) -> None:
    modules = {"a": "exports.n = (await require('c')).n + 1", "b": "exports.n = (await require('c')).n + 2", "c": "exports.n = await 10"}
    assert done(run(world, "(await Promise.all([require('a'), require('b')])).map((m) => m.n)", modules)) == [[11, 12]]


def test_a_failed_module_is_not_kept(world: World) -> None:
    assert failed(run(world, "await require('m')", {"m": "throw new Error('first')"})).message == "first"
    assert failed(run(world, "await require('m')", {})).code == "unknown_module"
    assert done(run(world, "(await require('m')).ok", {"m": "exports.ok = 1"})) == [1]


def test_a_module_that_a_stop_interrupted_is_loaded_anew(world: World) -> None:
    [effect] = world.effects("await require('m')")
    world.flag.set(stop=True)
    failed(world.answer())
    world.flag.set(stop=False)
    assert done(run(world, "(await require('m')).ok", {"m": "exports.ok = 1"})) == [1]
    assert effect.id == 1


def test_an_endless_module_can_be_stopped(world: World) -> None:
    [effect] = world.effects("await require('m')")
    world.stopped_answer(Answer(effect.id, raw("for (;;);")))
    assert world.result("1") == [1]


def test_a_module_that_is_too_long_is_refused_with_the_limit(world: World) -> None:
    assert str(MAX_SOURCE_BYTES) in failed(run(world, "await require('m')", {"m": " " * (MAX_SOURCE_BYTES + 1)})).message


def test_import_in_a_module_says_how_modules_work(world: World) -> None:
    assert "module.exports" in failed(run(world, "await require('m')", {"m": "import x from 'y'"})).message


def test_a_module_that_closes_its_function_early_has_the_rights_of_a_script(world: World) -> None:
    step = run(world, "await require('m')", {"m": "}); globalThis.out = Object.keys(this).length; (async function () {"})
    done(step)
    assert world.result("typeof hooks + typeof world + typeof settings") == ["undefined" * 3]


def test_require_takes_a_text(world: World) -> None:
    assert world.fault("await require(5)").name == "TypeError"


# -- a catalogue that changes --------------------------------------------------------------------------------------------------------------------


def declare(world: World, **change: Any) -> None:
    assert world.state.query("declare", "", json.dumps(change).encode()) == b"null"


def test_a_bridge_can_be_added_replaced_and_removed(world: World) -> None:
    declare(world, add={"bridges": {"fresh": ["look_up"]}})
    [effect] = world.effects("fresh.lookUp(1)")
    assert (effect.bridge, effect.method) == ("fresh", "look_up")
    declare(world, add={"bridges": {"fresh": ["other"]}})
    assert "known: other" in world.fault("fresh.lookUp(1)").message
    declare(world, remove=["fresh"])
    assert world.result("typeof fresh") == ["undefined"]


def test_the_scripts_own_global_is_not_overwritten(world: World) -> None:
    world.result("fresh = 'mine'; llm = 'mine, too'")
    declare(world, add={"bridges": {"fresh": ["a"], "llm": ["b"]}})
    declare(world, remove=["fresh", "llm"])
    assert world.result("[fresh, llm]") == [["mine", "mine, too"]]


def test_resource_types_come_and_go_with_their_bridge(world: World) -> None:
    declare(world, add={"bridges": {"fresh": ["open"]}, "resources": {"fresh.thing": {"methods": ["next", "close"], "iterate": "next"}}})
    [asked] = world.effects("thing = await fresh.open(); typeof thing[Symbol.asyncIterator]")
    assert done(world.answer(Answer(asked.id, raw(values.ResourceRef(3, "fresh.thing"))))) == ["function"]
    [effect] = world.effects("thing.close()")
    assert (effect.bridge, effect.target) == ("fresh.thing", 3)


def test_an_alias_is_the_same_function_and_hints_name_the_real_one(world: World) -> None:
    declare(world, add={"bridges": {"tools": ["call"]}, "aliases": {"tools": {"execute_tool": "call"}}})
    assert world.result("[tools.executeTool === tools.call, Object.keys(tools)]") == [[True, ["call"]]]
    [effect] = world.effects("tools.executeTool('x')")
    assert effect.method == "call"
    assert world.fault("tools.cal()").message == "tools has no method 'cal'; did you mean 'call'?"


def test_aliases_of_the_first_catalogue_are_there_at_once(new_world: Callable[..., World]) -> None:
    world = new_world(
        catalogue={"bridges": {"llm": ["stream"]}, "aliases": {"llm": {"stream_chat": "stream"}}, "loops": {"llm": ["stream"]}}
    )
    assert world.result("llm.streamChat === llm.stream") == [True]


def test_a_bridge_is_one_object_whoever_reads_it_first_and_however(world: World) -> None:
    assert b'["setModel","function"]' in world.state.query("members", "llm", b"")
    world.result("const { get } = Object.getOwnPropertyDescriptor(globalThis, 'timer')")
    assert world.result("[get() === timer, get() === globalThis.timer, Object.isFrozen(timer)]") == [[True, True, True]]


def test_a_bridge_that_no_script_has_read_is_told_as_an_object_and_replaced_by_its_next_version(world: World) -> None:
    assert b'["llm","object"]' in world.state.query("members", "", b"")
    declare(world, add={"bridges": {"llm": ["other"]}})
    assert world.result("Object.keys(llm)") == [["other"]]


def test_a_bridge_is_declared_in_a_polluted_world(world: World) -> None:
    world.start(
        "Array.prototype.map = Array.prototype.includes = Array.prototype[Symbol.iterator] = null; Object.keys = null; Reflect.apply = null;"
        "Object.defineProperty(Array.prototype, 0, { set() { throw 1 } }); String.prototype.toUpperCase = null; Object.prototype.add = 5;"
        "Object.prototype.aliases = 7"
    )
    declare(world, add={"bridges": {"fresh": ["look_up"]}, "loops": {"fresh": ["look_up"]}}, remove=["llm"])
    [effect] = world.effects("fresh.lookUp(1)")
    assert effect.method == "look_up"
    assert world.result("typeof llm") == ["undefined"]


def test_require_comes_with_the_bridge_modules(new_world: Callable[..., World]) -> None:
    world = new_world(catalogue={"bridges": {"llm": ["chat"]}})
    assert world.result("typeof require + typeof setTimeout") == ["undefinedundefined"]
    declare(world, add={"bridges": {"modules": ["source"]}})
    assert done(run(world, "(await require('m')).x", {"m": "exports.x = 1"})) == [1]


def test_a_broken_catalogue_is_refused(world: World) -> None:
    with pytest.raises(ScriptError):
        world.state.query("declare", "", b'{"add": {"bridges": {"fresh": 5, "bad": null}}}')
    assert world.result("1") == [1]


# -- full states ---------------------------------------------------------------------------------------------------------------------------------

FILL = "globalThis.hoard ??= []; for (;;) hoard.push(new Array(1000).fill(1))"


@pytest.mark.parametrize("empty", ["delete globalThis.hoard", "hoard = null", "hoard.length = 0", "globalThis.hoard = undefined; 1"])
@pytest.mark.parametrize("memory_bytes", [16 * 1024 * 1024, 64 * 1024 * 1024])
def test_a_state_that_was_filled_again_and_again_can_be_emptied(new_world: Callable[..., World], empty: str, memory_bytes: int) -> None:
    world = new_world(memory_bytes=memory_bytes)
    for _ in range(5):
        assert world.fault(FILL).code == "limit"
    done(world.start(empty))
    assert (
        len(world.result("const again = []; for (let i = 0; i < 500; i++) again.push(new Array(1000).fill(1)); again.length = 1; again"))
        == 1
    )
    assert world.fault(FILL).code == "limit"


def test_an_emptied_state_has_its_usual_limit_again(new_world: Callable[..., World]) -> None:
    world = new_world(memory_bytes=32 * 1024 * 1024)
    count = "let n = 0; const a = []; try { for (;;) { a.push(new Array(10000).fill(1)); n++ } } catch { a.length = 0 }; n"
    first = world.result(count)[0]
    world.fault(FILL)
    world.fault(FILL)
    world.start("hoard = null")
    assert abs(world.result(count)[0] - first) <= 2


@pytest.mark.parametrize("code", [FILL, f"await 1; {FILL}", "await 1; var hoard = []; for (;;) hoard.push({})"])
def test_an_error_that_is_lost_for_want_of_memory_is_told_as_the_limit(new_world: Callable[..., World], code: str) -> None:
    for more_bytes in range(0, 40_000, 2_000):  # how little is left when it happens decides where the engine fails
        world = new_world(memory_bytes=16 * 1024 * 1024 + more_bytes)
        assert world.fault(code).code == "limit"
        assert world.result("hoard = null; 1") == [1]
