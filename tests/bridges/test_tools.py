"""The bridge `tools`, through real sessions and workers, from every language to every other."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel import ApprovalRequest, Bridge, Context, method
from llmspell_kernel.bridges.tools import Tools
from llmspell_kernel.errors import BridgeError, DeniedError, LimitError, ScriptError, SpellError
from llmspell_kernel.journal.events import CallStarted
from llmspell_kernel.policy.decide import Grants
from llmspell_kernel.services.tools.tool import BuiltIn, Calls, ToolSpec
from llmspell_kernel.session import Session
from llmspell_kernel.values import Value

from ..session.world import ENGINES, Recording

every_engine = pytest.mark.parametrize("engine", ENGINES)
every_pair = pytest.mark.parametrize(("owner", "user"), list(product(ENGINES, ENGINES)))
Cell = dict[str, str]


class Counted(Bridge):
    """Calls that can be counted, as a world outside."""

    name = "counted"

    def __init__(self) -> None:
        self.calls: list[str] = []

    @method
    async def number(self, ctx: Context, key: str) -> int:
        """How many calls there were."""
        self.calls.append(key)
        return len(self.calls)

    @method
    async def hang(self, ctx: Context) -> None:
        """Never ends."""
        await asyncio.Event().wait()


class Agents(Bridge):
    """Makes a method of its own a tool."""

    name = "agents"

    @method(replay="again")
    async def offer(self, ctx: Context, name: str) -> None:
        """Offers `answer` as a tool."""
        spec = {"name": name, "description": "Asks an agent.", "parameters": {"question": "string"}}
        await ctx.call("tools", "provide", spec, "agents", "answer", [name])

    @method(inner=True)
    async def answer(self, ctx: Context, name: str, arguments: dict[str, Any]) -> str:
        """What an agent says."""
        return f"{name}: {arguments['question']}?"


async def _twice(calls: Calls, arguments: dict[str, Any]) -> Value:
    return [await calls("counted", "number", arguments["key"]), await calls("counted", "number", arguments["key"])]


TWICE = BuiltIn(ToolSpec("twice", "Asks two times.", {"type": "object", "properties": {"key": {"type": "string", "default": "k"}}}), _twice)


class World:
    def __init__(self, session: Session, sink: Recording, counted: Counted) -> None:
        self.session = session
        self.sink = sink
        self.counted = counted

    async def run(self, engine: str, cell: Cell | str, state: str = "main", chunk: str = "cell[1]") -> Any:
        result = await self.session.run(cell if isinstance(cell, str) else cell[engine], engine=engine, state=state, chunk=chunk)
        if result.error is not None:
            raise result.error
        return result.value

    async def kill(self, engine: str, state: str = "main") -> None:
        worker = self.session.states[state, engine].worker
        assert worker is not None
        gone = asyncio.Event()
        worker.on_lost[-1] = gone.set
        os.kill(worker.pid, signal.SIGKILL)
        await gone.wait()


@asynccontextmanager
async def world(folder: Path, *, built_in: tuple[BuiltIn, ...] | None = None, **options: Any) -> AsyncIterator[World]:
    sink, counted = Recording(), Counted()
    bridges: list[Bridge] = [counted, Agents(), *([Tools(built_in)] if built_in is not None else [])]
    async with Session(sink=sink, bridges=bridges, folder=folder, **options) as session:
        yield World(session, sink, counted)


def play(folder: Path, what: Callable[[World], Awaitable[None]], **options: Any) -> None:
    async def played() -> None:
        async with world(folder, **options) as made:
            await what(made)

    asyncio.run(played())


WEATHER = {
    "lua": """tools.register{name = "weather", description = "The weather.", parameters = {city = "string", days = {type = "integer", default = 2}},
      run = function(args) counted.number(args.city); return {text = args.city .. " " .. args.days} end}""",
    "javascript": """await tools.register({name: "weather", description: "The weather.",
      parameters: {city: "string", days: {type: "integer", default: 2}},
      run: async args => { await counted.number(args.city); return {text: `${args.city} ${args.days}`} }});""",
}
ASK = {"lua": 'tools.call("weather", {city = "Nice"})', "javascript": 'await tools.call("weather", {city: "Nice"})'}
NICE = {"text": "Nice 2"}


def register(engine: str, name: str, body: str, more: str = "") -> str:
    """A tool without parameters whose function has this body."""
    if engine == "lua":
        return f'tools.register{{name = "{name}", run = function(args) {body} end, {more}}}'
    return f'await tools.register({{name: "{name}", run: async args => {{ {body} }}, {more.replace(" = ", ": ")}}});'


def call(engine: str, name: str) -> str:
    return f'{"" if engine == "lua" else "await "}tools.call("{name}")'


@every_pair
def test_a_tool_of_one_language_is_called_from_every_other_with_its_defaults(owner: str, user: str, tmp_path: Path) -> None:
    async def use(at: World) -> None:
        await at.run(owner, WEATHER)
        assert await at.run(user, ASK, "other") == NICE
        assert await at.run(user, {name: text.replace("call", "execute") for name, text in ASK.items()}, "other") == NICE

    play(tmp_path, use)


@every_engine
def test_a_tool_is_called_from_python(engine: str, tmp_path: Path) -> None:
    async def use(at: World) -> None:
        await at.run(engine, WEATHER)
        assert await at.session.call_bridge("tools", "call", "weather", {"city": "Nice"}) == NICE

    play(tmp_path, use)


@every_engine
def test_the_positional_form_registers_too(engine: str, tmp_path: Path) -> None:
    cell = {
        "lua": 'tools.register("add", "Adds.", {a = "integer", b = "integer?"}, function(args) return args.a + (args.b or 1) end)',
        "javascript": 'await tools.register("add", "Adds.", {a: "integer", b: "integer?"}, ({a, b = 1}) => a + b);',
    }

    async def use(at: World) -> None:
        await at.run(engine, cell)
        assert await at.session.call_bridge("tools", "call", "add", {"a": 4}) == 5
        assert await at.session.call_bridge("tools", "call", "add", {"a": 4, "b": 4}) == 8

    play(tmp_path, use)


@every_engine
def test_a_function_that_is_missing_is_told(engine: str, tmp_path: Path) -> None:
    async def use(at: World) -> None:
        with pytest.raises(ScriptError, match=r"argument 4 \(run\) is missing"):
            await at.run(engine, {"lua": 'tools.register("a", "b", {})', "javascript": 'await tools.register("a", "b", {})'})

    play(tmp_path, use)


@every_engine
def test_arguments_that_do_not_fit_are_told_by_every_path_and_reach_no_function(engine: str, tmp_path: Path) -> None:
    async def use(at: World) -> None:
        await at.run(engine, WEATHER)
        with pytest.raises(ScriptError) as told:
            await at.session.call_bridge("tools", "call", "weather", {"days": "many", "place": 1})
        assert told.value.code == "invalid_arguments"
        for part in (
            "$: 'place' is not one of its properties",
            "$: 'city' is a required property",
            "$.days: 'many' is not of type 'integer'",
        ):
            assert part in told.value.message
        assert at.counted.calls == []

    play(tmp_path, use)


@every_engine
def test_a_result_that_does_not_fit_what_the_tool_says_is_told(engine: str, tmp_path: Path) -> None:
    async def use(at: World) -> None:
        await at.run(engine, register(engine, "total", "return 'many'", 'returns = "integer"'))
        with pytest.raises(ScriptError, match=r"does not fit what it says that it returns: \$: 'many' is not of type 'integer'") as told:
            await at.run(engine, call(engine, "total"))
        assert told.value.code == "invalid_result"

    play(tmp_path, use)


def test_an_empty_lua_table_is_a_list_where_the_schema_says_so(tmp_path: Path) -> None:
    async def use(at: World) -> None:
        await at.run(
            "lua",
            """tools.register{name = "tags", parameters = {type = "object", properties = {tags = {type = "array", default = {}}}, required = {}},
              returns = {type = "array"}, run = function(args) return args.tags end}""",
        )
        assert await at.session.call_bridge("tools", "call", "tags", {}) == []
        assert await at.run("lua", 'return tools.call("tags", {tags = {}})') == []

    play(tmp_path, use)


@every_engine
def test_a_tool_that_does_not_exist_is_told_with_the_nearest_name(engine: str, tmp_path: Path) -> None:
    async def use(at: World) -> None:
        await at.run(engine, WEATHER)
        for name in ("call", "describe", "validate", "remove", "stats", "docs"):
            with pytest.raises(ScriptError, match="there is no tool 'wether'; did you mean 'weather'") as told:
                await at.session.call_bridge("tools", name, "wether")
            assert told.value.code == "unknown_tool"

    play(tmp_path, use)


@every_engine
def test_what_a_tool_raises_is_its_callers_to_catch(engine: str, tmp_path: Path) -> None:
    body = {"lua": 'error("not today")', "javascript": 'throw new Error("not today")'}

    async def use(at: World) -> None:
        await at.run(engine, register(engine, "fails", body[engine]))
        with pytest.raises(ScriptError, match="not today"):
            await at.session.call_bridge("tools", "call", "fails")

    play(tmp_path, use)


@every_engine
def test_describe_list_validate_and_docs_say_what_was_registered(engine: str, tmp_path: Path) -> None:
    async def use(at: World) -> None:
        await at.run(engine, WEATHER)
        ask = at.session.call_bridge
        about: Any = await ask("tools", "describe", "weather")
        assert about["parameters"] == {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 2}},
            "required": ["city"],
            "additionalProperties": False,
        }
        assert {"name", "description", "parameters", "returns", "level", "version", "deprecated"} <= about.keys()
        found: Any = await ask("tools", "list")
        assert [(tool["name"], tool["source"]) for tool in found] == [("twice", "built-in"), ("weather", "script")]
        for wanted, names in [
            ("EATH", ["weather"]),
            ("two times", ["twice"]),
            ({"source": "script"}, ["weather"]),
            ({"level": "dangerous"}, []),
        ]:
            assert [tool["name"] for tool in await ask("tools", "list", wanted)] == names  # type: ignore[union-attr]
        assert await ask("tools", "validate", "weather", {"city": "Nice"}) == {
            "valid": True,
            "errors": [],
            "value": {"city": "Nice", "days": 2},
        }
        failing: Any = await ask("tools", "validate", "weather", {"days": "x"})
        assert [error["path"] for error in failing["errors"]] == ["$", "$.days"] and not failing["valid"]
        text: Any = await ask("tools", "docs")
        assert "## weather\n\nThe weather.\n" in text and "- `city` (string, required)" in text and "- `days` (integer, default 2)" in text
        assert at.counted.calls == []

    play(tmp_path, use, built_in=(TWICE,))


@every_engine
def test_a_tool_that_was_removed_is_gone_and_one_that_is_registered_again_is_the_new_one(engine: str, tmp_path: Path) -> None:
    async def use(at: World) -> None:
        await at.run(engine, register(engine, "one", "return 1"))
        await at.run(engine, register(engine, "one", "return 2"))
        assert await at.run(engine, call(engine, "one"), "other") == 2
        await at.session.call_bridge("tools", "remove", "one")
        with pytest.raises(ScriptError, match="there is no tool 'one'"):
            await at.run(engine, call(engine, "one"))

    play(tmp_path, use)


@every_engine
def test_names_that_models_cannot_say_are_refused_with_one_that_they_can(engine: str, tmp_path: Path) -> None:
    async def use(at: World) -> None:
        for name, hint in [
            ("getWeather", "'get_weather' would do"),
            ("get-weather", "'get_weather' would do"),
            ("", ""),
            ("9", ""),
            ("a" * 65, ""),
        ]:
            with pytest.raises(ScriptError, match=f"cannot name a tool: use small letters.*{hint}") as told:
                await at.run(engine, register(engine, name, "return 1"))
            assert told.value.code == "tool_name"

    play(tmp_path, use)


@every_engine
def test_no_script_takes_the_name_of_a_built_in_or_python_tool(engine: str, tmp_path: Path) -> None:
    async def use(at: World) -> None:
        at.session.tool(double)
        for name, says in [("twice", "is a built-in tool"), ("double", "is a Python tool")]:
            with pytest.raises(ScriptError, match=f"'{name}' {says}.*such as 'my_{name}'"):
                await at.run(engine, register(engine, name, "return 1"))
            with pytest.raises(ScriptError, match=says):
                await at.session.call_bridge("tools", "remove", name)

    play(tmp_path, use, built_in=(TWICE,))


def double(number: float, by: int = 2) -> dict[str, float]:
    """Doubles a number.

    - by: how often
    """
    return {"result": number * by}


@every_engine
def test_a_python_function_is_a_tool_with_the_schema_of_its_annotations(engine: str, tmp_path: Path) -> None:
    cell = {"lua": 'tools.call("double", {number = 4})', "javascript": 'await tools.call("double", {number: 4})'}

    async def use(at: World) -> None:
        assert at.session.tool(double) is double
        assert await at.run(engine, cell) == {"result": 8}
        about: Any = await at.session.call_bridge("tools", "describe", "double")
        assert about["parameters"]["properties"]["by"] == {"type": "integer", "default": 2, "description": "how often"}
        assert about["description"].startswith("Doubles a number.")
        assert about["returns"] == {"type": "object", "additionalProperties": {"type": "number"}}

    play(tmp_path, use)


@every_engine
def test_a_python_tool_is_answered_by_the_cassette_also_where_nobody_has_it(engine: str, tmp_path: Path) -> None:
    cell = {"lua": 'tools.call("count")', "javascript": 'await tools.call("count")'}
    counted: list[int] = []

    def count() -> int:
        """Counts."""
        counted.append(1)
        return len(counted)

    async def record(at: World) -> None:
        at.session.tool(count)
        at.session.tape("record", tmp_path / "a.jsonl")
        assert await at.run(engine, cell) == 1

    async def replay(at: World) -> None:
        at.session.tape("replay", tmp_path / "a.jsonl")
        assert await at.run(engine, cell) == 1

    play(tmp_path, record)
    play(tmp_path, replay)
    assert counted == [1]


@every_engine
def test_script_and_built_in_tools_work_again_in_a_replay_with_what_they_ask_answered(engine: str, tmp_path: Path) -> None:
    async def use(at: World, mode: Any) -> None:
        at.session.tape(mode, tmp_path / "a.jsonl")
        await at.run(engine, WEATHER)
        assert await at.run(engine, ASK) == NICE
        assert await at.run(engine, call(engine, "twice")) == [2, 3]
        assert len(at.counted.calls) == (3 if mode == "record" else 0)

    play(tmp_path, lambda at: use(at, "record"), built_in=(TWICE,))
    play(tmp_path, lambda at: use(at, "replay"), built_in=(TWICE,))


@every_engine
def test_a_method_of_a_bridge_is_a_tool(engine: str, tmp_path: Path) -> None:
    cell = {
        "lua": 'agents.offer("sage"); return tools.call("sage", {question = "why"})',
        "javascript": 'await agents.offer("sage"); await tools.call("sage", {question: "why"})',
    }

    async def use(at: World) -> None:
        assert await at.run(engine, cell) == "sage: why?"
        about: Any = await at.session.call_bridge("tools", "describe", "sage")
        assert about["source"] == "agents"

    play(tmp_path, use)


@every_pair
def test_the_tools_of_a_state_that_was_lost_come_back_with_it(owner: str, user: str, tmp_path: Path) -> None:
    async def use(at: World) -> None:
        await at.run(owner, WEATHER)
        await at.kill(owner)
        assert await at.run(user, ASK, "other") == NICE

    play(tmp_path, use)


@every_engine
def test_the_tools_of_a_state_that_has_ended_are_gone_and_say_so(engine: str, tmp_path: Path) -> None:
    async def use(at: World) -> None:
        await at.run(engine, WEATHER)
        await at.session.forget("main", engine)
        with pytest.raises(
            ScriptError, match=f"was registered by the {engine} state 'main', which was lost or has ended; run the cell again"
        ) as e:
            await at.run(engine, ASK, "other")
        assert e.value.code == "unknown_tool"
        assert await at.session.call_bridge("tools", "list", {"source": "script"}) == []

    play(tmp_path, use)


@every_pair
def test_a_state_that_comes_back_takes_no_tool_from_a_living_one_and_its_own_calls_are_as_they_were(
    owner: str, user: str, tmp_path: Path
) -> None:
    async def use(at: World) -> None:
        await at.run(owner, register(owner, "who", "return 'first'"), "a", "cell[1]")
        got = {"lua": 'got = tools.call("who")', "javascript": 'let got = await tools.call("who")'}
        await at.run(owner, got, "a", "cell[2]")
        await at.run(user, register(user, "who", "return 'second'"), "b", "cell[3]")
        await at.kill(owner, "a")
        assert await at.run(owner, "got", "a", "cell[4]") == "first"
        assert await at.run(owner, call(owner, "who"), "a", "cell[5]") == "second"

    play(tmp_path, use)


@every_pair
def test_a_state_that_used_a_tool_of_another_comes_back_without_calling_it_again(owner: str, user: str, tmp_path: Path) -> None:
    async def use(at: World) -> None:
        await at.run(owner, WEATHER, "a", "cell[1]")
        await at.run(user, {"lua": f"got = {ASK['lua']}", "javascript": f"let got = {ASK['javascript']}"}, "b", "cell[2]")
        await at.session.call_bridge("tools", "remove", "weather")
        await at.kill(user, "b")
        assert await at.run(user, {"lua": "got", "javascript": "got"}, "b", "cell[3]") == NICE
        assert at.counted.calls == ["Nice"]

    play(tmp_path, use)


@every_engine
def test_a_copy_of_a_state_leaves_the_tools_with_the_first(engine: str, tmp_path: Path) -> None:
    async def use(at: World) -> None:
        keeps = {"lua": "seen = 0;" + register("lua", "add", "seen = seen + 1; return seen"), "javascript": ""}
        keeps["javascript"] = "let seen = 0;" + register("javascript", "add", "return ++seen")
        await at.run(engine, keeps)
        await at.session.fork("copy", engine)
        assert await at.run(engine, call(engine, "add"), "copy", "cell[2]") == 1
        assert await at.run(engine, "seen", "main", "cell[3]") == 1

    play(tmp_path, use)


@every_engine
def test_stats_count_calls_and_failures_but_no_restoring(engine: str, tmp_path: Path) -> None:
    async def use(at: World) -> None:
        await at.run(engine, WEATHER)
        await at.run(engine, ASK, chunk="cell[2]")
        with pytest.raises(ScriptError):
            await at.session.call_bridge("tools", "call", "weather")
        await at.kill(engine)
        await at.run(engine, {"lua": "return 1", "javascript": "1"}, chunk="cell[3]")
        line: Any = await at.session.call_bridge("tools", "stats", "weather")
        assert (line["calls"], line["failures"], line["last_error"]) == (2, 1, "invalid_arguments")
        assert 0 < line["mean_ms"] <= line["longest_ms"]
        assert [known["name"] for known in await at.session.call_bridge("tools", "stats")] == ["weather"]  # type: ignore[union-attr]

    play(tmp_path, use)


@every_engine
def test_a_deprecated_tool_says_so_once_a_session(engine: str, tmp_path: Path) -> None:
    async def use(at: World) -> None:
        await at.run(engine, register(engine, "old", "return 1", 'deprecated = "use new"'))
        for _ in range(2):
            await at.run(engine, call(engine, "old"))
        assert at.sink.text("stderr").count("the tool 'old' is deprecated: use new") == 1

    play(tmp_path, use)


@every_pair
def test_a_tool_that_never_returns_meets_its_time_and_both_states_stay(owner: str, user: str, tmp_path: Path) -> None:
    hang = {"lua": "counted.hang()", "javascript": "await counted.hang()"}

    async def use(at: World) -> None:
        await at.run(owner, {"lua": "kept = 1", "javascript": "let kept = 1"})
        await at.run(owner, register(owner, "slow", hang[owner], "timeout_s = 0.2"))
        for state in ("other", "main"):
            with pytest.raises(SpellError, match=r"the tool 'slow' took longer than its 0.2 s") as told:
                await at.run(user, call(user, "slow"), state)
            assert isinstance(told.value, LimitError) or told.value.code == "limit"
        assert await at.run(owner, "kept") == 1

    play(tmp_path, use)


class Approver:
    """Gives the same answer to everything."""

    def __init__(self, answer: bool) -> None:
        self._answer = answer
        self.asked: list[ApprovalRequest] = []

    async def ask(self, request: ApprovalRequest) -> bool:
        self.asked.append(request)
        return self._answer


COUNT = {"lua": "return counted.number('wipe')", "javascript": "return await counted.number('wipe')"}
WIPE = {engine: register(engine, "wipe", COUNT[engine], 'level = "write"') for engine in ENGINES}


@every_engine
@pytest.mark.parametrize(
    ("rules", "asked"), [(Grants(ask_levels=("write",)), True), (Grants(ask=("tools.call.wi*",)), True), (Grants(), False)]
)
def test_the_user_is_asked_by_level_or_name_with_the_tool_and_its_arguments(
    rules: Grants, asked: bool, engine: str, tmp_path: Path
) -> None:
    approver = Approver(True)

    async def use(at: World) -> None:
        await at.run(engine, WIPE)
        await at.run(engine, WEATHER)
        assert await at.session.call_bridge("tools", "call", "wipe", {"disk": "c"}) == 1
        await at.run(engine, ASK)
        requests = [(request.capability, request.level, dict(request.arguments)) for request in approver.asked]
        assert requests == ([("tools.call.wipe", "write", {"1": "wipe", "2": {"disk": "c"}})] if asked else [])

    play(tmp_path, use, grants=rules, approver=approver)


@every_engine
@pytest.mark.parametrize("mode", ["record", "replay"])
def test_a_no_of_the_user_keeps_the_tool_from_running_and_is_replayed(engine: str, mode: Any, tmp_path: Path) -> None:
    async def use(at: World, mode: Any) -> None:
        at.session.tape(mode, tmp_path / "a.jsonl")
        await at.run(engine, WIPE)
        with pytest.raises(DeniedError):
            await at.run(engine, call(engine, "wipe"))
        assert at.counted.calls == []

    grants = Grants(ask_levels=("write",))
    play(tmp_path, lambda at: use(at, "record"), grants=grants, approver=Approver(False))
    if mode == "replay":
        never = Approver(True)
        play(tmp_path, lambda at: use(at, "replay"), grants=grants, approver=never)
        assert never.asked == []


@every_engine
def test_nobody_is_asked_about_a_call_whose_arguments_do_not_fit(engine: str, tmp_path: Path) -> None:
    approver = Approver(True)

    async def use(at: World) -> None:
        needs = {"lua": '{"id"}', "javascript": '["id"]'}[engine]
        more = f'level = "write", parameters = {{type = "object", required = {needs}}}'
        await at.run(engine, register(engine, "drop", "return 1", more))
        with pytest.raises(ScriptError, match="'id' is a required property"):
            await at.run(engine, call(engine, "drop"))

    play(tmp_path, use, grants=Grants(ask_levels=("write",)), approver=approver)
    assert approver.asked == []


@every_engine
@pytest.mark.parametrize("pattern", ["tools.call.wipe", "tools.call", "tools.*"])
def test_a_policy_denies_single_tools_or_all(pattern: str, engine: str, tmp_path: Path) -> None:
    async def use(at: World) -> None:
        at.session.tool(double, name="wipe")
        with pytest.raises(DeniedError, match="is denied by"):
            await at.run(engine, call(engine, "wipe"))

    play(tmp_path, use, grants=Grants(deny=(pattern,)))


def test_a_call_of_a_tool_is_one_tree_from_the_cell_to_what_the_function_asks(tmp_path: Path) -> None:
    async def use(at: World) -> None:
        await at.run("lua", WEATHER)
        await at.run("lua", ASK, "other")
        calls = {event.call: event for event in at.session.recorder if isinstance(event, CallStarted)}
        (asked,) = (event for event in calls.values() if event.bridge == "counted")
        path, at_call = [], asked.parent
        while at_call is not None:
            path.append(f"{calls[at_call].bridge}.{calls[at_call].method}")
            at_call = calls[at_call].parent
        assert path == ["function.call", "tools.call"]

    play(tmp_path, use)


async def raises(at: World, name: str, arguments: dict[str, Any]) -> SpellError:
    with pytest.raises(SpellError) as told:
        await at.session.call_bridge("tools", "call", name, arguments)
    return told.value


def test_what_a_python_tool_raises_is_told_without_ending_anything(tmp_path: Path) -> None:
    def bad(way: str) -> None:
        """Raises."""
        raise SystemExit(way) if way == "exit" else ValueError(way)

    async def use(at: World) -> None:
        at.session.tool(bad)
        assert isinstance(await raises(at, "bad", {"way": "exit"}), BridgeError)
        assert "no" in str(await _any(at.session.call_bridge("tools", "call", "bad", {"way": "no"})))

    play(tmp_path, use)


@every_engine
def test_a_script_reads_which_tool_raised_what_and_in_which_line_of_its_source(engine: str, tmp_path: Path) -> None:
    def divided(by: int) -> int:
        """Divides."""
        return 1 // by

    line = divided.__code__.co_firstlineno + 2

    async def use(at: World) -> None:
        at.session.tool(divided)
        calls = {"lua": 'tools.call("divided", {by = 0})', "javascript": 'await tools.call("divided", {by: 0})'}
        with pytest.raises(SpellError) as told:
            await at.run(engine, calls[engine])
        assert "ZeroDivisionError" in told.value.message
        assert told.value.message.endswith(f"(in the tool 'divided', line {line} of its source)")
        assert "/" not in told.value.message.replace("//", "")

    play(tmp_path, use)


async def _any(call: Awaitable[Any]) -> Exception:
    try:
        await call
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


@every_engine
def test_a_state_whose_tool_took_too_long_comes_back_with_that_error(engine: str, tmp_path: Path) -> None:
    hang = {"lua": "counted.hang()", "javascript": "await counted.hang()"}
    got = {
        "lua": "local ok, e = pcall(tools.call, 'slow'); got = e.code",
        "javascript": "let got; try { await tools.call('slow') } catch (e) { got = e.code }",
    }

    async def use(at: World) -> None:
        await at.run(engine, register(engine, "slow", hang[engine], "timeout_s = 0.2"), chunk="cell[1]")
        await at.run(engine, got, chunk="cell[2]")
        await at.kill(engine)
        assert await at.run(engine, "got", chunk="cell[3]") == "limit"

    play(tmp_path, use)


@every_engine
def test_who_may_register_and_call_a_tool_needs_no_other_grant(engine: str, tmp_path: Path) -> None:
    async def use(at: World) -> None:
        at.session.tool(double)
        await at.run(engine, register(engine, "mine", "return 7"))
        assert await at.run(engine, call(engine, "mine")) == 7
        assert await at.session.call_bridge("tools", "call", "double", {"number": 1}) == {"result": 2}
        made: Any = await at.session.call_bridge("tools", "call", "run_script", {"language": engine, "code": "1 + 1", "tools": ["mine"]})
        assert made["values"] == [2], made
        await at.session.call_bridge("tools", "remove", "mine")

    play(tmp_path, use, grants=Grants(allow=("tools.register", "tools.remove", "tools.call", "tools.call.*")))


def test_figures_that_differ_from_run_to_run_are_recorded_as_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"

    async def use(at: World) -> None:
        at.session.tape("record", file)
        await at.run("lua", register("lua", "one", "return 1") + " tools.call('one')")
        assert (await at.run("lua", "return tools.stats()[1]"))["longest_ms"] > 0
        await at.run("lua", "return tools.stats('one')")

    play(tmp_path, use)
    text = file.read_text(encoding="utf-8")
    assert text.count('"longest_ms":0,') == 2 and text.count('"mean_ms":0,') == 2


class Meanwhile:
    """Allows everything, after something has happened."""

    def __init__(self) -> None:
        self.happens: Callable[[], Awaitable[Any]] | None = None

    async def ask(self, request: ApprovalRequest) -> bool:
        assert self.happens is not None
        await self.happens()
        return True


@every_engine
def test_a_tool_that_is_registered_again_while_the_user_is_asked_is_not_called(engine: str, tmp_path: Path) -> None:
    approver = Meanwhile()

    async def use(at: World) -> None:
        approver.happens = lambda: at.run(engine, WIPE, "own")
        await at.run(engine, WIPE, "own")
        with pytest.raises(ScriptError, match=r"'wipe' was registered again .*; call it again") as told:
            await at.session.call_bridge("tools", "call", "wipe")
        assert told.value.code == "tool_changed" and at.counted.calls == []

    play(tmp_path, use, grants=Grants(ask_levels=("write",)), approver=approver)


@every_engine
def test_a_tool_whose_state_is_restored_while_the_user_is_asked_is_called(engine: str, tmp_path: Path) -> None:
    approver = Meanwhile()

    async def use(at: World) -> None:
        approver.happens = lambda: at.kill(engine, "own")
        await at.run(engine, WIPE, "own")
        assert await at.session.call_bridge("tools", "call", "wipe") == 1

    play(tmp_path, use, grants=Grants(ask_levels=("write",)), approver=approver)
