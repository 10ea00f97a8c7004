-- Tasks and effects: a cell, what it spawns and what the host calls are coroutines that wait for the host or for each other.
--
-- Rules
-- * HOST is passed up by every yield that is meant for the scheduler; scripts never see it, and what a script yields is compared raw.
-- * A task belongs to the cell, which waits for it and ends it, or to the background, which outlives cells; what a task spawns belongs where it does.
local stop, living, frames, faults, effects = ...

local error, ipairs, next, rawequal = error, ipairs, next, rawequal
local co_close, co_isyieldable, co_resume, co_status, co_yield =
  coroutine.close, coroutine.isyieldable, coroutine.resume, coroutine.status, coroutine.yield
local pack, sort, unpack = table.pack, table.sort, table.unpack
local stopped, unless_stopped = stop.stopped, stop.unless_stopped
local remember = frames.remember
local fault, raise = faults.fault, faults.raise
local ask, give_up, settled = effects.ask, effects.give_up, effects.settled

local HOST = {}
local NOT_HERE = " cannot wait inside a callback of string.gsub, table.sort or a similar function"

local main_task -- nil while no cell runs
local current -- the task whose slice runs
local cell, background -- groups
local ready, ready_first, ready_last -- entries { task, values }
local waiting = {} -- effect id -> task
local task_count = 0

-- `live` tasks, `open` effects that they wait for, and those that failed while nobody waited -> what is told of it.
local function new_group() return { live = {}, count = 0, open = 0, unseen = {} } end

local function enqueue(task, ...)
  ready_last = ready_last + 1
  ready[ready_last] = { task = task, values = pack(...) }
end

local function forget_ready() ready, ready_first, ready_last = {}, 1, 0 end

local function new_task(group) return { group = group, number = 0, done = false, waiters = {}, gates = {} } end

local function start_in(group, fn, ...)
  local task = new_task(group)
  task.co = living.make(fn)
  group.live[task], group.count = true, group.count + 1
  enqueue(task, ...)
  return task
end

local function spawn_in(group, fn, ...)
  local task = start_in(group, fn, ...)
  task_count = task_count + 1
  task.number, task.module = task_count, current and current.module
  return task
end

local function own_group() return current and current.group or main_task and cell or background end

local function spawn(fn, ...) return spawn_in(own_group(), fn, ...) end

local function spawn_background(fn, name)
  local task = spawn_in(background, fn)
  task.name = name
  return task
end

local function spawn_main(fn, ...)
  cell = new_group()
  main_task = start_in(cell, fn, ...)
end

local function yield_to_host(kind, what) return unless_stopped(co_yield(HOST, kind, what)) end

local function call(bridge, method, target, ...)
  if not co_isyieldable() then raise("script", bridge .. "." .. method .. NOT_HERE .. "; collect what it needs first and call it in a loop") end
  local ok, value = yield_to_host("effect", ask(bridge, method, target, ...))
  if ok then return value end
  error(value, 0)
end

-- Takes back what was yielded where it cannot be passed on, and returns the fault that says so.
local function refuse_yield(kind, what)
  if kind == "effect" then give_up(what) end
  return fault("script", "a call to the host" .. NOT_HERE .. ", also from a coroutine that is resumed there")
end

-- Waits until `what`, a task or a gate, is done.  The `owned` tasks are cancelled with the one that waits.
local function wait_for(what, label, owned)
  if not co_isyieldable() then raise("script", label .. NOT_HERE) end
  local task = current
  task.owned, task.waits_for = owned, what
  local ok, problem = yield_to_host("join", what)
  task.owned, task.waits_for = nil, nil
  if ok == false then error(problem, 0) end
end

-- Tells a gate (see gates.lua) of a task that has ended.
local function pass(gate, task)
  gate.left = gate.left - 1
  if gate.done then return end
  if task.ok and gate.at_success or not task.ok and gate.at_failure then gate.winner = task end
  if gate.winner or gate.left == 0 then
    gate.done = true
    for _, waiter in ipairs(gate.waiters) do enqueue(waiter) end
  end
end

local function end_task(task, ok)
  task.done, task.ok = true, ok
  if task.co then living.ended(task.co) end
  local group = task.group
  if group.live[task] then group.live[task], group.count = nil, group.count - 1 end
end

local function announce(task)
  for _, waiter in ipairs(task.waiters) do enqueue(waiter) end
  for _, gate in ipairs(task.gates) do pass(gate, task) end
  if task.on_done then task.on_done(task) end
end

local function no_longer_waits(task)
  settled(task.effect)
  waiting[task.effect] = nil
  task.group.open = task.group.open - 1
  task.effect = nil
end

-- Runs what a coroutine that waits has to close; never after a stop: one that died inside its hook runs __close with hooks off.
local function close(task)
  if not task.co or stopped() or co_status(task.co) ~= "suspended" then return end
  local before = current
  current = task
  co_close(task.co)
  current = before
end

-- Forget a task: nobody waits for its effect any more.
local function cancel(task, why)
  if task.done then return end
  task.error = fault("cancelled", why or "the task was cancelled")
  end_task(task, false)
  if task.effect then
    give_up(task.effect)
    no_longer_waits(task)
  end
  local what = task.waits_for
  if what and what.left then what.done = true end -- a gate that nobody stands at
  for _, owned in ipairs(task.owned or {}) do cancel(owned) end
  close(task)
  announce(task)
