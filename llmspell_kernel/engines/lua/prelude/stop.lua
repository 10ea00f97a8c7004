-- The stop: a flag that the host raises, or a limit that is met here, and the hook that turns it into an error no script can keep.
--
-- Rules
-- * Hooks are per coroutine: every coroutine, a task's or a script's own, is armed before it first runs.
-- * Once stopped, the stop error passes through pcall, xpcall, coroutines and __close: the hook fires on every instruction until the task is gone.
-- * A hook counts the instructions of its own coroutine, so who makes fresh coroutines forever looks at the flag as they are made (`check`).
-- * At the limit of the C stack the hook itself cannot be called, so who catches a failure looks at the flag too (`unless_stopped`).
-- * Lua's own error of a full memory is a limit too: who catches it is stopped there.  Nothing is allocated on that way.
-- * All coroutines of a state share one budget.  It is counted up to the next full HOOK_COUNT of each, so that none is free for being short.
local settings, output, frames = ...

local error, rawequal, setmetatable, type = error, rawequal, setmetatable, type
local find = string.find
local sethook, getenv, huge, running = debug.sethook, os.getenv, math.huge, coroutine.running
local flush_when_due = output.flush_when_due
local places_of = frames.places
local VARIABLE, HOOK_COUNT = settings.stop_variable, settings.hook_count

local OUT_OF_MEMORY = "not enough memory" -- Lua's own text
local FULL = { name = "memory_bytes", value = settings.memory_bytes, used = settings.memory_bytes }
local STOP = setmetatable({}, { __tostring = function() return "stopped" end, __metatable = false })
local stopped = false
local limit -- what was met, as { name, value, used }; nil where the host stopped the script
local places -- where the script was when it was stopped
local most, spent = huge, 0 -- instructions that the cell may run, and has run
local earlier = 0 -- what earlier cells have run

-- A limit of the cell is met: whatever runs ends, as after the host's stop.
local function meet(name, value, used)
  if not stopped then stopped, limit = true, { name = name, value = value, used = used } end
end

local function spend()
  if stopped then return end
  spent = spent + HOOK_COUNT
  if spent > most then meet("instructions", most, spent) end
end

-- The variable's text is a byte in a page that the host writes to, so this sees a stop without any message.
local function poll()
  if not stopped and getenv(VARIABLE) ~= "0" then stopped = true end
  return stopped
end

local hook

local function halt()
  places = places or limit ~= FULL and places_of((running())) or nil
  sethook(hook, "", 1)
  error(STOP, 0)
end

function hook()
  spend()
  if poll() then halt() end
  flush_when_due()
end

local function check()
  if poll() then halt() end
end

-- A limit is met by what the script does just now.  The main coroutine is the host's: what it asks for is stopped before it begins.
local function exceed(name, value, used)
  meet(name, value, used)
  local _, is_main = running()
  if not is_main then halt() end
end

local function arm(co)
  spend()
  sethook(co, hook, "", HOOK_COUNT)
  return co
end

-- Looks at what a protected call caught.
local function look_at(value)
  if rawequal(value, OUT_OF_MEMORY) then
    stopped, limit = true, FULL
  elseif type(value) == "string" and find(value, "stack overflow", 1, true) then -- in place of the hook, which may have failed in the same way
    spend()
    flush_when_due()
  end
end

-- Given the results of a protected call: raises the stop again where the call swallowed it.
local function unless_stopped(ok, ...)
  if not ok and not poll() then look_at((...)) end
  if stopped then halt() end
  return ok, ...
end

-- What follows has a budget of its own.
local function renew() earlier, spent = earlier + spent, 0 end

local function clear()
  renew()
  stopped, limit, places = false, nil, nil
end

return {
  STOP = STOP,
  allow = function(instructions) most = instructions end,
  arm = arm,
  check = check,
  clear = clear,
  exceed = exceed,
  limit = function() return limit end,
  places = function() return places end,
  poll = poll,
  renew = renew,
  run_so_far = function() return earlier + spent end,
  spent = function() return spent end,
  stopped = function() return stopped end,
  unless_stopped = unless_stopped,
}
