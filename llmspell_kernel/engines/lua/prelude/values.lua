-- Values as text in the written form of values.py, and what the host needs to build them here.
--
-- Rules
-- * Tables of scripts are read with rawget, rawlen and next only; no metamethod of a script runs.
-- * Depth, items and bytes are counted while writing; what cannot cross is named by its path.
local settings, sealed, faults = ...

local error, ipairs, next, pcall, rawequal, rawget, rawlen, select, setmetatable, tonumber, tostring, type =
  error, ipairs, next, pcall, rawequal, rawget, rawlen, select, setmetatable, tonumber, tostring, type
local byte, char, find, format, gsub, sub = string.byte, string.char, string.find, string.format, string.gsub, string.sub
local concat, sort = table.concat, table.sort
local math_type, huge = math.type, math.huge
local utf8_len = utf8.len
local raise, is_sealed = faults.raise, sealed.is_sealed
local MAX_BYTES, MAX_ITEMS, MAX_DEPTH = settings.max_value_bytes, settings.max_value_items, 64

local PIECE_BYTES = 64 * 1024

local null = sealed.seal({}, { __tostring = function() return "null" end, __newindex = function() error("null is read-only", 2) end })
local arrays, objects = setmetatable({}, { __mode = "k" }), setmetatable({}, { __mode = "k" })
local resources = setmetatable({}, { __mode = "k" }) -- proxy -> { id, type }
local callbacks, callback_ids, callback_count = {}, {}, 0

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\127"] = "\\u007f" }
for i = 0, 31 do ESCAPES[char(i)] = ESCAPES[char(i)] or format("\\u%04x", i) end
local function escaped(s) return (gsub(s, '[%c"\\]', ESCAPES)) end
local function quote(s) return '"' .. escaped(s) .. '"' end

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local DIGITS = {}
for i = 0, 63 do DIGITS[i] = sub(ALPHABET, i + 1, i + 1) end

