-- inspect(v, { depth = 16, indent = 2 }): any value as text that reads like Lua.
--
-- What fits in a line stays in one, else each item has its own, indented by that many spaces; indent = 0 keeps all in one line.  Keys are sorted,
-- texts quoted, tables that hold themselves are marked <cycle>, those below the depth are {...}, and what is the host's is told by its name.
local concat, sort, find, format, gsub, rep = table.concat, table.sort, string.find, string.format, string.gsub, string.rep
local LINE = 80

local WORDS = {}
for word in string.gmatch("and break do else elseif end false for function goto if in local nil not or repeat return then true until while", "%a+") do
  WORDS[word] = true
end
local ESCAPES = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\\"] = "\\\\", ['"'] = '\\"' }

local function quoted(s)
  s = gsub(s, '[%c"\\]', function(c) return ESCAPES[c] or format("\\x%02x", string.byte(c)) end)
  if not utf8.len(s) then s = gsub(s, "[\128-\255]", function(c) return format("\\x%02x", string.byte(c)) end) end
  return '"' .. s .. '"'
end

local function scalar(v)
  local kind = type(v)
  if kind == "string" then return quoted(v) end
  if kind == "number" or kind == "boolean" or kind == "nil" then return tostring(v) end
  return kind ~= "table" and "<" .. kind .. ">" or rawequal(v, null) and "null" or host.name_of(v) and "<" .. host.name_of(v) .. ">"
end

local function key_text(key)
  if type(key) == "string" and find(key, "^[%a_][%w_]*$") and not WORDS[key] then return key end
  return "[" .. (scalar(key) or "<table>") .. "]"
end

local RANK = { number = 1, string = 2, boolean = 3 }

local function key_order(a, b)
  local kind_a, kind_b = type(a), type(b)
  local rank_a, rank_b = RANK[kind_a] or 4, RANK[kind_b] or 4
  if rank_a ~= rank_b then return rank_a < rank_b end
  if rank_a <= 2 then return a < b end
  return rank_a == 3 and not a and b
end

-- The keys beside the list part 1..count.
local function other_keys(t, count)
  local keys = {}
  for key in next, t do
    if math.type(key) ~= "integer" or key < 1 or key > count then keys[#keys + 1] = key end
  end
  sort(keys, key_order)
  return keys
end

local text_of

local function items_of(t, state, depth)
  local items, count = {}, 0
  while rawget(t, count + 1) ~= nil do
    count = count + 1
    items[count] = text_of(rawget(t, count), state, depth + 1)
  end
  for _, key in ipairs(other_keys(t, count)) do
    items[#items + 1] = key_text(key) .. " = " .. text_of(rawget(t, key), state, depth + 1)
  end
  return items
end

local function laid_out(items, state, depth)
  local line = "{" .. concat(items, ", ") .. "}"
  local step = state.indent
  if step == 0 or #line + step * depth <= LINE and not find(line, "\n", 1, true) then return line end
  local before = "\n" .. rep(" ", step * (depth + 1))
  return "{" .. before .. concat(items, "," .. before) .. ",\n" .. rep(" ", step * depth) .. "}"
end

function text_of(v, state, depth)
  local plain = scalar(v)
  if plain then return plain end
  if state[v] then return "<cycle>" end
  if next(v) == nil then return "{}" end
  if depth >= state.depth then return "{...}" end
  state[v] = true
  local text = laid_out(items_of(v, state, depth), state, depth)
  state[v] = nil
  return text
end

local function whole(value, default, most, name)
  if value == nil then return default end
  if math.type(value) ~= "integer" or value < 0 or value > most then
    host.raise("argument", "inspect: " .. name .. " must be a whole number from 0 to " .. most)
  end
  return value
end

return function(v, options)
  local given = host.options(options, { "depth", "indent" }, "inspect")
  return text_of(v, { depth = whole(given.depth, 16, 100, "depth"), indent = whole(given.indent, 2, 16, "indent") }, 0)
end
