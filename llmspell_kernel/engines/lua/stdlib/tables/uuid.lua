-- uuid: uuid.v4(), a name that no other state gives.  Not a secret: it comes from the host's numbers for this state, and math.random is not touched.
local format, sub = string.format, string.sub

local high, low, count

-- The finalizer of splitmix64 (Steele, Lea, Flood 2014): another number for each number.
local function mixed(n)
  n = (n ~ (n >> 30)) * 0xbf58476d1ce4e5b9
  n = (n ~ (n >> 27)) * 0x94d049bb133111eb
  return n ~ (n >> 31)
end

local function seed()
  if #host.entropy ~= 32 then host.raise("script", "uuid.v4 needs numbers of the host, and it gave none when it opened this state") end
  high, low, count = tonumber(sub(host.entropy, 1, 16), 16), tonumber(sub(host.entropy, 17), 16), 0
end

local function v4()
  if not count then seed() end
  count = count + 1
  local a = mixed(high + count * 0x9e3779b97f4a7c15)
  local b = mixed(mixed(low + count * 0xd1342543de82ef95) ~ a)
  local hex = format("%016x%016x", a & 0xffffffffffff0fff | 0x4000, b & 0x3fffffffffffffff | math.mininteger)
  return sub(hex, 1, 8) .. "-" .. sub(hex, 9, 12) .. "-" .. sub(hex, 13, 16) .. "-" .. sub(hex, 17, 20) .. "-" .. sub(hex, 21)
end

return { v4 = v4 }
