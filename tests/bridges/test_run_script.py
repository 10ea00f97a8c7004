"""The built-in tool `run_script`: scripts that a model wrote, with the tools granted to them and nothing else."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.errors import DeniedError, ScriptError, SpellError
from llmspell_kernel.policy.decide import Grants
from llmspell_kernel.settings import Settings

from ..session.world import ENGINES
from .test_tools import Approver, World, play, register

every_pair = pytest.mark.parametrize(("owner", "user"), list(product(ENGINES, ENGINES)))
every_engine = pytest.mark.parametrize("engine", ENGINES)
ADD = {"lua": "seen = (seen or 0) + 1; return seen", "javascript": "globalThis.seen = (globalThis.seen ?? 0) + 1; return seen"}


async def script(at: World, engine: str, code: dict[str, str] | str, *tools: str) -> Any:
    text = code if isinstance(code, str) else code[engine]
    return await at.session.call_bridge("tools", "call", "run_script", {"language": engine, "code": text, "tools": [*tools]})


@every_pair
def test_a_models_script_calls_the_tools_it_was_granted(owner: str, user: str, tmp_path: Path) -> None:
    code = {
        "lua": "print('hi'); return tools.call('add') + tools.execute('add')",
        "javascript": "console.log('hi'); await tools.call('add') + await tools.execute('add')",
    }

    async def use(at: World) -> None:
        await at.run(owner, register(owner, "add", ADD[owner]))
        assert await script(at, user, code, "add") == {"values": [3], "printed": "hi\n", "error": None}
        assert [name for name, _ in at.session.states] == ["main"]

    play(tmp_path, use)


@every_engine
def test_a_tool_that_was_not_granted_is_not_there(engine: str, tmp_path: Path) -> None:
    code = {
        "lua": """local names = {}; for _, tool in ipairs(tools.list()) do names[#names + 1] = tool.name end
          local _, called = pcall(tools.call, 'secret'); local _, described = pcall(tools.describe, 'secret')
          return {names, called.code, called.message, described.code}""",
        "javascript": """const code = async f => { try { await f() } catch (e) { return [e.code, e.message] } };
          const called = await code(() => tools.call('secret')), described = await code(() => tools.describe('secret'));
          [(await tools.list()).map(tool => tool.name), ...called, described[0]]""",
    }

    async def use(at: World) -> None:
        await at.run(engine, register(engine, "add", ADD[engine]))
        await at.run(engine, register(engine, "secret", "return 1"))
        (found,) = (await script(at, engine, code, "add"))["values"]
        assert found == [["add"], "unknown_tool", "there is no tool 'secret'; known: add", "unknown_tool"]

    play(tmp_path, use)


@every_engine
def test_a_models_script_reaches_no_bridge_and_registers_nothing(engine: str, tmp_path: Path) -> None:
    code = {
        "lua": """local codes = {}
          for _, f in ipairs{function() counted.number('x') end, function() llm.chat('x') end, function() tools.register('a', 'b', {}, print) end,
            function() tools.remove('add') end} do local ok, e = pcall(f); codes[#codes + 1] = e.code end
          return codes""",
        "javascript": """const codes = [];
          for (const f of [() => counted.number('x'), () => llm.chat('x'), () => tools.register('a', 'b', {}, () => 1), () => tools.remove('add')])
            try { await f() } catch (e) { codes.push(e.code) }
          codes""",
    }

    async def use(at: World) -> None:
        await at.run(engine, register(engine, "add", ADD[engine]))
        result = await script(at, engine, code, "add")
        assert result["values"][0] == ["denied"] * 4, result
        assert at.counted.calls == []

    play(tmp_path, use)


@every_engine
def test_faults_limits_and_wrong_languages_are_the_results_error(engine: str, tmp_path: Path) -> None:
    endless = {"lua": "while true do end", "javascript": "for (;;);"}

    async def use(at: World) -> None:
        assert (await script(at, engine, endless))["error"]["code"] == "limit"
        assert (await script(at, engine, "]["))["error"]["code"] == "script"
        with pytest.raises(ScriptError, match=r"\$.language: 'basic' is not one of"):
            await script(at, "basic", "x")
        with pytest.raises(ScriptError, match="there is no tool 'nothing'"):
            await script(at, engine, "1", "nothing")

    play(tmp_path, use, settings=Settings(limits={"script_time_s": 0.2}))


@every_engine
def test_scripts_that_run_scripts_end_and_grant_only_what_they_have(engine: str, tmp_path: Path) -> None:
    async def use(at: World) -> None:
        await at.run(engine, register(engine, "secret", "return 1"))
        inner: dict[str, Any] = {"language": engine, "code": "1", "tools": ["secret"]}
        quoted = _call(engine, inner)
        result = await script(at, engine, quoted, "run_script")
        assert result["error"]["code"] == "unknown_tool", result
        for _ in range(4):
            inner = {"language": engine, "code": _call(engine, inner), "tools": ["run_script"]}
        inner["code"] = _call(engine, {**inner, "tools": ["run_script"]})
        with_depth = await script(at, engine, inner["code"], "run_script")
        assert "within each other already" in str(with_depth)

    play(tmp_path, use)


def _call(engine: str, arguments: dict[str, Any]) -> str:
    """A script that calls run_script, with everything quoted."""
    code, names = json.dumps(arguments["code"]), ", ".join(map(json.dumps, arguments["tools"]))
    if engine == "lua":
        return f"return tools.call('run_script', {{language = 'lua', code = {code}, tools = {{{names}}}}})"
    return f"await tools.call('run_script', {{language: 'javascript', code: {code}, tools: [{names}]}})"


@every_engine
def test_what_a_models_script_calls_is_asked_and_denied_as_what_its_caller_calls(engine: str, tmp_path: Path) -> None:
    wipe = {"lua": "tools.call('wipe')", "javascript": "await tools.call('wipe')"}
    no = Approver(False)

    async def use(at: World) -> None:
        await at.run(engine, register(engine, "wipe", "return 1", 'level = "write"'))
        assert (await script(at, engine, wipe, "wipe"))["error"]["code"] == "denied"
        assert [request.capability for request in no.asked] == ["tools.call.wipe"]

    play(tmp_path, use, grants=Grants(ask_levels=("write",)), approver=no)

    async def denied(at: World) -> None:
        with pytest.raises(DeniedError):
            await script(at, engine, "1")

    play(tmp_path, denied, grants=Grants(deny=("tools.call.run_script",)))


@every_engine
def test_neither_the_script_nor_its_tools_run_when_the_asking_state_comes_back(engine: str, tmp_path: Path) -> None:
    count = {"lua": "return counted.number('in')", "javascript": "return await counted.number('in')"}
    code = {"lua": "return tools.call('count')", "javascript": "await tools.call('count')"}[engine]
    ask = {
        "lua": f"got = tools.call('run_script', {{language = 'lua', code = \"{code}\", tools = {{'count'}}}})",
        "javascript": f"let got = await tools.call('run_script', {{language: 'javascript', code: \"{code}\", tools: ['count']}})",
    }

    async def use(at: World) -> None:
        await at.run(engine, register(engine, "count", count[engine]), chunk="cell[1]")
        await at.run(engine, ask, chunk="cell[2]")
        await at.kill(engine)
        got: Any = await at.run(engine, "got", chunk="cell[3]")
        assert got["values"] == [1] and at.counted.calls == ["in"]

    play(tmp_path, use)


def test_a_script_of_too_many_characters_or_tools_is_refused(tmp_path: Path) -> None:
    async def use(at: World) -> None:
        for wrong in ({"code": "x" * 100_001}, {"code": "1", "tools": ["run_script"] * 101}, {"code": ""}):
            with pytest.raises(SpellError) as told:
                await at.session.call_bridge("tools", "call", "run_script", {"language": "lua", **wrong})
            assert told.value.code == "invalid_arguments"

    play(tmp_path, use)
