-- What the host side calls.  Only strings, numbers and opaque Lua references reach it; no host object ever comes in.
--
-- Rule: a query runs nothing of the script, in a state that may be waiting: raw reads only, and libraries as they were made.
local settings, frames, sealed, nearest, faults, values, stop, living, clock, effects, tasks, gates, bridges, libraries, ENV, library, handles, cells, steps = ...

local error, load, next, pcall, rawequal, rawget, rawset, tostring, type = error, load, next, pcall, rawequal, rawget, rawset, tostring, type
local concat, gmatch, sort = table.concat, string.gmatch, table.sort
local utf8_len = utf8.len
local fault, quote = faults.fault, values.quote

local sethook = debug.sethook

local MOST_MEMBERS, MOST_NAME_BYTES, MOST_MEMBERS_BYTES = 2000, 200, 256 * 1024 -- a longer name is none that anybody completes
local MOST_INSTRUCTIONS = 50 * 1000 * 1000 -- of one answer: a second or two

---------------------------------------------------------------------------------------------------------------- what stdlib/ may call

local host = library.host

host.bridge, host.call, host.entropy, host.use = bridges.made, tasks.call, settings.entropy, library.use
host.check, host.fault, host.raise, host.as_object = stop.check, fault, faults.raise, faults.as_object
host.is_limit, host.is_reserved, host.located = faults.is_limit, faults.is_reserved, faults.refusal
host.handles, host.tasks, host.gates = handles, tasks, gates
host.base64, host.is_object, host.json_text = values.base64, values.is_object, values.json_text

-- Raises an error of the argument unless the value is of the kind: host.takes(s, "string", "text.trim takes a string").
function host.takes(value, kind, text)
  if type(value) ~= kind then error(fault("argument", text .. ", not " .. (value == nil and "nil" or "a " .. type(value))), 0) end
  return value
end

-- The options given, {} for none; a key that is not among the names is an error with the nearest of them.
function host.options(given, names, label)
  if given == nil then return {} end
  host.takes(given, "table", label .. " takes a table of options")
  for key in next, given do
    local known = false
    for i = 1, #names do known = known or names[i] == key end
    if not known then
      local shown = type(key) == "string" and faults.readable_name(key) or tostring(type(key))
      error(fault("argument", label .. ": unknown option '" .. shown .. "'" .. nearest.hint(key, names, "it takes")), 0)
    end
  end
  return given
end

-- The name of what is ours (a bridge, a resource, a task), nil for a script's own table.
function host.name_of(t) return sealed.is_sealed(t) and tostring(t) or nil end

host.hint = nearest.hint

-- Source of the script's side: it runs with the script's globals, and errors name its places.
function host.load_script(source, chunk)
  frames.add_script(chunk)
  return load(source, "=" .. chunk, "t", ENV)
end

---------------------------------------------------------------------------------------------------------------- queries

local function lookup(path)
  local value = ENV
  for name in gmatch(path, "[^%.]+") do
    if type(value) ~= "table" or values.is_resource(value) then return nil end
    value = rawget(library.filled(value), name)
  end
  return value
end

-- The string keys of a table, or the methods of a string, with the types of what is there.
local function members(path)
  local value, out = lookup(path), {}
  local owner = type(value) == "table" and library.filled(value) or type(value) == "string" and libraries.string or {}
  local bytes = 0
  for key, item in next, owner do
    if #out == MOST_MEMBERS or bytes > MOST_MEMBERS_BYTES then break end
    if type(key) == "string" and #key <= MOST_NAME_BYTES and utf8_len(key) then
      out[#out + 1] = "[" .. quote(key) .. "," .. quote(type(item)) .. "]"
      bytes = bytes + #out[#out]
    end
  end
  sort(out)
  return "[" .. concat(out, ",") .. "]"
end

-- The text of a global, or nil and why it cannot cross.
local function get(name)
  local ok, text = values.try_encode(rawget(ENV, name), name)
  if ok then return text end
  return nil, faults.read(text).message
end

-- A question is put first and answered then, under limits: no argument can be passed under that of memory.
local answers = { completeness = cells.completeness, get = get, members = members }
local question, about

local function ask(kind, text) question, about = answers[kind], text end

local function end_question(ok, ...)
  sethook()
  about = nil
  if not ok then error((...), 0) end
  return ...
end

local function answer_question()
  sethook(function() error("it would take too long; ask for a part of it", 0) end, "", MOST_INSTRUCTIONS)
  return end_question(pcall(question, about))
end

---------------------------------------------------------------------------------------------------------------- bridges that come and go

-- A global of the script's own keeps its name.
local function add_bridge(name, methods, aliases)
  local before, now = bridges.made(name), rawget(ENV, name)
  local bridge = bridges.make_bridge(name, methods, aliases)
  if now == nil or rawequal(now, before) then rawset(ENV, name, bridge) end
end

local function remove_bridge(name)
  local bridge = bridges.made(name)
  if bridge and rawequal(rawget(ENV, name), bridge) then rawset(ENV, name, nil) end
  bridges.forget(name)
end

return {
  -- what holds from now on
  allow = function(instructions, calls_in_flight, call_bytes, tasks_living)
    stop.allow(instructions)
    effects.allow(calls_in_flight, call_bytes)
    living.allow(tasks_living)
  end,
  tell_time = clock.tell,

  -- running
  prepare = steps.prepare,
  prepare_call = function(path, callback, ...)
    return steps.prepare_call(callback > 0 and values.callback(callback) or lookup(path), path, ...)
  end,
  go_on = steps.go_on,
  refuse_cell = steps.refuse,
  abandon = function() steps.abandon(faults.FULL) end,
  invoke = steps.invoke,
  answer = tasks.answer,
  refuse = function(id, ...) return tasks.refuse(id, faults.refusal(...)) end,

  -- building values
  null = values.null,
  empty_array = function() return values.mark_array({}) end,
  empty_object = function() return values.mark_object({}) end,
  resource = bridges.make_resource,
  callback = values.callback, -- the one that went out

  -- queries
  ask = ask,
  answer_question = answer_question,
  set = function(name, value) rawset(ENV, name, value) end,

  -- what the host offers, while the state is made and later
  add_bridge = add_bridge,
  remove_bridge = remove_bridge,
  resource_type = bridges.declare_resource,
  several = bridges.declare_several,

  -- while the state is made
  library = { code = library.add_code, tables = library.add_table, functions = library.add_function },
}
