-- The soft stop: a flag that the host raises, and the hook that turns it into an error no script can keep.
--
-- Rules
-- * Hooks are per coroutine: every coroutine, a task's or a script's own, is armed before it first runs.
-- * Once stopped, the stop error passes through pcall, xpcall, coroutines and __close: the hook fires on every instruction until the task is gone.
-- * A hook counts the instructions of its own coroutine, so who makes fresh coroutines forever looks at the flag as they are made (`check`).
-- * At the limit of the C stack the hook itself cannot be called, so who catches a failure looks at the flag too (`unless_stopped`).
local settings, output = ...

local error, setmetatable = error, setmetatable
local sethook, getenv = debug.sethook, os.getenv
local flush_when_due = output.flush_when_due
local VARIABLE, HOOK_COUNT = settings.stop_variable, settings.hook_count

local STOP = setmetatable({}, { __tostring = function() return "stopped" end, __metatable = false })
local stopped = false

-- The variable's text is a byte in a page that the host writes to, so this sees a stop without any message.
local function poll()
  if not stopped and getenv(VARIABLE) ~= "0" then stopped = true end
  return stopped
end

local hook

local function halt()
  sethook(hook, "", 1)
  error(STOP, 0)
end

function hook()
  if poll() then halt() end
  flush_when_due()
end

local function check()
  if poll() then halt() end
end

local function arm(co)
  sethook(co, hook, "", HOOK_COUNT)
  return co
end

-- Given the results of a protected call: raises the stop again where the call swallowed it.
local function unless_stopped(ok, ...)
  if not ok then poll() end
  if stopped then halt() end
  return ok, ...
end

return {
  STOP = STOP,
  arm = arm,
  check = check,
  clear = function() stopped = false end,
  poll = poll,
  stopped = function() return stopped end,
  unless_stopped = unless_stopped,
}
