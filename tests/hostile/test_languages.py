"""What the presets leave out of the languages is gone by every way that leads to it, and our own libraries work without it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from llmspell_kernel.policy.presets import PRESETS
from llmspell_kernel.session import ExecutionResult, Session
from llmspell_kernel.settings import Settings

from ..conformance.engines import ENGINES, REGISTRY

LUA = [
    'load("return 1")',
    "load(function() return nil end)",
    '_G["load"]("return 1")',
    '_ENV.load("return 1")',
    'coroutine.wrap(function() load("return 1") end)()',
]
GONE = [
    "loadstring",
    "dofile",
    "loadfile",
    "debug",
    "io",
    "package",
    "os.execute",
    "os.getenv",
    "string.dump",
    "python",
    "collectgarbage('step')",
]
"""Of Lua, in every preset."""
JAVASCRIPT = [
    'eval("1")',
    '(0, eval)("1")',
    'globalThis["eval"]("1")',
    'Reflect.apply(eval, null, ["1"])',
    'Function("return 1")',
    'new Function("return 1")',
    '(() => {}).constructor("return 1")',
    '(function () {}).constructor("return 1")',
    '(class {}).constructor("return 1")',
    'Math.max.constructor("return 1")',
    'print.constructor("return 1")',
    'llm.chat.constructor("return 1")',
    'new ((async function () {}).constructor)("return 1")',
    'new ((async () => {}).constructor)("return 1")',
    'new ((function* () {}).constructor)("return 1")',
    'new ((async function* () {}).constructor)("return 1")',
    'Reflect.construct((() => {}).constructor, ["return 1"])',
    'Object.getPrototypeOf(async function () {}).constructor("return 1")',
    'new (class extends Function {})("return 1")',
    'new (class extends (async () => {}).constructor {})("return 1")',
    '(() => {}).bind().constructor("return 1")',
    'new Proxy(function () {}, {}).constructor("return 1")',
    'Function.prototype.constructor("return 1")',
    'Object.getOwnPropertyDescriptor(Function.prototype, "constructor").value("return 1")',
    'delete Function.prototype.constructor; (() => {}).constructor("return 1")',
    'Object.defineProperty(Function.prototype, "constructor", { value: 1 }); (() => {}).constructor("return 1")',
    '[].map.constructor("return 1")',
    'new URL("http://a").constructor.constructor("return 1")',
    'require.constructor("return 1")',
    'setTimeout.call.constructor("return 1")',
]
WITHOUT: Mapping[str, Sequence[tuple[str, Any]]] = {
    "lua": [
        ('require("words").count', 3),
        ("json.decode('[1]')[1]", 1),
        ("select(2, pcall(text.trim, ' a '))", "a"),
        ("url.parse('http://a.b/c').host", "a.b"),
        ("#uuid.v4()", 36),
        ("async.all({ function() return 4 end })[1]", 4),
    ],
    "javascript": [
        ('(await require("words")).count', 3),
        ("new URL('http://a.b/c').host", "a.b"),
        ("structuredClone({ a: 1 }).a", 1),
        ("new TextDecoder().decode(new TextEncoder().encode('é'))", "é"),
        ("text.trim === undefined ? 1 : 1", 1),
        ("(() => 1) instanceof Function", True),
        ("(async () => 1).constructor.name", "AsyncFunction"),
        ("class A {}; new A().constructor.name", "A"),
    ],
}


def run(preset: str, engine: str, code: str) -> ExecutionResult:
    async def play() -> ExecutionResult:
        # the layers of the machine are other tests' business: a strict session does not start where one is missing
        async with Session(settings=Settings(preset=preset)) as session:
            session.add_module("words", "return { count = 3 }", "lua")
            session.add_module("words", "exports.count = 3", "javascript")
            return await session.run(code, engine=engine)

    return asyncio.run(play())


@pytest.mark.parametrize("code", LUA)
def test_a_strict_lua_state_makes_no_code_from_text(code: str) -> None:
    error = run("strict", "lua", code).error
    assert error is not None
    assert "nil value" in error.message
    assert run("standard", "lua", code).error is None


@pytest.mark.parametrize("code", JAVASCRIPT)
def test_a_strict_javascript_state_makes_no_code_from_text(code: str) -> None:
    error = run("strict", "javascript", code).error
    assert error is not None
    assert "is not in the preset strict" in error.message or "not configurable" in error.message or "could not delete" in error.message


def test_every_engine_says_what_makes_code_of_a_text() -> None:
    for engine in ENGINES:
        assert REGISTRY.get(engine).names_of(PRESETS["strict"].left_out), engine


def test_an_error_says_what_is_missing_and_why() -> None:
    lua, javascript = run("strict", "lua", "load('x')").error, run("strict", "javascript", "eval('x')").error
    assert lua is not None and "'load' is not in the preset strict" in lua.message
    assert javascript is not None and "'eval' is not in the preset strict" in javascript.message


@pytest.mark.parametrize(("engine", "code", "expected"), [(engine, *case) for engine, cases in WITHOUT.items() for case in cases])
def test_libraries_and_modules_work_where_a_script_cannot_make_code_from_text(engine: str, code: str, expected: Any) -> None:
    result = run("strict", engine, code)
    assert result.values == [expected], result


@pytest.mark.parametrize("preset", PRESETS)
def test_no_preset_lets_a_script_import(preset: str) -> None:
    error = run(preset, "javascript", "await import('fs')").error
    assert error is not None
    assert "require" in error.message
    for statement in ("import fs from 'fs'", "export const a = 1"):
        error = run(preset, "javascript", statement).error
        assert error is not None
        assert "a cell is not a module" in error.message


@pytest.mark.parametrize("preset", PRESETS)
def test_no_preset_has_a_way_to_bytecode_or_to_the_machine(preset: str) -> None:
    code = "\n".join(f"assert({name} == nil, '{name}')" for name in GONE[:-1])
    assert run(preset, "lua", code + "\nassert(not pcall(collectgarbage, 'step'))").error is None
    dumped = '"\\27Lua\\84\\0\\25\\147\\13\\10\\26\\10"'
    for mode in ("", ', "b"', ', "bt"', ', "t"'):
        loaded = run(preset, "lua", f"return load and load({dumped}, 'x'{mode}) == nil or load == nil")
        assert loaded.values == [True], loaded
    for name in (
        "std",
        "os",
        "bjson",
        "Worker",
        "SharedArrayBuffer",
        "Atomics",
        "WebAssembly",
        "WeakRef",
        "FinalizationRegistry",
        "performance",
    ):
        assert run(preset, "javascript", f"typeof {name}").values == ["undefined"], name
