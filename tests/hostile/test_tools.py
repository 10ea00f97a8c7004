"""Tools that are written to harm: schemas that ask for much, tools that never end, names and values that are none."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.errors import LimitError, SpellError
from llmspell_kernel.policy.decide import Grants
from llmspell_kernel.services.schema import validation
from llmspell_kernel.services.tools.registry import MAX_BYTES, MAX_OF_A_STATE

from ..bridges.test_tools import Approver, World, call, play, register
from ..session.world import ENGINES

every_engine = pytest.mark.parametrize("engine", ENGINES)


async def fails(at: World, engine: str, code: str | dict[str, str], state: str = "main") -> SpellError:
    with pytest.raises(SpellError) as told:
        await at.run(engine, code, state)
    return told.value


@every_engine
def test_a_huge_schema_is_refused(engine: str, tmp_path: Path) -> None:
    cell = {
        "lua": """local properties = {}; for i = 1, 20000 do properties["p" .. i] = {type = "string"} end
          tools.register{name = "huge", parameters = {type = "object", properties = properties}, run = print}""",
        "javascript": """const properties = {}; for (let i = 0; i < 20000; i++) properties[`p${i}`] = {type: "string"};
          await tools.register({name: "huge", parameters: {type: "object", properties}, run: () => 1})""",
    }

    async def use(at: World) -> None:
        error = await fails(at, engine, cell)
        assert "the tool 'huge': parameters: the schema has more than 200,000 bytes" in error.message
        assert await at.session.call_bridge("tools", "list", {"source": "script"}) == []

    play(tmp_path, use)


BOMBS = {
    "references that multiply": {
        "type": "object",
        "properties": {"x": {"$ref": "#/$defs/a0"}},
        "$defs": {**{f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 8} for n in range(12)}, "a12": {"type": "string"}},
    },
    "a pattern that backtracks": {"type": "object", "properties": {"x": {"pattern": "^(a|a)*$"}}},
    "itself": {"type": "object", "properties": {"x": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"$ref": "#/$defs/a"}}},
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_schema_that_asks_for_endless_work_is_stopped_and_reaches_no_function(bomb: str, tmp_path: Path) -> None:
    async def use(at: World) -> None:
        result = await at.session.run(
            "await tools.register({name: 'bomb', parameters: schema, run: async () => await counted.number('x')});"
            " await tools.call('bomb', {x: 'a'.repeat(60) + '!'})",
            engine="javascript",
            inputs={"schema": BOMBS[bomb]},
        )
        assert result.error is not None and result.error.code in ("limit", "argument"), result.error
        assert at.counted.calls == []

    began = time.monotonic()
    play(tmp_path, use)
    assert time.monotonic() - began < 30


class Jumps:
    """A clock on which the first check of a value takes longer than it may, as beside work that leaves it no time, and later ones none."""

    def __init__(self) -> None:
        self._asked = 0

    def monotonic(self) -> float:
        self._asked += 1
        return 0.0 if self._asked == 1 else 2 * validation.TIME_S


@every_engine
def test_the_user_is_asked_also_where_the_first_check_of_the_arguments_runs_out_of_time(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    approver = Approver(False)

    async def use(at: World) -> None:
        await at.run(engine, register(engine, "wipe", "return 1", 'level = "dangerous"'), "owner")
        monkeypatch.setattr(validation, "time", Jumps())
        error = await fails(at, engine, call(engine, "wipe"))
        assert error.code == "denied"
        assert [(request.capability, request.level) for request in approver.asked] == [("tools.call.wipe", "dangerous")]

    play(tmp_path, use, grants=Grants(ask_levels=("dangerous",)), approver=approver)


@every_engine
def test_a_tool_that_calls_itself_without_end_is_told(engine: str, tmp_path: Path) -> None:
    again = {"lua": "return tools.call('again')", "javascript": "return await tools.call('again')"}

    async def use(at: World) -> None:
        await at.run(engine, register(engine, "again", again[engine]))
        for state in ("main", "other"):
            error = await fails(at, engine, call(engine, "again"), state)
            assert "tools call each other without end" in error.message
        assert await at.run(engine, "1" if engine == "javascript" else "return 1") == 1

    play(tmp_path, use)


def test_tools_of_two_states_that_call_each_other_without_end_are_told(tmp_path: Path) -> None:
    async def use(at: World) -> None:
        await at.run("lua", register("lua", "one", "return tools.call('two')"), "a")
        await at.run("javascript", register("javascript", "two", "return await tools.call('one')"), "b")
        error = await fails(at, "lua", call("lua", "one"), "c")
        assert "tools call each other without end" in error.message

    play(tmp_path, use)


@every_engine
@pytest.mark.parametrize("name", ["__proto__", "a b", "a\nb", "../a", "é", "a.b", "A"])
def test_names_that_are_none_are_refused(engine: str, name: str, tmp_path: Path) -> None:
    async def use(at: World) -> None:
        error = await fails(at, engine, register(engine, name.replace("\n", "\\n"), "return 1"))
        assert error.code == "tool_name"
        for asked in ("call", "describe", "docs"):
            with pytest.raises(SpellError) as told:
                await at.session.call_bridge("tools", asked, name)
            assert told.value.code == "unknown_tool"

    play(tmp_path, use)


@pytest.mark.parametrize("name", ["constructor", "prototype", "to_string", "value_of", "has_own_property"])
def test_names_that_objects_have_are_names_like_any_other(name: str, tmp_path: Path) -> None:
    async def use(at: World) -> None:
        with pytest.raises(SpellError, match=f"there is no tool '{name}'"):
            await at.session.call_bridge("tools", "call", name)
        await at.run(
            "javascript",
            register("javascript", name, "return Object.keys(args)", "parameters = {constructor: 'integer?', prototype: 'integer?'}"),
        )
        assert sorted(await at.session.call_bridge("tools", "call", name, {"constructor": 1, "prototype": 2})) == [
            "constructor",
            "prototype",
        ]

    play(tmp_path, use)


@every_engine
def test_arguments_named_as_prototypes_change_nothing_in_the_state_that_gets_them(engine: str, tmp_path: Path) -> None:
    async def use(at: World) -> None:
        seen = {"lua": "return args.polluted == nil", "javascript": "return args.polluted === undefined && ({}).polluted === undefined"}
        await at.run(engine, register(engine, "takes", seen[engine]))
        assert await at.session.call_bridge("tools", "call", "takes", {"__proto__": {"polluted": True}}) is True

    play(tmp_path, use)


@every_engine
def test_functions_go_neither_into_a_tool_nor_out_of_it(engine: str, tmp_path: Path) -> None:
    gives = {"lua": "return {deep = {function() end}}", "javascript": "return {deep: [() => 1]}"}
    takes = {"lua": "tools.call('takes', {f = print})", "javascript": "await tools.call('takes', {f: () => 1})"}

    async def use(at: World) -> None:
        await at.run(engine, register(engine, "gives", gives[engine]))
        await at.run(engine, register(engine, "takes", "return 1"))
        error = await fails(at, engine, call(engine, "gives"))
        assert "the result of the tool 'gives': $.deep[0] is a function" in error.message
        await fails(at, engine, call(engine, "gives"), "other")
        error = await fails(at, engine, takes)
        assert "the arguments of the tool 'takes': $.f is a function" in error.message

    play(tmp_path, use)


@every_engine
def test_a_result_or_arguments_that_are_too_large_are_refused(engine: str, tmp_path: Path) -> None:
    gives = {"lua": "return ('x'):rep(1000001)", "javascript": "return 'x'.repeat(1000001)"}

    async def use(at: World) -> None:
        await at.run(engine, register(engine, "gives", gives[engine]))
        assert "the limit is 1,000,000" in (await fails(at, engine, call(engine, "gives"))).message
        with pytest.raises(SpellError, match="the limit is 1,000,000"):
            await at.session.call_bridge("tools", "call", "gives", {"x": "x" * 1_000_001})

    play(tmp_path, use)


@every_engine
def test_a_state_registers_only_so_many_tools(engine: str, tmp_path: Path) -> None:
    cell = {
        "lua": f"for i = 1, {MAX_OF_A_STATE + 1} do tools.register('t' .. i, '', {{}}, print) end",
        "javascript": f"for (let i = 1; i <= {MAX_OF_A_STATE + 1}; i++) await tools.register('t' + i, '', {{}}, () => 1)",
    }

    async def use(at: World) -> None:
        assert "has registered 1,000 tools; that is the limit" in (await fails(at, engine, cell)).message
        found: Any = await at.session.call_bridge("tools", "list", {"source": "script"})
        assert len(found) == MAX_OF_A_STATE

    play(tmp_path, use)


@every_engine
@pytest.mark.parametrize("removed", [False, True])
def test_schemas_of_many_small_lists_count_what_they_take_also_those_of_tools_that_were_removed(
    engine: str, removed: bool, tmp_path: Path
) -> None:
    # 180 KB of text are 4 MB of lists in the host
    remove = "tools.remove('t' .. i)" if engine == "lua" else "await tools.remove('t' + i)"
    cell = {
        "lua": "local e = {} for i = 1, 60000 do e[i] = array{} end done = 0 for i = 1, 20 do tools.register{name = 't' .. i, parameters ="
        " {type = 'object', properties = {a = {enum = e}}}, run = print} done = i" + (f" {remove}" if removed else "") + " end",
        "javascript": "const e = Array.from({length: 60000}, () => []); var done = 0; for (let i = 1; i <= 20; i++) { await tools.register({name:"
        " 't' + i, parameters: {type: 'object', properties: {a: {enum: e}}}, run: () => 1}); done = i;"
        + (remove if removed else "")
        + " }",
    }

    async def use(at: World) -> None:
        error = await fails(at, engine, cell)
        assert isinstance(error, LimitError) and error.limit == "tools_bytes" and error.value == MAX_BYTES, error
        assert await at.run(engine, "return done" if engine == "lua" else "done") == 9
        # whoever registers a name again gives back what that one counted
        await at.run(engine, register(engine, "t9", "return 'small'"))
        await at.run(engine, register(engine, "t10", "return 'small'"))
        assert await at.session.call_bridge("tools", "call", "t10") == "small"

    play(tmp_path, use)


@every_engine
def test_states_that_come_and_go_share_what_the_tools_of_a_session_may_count(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmspell_kernel.services.tools.registry.MAX_BYTES", 5_000)

    async def use(at: World) -> None:
        for number in range(20):
            tool = register(engine, "one", "return 1", "deprecated = 'use another'")
            try:
                await at.run(engine, tool, f"s{number}")
            except LimitError as error:
                assert error.limit == "tools_bytes" and 3 <= number <= 8
                return
        pytest.fail("20 states registered tools, and none of them counted")

    play(tmp_path, use)


@every_engine
@pytest.mark.parametrize("more", ["timeout_s = 0", "timeout_s = -1", "timeout_s = 1e9", 'level = "root"', 'colour = "red"'])
def test_what_a_tool_cannot_be_is_refused(engine: str, more: str, tmp_path: Path) -> None:
    async def use(at: World) -> None:
        assert (await fails(at, engine, register(engine, "odd", "return 1", more))).code == "argument"

    play(tmp_path, use)


def test_a_function_that_loops_for_ever_is_stopped_by_its_tools_time(tmp_path: Path) -> None:
    async def use(at: World) -> None:
        await at.run("lua", "kept = 1;" + register("lua", "loops", "while true do end", "timeout_s = 0.3"))
        error = await fails(at, "javascript", call("javascript", "loops"))
        assert "took longer than its 0.3 s" in error.message
        assert await at.run("lua", "return kept") == 1

    play(tmp_path, use)


def test_calls_of_names_that_no_tool_has_are_counted_nowhere(tmp_path: Path) -> None:
    async def use(at: World) -> None:
        for name in ("x" * 10_000, "no_such", ""):
            with pytest.raises(SpellError):
                await at.session.call_bridge("tools", "call", name)
        assert await at.session.call_bridge("tools", "stats") == []

    play(tmp_path, use, grants=Grants(deny=("tools.call.no_such",)))
