-- Errors: the fault objects that scripts catch, and what is told of whatever a script raised.
--
-- Rule: an error value is the script's: it is read raw, and nothing of it (metatable, length, bytes) is believed.
local sealed, frames, settings = ...

local error, next, rawequal, rawget, select, setmetatable, tostring, type =
  error, next, rawequal, rawget, select, setmetatable, tostring, type
local concat, sort, find, match, sub, tunpack = table.concat, table.sort, string.find, string.match, string.sub, table.unpack
local tointeger, utf8_len = math.tointeger, utf8.len
local raw_metatable = sealed.raw_metatable

local MOST_MESSAGE_BYTES = 65536 -- a fault is read by people; one of many megabytes would end the conversation with the host
local MOST_NAME_BYTES = 200
local OUT_OF_MEMORY = "not enough memory" -- Lua's own text
local FULL = settings.memory_full -- ours: made beforehand, as there is no memory for a text then
local OURS = "?:-1: " -- what Lua puts before an error in code without names and lines, which ours is

local FAULT = { __metatable = false, __name = "error" }
local fault_places = setmetatable({}, { __mode = "k" }) -- fault -> where a function of ours failed before the host passed the error on
local host_codes = setmetatable({}, { __mode = "k" }) -- fault of the host -> its code
-- the host's
local RESERVED = { config = true, denied = true, internal = true, interrupted = true, limit = true, protocol = true, replay = true, worker_lost = true }
function FAULT.__tostring(fault) return tostring(rawget(fault, "message")) end

local function fault(code, message, name, retryable)
  return setmetatable({ code = code, message = message, name = name or "", retryable = retryable or false }, FAULT)
end

local function raise(code, message) error(fault(code, message), 0) end

-- What the host answered instead of a value.  Places are chunk, line and function in turns.
local function refusal(code, message, name, retryable, ...)
  local refused, places = fault(code, message, name, retryable), {}
  host_codes[refused] = code
  for i = 1, select("#", ...), 3 do
    local chunk, line, called = select(i, ...)
    places[#places + 1] = { chunk = chunk, line = line, name = called }
  end
  if #places > 0 then fault_places[refused] = places end
  return refused
end

-- Valid UTF-8 of limited length, whatever the bytes.
local function readable(text, most)
  if #text > most then text = sub(text, 1, most) .. " ..." end
  local length, bad = utf8_len(text)
  if length then return text end
  local out, from = {}, 1
  while bad do
    out[#out + 1] = sub(text, from, bad - 1)
    from = bad + 1
    length, bad = utf8_len(text, from)
  end
  out[#out + 1] = sub(text, from)
  return concat(out, "?")
end

local earlier_locals = {} -- top-level local -> chunk it belonged to
local left_out = {} -- what the language has and this state has not -> why

local function hint(message)
  local name = match(message, "global '([%a_][%w_]*)'")
  if not name or not find(message, "nil value", 1, true) then return message end
  local chunk = earlier_locals[name]
  if not chunk then return left_out[name] and message .. " (" .. left_out[name] .. ")" or message end
  return message .. " ('" .. name .. "' was a local of " .. chunk .. ", and locals end with their cell; drop 'local' there to keep it)"
end

-- The frames from the place that the message names on; an error raised again elsewhere keeps its first place in front.
local function from_place(found, chunk, line)
  for i = 1, #found do
    if found[i].chunk == chunk and found[i].line == line then return { tunpack(found, i) } end
  end
  return { { chunk = chunk, line = line }, tunpack(found) }
end

-- The position that Lua puts before a message moves into the frames; one of ours is nobody's business.
local function read_text(text, found)
  text = sub(text, 1, MOST_MESSAGE_BYTES + 1)
  local chunk, line, rest = match(text, "^(.-):(%d+): (.*)$")
  if chunk and #line < 10 and frames.is_script(chunk) then
    text, found = rest, from_place(found, chunk, tointeger(line))
  elseif sub(text, 1, #OURS) == OURS then
    text = sub(text, #OURS + 1)
  end
  if text == OUT_OF_MEMORY then return "limit", FULL, found, "memory_bytes" end
  return "script", hint(text), found
end

-- An error object without a message is told by its plain fields.
local function described(value)
  local shown, seen = {}, 0
  for key, item in next, value do
    local kind = type(item)
    if type(key) == "string" and (kind == "string" or kind == "number" or kind == "boolean") then
      shown[#shown + 1] = sub(key, 1, 40) .. " = " .. (kind == "string" and '"' .. sub(item, 1, 200) .. '"' or tostring(item))
    end
    seen = seen + 1
    if seen == 20 then break end
  end
  sort(shown)
  return "an error object {" .. concat(shown, ", ") .. "}"
end

local function kind_text(value)
  local kind = type(value) -- an address would differ from run to run
  return "an error value: " .. ((kind == "nil" or kind == "boolean" or kind == "number") and tostring(value) or "a " .. kind)
end

local function message_of(value)
  if type(value) == "string" then return value end
  if type(value) ~= "table" then return kind_text(value) end
  local message = rawget(value, "message")
  return type(message) == "string" and message or described(value)
end

-- The code of a fault; one of the host's own is believed only where the host gave it to this very fault.
local function code_of(value)
  local code = rawget(value, "code")
  if RESERVED[code] and host_codes[value] ~= code then return "script" end
  return code
end

local function is_fault(value) return type(value) == "table" and rawequal(raw_metatable(value), FAULT) end

-- Whatever a script raised, as plain fields.
local function read(value)
  local found = frames.take(value)
  local code, message, name, retryable, limit = "script", "", "", false, nil
  if type(value) == "string" then
    code, message, found, limit = read_text(value, found)
  elseif type(value) == "table" then
    if fault_places[value] then found = frames.append({ tunpack(fault_places[value]) }, found) end
    message, name = message_of(value), rawget(value, "name")
    if is_fault(value) then
      code, retryable = code_of(value), rawget(value, "retryable") == true
    else
      name = ""
    end
  else
    message = kind_text(value)
  end
  return {
    code = type(code) == "string" and readable(code, MOST_NAME_BYTES) or "script",
    message = readable(message, MOST_MESSAGE_BYTES),
    name = type(name) == "string" and readable(name, MOST_NAME_BYTES) or "",
    retryable = retryable,
    limit = limit,
    frames = found,
  }
end

-- What a script caught, as an error object: a text becomes one and keeps its place, what is a table already stays what it is.
local function as_object(value)
  if type(value) == "table" then return value end
  local told = read(value)
  local object = fault(told.code, told.message)
  fault_places[object] = told.frames
  if RESERVED[told.code] then host_codes[object] = told.code end -- Lua itself was out of memory
  return object
end

-- Is it about a limit, so that catching it would only delay the end?
local function is_limit(value) return value == OUT_OF_MEMORY or is_fault(value) and host_codes[value] == "limit" end

return {
  FULL = FULL,
  as_object = as_object,
  fault = fault,
  is_limit = is_limit,
  is_memory = function(value) return value == OUT_OF_MEMORY end,
  is_reserved = function(code) return RESERVED[code] == true end,
  message = message_of,
  note_left_out = function(name, why) left_out[name] = why end,
  note_local = function(name, chunk) earlier_locals[name] = chunk end,
  raise = raise,
  read = read,
  readable_message = function(text) return readable(text, MOST_MESSAGE_BYTES) end,
  readable_name = function(text) return readable(text, MOST_NAME_BYTES) end,
  refusal = refusal,
}
