-- Lua's own libraries for scripts: fresh tables of what an allow list names, with loops in C kept within reason.
--
-- Rules
-- * What is not named here is not there: no io, debug, package, os.execute, string.dump or collectgarbage('stop').
-- * No hook runs inside a C function, so a length that is absurd is refused, and a length that a metamethod gives is asked once and pinned.
local sealed, clock = ...

local error, next, rawget, rawlen, select, setmetatable, type = error, next, rawget, rawlen, select, setmetatable, type
local gmatch, rep, move, tointeger = string.gmatch, string.rep, table.move, math.tointeger
local raw_metatable = sealed.raw_metatable

local LONGEST = 10000000

local function copy(source, names)
  local out = {}
  for name in gmatch(names, "%S+") do out[name] = source[name] end
  return out
end

-- The script's table behind functions of ours, where the hook runs, with the length it gave the first time.
local function pinned(t, length)
  return setmetatable({}, {
    __len = function() return length end,
    __index = function(_, key) return t[key] end,
    __newindex = function(_, key, value) t[key] = value end,
  })
end

local function of_sane_length(t)
  if type(t) ~= "table" then return t end
  local metatable = raw_metatable(t)
  local own = metatable and rawget(metatable, "__len") ~= nil
  -- without a metamethod too: a border found by doubling can be 2^62 in a table of sixty keys
  local length = own and #t or not own and rawlen(t)
  if type(length) == "number" and length > LONGEST then error("table is too long", 3) end
  return own and pinned(t, length) or t
end

local function guarded(fn)
  return function(t, ...) return fn(of_sane_length(t), ...) end
end

local function sane_move(from, first, last, ...)
  local a, b = tointeger(first), tointeger(last) -- texts of numbers too, as table.move takes them
  if a and b and b >= a and (b - a > LONGEST or b - a < 0) then error("too many elements to move", 2) end
  return move(from, first, last, ...)
end

-- ("").rep(huge) loops in C without allocating anything
local function sane_rep(s, n, separator)
  if s == "" and (separator == nil or separator == "") then return "" end
  return rep(s, n, separator)
end

local text = copy(string, "byte char find format gmatch gsub len lower match reverse rep sub upper pack packsize unpack")
text.rep = sane_rep

local lists = copy(table, "pack")
for _, name in next, { "concat", "insert", "remove", "sort", "unpack" } do lists[name] = guarded(table[name]) end
lists.move = sane_move

local numbers = {}
for name, value in next, math do numbers[name] = value end

-- Lua's own draws a seed from the clock and from an address: a re-run of the same cells would not draw the same numbers.
local random, randomseed = math.random, math.randomseed
function numbers.randomseed(...)
  if select("#", ...) == 0 then return randomseed(random(0)) end
  return randomseed(...)
end

-- Method calls on strings find the script's own string library, and nobody finds the metatable that all strings share.
local string_metatable = raw_metatable("")
string_metatable.__index = text
string_metatable.__metatable = false

return {
  own = { math = math, string = string, table = table, utf8 = utf8 }, -- Lua's, for stdlib/ alone
  math = numbers,
  os = clock.library,
  string = text,
  table = lists,
  utf8 = copy(utf8, "char charpattern codes codepoint len offset"),
}
