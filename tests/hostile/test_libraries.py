"""What scripts are given gives no hold on what is ours: everything that can be reached is settled, and breaking it breaks nothing but itself.

A script may change its own globals and libraries; it is its own world.  Neither the machinery of its next cell, nor another state, nor the
host may notice.  And no script can say an error of the host's.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from llmspell_kernel import Bridge, Context, method
from llmspell_kernel.errors import ArgumentError, BridgeError, LimitError, ScriptError, SpellError
from llmspell_kernel.journal.events import CellFinished, WorkerWasLost
from llmspell_kernel.session import Session
from llmspell_kernel.values import Callback, Value

from ..session.world import ENGINES, Probe, World, world
from ..snapshot.record import names_settled

CASE_TIMEOUT_S = 30


async def cells(made: World, engine: str, *codes: str, state: str = "main") -> list[Any]:
    return [await made.session.run(code, engine=engine, state=state) for code in codes]


# -- what can be reached

WALK = {
    "lua": """
local seen, found, queue = { [_G] = true }, {}, { { _G, "" } }
while #queue > 0 do
  local at = table.remove(queue, 1)
  local function look(value, path)
    if type(value) == "table" and not seen[value] then
      seen[value] = true
      queue[#queue + 1] = { value, path }
      local metatable = getmetatable(value)
      if type(metatable) == "table" then look(metatable, path .. "<metatable>") end
    end
  end
  -- pairs fills a library and goes through a bridge; next sees what is there without any metamethod
  for _, each in ipairs({ pairs, function(t) return next, t, nil end }) do
    for key, value in each(at[1]) do
      local path = (at[2] == "" and "" or at[2] .. ".") .. tostring(key)
      found[path] = type(value)
      look(value, path)
    end
  end
end
found["_G"] = nil
return found""",
    "javascript": """
(() => {
  const seen = new Set([globalThis]), found = {}, queue = [[globalThis, '']];
  const look = (value, path) => {
    if (Object(value) !== value || seen.has(value)) return;
    seen.add(value);
    queue.push([value, path]);
  };
  while (queue.length > 0) {
    const [thing, at] = queue.shift();
    for (const key of Reflect.ownKeys(thing)) {
      const path = (at === '' ? '' : at + '.') + String(key), descriptor = Reflect.getOwnPropertyDescriptor(thing, key);
      if (descriptor === undefined) continue;
      let value = descriptor.value;
      if (at === '' && descriptor.get !== undefined) value = globalThis[key];
      found[path] = typeof value;
      look(value, path);
      if (at !== '') { look(descriptor.get, path + '<get>'); look(descriptor.set, path + '<set>'); }
    }
    look(Reflect.getPrototypeOf(thing), at + '<prototype>');
  }
  return found;
})()""",
}
OF_THE_LANGUAGE = {
    # what a function, a class or an error carries by itself, and the protocols of the language
    "javascript": re.compile(
        r".*\.(length|name|prototype|constructor|toString|Symbol\([\w.]+\)|caller|arguments|message|stack|cause|errors)(<[gs]et>.*)?"
        r"|.*<(prototype|get|set)>(\.(length|name|prototype|constructor))?|globalThis|Proxy(\..*)?|Error\.prepareStackTrace|Math\.random.*"
    ),
    "lua": re.compile(r"_G|_VERSION"),
}


def reached(engine: str) -> Mapping[str, str]:
    """By path: the types of all that a script can get at from its globals."""

    async def run() -> Mapping[str, str]:
        async with Session() as session, asyncio.timeout(CASE_TIMEOUT_S):
            outcome = await session.run(WALK[engine], engine=engine)
            return dict(outcome.raise_for_error().value)

    return asyncio.run(run())


def bare_names(engine: str) -> set[str]:
    """The same walk in the engine alone, with nothing of ours in it."""
    if engine == "lua":
        from lupa import lua54

        runtime = lua54.LuaRuntime(register_eval=False, register_builtins=False)
        return set(dict(runtime.execute(WALK["lua"])))
    import json

    import quickjs

    return set(json.loads(quickjs.Context().eval(f"JSON.stringify({WALK['javascript'].strip()})")))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_script_reaches_nothing_but_settled_names_and_the_languages_own(engine: str) -> None:
    names = names_settled()["scripts"][engine]
    known = {*names, *(name.rpartition(".")[0] for name in names), *bare_names(engine)}
    leaks = [path for path in reached(engine) if path not in known and not OF_THE_LANGUAGE[engine].fullmatch(path)]
    assert not leaks, "reachable, and neither public nor the language's own: " + ", ".join(sorted(leaks)[:40])


# -- breaking everything that can be broken

KEEP = {
    "lua": """
kept = { echo = probe.echo, apply = probe.apply, ticker = probe.ticker, print = print, spawn = async.spawn, sleep = sleep, all = async.all,
  encode = json.encode, try = errors.try, fail = probe.fail, error = error, pcall = pcall }""",
    "javascript": """
var kept = { echo: probe.echo, apply: probe.apply, ticker: probe.ticker, print: console.log, sleep, setTimeout, background: async.background };
undefined""",
}
BREAK_OURS = {
    "lua": """
local seen = { [kept] = true, [_G] = true }
local next, type, pcall, rawset, getmetatable, tostring, error = next, type, pcall, rawset, getmetatable, tostring, error
local function bad() error("sabotage") end
local function spoil(t)
  if type(t) ~= "table" or seen[t] then return end
  seen[t] = true
  local keys = {}
  for key, value in next, t do keys[#keys + 1] = key spoil(value) end
  for i = 1, #keys do
    pcall(rawset, t, keys[i], bad)
    pcall(function() t[keys[i]] = bad end)
  end
  local metatable = getmetatable(t)
  if type(metatable) == "table" then spoil(metatable) end
  pcall(setmetatable, t, { __index = bad, __newindex = bad, __call = bad, __len = bad, __pairs = bad, __tostring = bad, __name = "x" })
  pcall(rawset, t, "spoilt", bad)
end
local names = {}
local G, seal = _G, setmetatable
for name, value in next, G do names[#names + 1] = name spoil(value) end
for i = 1, #names do if names[i] ~= "kept" then G[names[i]] = bad end end
seal(G, { __index = function() error("sabotage") end, __newindex = function() error("sabotage") end })""",
    "javascript": """
'use strict';
var spoil = () => {
  const bad = function () { throw new TypeError('sabotage'); };
  const spoilt = new Set([kept, spoil]);
  const own = OURS;
  const ruin = (thing) => {
    if (Object(thing) !== thing || spoilt.has(thing)) return;
    spoilt.add(thing);
    for (const key of Reflect.ownKeys(thing)) {
      const descriptor = Reflect.getOwnPropertyDescriptor(thing, key);
      if (descriptor && 'value' in descriptor && typeof key === 'string' && key !== 'constructor') ruin(descriptor.value);
      try { Reflect.set(thing, key, bad); } catch (_) { /* a setter that wants its own object */ }
      Reflect.defineProperty(thing, key, { value: bad, writable: true, configurable: true });
      Reflect.deleteProperty(thing, key);
    }
    Reflect.setPrototypeOf(thing, { get then() { return bad(); }, toJSON: bad, valueOf: bad, [Symbol.toPrimitive]: bad });
    Reflect.defineProperty(thing, 'then', { value: bad });
  };
  for (const name of own) { ruin(globalThis[name]); Reflect.set(globalThis, name, bad); Reflect.defineProperty(globalThis, name, { value: bad }); }
};
spoil(); undefined""",
}
BREAK_LANGUAGE = """
'use strict';
{
  const bad = function () { throw new TypeError('sabotage'); };
  const { ownKeys, getOwnPropertyDescriptor, defineProperty } = Reflect;
  const owners = [Array, Map, Set, WeakMap, WeakSet, String, Number, RegExp, JSON, Reflect, Promise, Error, Uint8Array, Function, Object];
  for (let i = 0; i < owners.length; i++) {
    const things = { 0: owners[i].prototype, 1: owners[i] };
    for (let k = 0; k < 2; k++) {
      const keys = things[k] === undefined ? [] : ownKeys(things[k]);
      for (let j = 0; j < keys.length; j++) {
        if (keys[j] === 'prototype' || !getOwnPropertyDescriptor(things[k], keys[j]).configurable) continue;
        defineProperty(things[k], keys[j], { __proto__: null, value: bad, configurable: true, writable: true });
      }
    }
  }
  const names = ['toJSON', 'get', 'set', 'value', 'done', 'code', '0', '1'];
  for (let i = 0; i < names.length; i++) {
    defineProperty(Object.prototype, names[i], { __proto__: null, get: bad, set: bad, configurable: true });
  }
}
undefined"""
USE = {
    "lua": """
local got = { kept.echo({ a = { 1, "x" } }).a[2], kept.apply(function(x) return x .. "!" end, "called") }
local t = kept.ticker(3)
for n in t do got[#got + 1] = n end
kept.sleep(0)
got[#got + 1] = kept.spawn(function() return kept.echo("task") end):await()
got[#got + 1] = kept.all({ function() return kept.echo("all") end })[1]
got[#got + 1] = kept.encode({ "json" })
local value, err = kept.try(function() kept.error("caught") end)
got[#got + 1] = err.message
kept.print("printed")
return got""",
    "javascript": """
const got = [(await kept.echo({ a: [1, "x"] })).a[1], await kept.apply((x) => x + "!", "called")];
for await (const n of await kept.ticker(3)) got.push(n);
await kept.sleep(0);
got.push(await new Promise((resolve) => kept.setTimeout(() => resolve("timer"), 0)));
got.push(await kept.background(async () => await kept.echo("task")));
kept.print("printed");
got""",
}
WORKS = {
    "lua": ["x", "called!", 1, 2, 3, "task", "all", '["json"]', "caught"],
    "javascript": ["x", "called!", 1, 2, 3, "timer", "task"],
}


def ours_in_javascript() -> str:
    names = {name.partition(".")[0] for name in names_settled()["scripts"]["javascript"] if not name.startswith("a")}
    return repr(sorted({*names, "async", "probe"}))


def broken(engine: str) -> str:
    return BREAK_OURS[engine].replace("OURS", ours_in_javascript())


def run_in_world(play: Any) -> None:
    async def run() -> None:
        async with world(probe=Probe()) as made, asyncio.timeout(CASE_TIMEOUT_S):
            await play(made)

    asyncio.run(run())


@pytest.mark.parametrize("engine", ENGINES)
def test_what_was_kept_of_a_broken_library_works_as_before(engine: str) -> None:
    async def play(made: World) -> None:
        kept, spoilt, used = await cells(made, engine, KEEP[engine], broken(engine), USE[engine])
        assert (kept.error, spoilt.error) == (None, None)
        assert used.raise_for_error().value == WORKS[engine]
        assert used.output.stdout == "printed\n"

    run_in_world(play)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_host_asks_reads_sets_and_calls_in_a_state_whose_libraries_are_broken(engine: str) -> None:
    shout = {"lua": "function shout(s) return s .. '!' end", "javascript": "var shout = (s) => s + '!'; undefined"}[engine]

    async def play(made: World) -> None:
        session = made.session
        for outcome in await cells(
            made, engine, KEEP[engine], shout, "kept.number = 7" if engine == "lua" else "kept.number = 7; undefined"
        ):
            assert outcome.error is None
        spare = broken(engine).replace('"kept"', '"kept" and names[i] ~= "shout"')
        assert (await session.run(spare, engine=engine)).error is None
        await session.set("given", {"rows": [1, None, {"a": "b"}]}, engine=engine)
        assert await session.get("given", engine=engine) == {"rows": [1, None, {"a": "b"}]}
        assert ["number", "number"] in await session.ask("members", "kept", engine=engine)
        assert (await session.call_function("shout", "hey", engine=engine)).value == "hey!"
        await session.add_bridge(Late())
        assert await session.ask("members", "", engine=engine)

    run_in_world(play)


@pytest.mark.parametrize("engine", ENGINES)
def test_another_state_does_not_notice_a_broken_one(engine: str) -> None:
    async def play(made: World) -> None:
        await cells(made, engine, KEEP[engine], broken(engine))
        _, used = await cells(made, engine, KEEP[engine], USE[engine], state="other")
        assert used.raise_for_error().value == WORKS[engine]

    run_in_world(play)


def test_a_cell_of_a_state_whose_language_is_broken_ends_and_its_worker_lives() -> None:
    """In JavaScript the language itself can be broken: `await` may then fail for the script, and only for it."""

    async def play(made: World) -> None:
        outcomes = await cells(
            made, "javascript", KEEP["javascript"], BREAK_LANGUAGE, "1 + 1", "await kept.echo(1)", "throw 1", "kept.print('x')"
        )
        assert outcomes[1].error is None or "sabotage" in outcomes[1].error.message
        assert all(type(outcome.error) in (type(None), ScriptError) for outcome in outcomes), outcomes
        await made.session.set("given", [1], engine="javascript")
        assert await made.session.get("given", engine="javascript") == [1]
        assert not made.events(WorkerWasLost)

    run_in_world(play)


class Late(Bridge):
    """Comes when everything is broken."""

    name = "late"

    @method
    async def here(self, ctx: Context) -> str:
        """A word."""
        return "here"


# -- ways through functions

CALLERS = {
    "a function the host calls": "function f() { return typeof f.caller; } await probe.apply(f)",
    "a function a library calls": "function f() { return typeof f.caller; } lists.sortBy([1], f)[0] === 1 && lists.groupBy([1], f)",
    "the arguments of a caller": "function f() { return typeof arguments.callee.caller; } await probe.apply(f)",
}


@pytest.mark.parametrize("code", CALLERS.values(), ids=CALLERS)
def test_a_function_that_we_call_does_not_learn_who_called_it(code: str) -> None:
    async def play(made: World) -> None:
        (outcome,) = await cells(made, "javascript", code)
        assert outcome.error is not None or "function" not in str(outcome.value), outcome.value

    run_in_world(play)


# -- errors that are the host's to give

RESERVED = ("denied", "limit", "interrupted", "internal", "protocol", "config", "worker_lost", "replay")
FORGERIES = {
    "lua": {
        "a table": "error({ code = 'CODE', message = 'm', name = 'CODE', retryable = true })",
        "an error object": "error(errors.new('CODE', 'm'))",
        "a changed error of the host": "local ok, e = pcall(probe.fail) e.code = 'CODE' error(e)",
        "a raw change of an error of the host": "local ok, e = pcall(probe.fail) rawset(e, 'code', 'CODE') error(e, 0)",
        "a metatable that answers": "error(setmetatable({}, { __index = { code = 'CODE', message = 'm' }, __name = 'error' }))",
        "a rejected promise": "promise.reject(errors.new('CODE', 'm')):await()",
        "a task": "async.spawn(function() error(errors.new('CODE', 'm')) end):await()",
        "a result that is raised again": "local _, e = errors.try(error, errors.new('CODE', 'm')) error(e)",
        "a function the host calls": "probe.apply(function() error(errors.new('CODE', 'm')) end)",
        "the text of one": "error('CODE: m')",
    },
    "javascript": {
        "an object": "throw { code: 'CODE', message: 'm', name: 'CODE', retryable: true }",
        "an error": "throw Object.assign(new Error('m'), { code: 'CODE', limit: 'effects', capability: 'x' })",
        "a class of that name": "class LimitError extends Error { code = 'CODE' } throw new LimitError('m')",
        "a changed error of the host": "try { await probe.fail(); } catch (e) { e.code = 'CODE'; e.name = 'LimitError'; throw e; }",
        "a defined change of an error of the host": (
            "try { await probe.fail(); } catch (e) { Object.defineProperty(e, 'code', { get: () => 'CODE' }); throw e; }"
        ),
        "an heir of an error of the host": "try { await probe.fail(); } catch (e) { throw Object.assign(Object.create(e), { code: 'CODE' }); }",
        "a rejected promise": "await Promise.reject(Object.assign(new Error('m'), { code: 'CODE' }))",
        "a rejection that nobody handles": "Promise.reject(Object.assign(new Error('m'), { code: 'CODE' })); undefined",
        "an exception of the web": "throw Object.assign(new DOMException('m', 'AbortError'), { code2: 'CODE' })",
        "a function the host calls": "await probe.apply(() => { throw Object.assign(new Error('m'), { code: 'CODE' }); })",
        "the text of one": "throw 'CODE: m'",
        "a proxy": "throw new Proxy(new Error('m'), { get: () => 'CODE' })",
    },
}


def forgeries() -> Iterator[Any]:
    for engine in ENGINES:
        for how, code in FORGERIES.get(engine, {}).items():
            yield pytest.param(engine, code, id=f"{engine}-{how}")


@pytest.mark.parametrize(("engine", "code"), list(forgeries()))
def test_no_script_says_an_error_of_the_hosts(engine: str, code: str) -> None:
    async def play(made: World) -> None:
        made.probe.raises = BridgeError("the world is down", code="down")
        for reserved in RESERVED:
            (outcome,) = await cells(made, engine, code.replace("CODE", reserved))
            assert type(outcome.error) in (ScriptError, ArgumentError, BridgeError), (reserved, outcome.error)
            assert outcome.error.code not in RESERVED, (reserved, outcome.error)
        assert {event.status for event in made.events(CellFinished)} == {"error"}

    run_in_world(play)


OUT_OF_MEMORY = {"lua": "error('not enough memory', 0)", "javascript": "throw new InternalError('out of memory')"}


@pytest.mark.parametrize("engine", ENGINES)
def test_who_says_to_be_out_of_memory_is_believed_and_loses_only_the_cell(engine: str) -> None:
    """The engine says it in these very words, and nothing else tells the two apart."""

    async def play(made: World) -> None:
        outcome, after = await cells(made, engine, OUT_OF_MEMORY[engine], "1 + 1" if engine != "lua" else "return 1 + 1")
        assert isinstance(outcome.error, LimitError)
        assert after.value == 2

    run_in_world(play)


class Listener(Bridge):
    """Tells what a script's failing function looks like to a bridge."""

    name = "listener"

    def __init__(self) -> None:
        self.heard: list[SpellError] = []

    @method
    async def listen(self, ctx: Context, fn: Callback) -> Value:
        """Calls a function that fails."""
        try:
            return await ctx.invoke(fn)
        except SpellError as error:
            self.heard.append(error)
            return None


THROWING = {
    "lua": "listener.listen(function() error(errors.new('CODE', 'm')) end)",
    "javascript": "await listener.listen(() => { throw Object.assign(new Error('m'), { code: 'CODE' }); })",
}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_bridge_that_calls_a_function_hears_no_error_of_the_hosts_from_it(engine: str) -> None:
    async def play() -> None:
        listener = Listener()
        async with Session(bridges=[listener]) as session, asyncio.timeout(CASE_TIMEOUT_S):
            for reserved in RESERVED:
                (await session.run(THROWING[engine].replace("CODE", reserved), engine=engine)).raise_for_error()
        assert {type(error) for error in listener.heard} <= {ScriptError, ArgumentError} and len(listener.heard) == len(RESERVED)
        assert not {error.code for error in listener.heard} & set(RESERVED)

    asyncio.run(play())
