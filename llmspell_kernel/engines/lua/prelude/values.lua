-- Values as text in the written form of values.py, and what the host needs to build them here.
--
-- Rules
-- * Tables of scripts are read with rawget, rawlen and next only; no metamethod of a script runs.
-- * Depth and bytes are counted while writing; what cannot cross is named by its path.
local settings, sealed, faults = ...

local error, next, pcall, rawequal, rawget, rawlen, select, setmetatable, tonumber, tostring, type =
  error, next, pcall, rawequal, rawget, rawlen, select, setmetatable, tonumber, tostring, type
local byte, find, format, gsub, sub = string.byte, string.find, string.format, string.gsub, string.sub
local concat, sort = table.concat, table.sort
local math_type, huge = math.type, math.huge
local utf8_len = utf8.len
local raise = faults.raise
local MAX_BYTES, MAX_DEPTH = settings.max_value_bytes, 64

local null = sealed.seal({}, { __tostring = function() return "null" end, __newindex = function() error("null is read-only", 2) end })
local arrays, objects = setmetatable({}, { __mode = "k" }), setmetatable({}, { __mode = "k" })
local resources = setmetatable({}, { __mode = "k" }) -- proxy -> { id, type }
local callbacks, callback_ids, callback_count = {}, {}, 0

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }
local function escape(c) return ESCAPES[c] or format("\\u%04x", byte(c)) end
local function quote(s) return '"' .. gsub(s, '[%c"\\]', escape) .. '"' end

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

-- A job is one value being written: `out` its pieces, `bytes` their length, `open` the tables around the place, `keys` the way to it from
-- `root`.  The path is made of them only where something cannot cross.  `plain` is the text of json.encode: no tags, functions refused.
local function new_job(plain, root) return { bytes = 0, n = 0, out = {}, open = {}, keys = {}, names = {}, plain = plain, root = root } end

local function path_of(job, depth)
  local path = job.root
  for level = 1, depth do
    local key = job.keys[level]
    path = type(key) == "number" and path .. "[" .. key .. "]" or path .. "." .. key
  end
  return path
end

local function uncrossable(what, job, depth) raise("value", what .. " (at " .. faults.readable_name(path_of(job, depth)) .. ")") end

local function too_large(job, depth) uncrossable("the value is larger than " .. MAX_BYTES .. " bytes", job, depth) end

local function callback_id(fn)
  local id = callback_ids[fn]
  if not id then
    callback_count = callback_count + 1
    id = callback_count
    callback_ids[fn], callbacks[id] = id, fn
  end
  return id
end

local function float_text(n, job, depth)
  if n ~= n or n == huge or n == -huge then
    if job.plain then uncrossable("NaN and infinities have no JSON text", job, depth) end
    return n ~= n and '{"$":["n","nan"]}' or n > 0 and '{"$":["n","inf"]}' or '{"$":["n","-inf"]}'
  end
  local text = format("%.16g", n)
  if tonumber(text) ~= n then text = format("%.17g", n) end
  return find(text, "[%.eE]") and text or text .. ".0"
end

local function string_text(s, job, depth)
  if #s > MAX_BYTES then too_large(job, depth) end
  if not find(s, '[%c"\\\x80-\xff]') then return '"' .. s .. '"' end
  if utf8_len(s) then return quote(s) end
  if job.plain then uncrossable("the string is not valid UTF-8", job, depth) end
  return '{"$":["b","' .. base64(s) .. '"]}'
end

local function key_name(key) return type(key) == "table" and "(a table)" or tostring(key) end

local write_table

local function put(text, job, depth)
  local bytes, n = job.bytes + #text, job.n + 1
  if bytes > MAX_BYTES then too_large(job, depth) end
  job.bytes, job.n, job.out[n] = bytes, n, text
end

-- The text of what holds nothing inside.
local function leaf_text(value, kind, job, depth)
  if kind == "string" then return string_text(value, job, depth) end
  if kind == "number" then return math_type(value) == "integer" and "" .. value or float_text(value, job, depth) end
  if kind == "boolean" then return value and "true" or "false" end
  if kind == "nil" then return "null" end
  if kind ~= "function" or job.plain then uncrossable("a " .. kind .. " cannot cross to the host", job, depth) end
  return '{"$":["f",' .. callback_id(value) .. "]}"
end

local function write(value, job, depth)
  local kind = type(value)
  if kind == "table" then return write_table(value, job, depth) end
  put(leaf_text(value, kind, job, depth), job, depth)
end

