-- What the host offers, as Lua sees it: bridges and resources as sealed tables of functions, wrong names answered with the nearest right one.
local sealed, nearest, values, tasks = ...

local error, ipairs, rawequal, rawlen, type = error, ipairs, rawequal, rawlen, type
local co_isyieldable = coroutine.isyieldable
local find, gmatch, match, unpack = string.find, string.gmatch, string.match, table.unpack
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

-- The method's function, made when it is first read: most states ask few of them, and each costs memory.
local function method_of(name, method)
  if several[name] and several[name][method] then
    return function(...) return spread(call(name, method, nil, ...)) end
  end
  return function(...) return call(name, method, nil, ...) end
end

-- `names` and `aliases` are words between blanks, an alias being "alias=method": the same function under another name, which no hint offers.
local function make_bridge(name, names, aliases)
  local methods = {}

  local function made_now(method)
    methods[method] = methods[method] or method_of(name, method)
    return methods[method]
  end

  local function missing(key)
    if type(key) == "string" and find(key, "^[%w_]+$") then
      if find(names, " " .. key .. " ", 1, true) then return made_now(key) end
      local method = match(aliases, " " .. key .. "=(%S+)")
      if method then
        methods[key] = made_now(method)
        return methods[key]
      end
    end
    return no_such(name, words(names))(key)
  end

  made[name] = read_only(name, methods, missing, function()
    for method in gmatch(names, "%S+") do made_now(method) end
    add_aliases(methods, aliases)
  end)
  return made[name]
end

local function declare_resource(kind, method_names, iterate, aliases)
  resource_types[kind] = { methods = method_names, iterate = iterate ~= "" and iterate or nil, aliases = aliases }
end

local function make_resource(id, kind)
  local declared = resource_types[kind] or error("unknown resource type " .. kind, 0)
  local proxy, methods, names, spreads = {}, {}, words(declared.methods), several[kind] or {}
  for _, name in ipairs(names) do
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
    __index = read_only(kind, methods, no_such(kind, names)),
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
