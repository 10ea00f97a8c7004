"""Schemas and patterns made to take the time or the memory of the host: each meets a limit, and other work goes on meanwhile."""

from __future__ import annotations

import asyncio
import resource
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.errors import ArgumentError, LimitError, SpellError
from llmspell_kernel.services.agents.arguments import Arguments
from llmspell_kernel.services.schema import validation
from llmspell_kernel.services.schema.validation import MAX_STEPS, TIME_S, Schema
from tests.bridges.agent_world import ENGINES, agents, call, run

every_engine = pytest.mark.parametrize("engine", ENGINES)
DIALECTS = [
    "http://json-schema.org/draft-03/schema#",
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
]
BACKTRACKS = "^(a|a)+$"
LONG = "a" * 28 + "!"
"""On which the pattern takes some seconds."""


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"properties": {"a": {"pattern": BACKTRACKS}}}, {"a": LONG}),
        ({"properties": {"a": {"$ref": "#"}}, "pattern": BACKTRACKS}, {"a": LONG}),
        ({"const": {"$schema": "", "pattern": BACKTRACKS}, "$ref": "#/const"}, LONG),
        ({"items": {"contains": {"not": {"pattern": BACKTRACKS}}}}, [[LONG]]),
    ],
    ids=["property", "itself", "data", "within"],
)
def test_a_dialect_named_anywhere_in_a_schema_changes_no_limit(
    dialect: str, schema: Any, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "TIME_S", 0.2)

    def named(part: Any) -> Any:
        """With the dialect in each schema of it, which are the parts that have keywords."""
        if isinstance(part, list):
            return [named(item) for item in part]
        if not isinstance(part, dict):
            return part
        inner = {key: named(item) for key, item in part.items()}
        return inner if part.keys() == {"a"} else {**inner, "$schema": dialect}

    started = time.process_time()
    with pytest.raises(LimitError, match="backtracks"):
        Schema(named(schema)).problems(value)
    assert time.process_time() - started < 1


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_steps_of_a_part_with_a_dialect_of_its_own_are_counted(dialect: str) -> None:
    levels: dict[str, Any] = {f"d{n}": {"$schema": dialect, "allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 4} for n in range(10)}
    with pytest.raises(LimitError, match=f"{MAX_STEPS:,} steps"):
        Schema({"$ref": "#/$defs/d0", "$defs": {**levels, "d10": {}}}).problems(1)


@every_engine
def test_a_script_cannot_leave_the_limits_by_a_dialect(engine: str, tmp_path: Path) -> None:
    cell = {
        "lua": "return schema.validate({a = ('a'):rep(28) .. '!'}, {type = 'object', properties = "
        "{a = {['$schema'] = 'https://json-schema.org/draft/2020-12/schema', pattern = '^(a|a)+$'}}})",
        "javascript": "await schema.validate({a: 'a'.repeat(28) + '!'}, {type: 'object', properties: "
        "{a: {$schema: 'https://json-schema.org/draft/2020-12/schema', pattern: '^(a|a)+$'}}})",
    }

    async def play() -> None:
        async with agents(tmp_path) as told:
            with pytest.raises(SpellError, match=f"backtracks for longer than {TIME_S:.0f} s"):
                await run(told.session, engine, cell)

    asyncio.run(play())


@pytest.mark.parametrize(
    "schema",
    [
        {"enum": ["a"], "$ref": "#/enum/0"},
        {"const": {"minimum": "x"}, "$ref": "#/const"},
        {"const": {"$ref": 5}, "$ref": "#/const"},
        {"$ref": "#/allOf/x", "allOf": [{}]},
    ],
)
def test_a_reference_to_what_is_no_schema_is_an_error_of_the_schema(schema: Any) -> None:
    with pytest.raises(ArgumentError, match=r"\$ref that leads to no schema"):
        Schema(schema).problems(1)


@every_engine
@pytest.mark.parametrize("where", ["schema", "guardrail", "comparison", "tool"])
def test_a_pattern_that_grows_while_it_is_compiled_is_refused_wherever_a_script_gives_it(engine: str, where: str, tmp_path: Path) -> None:
    pattern = {"lua": "('('):rep(19) .. 'a' .. ('){1,9}'):rep(19)", "javascript": "'('.repeat(19) + 'a' + '){1,9}'.repeat(19)"}[engine]
    cell = {
        "schema": {"lua": "schema.validate('a', {pattern = %})", "javascript": "await schema.validate('a', {pattern: %})"},
        "guardrail": {
            "lua": "guardrails.add{name = 'g', on = 'input', check = {regex = %}}",
            "javascript": "await guardrails.add({name: 'g', on: 'input', check: {regex: %}})",
        },
        "comparison": {
            "lua": "llm.compare{prompts = 'x', models = {'spell/echo'}, checks = {{regex = %}}}",
            "javascript": "await llm.compare({prompts: 'x', models: ['spell/echo'], checks: [{regex: %}]})",
        },
        "tool": {
            "lua": "agent.create{tools = {{name = 't', parameters = {properties = {a = {pattern = %}}}, run = function() end}}}",
            "javascript": "await agent.create({tools: [{name: 't', parameters: {properties: {a: {pattern: %}}}, run: () => 1}]})",
        },
    }[where]
    code = {engine: cell[engine].replace("%", pattern)}

    async def play() -> None:
        async with agents(tmp_path) as told:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            with pytest.raises(SpellError, match="nodes when its repeats are written out"):
                await run(told.session, engine, code)
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000

    asyncio.run(play())


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {f"a{number}": {"type": "string"} for number in range(9_000)}},
        {"allOf": [True] * 40_000},
        {"type": [one for number in range(12_000) for one in (number, f"{number}")]},
        {"properties": {"a": {"allOf": [{"pattern": f"[!-\uffff]{{{number}}}" + "[!-\uffff]" * 300} for number in range(90)]}}},
    ],
    ids=["properties", "allOf", "types", "sets"],
)
def test_no_schema_takes_long_to_be_checked_itself(schema: Any) -> None:
    started = time.process_time()
    with suppress(ArgumentError):
        Schema(schema)
    assert time.process_time() - started < TIME_S + 1


