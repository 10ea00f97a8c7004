-- Effects on their way: numbered, written when they are asked, and told to the host with the next step.
--
-- Rule: an effect that its task gave up is withdrawn where the host has not heard of it yet, and abandoned where it has.
local stop, values = ...

local huge, select = math.huge, select
local concat = table.concat
local arguments_text, quote = values.arguments_text, values.quote

local newest, sent = 0, 0 -- the newest effect; the newest one that the host knows
local fresh, abandoned = {}, {} -- texts of sent + 1 .. newest, false where withdrawn; ids
local sizes, count, bytes = {}, 0, 0 -- of those that wait for their answers: by id the length of the arguments, and both in all
local most_count, most_bytes = huge, huge

local function check_room(size)
  if count >= most_count then stop.exceed("calls_in_flight", most_count, count + 1) end
  if bytes + size > most_bytes then stop.exceed("call_bytes", most_bytes, bytes + size) end
end

local function ask(bridge, method, target, ...)
  local arguments = arguments_text(select("#", ...), ...)
  check_room(#arguments)
  newest = newest + 1
  sizes[newest], count, bytes = #arguments, count + 1, bytes + #arguments
  fresh[#fresh + 1] = '{"id":' .. newest .. ',"bridge":' .. quote(bridge) .. ',"method":' .. quote(method)
    .. ',"args":' .. arguments .. (target and ',"target":' .. target or "") .. "}"
  return newest
end

-- It has its answer, or nobody waits for one.
local function settled(id)
  local size = sizes[id]
  if size then sizes[id], count, bytes = nil, count - 1, bytes - size end
end

local function give_up(id)
  settled(id)
  if id > sent then
    fresh[id - sent] = false
  else
    abandoned[#abandoned + 1] = id
  end
end

local function told() fresh, abandoned, sent = {}, {}, newest end

local function forget()
  told()
  sizes, count, bytes = {}, 0, 0
end

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
  told()
  return effects, forgotten
end

return {
  allow = function(calls, call_bytes) most_count, most_bytes = calls, call_bytes end,
  ask = ask,
  forget = forget,
  give_up = give_up,
  settled = settled,
  take = take,
}
