-- What the host side calls.  Only strings, numbers and opaque Lua references reach it; no host object ever comes in.
--
-- Rule: a query runs nothing of the script, in a state that may be waiting: raw reads only, and libraries as they were made.
local faults, values, tasks, bridges, libraries, ENV, cells, steps = ...

local assert, error, load, next, rawget, rawset, type = assert, error, load, next, rawget, rawset, type
local concat, gmatch, sort = table.concat, string.gmatch, table.sort
local utf8_len = utf8.len
local quote = values.quote

local MOST_MEMBERS = 2000

local function lookup(path)
  local value = ENV
  for name in gmatch(path, "[^%.]+") do
    if type(value) ~= "table" or values.is_resource(value) then return nil end
    value = rawget(value, name)
  end
  return value
end

-- The string keys of a table, or the methods of a string, with the types of what is there.
local function members(path)
  local value, out = lookup(path), {}
  local owner = type(value) == "table" and value or type(value) == "string" and libraries.string or {}
  for key, item in next, owner do
    if #out == MOST_MEMBERS then break end
    if type(key) == "string" and utf8_len(key) then out[#out + 1] = "[" .. quote(key) .. "," .. quote(type(item)) .. "]" end
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

return {
  -- running
  prepare = steps.prepare,
  prepare_call = function(path, ...) return steps.prepare_call(lookup(path), path, ...) end,
  go_on = steps.go_on,
  abandon = steps.abandon,
  invoke = steps.invoke,
  answer = tasks.answer,
  refuse = function(id, ...) return tasks.refuse(id, faults.refusal(...)) end,

  -- building values
  null = values.null,
  empty_array = function() return values.mark_array({}) end,
  empty_object = function() return values.mark_object({}) end,
  resource = bridges.make_resource,
  callback = function(id) return values.callback(id) or error("unknown function " .. id, 0) end, -- the one that went out

  -- queries
  completeness = cells.completeness,
  get = get,
  members = members,
  set = function(name, value) rawset(ENV, name, value) end,

  -- while the state is made
  bridge = function(name, methods) ENV[name] = bridges.make_bridge(name, methods) end,
  library = function(source, chunk) assert(load(source, "=" .. chunk, "t", ENV))() end,
  resource_type = bridges.declare_resource,
}
