-- The script's own coroutines: what is meant for the host passes up through them to whoever resumed them, and the answer back down.
local stop, living, frames, tasks = ...

local error, rawequal, type = error, rawequal, type
local co_close, co_isyieldable, co_resume, co_running, co_status, co_yield =
  coroutine.close, coroutine.isyieldable, coroutine.resume, coroutine.running, coroutine.status, coroutine.yield
local check, unless_stopped = stop.check, stop.unless_stopped
local ended, make = living.ended, living.make
local remember = frames.remember
local HOST, refuse_yield = tasks.HOST, tasks.refuse_yield

local function pump(co, ok, marker, ...)
  unless_stopped(ok, marker)
  if co_status(co) == "dead" then ended(co) end
  if ok and rawequal(marker, HOST) then
    if co_isyieldable() then return pump(co, co_resume(co, co_yield(HOST, ...))) end
    return pump(co, co_resume(co, false, refuse_yield(...)))
  end
  if not ok then remember(co, marker) end
  return ok, marker, ...
end

local function wrong_type(name, wanted, value)
  error("bad argument #1 to '" .. name .. "' (" .. wanted .. " expected, got " .. (value == nil and "no value" or type(value)) .. ")", 3)
end

local function create(fn)
  if type(fn) ~= "function" then wrong_type("create", "function", fn) end
  check()
  return make(fn)
end

local function resume(co, ...)
  if type(co) ~= "thread" then wrong_type("resume", "coroutine", co) end
  return pump(co, co_resume(co, ...))
end

local function close(co)
  if type(co) ~= "thread" then wrong_type("close", "coroutine", co) end
  local status = co_status(co)
  if status ~= "suspended" and status ~= "dead" then error("cannot close a " .. status .. " coroutine", 2) end
  ended(co)
  return unless_stopped(co_close(co))
end

local function unwrap(co, ok, ...)
  if ok then return ... end
  if co_status(co) == "dead" then unless_stopped(co_close(co)) end -- as Lua's own wrap does
  error((...), 0)
end

local function wrap(fn)
  if type(fn) ~= "function" then wrong_type("wrap", "function", fn) end
  check()
  local co = make(fn)
  return function(...) return unwrap(co, pump(co, co_resume(co, ...))) end
end

return {
  close = close,
  create = create,
  isyieldable = co_isyieldable,
  resume = resume,
  running = co_running,
  status = co_status,
  wrap = wrap,
  yield = co_yield,
}