local function write_array(t, count, job, depth)
  -- a border found by doubling can be 2^62 in a table of sixty keys; each place takes at least a byte
  if count > MAX_BYTES - job.bytes then too_large(job, depth) end
  local keys, inner = job.keys, depth + 1
  put("[", job, depth)
  for i = 1, count do
    keys[inner] = i
    if i > 1 then put(",", job, depth) end
    write(rawget(t, i), job, inner)
  end
  put("]", job, depth)
end

local function sorted_keys(t, job, depth)
  local keys, names, count = {}, job.names, 0
  for key in next, t do
    if type(key) ~= "string" then
      uncrossable("a table with the key " .. key_name(key) .. " is neither a list 1..n nor an object with string keys", job, depth)
    end
    if not names[key] then
      if not utf8_len(key) then uncrossable("a key is not valid UTF-8", job, depth) end
      if #key > MAX_BYTES then too_large(job, depth) end
      names[key] = "," .. quote(key) .. ":"
    end
    count = count + 1
    keys[count] = key
  end
  if count > 1 then sort(keys) end
  return keys, count
end

local function write_object(t, job, depth)
  local sorted, count = sorted_keys(t, job, depth)
  local keys, names, inner = job.keys, job.names, depth + 1
  local tagged = not job.plain and rawget(t, "$") ~= nil
  put(tagged and '{"$":["o",{' or "{", job, depth)
  for i = 1, count do
    local key = sorted[i]
    keys[inner] = key
    put(i > 1 and names[key] or sub(names[key], 2), job, depth)
    write(t[key], job, inner) -- found by next, so that no metamethod is asked
  end
  put(tagged and "}]}" or "}", job, depth)
end

-- A list may have holes, which cross as nulls; any other key has no place in one.
local function check_list(t, count, job, depth)
  local keys = 0
  for _ in next, t do keys = keys + 1 end
  if keys == count then return end
  for key in next, t do
    if math_type(key) ~= "integer" or key < 1 or key > count then
      uncrossable("a list that also has the key " .. key_name(key) .. " cannot cross", job, depth)
    end
  end
end

local function write_content(t, job, depth)
  if next(t) == nil then return put(arrays[t] and "[]" or (objects[t] or job.plain) and "{}" or '{"$":["e"]}', job, depth) end
  local count = rawlen(t)
  if count > 0 and rawget(t, 1) ~= nil then
    check_list(t, count, job, depth)
    return write_array(t, count, job, depth)
  end
  write_object(t, job, depth)
end

function write_table(t, job, depth)
  if rawequal(t, null) then return put("null", job, depth) end
  local resource = resources[t]
  if resource then
    if job.plain then uncrossable("a " .. resource.type .. " has no JSON text", job, depth) end
    return put('{"$":["r",' .. resource.id .. "," .. quote(resource.type) .. "]}", job, depth)
  end
  if job.open[t] then uncrossable("the table contains itself", job, depth) end
  if depth >= MAX_DEPTH then uncrossable("nested deeper than " .. MAX_DEPTH .. " levels", job, depth) end
  job.open[t] = true
  write_content(t, job, depth)
  job.open[t] = nil
end

local function text_of(value, job)
  write(value, job, 0)
  return concat(job.out, "", 1, job.n)
end

local function encode(value, path) return text_of(value, new_job(false, path)) end

local function arguments_text(n, ...)
  while n > 0 and select(n, ...) == nil do n = n - 1 end
  local job, out = new_job(false, ""), {}
  for i = 1, n do
    job.n, job.root = 0, "argument " .. i -- what the arguments hold together is counted on
    out[i] = text_of((select(i, ...)), job)
  end
  return "[" .. concat(out, ",") .. "]"
end

-- A cell's results: what cannot cross at the top is shown as text rather than refused.
local function results_text(results)
  local out = {}
  for i = 1, results.n do
    local kind = type(results[i])
    if kind == "function" or kind == "thread" or kind == "userdata" then
      out[i] = '{"$":["x","' .. kind .. '"]}' -- no address: it differs from run to run
    elseif resources[results[i]] then
      out[i] = '{"$":["x",' .. quote(tostring(results[i])) .. "]}"
    else
      out[i] = encode(results[i], results.n == 1 and "result" or "result " .. i)
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

return {
  arguments_text = arguments_text,
  callback = function(id) return callbacks[id] end,
  encode = encode,
  json_text = function(value) return text_of(value, new_job(true, "value")) end,
  mark_array = mark_array,
  mark_object = mark_object,
  mark_resource = function(proxy, id, kind) resources[proxy] = { id = id, type = kind } end,
  is_resource = function(t) return resources[t] ~= nil end,
  null = null,
  quote = quote,
  try_encode_results = function(results) return pcall(results_text, results) end,
  try_encode = function(value, path) return pcall(encode, value, path) end,
}