def test_a_schema_of_too_many_parts_is_refused() -> None:
    parts = {f"a{number}": {"type": "string"} for number in range(3_000)}
    assert Schema({"properties": dict(list(parts.items())[:1_500])}).problems({"a1": "x"}) == []
    with pytest.raises(ArgumentError, match=r"the schema is too large: .* as some 2,000 parts do"):
        Schema({"properties": parts})


OWN_TOOL = {
    "lua": "local t = {} for i = 1, 100 do t[i] = {type = 'array'} end "
    "a = agent.create{tools = {{name = 'own', parameters = {type = 'object', properties = {a = {items = {['not'] = {anyOf = t}}}}},"
    " run = function() return 'done' end}}}",
    "javascript": "let t = Array.from({length: 100}, () => ({type: 'array'})); "
    "let a = await agent.create({tools: [{name: 'own', parameters: {type: 'object', properties: {a: {items: {not: {anyOf: t}}}}},"
    " run: () => 'done'}]});",
}
RUN = {"lua": "return a:run('x').text", "javascript": "(await a.run('x')).text"}


@every_engine
def test_the_check_of_an_agents_own_tool_holds_nothing_up_however_short_its_schema(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit, on_the_loop = Arguments.fit, []

    def watched(self: Arguments, arguments: dict[str, Any]) -> dict[str, Any]:
        on_the_loop.append(threading.current_thread() is threading.main_thread())
        return fit(self, arguments)

    monkeypatch.setattr(Arguments, "fit", watched)

    async def play() -> None:
        async with agents(tmp_path, call("own", {"a": [1] * 500}), call("own", {"a": 1}), "done") as told:
            await run(told.session, engine, OWN_TOOL)
            assert await run(told.session, engine, RUN) == ["done"]

    asyncio.run(play())
    assert on_the_loop == [False, False]


@every_engine
def test_the_schema_of_an_agents_answer_is_made_once_and_never_on_the_loop(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, on_the_loop = Schema.__init__, []

    def watched(self: Schema, document: Any) -> None:
        on_the_loop.append(threading.current_thread() is threading.main_thread())
        make(self, document)

    monkeypatch.setattr(Schema, "__init__", watched)
    cell = {
        "lua": "local p = {} for i = 1, 1000 do p['a' .. i] = {title = 'x'} end a = agent.create{output = {type = 'object', properties = p}}",
        "javascript": "let p = {}; for (let i = 0; i < 1000; i++) p['a' + i] = {title: 'x'}; "
        "let a = await agent.create({output: {type: 'object', properties: p}});",
    }

    async def play() -> None:
        async with agents(tmp_path, "{}", "{}", "{}") as told:
            await run(told.session, engine, cell)
            on_the_loop.clear()
            for _ in range(3):
                assert await run(told.session, engine, RUN) == ["{}"]

    asyncio.run(play())
    assert on_the_loop == [False]


@every_engine
def test_alternatives_that_a_large_text_does_not_fit_keep_no_copies_of_it(engine: str, tmp_path: Path) -> None:
    cell = {
        "lua": "local t = {} for i = 1, 2000 do t[i] = {type = 'number'} end return schema.validate(('x'):rep(1900000), {anyOf = t}).valid",
        "javascript": "(await schema.validate('x'.repeat(1900000), {anyOf: Array.from({length: 2000}, () => ({type: 'number'}))})).valid",
    }

    async def play() -> None:
        async with agents(tmp_path) as told:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            assert await run(told.session, engine, cell) == [False]
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000

    asyncio.run(play())
