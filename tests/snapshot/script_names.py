"""What scripts see: every global and library member of each engine that is not the language's own.

The language's own names are those of the bare engine that the package builds on, asked here directly: whatever a script's state has and the
bare engine has not, at the same place, is ours.  So is a name that we add to one of the language's own objects.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import quickjs
from lupa import lua54

from llmspell_kernel import Session
from llmspell_kernel.bridges._registry import built_in

BARE_LUA = """
local out = {}
for name, value in pairs(_G) do
  out[#out + 1] = name
  if type(value) == "table" then for key in pairs(value) do out[#out + 1] = name .. "." .. tostring(key) end end
end
return table.concat(out, " ")"""
BARE_JAVASCRIPT = """
const chain = (value) => {
  const names = [];
  for (let at = Object(value); at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at)) names.push(...Object.getOwnPropertyNames(at));
  return names;
};
const out = { '()': chain(function () {}), '*': Object.getOwnPropertyNames(Object.prototype) };
for (const name of Object.getOwnPropertyNames(globalThis)) {
  const value = globalThis[name];
  out[name] = value === undefined || value === null ? [] : chain(value);
  if (typeof value === 'function' && value.prototype) out[name + '.prototype'] = chain(value.prototype);
}
JSON.stringify(out)"""
LUA_THINGS = {
    "a task": "async.spawn(function() end)",
    "a task of the background": "async.background(function() end)",
    "a promise": "promise.resolve(1)",
    "an error": "errors.new('code', 'message')",
}
LUA_METHODS = """
local thing, names = {code}, {{}}
for key in next, thing do names[#names + 1] = key end
if #names > 0 then
  table.sort(names)
  return table.concat(names, ", ")
end
local _, problem = errors.try(function() return thing.no_such_method end)
return string.match(problem.message, "; it has (.*)$")"""
"""A sealed thing tells its methods only to who asks for a wrong one."""
JAVASCRIPT_THINGS = {"a task of the background": "async.background(() => {})", "an abort signal": "new AbortController().signal"}


def script_names() -> dict[str, Any]:
    return asyncio.run(_script_names())


async def _script_names() -> dict[str, Any]:
    async with Session() as session:
        return {"lua": await _lua(session), "javascript": await _javascript(session)}


async def _members(session: Session, engine: str, path: str) -> dict[str, str]:
    return dict(await session.ask("members", path, engine=engine))


# -- Lua


async def _lua(session: Session) -> dict[str, Any]:
    runtime = lua54.LuaRuntime(register_eval=False, register_builtins=False)
    own = set(str(runtime.execute(BARE_LUA)).split())
    (await session.run("", engine="lua")).raise_for_error()
    names = await _members(session, "lua", "")
    found: dict[str, Any] = {name: kind for name, kind in names.items() if name not in own and kind != "table"}
    for name in (name for name, kind in names.items() if kind == "table" and name != "_G"):
        members = await _lua_table(session, name)
        found |= {f"{name}.{key}": kind for key, kind in members.items() if f"{name}.{key}" not in own}
        if not members:
            found[name] = names[name]
    for what, code in LUA_THINGS.items():
        outcome = (await session.run(LUA_METHODS.format(code=code), engine="lua")).raise_for_error()
        found[what] = str(outcome.value)
    return found


async def _lua_table(session: Session, name: str) -> dict[str, str]:
    """A bridge is a sealed table, of which a script's own `pairs` tells the methods."""
    if name not in built_in():
        return await _members(session, "lua", name)
    outcome = await session.run(f"local t = {{}} for k, v in pairs({name}) do t[k] = type(v) end return t", engine="lua")
    return dict(outcome.raise_for_error().value)


# -- JavaScript


async def _javascript(session: Session) -> dict[str, Any]:
    bare: dict[str, list[str]] = json.loads(quickjs.Context().eval(BARE_JAVASCRIPT))
    (await session.run("", engine="javascript")).raise_for_error()
    late = [name for name, kind in (await _members(session, "javascript", "")).items() if kind == "property"]
    # a library that is made when it is first named has no members to tell of before
    (await session.run(f"[{', '.join(late)}]; undefined", engine="javascript")).raise_for_error()
    found: dict[str, Any] = {}
    for name, kind in (await _members(session, "javascript", "")).items():
        if name not in bare:
            found[name] = kind
        if name != "globalThis":
            carried = bare["()"] if kind == "function" else []
            found |= await _javascript_members(session, name, {*bare.get(name, carried), *bare["*"]})
            found |= await _javascript_members(session, f"{name}.prototype", {*bare.get(f"{name}.prototype", []), *bare["*"]})
    for what, code in JAVASCRIPT_THINGS.items():
        (await session.run(f"var thing = {code}; undefined", engine="javascript")).raise_for_error()
        members = await _members(session, "javascript", "thing")
        found[what] = ", ".join(f"{key} {kind}" for key, kind in sorted(members.items()) if key not in bare["*"])
    return found


async def _javascript_members(session: Session, path: str, own: set[str]) -> dict[str, str]:
    members = await _members(session, "javascript", path)
    return {f"{path}.{key}": kind for key, kind in members.items() if key not in own}
