-- json.decode(s), json.encode(v, { pretty = false }), and the parse/stringify spellings.
local find, match, gsub, rep, sub, byte, char, concat = string.find, string.match, string.gsub, string.rep, string.sub, string.byte, string.char, table.concat
local array, error, null, object, tonumber = array, error, null, object, tonumber
local utf8_char = utf8.char
local UNESCAPED = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function fail(text, at, what)
  local _, line = gsub(sub(text, 1, at), "\n", "")
  error("json.decode: " .. what .. " at line " .. (line + 1) .. ", byte " .. at, 0)
end

-- The character of an escape \uXXXX, or of a pair of them, and the place after it.
local function unescape_unicode(text, at, s, slash)
  local high, low = match(s, "^\\u([dD][89abAB]%x%x)\\u([dD][c-fC-F]%x%x)", slash)
  if high then return utf8_char(0x10000 + ((tonumber(high, 16) - 0xD800) << 10) + (tonumber(low, 16) - 0xDC00)), slash + 12 end
  local code = tonumber(match(s, "^\\u(%x%x%x%x)", slash) or "", 16)
  if not code then fail(text, at, "an unknown escape \\u") end
  if code >= 0xD800 and code <= 0xDFFF then fail(text, at, "a lone surrogate") end
  return utf8_char(code), slash + 6
end

-- One pass from the left: what an escape stands for is never read as an escape again.
local function unescape(text, at, s)
  local out, from, slash = {}, 1, find(s, "\\", 1, true)
  while slash do
    out[#out + 1] = sub(s, from, slash - 1)
    local c = sub(s, slash + 1, slash + 1)
    if c == "u" then
      out[#out + 1], from = unescape_unicode(text, at, s, slash)
    else
      out[#out + 1], from = UNESCAPED[c] or fail(text, at, "an unknown escape \\" .. c), slash + 2
    end
    slash = find(s, "\\", from, true)
  end
  out[#out + 1] = sub(s, from)
  return concat(out)
end

local function read_string(text, at)
  local from = at + 1
  local stop = from
  while true do
    stop = find(text, '["\\]', stop)
    if not stop then fail(text, at, "an unfinished string") end
    if byte(text, stop) == 34 then break end
    stop = stop + 2
  end
  local s = sub(text, from, stop - 1)
  if find(s, "%c") then fail(text, at, "a control character inside a string") end
  if find(s, "\\", 1, true) then s = unescape(text, at, s) end
  return s, stop + 1
end

local read_value

local function skip(text, at) return find(text, "[^ \t\r\n]", at) or #text + 1 end

local function read_array(text, at, depth)
  local out, count = array({}), 0
  at = skip(text, at + 1)
  if byte(text, at) == 93 then return out, at + 1 end
  while true do
    local value
    value, at = read_value(text, at, depth + 1)
    count = count + 1
    out[count] = value == nil and null or value
    at = skip(text, at)
    local c = byte(text, at)
    if c == 93 then return out, at + 1 end
    if c ~= 44 then fail(text, at, "expected ',' or ']'") end
    at = skip(text, at + 1)
  end
end

local function read_object(text, at, depth)
  local out = object({})
  at = skip(text, at + 1)
  if byte(text, at) == 125 then return out, at + 1 end
  while true do
    if byte(text, at) ~= 34 then fail(text, at, "expected a key in double quotes") end
    local key, value
    key, at = read_string(text, at)
    at = skip(text, at)
    if byte(text, at) ~= 58 then fail(text, at, "expected ':'") end
    value, at = read_value(text, skip(text, at + 1), depth + 1)
    out[key] = value
    at = skip(text, at)
    local c = byte(text, at)
    if c == 125 then return out, at + 1 end
    if c ~= 44 then fail(text, at, "expected ',' or '}'") end
    at = skip(text, at + 1)
  end
end

local WORDS = { ["true"] = true, ["false"] = false }

function read_value(text, at, depth)
  if depth > 64 then fail(text, at, "nested deeper than 64 levels") end
  local c = byte(text, at)
  if c == 34 then return read_string(text, at) end
  if c == 123 then return read_object(text, at, depth) end
  if c == 91 then return read_array(text, at, depth) end
  local _, stop = find(text, "^%a+", at)
  if stop then
    local word = sub(text, at, stop)
    if word == "null" then return nil, stop + 1 end
    if WORDS[word] ~= nil then return WORDS[word], stop + 1 end
    fail(text, at, "unexpected '" .. word .. "'")
  end
  _, stop = find(text, "^-?%d+%.?%d*[eE]?[+-]?%d*", at)
  local number = stop and tonumber(sub(text, at, stop))
  if not number then fail(text, at, c and "unexpected '" .. char(c) .. "'" or "the text ends too early") end
  return number, stop + 1
end

local function decode(text)
  host.takes(text, "string", "json.decode takes a string")
  local value, at = read_value(text, skip(text, 1), 0)
  at = skip(text, at)
  if at <= #text then fail(text, at, "unexpected text after the value") end
  return value
end

-- The compact text with a line for each item.  Strings are passed over whole, so nothing inside them is taken for structure.
local function indented(compact, step)
  local out, at, depth = {}, 1, 0
  local function line() return "\n" .. rep(" ", step * depth) end
  while at <= #compact do
    local c = sub(compact, at, at)
    local stop = at
    if c == '"' then
      stop = find(compact, '^"[^"\\]*"', at) and select(2, find(compact, '^"[^"\\]*"', at)) or select(2, read_string(compact, at)) - 1
      out[#out + 1] = sub(compact, at, stop)
    elseif (c == "[" or c == "{") and find(compact, "^[%]}]", at + 1) then
      stop = at + 1
      out[#out + 1] = sub(compact, at, stop)
    elseif c == "[" or c == "{" then
      depth = depth + 1
      out[#out + 1] = c .. line()
    elseif c == "]" or c == "}" then
      depth = depth - 1
      out[#out + 1] = line() .. c
    elseif c == "," then
      out[#out + 1] = "," .. line()
    elseif c == ":" then
      out[#out + 1] = ": "
    else
      stop = find(compact, "[,%]}]", at) or #compact + 1
      stop = stop - 1
      out[#out + 1] = sub(compact, at, stop)
    end
    at = stop + 1
  end
  return concat(out)
end

local function encode(value, options)
  local pretty = host.options(options, { "pretty" }, "json.encode").pretty
  local text = host.json_text(value)
  if not pretty then return text end
  if pretty == true then pretty = 2 end
  if math.type(pretty) ~= "integer" or pretty < 1 or pretty > 16 then
    host.raise("argument", "json.encode: pretty must be true or a number of spaces from 1 to 16")
  end
  return indented(text, pretty)
end

return { decode = decode, encode = encode, parse = decode, stringify = encode }
