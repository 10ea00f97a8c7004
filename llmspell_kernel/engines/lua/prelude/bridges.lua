-- What the host offers, as Lua sees it: bridges and resources as sealed tables of functions, wrong names answered with the nearest right one.
local sealed, values, tasks = ...

local error, ipairs, rawequal, type = error, ipairs, rawequal, type
local byte, concat, gmatch, huge = string.byte, table.concat, string.gmatch, math.huge
local read_only, seal = sealed.read_only, sealed.seal
local call = tasks.call

local LONGEST_NAME = 64 -- beyond it no distance is computed

local resource_types = {}

local function words(list)
  local found = {}
  for word in gmatch(list, "%S+") do found[#found + 1] = word end
  return found
end

local function least(a, b, c)
  if b < a then a = b end
  return c < a and c or a
end

-- Levenshtein's, in one row.
local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local cost = byte(a, i) == byte(b, j) and diagonal or 1 + least(diagonal, row[j], row[j - 1])
      diagonal = row[j]
      row[j] = cost
    end
  end
  return row[#b]
end

local function no_such(owner, names)
  return function(key)
    if type(key) ~= "string" then return nil end
    local best, best_distance = nil, huge
    for _, name in ipairs(names) do
      local d = #key <= LONGEST_NAME and distance(key, name) or huge
      if d < best_distance then best, best_distance = name, d end
    end
    local tail = best_distance <= 3 and "; did you mean '" .. best .. "'?" or "; it has " .. concat(names, ", ")
    error(owner .. " has no method '" .. key .. "'" .. tail, 3)
  end
end

local function make_bridge(name, method_names)
  local methods, names = {}, words(method_names)
  for _, method in ipairs(names) do
    methods[method] = function(...) return call(name, method, nil, ...) end
  end
  return read_only(name, methods, no_such(name, names))
end

local function declare_resource(kind, method_names, iterate)
  resource_types[kind] = { methods = words(method_names), iterate = iterate ~= "" and iterate or nil }
end

local function make_resource(id, kind)
  local declared = resource_types[kind] or error("unknown resource type " .. kind, 0)
  local proxy, methods = {}, {}
  for _, name in ipairs(declared.methods) do
    methods[name] = function(self, ...)
      if not rawequal(self, proxy) then error("call it with a colon: s:" .. name .. "()", 2) end
      return call(kind, name, id, ...)
    end
  end
  local function close()
    if methods.close then return methods.close(proxy) end
  end
  values.mark_resource(proxy, id, kind)
  return seal(proxy, {
    __index = read_only(kind, methods, no_such(kind, declared.methods)),
    __newindex = function() error("a " .. kind .. " is read-only", 2) end,
    __call = declared.iterate and function() return call(kind, declared.iterate, id) end or nil,
    __close = close,
    __name = kind,
    __tostring = function() return kind .. " #" .. id end,
  })
end

return { declare_resource = declare_resource, make_bridge = make_bridge, make_resource = make_resource }
