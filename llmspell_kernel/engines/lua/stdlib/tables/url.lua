-- url: url.parse(s) gives scheme, user, password, host, port, path, query and fragment, those that are there; url.build(parts) is its reverse.
--
-- url.encode(s), url.decode(s)   one part of a URL, percent-encoded
-- url.query(t)                   "a=1&b=2" of an object, keys sorted, a list repeated; of a text the object, repeated names as a list
local takes = host.takes
local byte, char, find, format, gmatch, gsub, match, sub =
  string.byte, string.char, string.find, string.format, string.gmatch, string.gsub, string.match, string.sub
local concat, sort = table.concat, table.sort

local PARTS = { "scheme", "user", "password", "host", "port", "path", "query", "fragment" }

local function encode(s)
  if type(s) == "number" then s = tostring(s) end
  takes(s, "string", "url.encode takes a string")
  return (gsub(s, "[^%w%-%._~]", function(c) return format("%%%02X", byte(c)) end))
end

local function decode(s)
  takes(s, "string", "url.decode takes a string")
  return (gsub(s, "%%(%x%x)", function(hex) return char(tonumber(hex, 16)) end))
end

local function read_query(s)
  local found = object({})
  for pair in gmatch(gsub(s, "^%?", ""), "[^&]+") do
    local name, value = match(pair, "^([^=]*)=?(.*)$")
    name, value = decode(gsub(name, "%+", " ")), decode(gsub(value, "%+", " "))
    local before = found[name]
    if before == nil then
      found[name] = value
    elseif type(before) == "table" then
      before[#before + 1] = value
    else
      found[name] = array({ before, value })
    end
  end
  return found
end

local function scalar_text(value, key)
  local kind = type(value)
  if kind == "string" or kind == "number" or kind == "boolean" then return encode(tostring(value)) end
  host.raise("argument", "url.query: the value of '" .. key .. "' is a " .. kind .. "; it takes strings, numbers, booleans and lists of them")
end

local function query_text(t)
  local keys, pairs_of = {}, {}
  for key in next, t do keys[#keys + 1] = takes(key, "string", "url.query takes an object with string keys") end
  sort(keys)
  for _, key in ipairs(keys) do
    local value = t[key]
    local items = type(value) == "table" and not rawequal(value, null) and value or { value }
    for i = 1, #items do pairs_of[#pairs_of + 1] = encode(key) .. "=" .. scalar_text(items[i], key) end
  end
  return concat(pairs_of, "&")
end

local function query(given)
  if type(given) == "string" then return read_query(given) end
  return query_text(takes(given, "table", "url.query takes an object or a string"))
end

local function read_authority(text, parts)
  local login, rest = match(text, "^(.*)@(.-)$")
  if login then
    local user, password = match(login, "^([^:]*):?(.*)$")
    parts.user, parts.password = decode(user), find(login, ":", 1, true) and decode(password) or nil
  end
  rest = rest or text
  local host_name, port = match(rest, "^(.-):(%d+)$")
  parts.host = host_name or gsub(rest, ":$", "")
  parts.port = port and math.tointeger(tonumber(port))
end

local function parse(s)
  takes(s, "string", "url.parse takes a string")
  local parts, rest = object({}), s
  local before, fragment = match(rest, "^(.-)#(.*)$")
  if before then rest, parts.fragment = before, fragment end
  before, fragment = match(rest, "^(.-)%?(.*)$")
  if before then rest, parts.query = before, fragment end
  local scheme, after = match(rest, "^(%a[%w+.-]*):(.*)$")
  if scheme then rest, parts.scheme = after, string.lower(scheme) end
  if sub(rest, 1, 2) == "//" then
    local authority, path = match(rest, "^//([^/]*)(.*)$")
    read_authority(authority, parts)
    rest = path
  end
  parts.path = rest
  return parts
end

local function build(parts)
  host.options(takes(parts, "table", "url.build takes an object of parts"), PARTS, "url.build")
  local out = { parts.scheme and parts.scheme .. ":" or "" }
  if parts.host then
    local login = parts.user and encode(parts.user) .. (parts.password and ":" .. encode(parts.password) or "") .. "@" or ""
    out[2] = "//" .. login .. parts.host .. (parts.port and ":" .. parts.port or "")
  end
  local path = parts.path or ""
  if parts.host and path ~= "" and sub(path, 1, 1) ~= "/" then path = "/" .. path end
  out[#out + 1] = path
  local asked = type(parts.query) == "table" and query_text(parts.query) or parts.query
  if asked and asked ~= "" then out[#out + 1] = "?" .. asked end
  if parts.fragment then out[#out + 1] = "#" .. parts.fragment end
  return concat(out)
end

return { build = build, decode = decode, encode = encode, parse = parse, query = query }