end

local function by_number(a, b) return a.number < b.number end

local function live_tasks(group)
  local list = {}
  for task in next, group.live do list[#list + 1] = task end
  sort(list, by_number)
  return list
end

-- What is to be closed may spawn while it is closed: such tasks never begin.
local function end_group(group, why)
  while group.count > 0 and not stopped() do
    for _, task in ipairs(live_tasks(group)) do cancel(task, why) end
  end
end

-- A failure that nobody waits for: the cell's error, or told beside the cell's end, with its places as they are now.
local function note_unseen(task)
  local group = current and current.group or task.group
  task.unseen_in = group
  group.unseen[task] = group == background and faults.read(task.error) or true
  if group == background and faults.is_memory(task.error) then end_group(background, faults.FULL) end
end

local function see(task)
  if task.unseen_in then task.unseen_in.unseen[task] = nil end
end

local function is_awaited(task)
  if task == main_task or task.on_done then return true end
  for _, waiter in ipairs(task.waiters) do
    if not waiter.done then return true end
  end
  for _, gate in ipairs(task.gates) do
    if not gate.done then return true end
  end
  return false
end

local function finish_task(task, ok, ...)
  if task.done then return end
  if ok then
    task.results = pack(...)
  else
    task.error = ...
  end
  end_task(task, ok)
  if not ok and not is_awaited(task) then note_unseen(task) end
  announce(task)
end

-- A task without a coroutine, which somebody else settles.
local function deferred() return new_task(own_group()) end

local function fail_task(task, value)
  if not stopped() then
    remember(task.co, value)
    co_close(task.co) -- as a protected call would
  end
  finish_task(task, false, value)
end

local function after_slice(task, ok, ...)
  if not ok then return fail_task(task, (...)) end
  local marker, kind, what = ...
  if task.done then -- it cancelled itself
    if rawequal(marker, HOST) and kind == "effect" then give_up(what) end
    close(task)
  elseif co_status(task.co) == "dead" then
    return finish_task(task, true, ...)
  elseif not rawequal(marker, HOST) then
    return finish_task(task, false, "attempt to yield from outside a coroutine")
  elseif kind == "effect" then
    waiting[what], task.effect = task, what
    task.group.open = task.group.open + 1
  elseif what.done then
    enqueue(task)
  else
    what.waiters[#what.waiters + 1] = task
  end
end

local function run_slice(entry)
  local task = entry.task
  if task.done then return end
  current = task
  after_slice(task, co_resume(task.co, unpack(entry.values, 1, entry.values.n)))
  current = nil
end

-- Runs what can run, until the main task fails, everything waits, or a stop.
local function run()
  while ready_first <= ready_last and not stopped() do
    local entry = ready[ready_first]
    ready[ready_first] = nil
    ready_first = ready_first + 1
    run_slice(entry)
    if main_task and main_task.done and not main_task.ok then return end
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
  for task in next, cell.unseen do
    if not first or task.number < first.number then first = task end
  end
  return first
end

-- What failed in the background since the last time this was asked, in the order of its beginning.
local MOST_FAILURES = 20 -- told of in one step; each may be of 64 KiB, and a step has room for so much

local function take_background_failures()
  local failed, records = {}, {}
  for task in next, background.unseen do failed[#failed + 1] = task end
  sort(failed, by_number)
  for i = 1, #failed < MOST_FAILURES and #failed or MOST_FAILURES do records[i] = background.unseen[failed[i]] end
  background.unseen = {}
  return records
end

-- The cell is over: what it left is cancelled, and whoever in the background waited for that is told.
local function end_cell()
  end_group(cell, "the task ended with its cell")
  main_task = nil
end

-- After a stop or out of memory nothing goes on, and nothing of the script runs any more.
local function end_all(why)
  for _, group in ipairs({ cell, background }) do
    for task in next, group.live do
      if task.co then living.ended(task.co) end
      task.done, task.ok, task.error = true, false, fault("cancelled", why)
    end
  end
  cell, background, main_task, current = new_group(), new_group(), nil, nil
  waiting = {}
  effects.forget()
  forget_ready()
end

local function open_effects()
  local ids = {}
  for id in next, waiting do ids[#ids + 1] = id end
  sort(ids)
  return ids
end

cell, background = new_group(), new_group()
forget_ready()

return {
  HOST = HOST,
  answer = function(id, value) return answer(id, true, value) end,
  background_tasks = function() return live_tasks(background) end,
  call = call,
  cancel = cancel,
  cell_tasks = function() return live_tasks(cell) end,
  current = function() return current end,
  deferred = deferred,
  end_all = end_all,
  end_cell = end_cell,
  first_unseen = first_unseen,
  label = function(task) return task.name or "task " .. task.number end,
  main = function() return main_task end,
  open_effects = open_effects,
  refuse = function(id, refused) return answer(id, false, refused) end,
  refuse_yield = refuse_yield,
  run = run,
  see = see,
  settle = finish_task,
  spawn = spawn,
  spawn_background = spawn_background,
  spawn_main = spawn_main,
  take_background_failures = take_background_failures,
  wait_for = wait_for,
  waits = function() return cell.open > 0 or cell.count > 0 and background.open > 0 end,
}
