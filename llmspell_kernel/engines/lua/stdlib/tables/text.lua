-- text: what the string library lacks.
--
-- text.split(s, separator, most)   the parts between a plain separator ("" = every character; none = white space), at most so many
-- text.trim(s)   text.lines(s)     without white space at both ends; the lines, without their endings
-- text.template(s, values)         {{name}} and {{user.name}} replaced; a name that is not there is an error, tables become JSON
-- text.wrap(s, width, indent)      lines of at most `width` characters (80), all but the first after `indent`
-- text.dedent(s)                   without the white space that all lines begin with, and without a first line that is empty
-- text.starts_with(s, prefix)   text.ends_with(s, suffix)
local takes = host.takes
local concat, find, gmatch, gsub, match, sub = table.concat, string.find, string.gmatch, string.gsub, string.match, string.sub
local huge = math.huge

local function texts(label, a, b)
  takes(a, "string", label .. " takes a string")
  return takes(b, "string", label .. " takes a string as its second argument")
end

local function characters(s, most)
  if not utf8.len(s) then host.raise("argument", "text.split: the text is not valid UTF-8, so it has no characters") end
  local parts = array({})
  for at, code in utf8.codes(s) do
    if #parts + 1 == most then
      parts[#parts + 1] = sub(s, at)
      break
    end
    parts[#parts + 1] = utf8.char(code)
  end
  return parts
end

local function trim(s) return match(takes(s, "string", "text.trim takes a string"), "^%s*(.-)%s*$") end

local function split(s, separator, most)
  takes(s, "string", "text.split takes a string")
  most = most == nil and huge or takes(most, "number", "text.split takes a number of parts as its third argument")
  if most < 1 then host.raise("argument", "text.split: the number of parts must be at least 1") end
  if separator == "" then return characters(s, most) end
  if separator == nil then s = trim(s) end
  if separator == nil and s == "" then return array({}) end
  local plain = separator ~= nil
  local pattern = plain and takes(separator, "string", "text.split takes a string as its separator") or "%s+"
  local parts, from = array({}), 1
  while #parts + 1 < most do
    local first, last = find(s, pattern, from, plain)
    if not first then break end
    parts[#parts + 1] = sub(s, from, first - 1)
    from = last + 1
  end
  parts[#parts + 1] = sub(s, from)
  return parts
end

local function lines(s)
  takes(s, "string", "text.lines takes a string")
  local out, from = array({}), 1
  while from <= #s do
    local stop = find(s, "\n", from, true) or #s + 1
    out[#out + 1] = gsub(sub(s, from, stop - 1), "\r$", "")
    from = stop + 1
  end
  return out
end

local function names_of(t)
  local names = {}
  for key in next, t do names[#names + 1] = type(key) == "string" and key or nil end
  table.sort(names)
  return names
end

local function value_at(values, path)
  local value = values
  for name in gmatch(path, "[^.]+") do
    local owner = value
    value = type(owner) == "table" and (owner[name] == nil and owner[math.tointeger(tonumber(name))] or owner[name])
    if value == nil or value == false and type(owner) ~= "table" then
      local hint = type(owner) == "table" and next(owner) ~= nil and host.hint(name, names_of(owner), "there is") or ""
      host.raise("argument", "text.template: there is no value for {{" .. path .. "}}" .. hint)
    end
  end
  return value
end

local function shown(value) return type(value) == "table" and not host.name_of(value) and host.json_text(value) or tostring(value) end

local function template(s, values)
  takes(s, "string", "text.template takes a string")
  takes(values, "table", "text.template takes a table of values as its second argument")
  local out, from = {}, 1
  while true do
    local first, last, path = find(s, "{{%s*([%w_][%w_.]*)%s*}}", from)
    if not first then break end
    out[#out + 1] = sub(s, from, first - 1)
    out[#out + 1] = shown(value_at(values, path))
    from = last + 1
  end
  out[#out + 1] = sub(s, from)
  return concat(out)
end

local function length(s) return utf8.len(s) or #s end

local function wrapped(paragraph, width, indent, out)
  local line = nil
  for word in gmatch(paragraph, "%S+") do
    local longer = line and line .. " " .. word
    if longer and length(longer) <= width then
      line = longer
    else
      if line then out[#out + 1] = line end
      line = (#out > 0 and indent or "") .. word
    end
  end
  out[#out + 1] = line or ""
end

local function wrap(s, width, indent)
  takes(s, "string", "text.wrap takes a string")
  width = width == nil and 80 or takes(width, "number", "text.wrap takes a width as its second argument")
  indent = indent == nil and "" or takes(indent, "string", "text.wrap takes a string as its indent")
  if width < 1 then host.raise("argument", "text.wrap: the width must be at least 1") end
  local out = {}
  for _, paragraph in ipairs(lines(s)) do wrapped(paragraph, width, indent, out) end
  return concat(out, "\n")
end

local function dedent(s)
  takes(s, "string", "text.dedent takes a string")
  s = gsub(s, "^[ \t]*\r?\n", "")
  local least
  for line in gmatch(s .. "\n", "(.-)\n") do
    local before = find(line, "%S") and match(line, "^[ \t]*")
    if before and (not least or #before < #least) then least = before end
  end
  if not least or least == "" then return s end
  local out = {}
  for line in gmatch(s .. "\n", "(.-)\n") do out[#out + 1] = find(line, "%S") and sub(line, #least + 1) or "" end
  return concat(out, "\n")
end

local function starts_with(s, prefix)
  texts("text.starts_with", s, prefix)
  return sub(s, 1, #prefix) == prefix
end

local function ends_with(s, suffix)
  texts("text.ends_with", s, suffix)
  return suffix == "" or sub(s, -#suffix) == suffix
end

return {
  dedent = dedent, ends_with = ends_with, lines = lines, split = split, starts_with = starts_with, template = template, trim = trim, wrap = wrap,
}
