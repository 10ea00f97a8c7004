-- Waiting for tasks: for one, for all, for the first that ends and for the first that succeeds.
--
-- Rules
-- * Who waits for one task owns nothing: a task goes on when its waiter gives up.
-- * all, race and any own what they wait for: it is cancelled when it is of no more use, and with the task that waits.
local faults, tasks = ...

local error, ipairs, type = error, ipairs, type
local concat, unpack = table.concat, table.unpack
local fault, raise = faults.fault, faults.raise
local cancel, see, wait_for = tasks.cancel, tasks.see, tasks.wait_for

local MOST_NAMED = 20

local function outcome(task)
  see(task)
  if task.ok then return unpack(task.results, 1, task.results.n) end
  error(task.error, 0)
end

local function await(task)
  if not task.done then wait_for(task, "task:await()") end
  return outcome(task)
end

local function add_gate(task, gate)
  local gates = task.gates
  local last = #gates
  gates[last > 0 and gates[last].done and last or last + 1] = gate -- one that is open already has no more use
end

-- A gate opens at the first success or failure, as asked, or when nothing is left.
local function gate_of(list, at_success, at_failure)
  local gate = { done = false, waiters = {}, left = 0, at_success = at_success, at_failure = at_failure }
  for _, task in ipairs(list) do
    if task.done and not gate.winner and (task.ok and at_success or not task.ok and at_failure) then gate.winner = task end
  end
  if gate.winner then return gate end
  for _, task in ipairs(list) do
    if not task.done then
      gate.left = gate.left + 1
      add_gate(task, gate)
    end
  end
  return gate
end

-- The first task of the list that ends as asked, nil when all have ended otherwise.
local function first(list, at_success, at_failure, label, owned)
  local gate = gate_of(list, at_success, at_failure)
  if not gate.winner and gate.left > 0 then wait_for(gate, label, owned) end
  return gate.winner
end

local function let_go(list)
  for _, task in ipairs(list) do
    see(task)
    cancel(task)
  end
end

-- Waits until all have ended.  At the first failure the others are cancelled and it is raised.
local function join(list)
  local failed = first(list, false, true, "async.all", list)
  if not failed then return end
  let_go(list)
  error(failed.error, 0)
end

local function race(list)
  local winner = first(list, true, true, "async.race", list)
  let_go(list)
  return outcome(winner)
end

local function message_of(value)
  if type(value) == "string" then return value end
  return faults.message(value)
end

local function any(list)
  local winner = first(list, true, false, "async.any", list)
  let_go(list)
  if winner then return outcome(winner) end
  local errors, texts = {}, {}
  for i, task in ipairs(list) do
    errors[i] = task.error
    if i <= MOST_NAMED then texts[i] = i .. ": " .. message_of(task.error) end
  end
  local all = fault("all_failed", "all " .. #list .. " failed: " .. concat(texts, "; ") .. (#list > MOST_NAMED and "; ..." or ""))
  all.errors = errors
  error(all, 0)
end

-- Waits for a task until the clock, another task, has ended.
local function await_until(task, clock, late)
  first({ task, clock }, true, true, "task:await()", { clock })
  if task.done then
    see(clock)
    cancel(clock)
    return outcome(task)
  end
  outcome(clock)
  raise("timeout", late)
end

return { any = any, await = await, await_until = await_until, join = join, race = race }
