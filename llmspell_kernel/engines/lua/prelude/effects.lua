-- Effects on their way: numbered, written when they are asked, and told to the host with the next step.
--
-- Rule: an effect that its task gave up is withdrawn where the host has not heard of it yet, and abandoned where it has.
local values = ...

local select = select
local concat = table.concat
local arguments_text, quote = values.arguments_text, values.quote

local newest, sent = 0, 0 -- the newest effect; the newest one that the host knows
local fresh, abandoned = {}, {} -- texts of sent + 1 .. newest, false where withdrawn; ids

local function ask(bridge, method, target, ...)
  local arguments = arguments_text(select("#", ...), ...)
  newest = newest + 1
  fresh[#fresh + 1] = '{"id":' .. newest .. ',"bridge":' .. quote(bridge) .. ',"method":' .. quote(method)
    .. ',"args":' .. arguments .. (target and ',"target":' .. target or "") .. "}"
  return newest
end

local function give_up(id)
  if id > sent then
    fresh[id - sent] = false
  else
    abandoned[#abandoned + 1] = id
  end
end

local function forget() fresh, abandoned, sent = {}, {}, newest end

-- The texts of the effects that the host must hear of now, and of the ids it must forget.
local function take()
  local asked, count = {}, 0
  for i = 1, newest - sent do
    if fresh[i] then
      count = count + 1
      asked[count] = fresh[i]
    end
  end
  local effects, forgotten = concat(asked, ","), concat(abandoned, ",")
  forget()
  return effects, forgotten
end

return { ask = ask, forget = forget, give_up = give_up, take = take }
