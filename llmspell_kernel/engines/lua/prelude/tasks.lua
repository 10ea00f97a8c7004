-- Tasks and effects: a cell, what it spawns and what the host calls are coroutines that wait for the host or for each other.
--
-- Rules
-- * HOST is passed up by every yield that is meant for the scheduler; scripts never see it, and what a script yields is compared raw.
-- * An effect that its task gave up is withdrawn where the host has not heard of it yet, and abandoned where it has.
local stop, frames, faults, values = ...

local error, ipairs, next, rawequal, select = error, ipairs, next, rawequal, select
local co_close, co_create, co_isyieldable, co_resume, co_status, co_yield =
  coroutine.close, coroutine.create, coroutine.isyieldable, coroutine.resume, coroutine.status, coroutine.yield
local concat, pack, unpack = table.concat, table.pack, table.unpack
local arm, stopped, unless_stopped = stop.arm, stop.stopped, stop.unless_stopped
local remember = frames.remember
local fault, raise = faults.fault, faults.raise
local arguments_text, quote = values.arguments_text, values.quote

local HOST = {}
local NOT_HERE = " cannot wait inside a callback of string.gsub, table.sort or a similar function"

local main_task
local ready, ready_first, ready_last -- entries { task, values }
local waiting, waiting_count -- effect id -> task
local failed_unseen -- tasks that failed while nobody waited -> true
local task_count = 0
local effect_id, sent_id = 0, 0 -- the newest effect; the newest one that the host knows
local new_effects, abandoned -- texts of sent_id + 1 .. effect_id, false where withdrawn; ids

local function reset()
  main_task = nil
  ready, ready_first, ready_last = {}, 1, 0
  waiting, waiting_count = {}, 0
  new_effects, abandoned, failed_unseen = {}, {}, {}
  sent_id = effect_id
end

local function enqueue(task, ...)
  ready_last = ready_last + 1
  ready[ready_last] = { task = task, values = pack(...) }
end

local function spawn(fn, ...)
  task_count = task_count + 1
  local task = { co = arm(co_create(fn)), number = task_count, done = false, waiters = {}, gates = {} }
  enqueue(task, ...)
  return task
end

local function spawn_main(fn, ...) main_task = spawn(fn, ...) end

local function yield_to_host(kind, what) return unless_stopped(co_yield(HOST, kind, what)) end

