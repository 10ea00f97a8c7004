-- The scripts of stdlib/: run when a script first needs one, as most states need few of them.
--
-- Rules
-- * They run in an environment of their own, which no script can reach: what a script does to its globals changes nothing in them.
-- * They hand out functions and plain data, never a table of ours.
local values, libraries, ENV = ...

local assert, load, next, rawget, rawset, setmetatable = assert, load, next, rawget, rawset, setmetatable

local set_metatable = debug.setmetatable -- also where __metatable says no

local host = {} -- what only they may call; filled by inside.lua
local OWN = {
  host = host,
  error = error, ipairs = ipairs, next = next, pairs = pairs, rawequal = rawequal, rawget = rawget, rawlen = rawlen, select = select,
  setmetatable = setmetatable, tonumber = tonumber, tostring = tostring, type = type, getmetatable = ENV.getmetatable,
  pcall = ENV.pcall, array = ENV.array, object = ENV.object, is_array = ENV.is_array, null = values.null,
  math = libraries.own.math, string = libraries.own.string, table = libraries.own.table, utf8 = libraries.own.utf8,
}

local code, used = {}, {} -- by name: bytecode that the engine made of our own files; what it gave

local function use(name)
  local value = used[name]
  if value == nil then
    value = assert(load(code[name], name, "b", OWN))()
    used[name] = value
  end
  return value
end

local unfilled = setmetatable({}, { __mode = "k" }) -- a global table that was not looked into yet -> its name

local function fill(t)
  local content = use(unfilled[t])
  for key, value in next, content do
    if rawget(t, key) == nil then rawset(t, key, value) end
  end
  unfilled[t] = nil
  set_metatable(t, nil)
end

local UNFILLED = {
  __metatable = false,
  __index = function(t, key)
    fill(t)
    return rawget(t, key)
  end,
  __pairs = function(t)
    fill(t)
    return next, t, nil
  end,
}

local function add_table(name)
  local t = setmetatable({}, UNFILLED)
  unfilled[t] = name
  if ENV[name] == nil then ENV[name] = t end -- a bridge of that name goes before
end

local function add_function(name)
  if ENV[name] == nil then ENV[name] = function(...) return use(name)(...) end end
end

return {
  add_function = add_function,
  add_code = function(name, bytecode) code[name] = bytecode end,
  add_table = add_table,
  filled = function(t)
    if unfilled[t] then fill(t) end
    return t
  end,
  host = host,
  use = use,
}
