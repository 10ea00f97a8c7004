-- base64: base64.encode(s, { url = false }), where url gives - and _ for + and / and no padding; base64.decode(s) of either kind.
local takes, gsub, byte, char, find, sub = host.takes, string.gsub, string.byte, string.char, string.find, string.sub
local concat = table.concat

local VALUES = {}
local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
for i = 1, 64 do VALUES[byte(ALPHABET, i)] = i - 1 end
VALUES[45], VALUES[95] = 62, 63

local FOR_URLS = { ["+"] = "-", ["/"] = "_", ["="] = "" }

local function encode(s, options)
  local plain = host.base64(takes(s, "string", "base64.encode takes a string"))
  if not host.options(options, { "url" }, "base64.encode").url then return plain end
  return (gsub(plain, "[+/=]", FOR_URLS))
end

local function decode(s)
  takes(s, "string", "base64.decode takes a string")
  s = gsub(gsub(s, "%s+", ""), "=?=?$", "")
  local wrong = find(s, "[^%w+/_-]")
  if wrong or #s % 4 == 1 then
    host.raise("argument", "base64.decode: " .. (wrong and "byte " .. wrong .. " is not of base64" or "the text ends too early"))
  end
  local out = {}
  for i = 1, #s, 4 do
    local a, b, c, d = byte(s, i, i + 3)
    local n = VALUES[a] << 18 | VALUES[b] << 12 | (c and VALUES[c] or 0) << 6 | (d and VALUES[d] or 0)
    local three = char(n >> 16, n >> 8 & 255, n & 255)
    out[#out + 1] = d and three or sub(three, 1, c and 2 or 1)
  end
  return concat(out)
end

return { decode = decode, encode = encode }
