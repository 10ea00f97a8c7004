"""Everything that a script can reach without calling anything: by keys, metatables, prototypes, getters and setters, from its globals on.

`python -m tests.hostile.reachable` writes the lists anew.  Bridges are left out: what they offer stands in their declarations.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from llmspell_kernel.session import Session
from llmspell_kernel.settings import Settings

FOLDER = Path(__file__).parent / "reachable_globals"
ENGINES = ("lua", "javascript")
LUA = """
local seen, found, waiting = {}, {}, { { "_G", _G } }
local function visit(path, value)
  local kind = type(value)
  found[#found + 1] = path .. " " .. kind
  if kind == "table" and not seen[value] then
    seen[value] = true
    waiting[#waiting + 1] = { path, value }
  end
end
seen[_G] = true
while #waiting > 0 do
  local path, t = table.unpack(table.remove(waiting, 1))
  local keys = {}
  for key in pairs(t) do if not skip[key] then keys[#keys + 1] = key end end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  for _, key in ipairs(keys) do visit(path .. "." .. tostring(key), t[key]) end
  local metatable = getmetatable(t)
  if metatable ~= nil then visit(path .. "<metatable>", metatable) end
end
visit("text<metatable>", getmetatable("x"))
visit("function<metatable>", getmetatable(print))
visit("number<metatable>", getmetatable(1))
return found"""
JAVASCRIPT = """
const seen = new Set([globalThis]), found = [], waiting = [['globalThis', globalThis]], skipped = new Set(skip);
const visit = (path, value) => {
  const kind = value === null ? 'null' : typeof value;
  found.push(path + ' ' + kind);
  if ((kind !== 'object' && kind !== 'function') || seen.has(value)) return;
  seen.add(value);
  waiting.push([path, value]);
};
const members = (path, object) => {
  for (const key of Reflect.ownKeys(object)) {
    if (path === 'globalThis' && skipped.has(key)) continue;
    if (typeof object === 'function' && (key === 'name' || key === 'length')) continue;
    const own = Object.getOwnPropertyDescriptor(object, key), name = path + '.' + String(key);
    if (!own) continue;
    if ('value' in own) visit(name, own.value);
    else if (path === 'globalThis') visit(name, object[key]);
    else {
      if (own.get) visit(name + '<get>', own.get);
      if (own.set) visit(name + '<set>', own.set);
    }
  }
  const prototype = Object.getPrototypeOf(object);
  if (prototype !== Function.prototype && prototype !== Object.prototype) visit(path + '<prototype>', prototype);
};
const kinds = [async function () {}, function* () {}, async function* () {}, [][Symbol.iterator](), new Map().entries(), new Set().values(),
  'x'[Symbol.iterator](), 'x'.matchAll(/x/g),
  (function* () {})(), (async function* () {})(), Promise.resolve(), (function () { return arguments })()];
kinds.forEach((value, index) => visit('<' + index + '>', value));
while (waiting.length > 0) members(...waiting.shift());
found"""


async def reachable(engine: str, preset: str) -> list[str]:
    async with Session(settings=Settings(preset=preset, limits={"script_time_s": 30.0})) as session:
        code = LUA if engine == "lua" else f"(() => {{ {JAVASCRIPT.strip().removesuffix('found')} return found; }})()"
        names = sorted(session.declarations)
        inputs = {"skip": dict.fromkeys([*names, "skip"], True) if engine == "lua" else [*names, "skip"]}
        result = await session.run(code, engine=engine, inputs=inputs)  # type: ignore[arg-type]
        result.raise_for_error()
        [found] = result.values
        assert isinstance(found, list)
        return sorted(map(str, found))


def path_of(engine: str) -> Path:
    return FOLDER / f"{engine}.txt"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for engine in ENGINES:
        path_of(engine).write_text("\n".join(asyncio.run(reachable(engine, "standard"))) + "\n", "utf-8")


if __name__ == "__main__":
    main()