local function call(bridge, method, target, ...)
  if not co_isyieldable() then raise("script", bridge .. "." .. method .. NOT_HERE .. "; collect what it needs first and call it in a loop") end
  local arguments = arguments_text(select("#", ...), ...)
  effect_id = effect_id + 1
  new_effects[#new_effects + 1] = '{"id":' .. effect_id .. ',"bridge":' .. quote(bridge) .. ',"method":' .. quote(method)
    .. ',"args":' .. arguments .. (target and ',"target":' .. target or "") .. "}"
  local ok, value = yield_to_host("effect", effect_id)
  if ok then return value end
  error(value, 0)
end

local function give_up(id)
  if id > sent_id then
    new_effects[id - sent_id] = false
  else
    abandoned[#abandoned + 1] = id
  end
end

-- Takes back what was yielded where it cannot be passed on, and returns the fault that says so.
local function refuse_yield(kind, what)
  if kind == "effect" then give_up(what) end
  return fault("script", "a call to the host" .. NOT_HERE .. ", also from a coroutine that is resumed there")
end

-- Waits until somebody enqueues the task again.
local function wait_for(what)
  local ok, problem = yield_to_host("join", what)
  if ok == false then error(problem, 0) end
end

local function await(task)
  if not co_isyieldable() then raise("script", "task:await()" .. NOT_HERE) end
  if not task.done then wait_for(task) end
  failed_unseen[task] = nil
  if task.ok then return unpack(task.results, 1, task.results.n) end
  error(task.error, 0)
end

-- Wakes whoever waits for a task that has ended.  A gate (see join) opens at the first failure or when nothing is left.
local function announce(task)
  for _, waiter in ipairs(task.waiters) do enqueue(waiter) end
  for _, gate in ipairs(task.gates) do
    gate.left = gate.left - 1
    if not task.ok and not gate.failed then gate.failed = task end
    if not gate.done and (gate.failed or gate.left == 0) then
      gate.done = true
      for _, waiter in ipairs(gate.waiters) do enqueue(waiter) end
    end
  end
end

local function no_longer_waits(task)
  waiting[task.effect] = nil
  waiting_count = waiting_count - 1
  task.effect = nil
end

-- Forget a task: nobody waits for its effect any more.
local function cancel(task)
  if task.done then return end
  task.done, task.ok, task.error = true, false, fault("cancelled", "the task was cancelled")
  if task.effect then
    give_up(task.effect)
    no_longer_waits(task)
  end
  announce(task)
end

local function gate_of(tasks)
  local gate = { done = false, waiters = {}, left = 0 }
  for _, task in ipairs(tasks) do
    if not task.done then
      gate.left = gate.left + 1
      task.gates[#task.gates + 1] = gate
    elseif not task.ok and not gate.failed then
      gate.failed = task
    end
  end
  return gate
end

-- Waits until all tasks have ended.  At the first failure the others are cancelled and it is raised.
local function join(tasks)
  if not co_isyieldable() then raise("script", "async.join" .. NOT_HERE) end
  local gate = gate_of(tasks)
  if gate.left > 0 and not gate.failed then wait_for(gate) end
  for _, task in ipairs(tasks) do
    failed_unseen[task] = nil
    if gate.failed then cancel(task) end
  end
  if gate.failed then error(gate.failed.error, 0) end
end

local function finish_task(task, ok, ...)
  task.done, task.ok = true, ok
  if ok then
    task.results = pack(...)
  else
    task.error = ...
    if task ~= main_task and not task.on_done then failed_unseen[task] = true end
  end
  announce(task)
  if task.on_done then task.on_done(task) end
end

local function fail_task(task, value)
  if not stopped() then
    remember(task.co, value)
    co_close(task.co) -- as a protected call would; never after a stop: a coroutine that died inside its hook runs __close with hooks off
  end
  if not task.done then finish_task(task, false, value) end
end

local function after_slice(task, ok, ...)
  if not ok then return fail_task(task, (...)) end
  local marker, kind, what = ...
  if task.done then -- it cancelled itself
    if rawequal(marker, HOST) and kind == "effect" then give_up(what) end
  elseif co_status(task.co) == "dead" then
    return finish_task(task, true, ...)
  elseif not rawequal(marker, HOST) then
    return finish_task(task, false, "attempt to yield from outside a coroutine")
  elseif kind == "effect" then
    waiting[what], task.effect = task, what
    waiting_count = waiting_count + 1
  elseif what.done then
    enqueue(task)
  else
    what.waiters[#what.waiters + 1] = task
  end
end

local function run_slice(entry)
  local task = entry.task
  if task.done then return end
  after_slice(task, co_resume(task.co, unpack(entry.values, 1, entry.values.n)))
end

-- Runs what can run, until the main task fails, everything waits, or a stop.
local function run()
  while ready_first <= ready_last and not stopped() do
    local entry = ready[ready_first]
    ready[ready_first] = nil
    ready_first = ready_first + 1
    run_slice(entry)
    if main_task.done and not main_task.ok then return end
  end
end

local function answer(id, ok, value)
  local task = waiting[id]
  if not task then return end
  no_longer_waits(task)
  enqueue(task, ok, value)
end

local function first_unseen()
  local first
  for task in next, failed_unseen do
    if not first or task.number < first.number then first = task end
  end
  return first
end

-- The texts of the effects that the host must hear of now, and of the ids it must forget.
local function take_asked()
  local asked, count = {}, 0
  for i = 1, effect_id - sent_id do
    if new_effects[i] then
      count = count + 1
      asked[count] = new_effects[i]
    end
  end
  local effects, forgotten = concat(asked, ","), concat(abandoned, ",")
  new_effects, abandoned, sent_id = {}, {}, effect_id
  return effects, forgotten
end

reset()

return {
  HOST = HOST,
  answer = function(id, value) return answer(id, true, value) end,
  await = await,
  call = call,
  cancel = cancel,
  first_unseen = first_unseen,
  join = join,
  main = function() return main_task end,
  refuse = function(id, refused) return answer(id, false, refused) end,
  refuse_yield = refuse_yield,
  reset = reset,
  run = run,
  spawn = spawn,
  spawn_main = spawn_main,
  take_asked = take_asked,
  waits = function() return waiting_count > 0 end,
}
