-- What the host offers, as Lua sees it: bridges and resources as sealed tables of functions, wrong names answered with the nearest right one.
local sealed, nearest, values, tasks = ...

local error, ipairs, rawequal, rawlen, type = error, ipairs, rawequal, rawlen, type
local co_isyieldable = coroutine.isyieldable
local gmatch, unpack = string.gmatch, table.unpack
local read_only, seal = sealed.read_only, sealed.seal
local call, null = tasks.call, values.null

local made = {} -- bridge name -> its table
local resource_types = {}
local several = {} -- bridge name or resource type -> the methods whose answer is a list of results

local function words(list)
  local found = {}
  for word in gmatch(list, "%S+") do found[#found + 1] = word end
  return found
end

local function no_such(owner, names)
  return function(key)
    if type(key) ~= "string" then return nil end
    error(owner .. " has no method '" .. key .. "'" .. nearest.hint(key, names, "it has"), 3)
  end
end

-- A list of the host's as Lua results: there its nothings are placeholders, here they are nil.
local function spread(list)
  if type(list) ~= "table" then return list end
  local results, count = {}, rawlen(list)
  for i = 1, count do
    if not rawequal(list[i], null) then results[i] = list[i] end
  end
  return unpack(results, 1, count)
end

local function add_aliases(methods, aliases)
  for alias, name in gmatch(aliases, "(%S+)=(%S+)") do methods[alias] = methods[name] end
end

local function declare_several(owner, names)
  several[owner] = {}
  for _, name in ipairs(words(names)) do several[owner][name] = true end
end

-- `aliases` is "alias=method ...": the same functions under other names, which no hint offers.
local function make_bridge(name, method_names, aliases)
  local methods, names, spreads = {}, words(method_names), several[name] or {}
  for _, method in ipairs(names) do
    if spreads[method] then
      methods[method] = function(...) return spread(call(name, method, nil, ...)) end
    else
      methods[method] = function(...) return call(name, method, nil, ...) end
    end
  end
  add_aliases(methods, aliases)
  made[name] = read_only(name, methods, no_such(name, names))
  return made[name]
end

local function declare_resource(kind, method_names, iterate, aliases)
  resource_types[kind] = { methods = words(method_names), iterate = iterate ~= "" and iterate or nil, aliases = aliases }
end

local function make_resource(id, kind)
  local declared = resource_types[kind] or error("unknown resource type " .. kind, 0)
  local proxy, methods, spreads = {}, {}, several[kind] or {}
  for _, name in ipairs(declared.methods) do
    methods[name] = function(self, ...)
      if not rawequal(self, proxy) then error("call it with a colon: s:" .. name .. "()", 2) end
      if spreads[name] then return spread(call(kind, name, id, ...)) end
      return call(kind, name, id, ...)
    end
  end
  add_aliases(methods, declared.aliases)
  -- a task that is cancelled closes what it holds where nothing can wait, so that a task of its own must do it
  local function close()
    if not methods.close then return end
    if co_isyieldable() then return methods.close(proxy) end
    tasks.spawn(methods.close, proxy)
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

return {
  declare_resource = declare_resource,
  declare_several = declare_several,
  forget = function(name) made[name] = nil end,
  made = function(name) return made[name] end,
  make_bridge = make_bridge,
  make_resource = make_resource,
  no_such = no_such,
}
