-- lists: new lists and objects from given ones, which are never changed.
--
-- lists.map(list, fn)      lists.filter(list, fn)   fn(item, index); what it gives for nothing is null
-- lists.reduce(list, fn, initial)                   fn(so_far, item, index); without `initial` the first item begins
-- lists.find(list, fn)                              the first item that fn is true of, and its place; nil where there is none
-- lists.sort_by(list, key, { descending = false })  by a field's name or by what key(item) gives; equal items keep their order
-- lists.group_by(list, key)                         an object of lists
-- lists.merge(...)                                  an object of all their fields; later ones win
-- lists.deep_copy(v)       lists.equal(a, b)        by content, also where tables hold themselves
local takes = host.takes

local function list_and_function(label, list, fn)
  takes(list, "table", label .. " takes a list")
  takes(fn, "function", label .. " takes a function as its second argument")
end

local function map(list, fn)
  list_and_function("lists.map", list, fn)
  local out = array({})
  for i = 1, #list do
    local value = fn(list[i], i)
    out[i] = value == nil and null or value
  end
  return out
end

local function filter(list, fn)
  list_and_function("lists.filter", list, fn)
  local out = array({})
  for i = 1, #list do
    local item = list[i]
    if fn(item, i) then out[#out + 1] = item end
  end
  return out
end

local function reduce(list, fn, ...)
  list_and_function("lists.reduce", list, fn)
  local so_far, from = ..., 1
  if select("#", ...) == 0 then
    if #list == 0 then host.raise("argument", "lists.reduce: an empty list needs an initial value") end
    so_far, from = list[1], 2
  end
  for i = from, #list do so_far = fn(so_far, list[i], i) end
  return so_far
end

local function find(list, fn)
  list_and_function("lists.find", list, fn)
  for i = 1, #list do
    local item = list[i]
    if fn(item, i) then return item, i end
  end
end

local function key_function(key, label)
  if type(key) == "function" then return key end
  takes(key, "string", label .. " takes a field's name or a function as its second argument")
  return function(item) return item[key] end
end

local function keys_of(list, key, label)
  takes(list, "table", label .. " takes a list")
  local of, keys = key_function(key, label), {}
  for i = 1, #list do keys[i] = of(list[i], i) end
  return keys
end

local function check_order(keys, count)
  local kind = type(keys[1])
  for i = 1, count do
    local k = keys[i]
    if type(k) ~= kind or kind ~= "number" and kind ~= "string" or k ~= k then
      host.raise("argument", "lists.sort_by: item " .. i .. " has the key " .. tostring(k) .. "; all keys must be numbers, or all strings")
    end
  end
end

local function sort_by(list, key, options)
  local descending = host.options(options, { "descending" }, "lists.sort_by").descending
  local keys = keys_of(list, key, "lists.sort_by")
  local places, out = {}, array({})
  for i = 1, #list do places[i] = i end
  check_order(keys, #places)
  table.sort(places, function(a, b)
    local x, y = keys[a], keys[b]
    if x == y then return a < b end
    if descending then return y < x end
    return x < y
  end)
  for i = 1, #places do out[i] = list[places[i]] end
  return out
end

local function group_by(list, key)
  local keys, groups = keys_of(list, key, "lists.group_by"), object({})
  for i = 1, #list do
    local k = keys[i]
    if k == nil or k ~= k then host.raise("argument", "lists.group_by: item " .. i .. " has no key") end
    groups[k] = groups[k] or array({})
    groups[k][#groups[k] + 1] = list[i]
  end
  return groups
end

local function merge(...)
  local out = object({})
  for i = 1, select("#", ...) do
    local t = select(i, ...)
    if t ~= nil then
      takes(t, "table", "lists.merge takes objects")
      for key, value in next, t do out[key] = value end
    end
  end
  return out
end

local function copy(v, copies)
  if type(v) ~= "table" or rawequal(v, null) or host.name_of(v) then return v end
  if copies[v] then return copies[v] end
  local out = next(v) == nil and (is_array(v) and array({}) or host.is_object(v) and object({})) or {}
  copies[v] = out
  for key, value in next, v do out[copy(key, copies)] = copy(value, copies) end
  return out
end

local function same(a, b, seen)
  if rawequal(a, b) then return true end
  if type(a) ~= "table" or type(b) ~= "table" then return type(a) == type(b) and type(a) ~= "userdata" and a == b end
  if rawequal(a, null) or rawequal(b, null) or host.name_of(a) or host.name_of(b) then return false end
  if seen[a] and seen[a][b] then return true end
  seen[a] = seen[a] or {}
  seen[a][b] = true
  for key, value in next, a do
    if not same(value, rawget(b, key), seen) then return false end
  end
  for key in next, b do
    if rawget(a, key) == nil then return false end
  end
  return true
end

return {
  deep_copy = function(v) return copy(v, {}) end,
  equal = function(a, b) return same(a, b, {}) end,
  filter = filter, find = find, group_by = group_by, map = map, merge = merge, reduce = reduce, sort_by = sort_by,
}
