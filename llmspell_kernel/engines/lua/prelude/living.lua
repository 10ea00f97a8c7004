-- The coroutines of a state, the script's own and those of tasks: it may hold so many that are not dead.
--
-- Those that a script merely dropped are found when the number is reached: a full collection leaves only what somebody can still resume.
local stop = ...

local next, setmetatable = next, setmetatable
local co_create, co_status = coroutine.create, coroutine.status
local huge, collect = math.huge, collectgarbage
local arm, exceed = stop.arm, stop.exceed

local living = setmetatable({}, { __mode = "k" })
local count, most = 0, huge

local function recount()
  collect()
  count = 0
  for co in next, living do
    if co_status(co) == "dead" then
      living[co] = nil
    else
      count = count + 1
    end
  end
end

local function make(fn)
  if count >= most then recount() end
  if count >= most then exceed("tasks", most, count + 1) end
  local co = arm(co_create(fn))
  living[co], count = true, count + 1
  return co
end

local function ended(co)
  if living[co] then living[co], count = nil, count - 1 end
end

return { allow = function(tasks) most = tasks end, ended = ended, make = make }
