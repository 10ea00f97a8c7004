-- The script's globals: an allow list, built fresh.
--
-- Rules
-- * Limits pass through: every function here that catches errors raises the stop again.
-- * Source only: bytecode is refused, and a finalizer (`__gc`, which runs with hooks off) cannot be set.
-- * A script may change its globals; nothing of ours reads them again.
local settings, output, stop, sealed, faults, values, coroutines, libraries = ...

local error, getmetatable, load, pcall, rawget, rawset, select, setmetatable, tostring, type, xpcall =
  error, getmetatable, load, pcall, rawget, rawset, select, setmetatable, tostring, type, xpcall
local concat, gmatch = table.concat, string.gmatch
local collect = collectgarbage
local write = output.write
local STOP, stopped, unless_stopped = stop.STOP, stop.stopped, stop.unless_stopped
local is_sealed = sealed.is_sealed

local ENV = {
  _VERSION = _VERSION,
  assert = assert, error = error, ipairs = ipairs, next = next, pairs = pairs, rawequal = rawequal, rawget = rawget, rawlen = rawlen,
  select = select, tonumber = tonumber, tostring = tostring, type = type,
  coroutine = coroutines, math = libraries.math, os = libraries.os, string = libraries.string, table = libraries.table, utf8 = libraries.utf8,
  null = values.null, is_array = values.is_array,
}
ENV._G = ENV

---------------------------------------------------------------------------------------------------------------- printing

local function printer(stream)
  return function(...)
    local n = select("#", ...)
    if n == 1 then return write(stream, tostring((...)) .. "\n") end
    local out = { ... }
    for i = 1, n do out[i] = tostring(out[i]) end
    write(stream, concat(out, "\t", 1, n) .. "\n")
  end
end

ENV.print, ENV.eprint = printer(1), printer(2)

---------------------------------------------------------------------------------------------------------------- values

function ENV.array(t)
  if type(t) ~= "table" then error("array takes a table: array{}", 2) end
  return values.mark_array(t)
end

function ENV.object(t)
  if type(t) ~= "table" then error("object takes a table: object{}", 2) end
  return values.mark_object(t)
end

---------------------------------------------------------------------------------------------------------------- protected calls

function ENV.pcall(...)
  if select("#", ...) == 0 then error("bad argument #1 to 'pcall' (value expected)", 2) end
  return unless_stopped(pcall(...))
end

function ENV.xpcall(fn, handler, ...)
  if type(handler) ~= "function" then error("bad argument #2 to 'xpcall' (function expected)", 2) end
  return unless_stopped(xpcall(fn, function(e)
    if stopped() then return STOP end
    return handler(e)
  end, ...))
end

---------------------------------------------------------------------------------------------------------------- tables

function ENV.rawset(t, key, value)
  if is_sealed(t) then error(tostring(t) .. " is read-only", 2) end
  return rawset(t, key, value)
end

function ENV.setmetatable(t, metatable)
  if type(metatable) == "table" and rawget(metatable, "__gc") ~= nil then error("__gc is not available to scripts", 2) end
  return setmetatable(t, metatable)
end

function ENV.getmetatable(value)
  if type(value) == "table" then return getmetatable(value) end
  return nil
end

---------------------------------------------------------------------------------------------------------------- code and memory

local function read_pieces(fn)
  local out = {}
  while true do
    local piece = fn()
    if piece == nil or piece == "" then return concat(out) end
    if type(piece) ~= "string" then error("reader function must return a string", 3) end
    out[#out + 1] = piece
  end
end

function ENV.load(source, name, mode, env)
  if type(source) == "function" then source = read_pieces(source) end
  if type(source) ~= "string" then error("load takes a string or a function", 2) end
  if mode == "b" then return nil, "bytecode is not available to scripts" end
  local chunk = type(name) == "string" and name or "=(load)"
  return load(source, chunk, "t", env == nil and ENV or env)
end

function ENV.collectgarbage(what)
  if what == nil or what == "collect" then return 0 end
  if what == "count" then return collect("count") end
  error("collectgarbage('" .. tostring(what) .. "') is not available to scripts", 2)
end

---------------------------------------------------------------------------------------------------------------- what the preset leaves out

for name in gmatch(settings.removed, "%S+") do
  if ENV[name] ~= nil then
    ENV[name] = nil
    faults.note_left_out(name, "'" .. name .. "' is not in the preset " .. settings.preset)
  end
end

return ENV
