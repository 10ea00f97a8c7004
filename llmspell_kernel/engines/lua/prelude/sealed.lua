-- Tables that scripts can read and not change: rawset, setmetatable and pairs give no way around the metatable.
--
-- Rule: whether a table is sealed, or has a metatable at all, is read with the debug library's getmetatable; a script's `__metatable` hides nothing.
local error, next, rawget, setmetatable, tostring, type = error, next, rawget, setmetatable, tostring, type
local raw_metatable = debug.getmetatable

local SEAL = {} -- a key of our metatables

local function seal(t, metatable)
  metatable[SEAL] = true
  metatable.__metatable = false
  return setmetatable(t, metatable)
end

local function is_sealed(t)
  local metatable = raw_metatable(t)
  return type(metatable) == "table" and rawget(metatable, SEAL) == true
end

-- `missing(key)` answers for what is not there, `fill()` puts everything there before it is walked through.  The content itself stays inside: an iterator that gave `next, content` would hand it out.
local function read_only(name, content, missing, fill)
  return seal({}, {
    __index = function(_, key)
      local value = content[key]
      if value == nil and missing then return missing(key) end
      return value
    end,
    __newindex = function(_, key) error(name .. " is read-only: '" .. tostring(key) .. "' cannot be set", 2) end,
    __pairs = function(self)
      if fill then fill() end
      return function(_, key) return next(content, key) end, self, nil
    end,
    __name = name,
    __tostring = function() return name end,
  })
end

return { is_sealed = is_sealed, raw_metatable = raw_metatable, read_only = read_only, seal = seal }