local function base64(s)
  local out = {}
  for i = 1, #s - #s % 3, 3 do
    local a, b, c = byte(s, i, i + 2)
    local n = a << 16 | b << 8 | c
    out[#out + 1] = DIGITS[n >> 18] .. DIGITS[n >> 12 & 63] .. DIGITS[n >> 6 & 63] .. DIGITS[n & 63]
  end
  local rest = #s % 3
  if rest == 1 then
    local a = byte(s, -1)
    out[#out + 1] = DIGITS[a >> 2] .. DIGITS[(a & 3) << 4] .. "=="
  elseif rest == 2 then
    local a, b = byte(s, -2, -1)
    local n = a << 8 | b
    out[#out + 1] = DIGITS[n >> 10] .. DIGITS[n >> 4 & 63] .. DIGITS[(n & 15) << 2] .. "="
  end
  return concat(out)
end

-- `state` of one writing: the tables being written, the `bytes` and `items` so far, and the `path` of keys to where it is, a text only when it is told.
local function new_state(root) return { bytes = 0, items = 0, path = { [0] = root }, names = {} } end

local function path_text(state, depth)
  local path = state.path[0]
  for i = 1, depth do
    local key = state.path[i]
    path = type(key) == "number" and path .. "[" .. key .. "]" or path .. "." .. key
  end
  return path
end

local function uncrossable(what, state, depth) raise("value", what .. " (at " .. faults.readable_name(path_text(state, depth)) .. ")") end

local function too_large(state, depth) uncrossable("the value is larger than limits.value_bytes, " .. MAX_BYTES .. " bytes", state, depth) end

-- A table that is in many places is written in each: `d = { d, d }`, thirty times, would be a thousand million.
local function count_items(count, state, depth)
  state.items = state.items + count
  if state.items > MAX_ITEMS then
    uncrossable("a value of more than " .. MAX_ITEMS .. " items; pass large data as one string or in parts", state, depth)
  end
end

local function callback_id(fn)
  local id = callback_ids[fn]
  if not id then
    callback_count = callback_count + 1
    id = callback_count
    callback_ids[fn], callbacks[id] = id, fn
  end
  return id
end

local function float_text(n, plain, state, depth)
  if n ~= n or n == huge or n == -huge then
    if plain then uncrossable("NaN and infinities have no JSON text", state, depth) end
    return n ~= n and '{"$":["n","nan"]}' or n > 0 and '{"$":["n","inf"]}' or '{"$":["n","-inf"]}'
  end
  local text = format("%.16g", n)
  if tonumber(text) ~= n then text = format("%.17g", n) end
  return find(text, "[%.eE]") and text or text .. ".0"
end

-- By pieces, so that what escapes make too large is found out before all of it is made.
local function long_text(s, state, depth)
  local out, bytes = {}, state.bytes
  for from = 1, #s, PIECE_BYTES do
    local piece = escaped(sub(s, from, from + PIECE_BYTES - 1))
    bytes = bytes + #piece
    if bytes > MAX_BYTES then too_large(state, depth) end
    out[#out + 1] = piece
  end
  return '"' .. concat(out) .. '"'
end

local function string_text(s, plain, state, depth)
  if #s > MAX_BYTES then too_large(state, depth) end
  if not find(s, '[^ !#-%[%]-~]') then return '"' .. s .. '"' end
  if utf8_len(s) then return #s > PIECE_BYTES and long_text(s, state, depth) or quote(s) end
  if plain then uncrossable("the string is not valid UTF-8", state, depth) end
  if #s > MAX_BYTES // 4 * 3 then too_large(state, depth) end
  return '{"$":["b","' .. base64(s) .. '"]}'
end

local function key_name(key) return type(key) == "table" and "(a table)" or tostring(key) end

local table_text

-- `plain` is the text of json.encode: no tags, functions refused.  The value is the one at state.path[depth].
local function text_of(value, plain, depth, state)
  local kind = type(value)
  local text
  if kind == "string" then
    text = string_text(value, plain, state, depth)
  elseif kind == "number" then
    text = math_type(value) == "integer" and format("%d", value) or float_text(value, plain, state, depth)
  elseif kind == "boolean" then
    text = value and "true" or "false"
  elseif value == nil or rawequal(value, null) then
    text = "null"
  elseif kind == "table" then
    return table_text(value, plain, depth, state)
  elseif kind == "function" and not plain then
    text = '{"$":["f",' .. callback_id(value) .. "]}"
  else
    uncrossable("a " .. kind .. " cannot cross to the host", state, depth)
  end
  local bytes = state.bytes + #text
  state.bytes = bytes
  if bytes > MAX_BYTES then too_large(state, depth) end
  return text
end

local function array_text(t, count, plain, depth, state)
  -- a border found by doubling can be 2^62 in a table of sixty keys; each place takes at least a byte
  if count > MAX_BYTES - state.bytes then too_large(state, depth) end
  count_items(count, state, depth)
  local out, path, below = {}, state.path, depth + 1
  for i = 1, count do
    path[below] = i
    out[i] = text_of(rawget(t, i), plain, below, state)
  end
  return "[" .. concat(out, ",") .. "]"
end

local function sorted_keys(t, state, depth)
  local keys, count = {}, 0
  for key in next, t do
    if type(key) ~= "string" then
      uncrossable("a table with the key " .. key_name(key) .. " is neither a list 1..n nor an object with string keys", state, depth)
    end
    count = count + 1
    keys[count] = key
  end
  count_items(count, state, depth)
  if count > 1 then sort(keys) end
  return keys
end

-- The key as it is written; the same few keys come again and again.
local function key_text(key, state, depth)
  local name = state.names[key]
  if not name then
    if #key > MAX_BYTES then too_large(state, depth) end
    if not utf8_len(key) then uncrossable("a key is not valid UTF-8", state, depth) end
    name = (#key > PIECE_BYTES and long_text(key, state, depth) or quote(key)) .. ":"
    state.names[key] = name
  end
  return name
end

local function object_text(t, plain, depth, state)
  local out, path, below = {}, state.path, depth + 1
  for i, key in ipairs(sorted_keys(t, state, depth)) do
    local name = key_text(key, state, depth)
    state.bytes = state.bytes + #name + 1
    path[below] = key
    out[i] = name .. text_of(rawget(t, key), plain, below, state)
  end
  local text = "{" .. concat(out, ",") .. "}"
  return not plain and rawget(t, "$") ~= nil and '{"$":["o",' .. text .. "]}" or text
end

-- A list may have holes, which cross as nulls; any other key has no place in one.
local function check_list(t, count, state, depth)
  local keys = 0
  for _ in next, t do keys = keys + 1 end
  if keys == count then return end
  for key in next, t do
    if math_type(key) ~= "integer" or key < 1 or key > count then
      uncrossable("a list that also has the key " .. key_name(key) .. " cannot cross", state, depth)
    end
  end
end

local function content_text(t, plain, depth, state)
  if next(t) == nil then return arrays[t] and "[]" or (objects[t] or plain) and "{}" or '{"$":["e"]}' end
  local count = rawlen(t)
  if count > 0 and rawget(t, 1) ~= nil then
    check_list(t, count, state, depth)
    return array_text(t, count, plain, depth, state)
  end
  return object_text(t, plain, depth, state)
end

function table_text(t, plain, depth, state)
  local resource = resources[t]
  if resource then
    if plain then uncrossable("a " .. resource.type .. " has no JSON text", state, depth) end
    return '{"$":["r",' .. resource.id .. "," .. quote(resource.type) .. "]}"
  end
  if state[t] then uncrossable("the table contains itself", state, depth) end
  if depth >= MAX_DEPTH then uncrossable("nested deeper than " .. MAX_DEPTH .. " levels", state, depth) end
  state.bytes = state.bytes + 2
  if state.bytes > MAX_BYTES then too_large(state, depth) end -- also where tables hold nothing but tables
  state[t] = true
  local text = content_text(t, plain, depth, state)
  state[t] = nil
  return text
end

local function encode(value, path) return text_of(value, false, 0, new_state(path)) end

local function arguments_text(n, ...)
  while n > 0 and select(n, ...) == nil do n = n - 1 end
  if n == 0 then return "[]" end
  local state, out = new_state(""), {}
  for i = 1, n do
    state.path[0] = "argument " .. i
    out[i] = text_of((select(i, ...)), false, 0, state)
  end
  return "[" .. concat(out, ",") .. "]"
end

-- A cell's results: what cannot cross at the top is shown as text rather than refused.
local function results_text(results)
  local out = {}
  for i = 1, results.n do
    local value = results[i]
    local kind = type(value)
    if kind == "function" or kind == "thread" or kind == "userdata" then
      out[i] = '{"$":["x","' .. kind .. '"]}' -- no address: it differs from run to run
    elseif kind == "table" and (is_sealed(value) and not rawequal(value, null)) then
      out[i] = '{"$":["x",' .. quote(tostring(value)) .. "]}"
    else
      out[i] = encode(value, results.n == 1 and "result" or "result " .. i)
    end
  end
  return "[" .. concat(out, ",") .. "]"
end

local function mark_array(t)
  arrays[t], objects[t] = true, nil
  return t
end

local function mark_object(t)
  objects[t], arrays[t] = true, nil
  return t
end

-- A list 1..n without other keys, or what array{} made; an empty table is none, as it crosses as an object where nothing says otherwise.
local function is_array(t)
  if type(t) ~= "table" or resources[t] then return false end
  local count = rawlen(t)
  if count == 0 then return next(t) == nil and arrays[t] == true end
  local keys = 0
  for key in next, t do
    if math_type(key) ~= "integer" or key < 1 or key > count then return false end
    keys = keys + 1
  end
  return keys == count
end

return {
  arguments_text = arguments_text,
  base64 = base64,
  is_array = is_array,
  is_object = function(t) return objects[t] == true end,
  callback = function(id) return callbacks[id] or function() raise("script", "the script has no function number " .. id) end end,
  encode = encode,
  json_text = function(value) return text_of(value, true, 0, new_state("value")) end,
  mark_array = mark_array,
  mark_object = mark_object,
  mark_resource = function(proxy, id, kind) resources[proxy] = { id = id, type = kind } end,
  is_resource = function(t) return resources[t] ~= nil end,
  null = null,
  quote = quote,
  try_encode_results = function(results) return pcall(results_text, results) end,
  try_encode = function(value, path) return pcall(encode, value, path) end,
}
