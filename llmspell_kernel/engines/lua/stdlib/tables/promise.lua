-- promise: values to come, in the manner of JavaScript, over tasks.
--
-- promise.new(function(resolve, reject) ... end)   the function runs as a task of its own, so it may call the host.
-- promise.resolve(v), promise.reject(e), promise.all(list), promise.race(list), promise.any(list)
-- p:next(fn, on_error), p:and_then(fn, on_error), p:catch(fn), p:finally(fn), p:await([timeout_s]), p:cancel(), p:done()
--
-- A promise is a task to async.all and its like.  A failure that nobody handles is the cell's error.
local handles, tasks, gates, takes = host.handles, host.tasks, host.gates, host.takes

local PROMISE
local is_promise = setmetatable({}, { __mode = "k" }) -- handle

local function promise_of(task)
  local handle = handles.wrap(task, PROMISE)
  is_promise[handle] = true
  return handle
end

-- The value, or what it gives once it is there.
local function adopted(value)
  local task = handles.of(value)
  if task then return gates.await(task) end
  return value
end

local function follow(task, on_value, on_error)
  return promise_of(tasks.spawn(function()
    local ok, value = pcall(gates.await, task)
    local handler = on_error
    if ok then handler = on_value end
    if handler then return adopted(handler(value)) end
    if ok then return value end
    error(value, 0)
  end))
end

local function optional_function(fn, label)
  if fn ~= nil then takes(fn, "function", label .. " takes a function") end
  return fn
end

local function next_of(task, on_value, on_error)
  return follow(task, optional_function(on_value, "promise:next"), optional_function(on_error, "promise:next"))
end

local function finally(task, fn)
  takes(fn, "function", "promise:finally takes a function")
  return follow(task, function(value)
    adopted(fn())
    return value
  end, function(problem)
    adopted(fn())
    error(problem, 0)
  end)
end

PROMISE = handles.kind("promise", {
  and_then = next_of,
  await = handles.await,
  cancel = function(task) tasks.cancel(task) end,
  catch = function(task, fn) return follow(task, nil, takes(fn, "function", "promise:catch takes a function")) end,
  done = function(task) return task.done end,
  finally = finally,
  next = next_of,
})

local function new(fn)
  takes(fn, "function", "promise.new takes a function(resolve, reject)")
  host.check()
  local result, decided = tasks.deferred(), false
  local function reject(problem)
    if decided then return end
    decided = true
    tasks.settle(result, false, problem)
  end
  local function resolve(value)
    if decided then return end
    decided = true
    if handles.of(value) then
      tasks.spawn(function() tasks.settle(result, pcall(adopted, value)) end)
    else
      tasks.settle(result, true, value)
    end
  end
  tasks.spawn(function()
    local ok, problem = pcall(fn, resolve, reject)
    if not ok then reject(problem) end
  end)
  return promise_of(result)
end

local function resolve(value)
  if value ~= nil and is_promise[value] then return value end
  local task = handles.of(value)
  if not task then
    task = tasks.deferred()
    tasks.settle(task, true, value)
  end
  return promise_of(task)
end

local function reject(problem)
  local task = tasks.deferred()
  tasks.settle(task, false, problem)
  return promise_of(task)
end

-- Plain values among the items count as they are, as in JavaScript.
local function over(name)
  local wait = host.use("async")[name]
  return function(list)
    takes(list, "table", "promise." .. name .. " takes a list")
    local items = {}
    for i = 1, #list do items[i] = type(list[i]) == "function" and list[i] or resolve(list[i]) end
    return promise_of(tasks.spawn(wait, items))
  end
end

return { all = over("all"), any = over("any"), new = new, race = over("race"), reject = reject, resolve = resolve }
