-- async: tasks, and waiting for several of them.
--
-- async.spawn(fn, ...)       starts a task and gives it: t:await([timeout_s]), t:cancel(), t:done().  The cell waits for it.
-- async.background(fn, name) the same, but no cell waits for it and it goes on between cells; what it spawns is background work, too.
-- async.all(list | ...)      the first results of functions, tasks and promises, in order.  One failure cancels the others and is raised.
-- async.race(list | ...)     what the first to end gives or raises; the others are cancelled.
-- async.any(list | ...)      what the first to succeed gives; the others are cancelled.  Where all fail, one error names each.
-- async.map(list, fn, { concurrency = 8 })   fn(item, index) for every item, results in the list's order.
-- async.join(tasks)          waits for all as async.all does, and gives nothing.
-- async.sleep(seconds), async.tasks()        the live tasks as { name, background, done }
--
-- t:await(2) raises an error with the code "timeout" after two seconds and cancels nothing: that is for t:cancel() to do.
local handles, tasks, gates, takes = host.handles, host.tasks, host.gates, host.takes

local function started(fn, spawn, label, ...)
  takes(fn, "function", label .. " takes a function")
  host.check()
  return spawn(fn, ...)
end

local function spawn(fn, ...) return handles.task(started(fn, tasks.spawn, "async.spawn", ...)) end

local function background(fn, name)
  if name ~= nil then takes(name, "string", "async.background takes a name (a string) as its second argument") end
  return handles.task(started(fn, tasks.spawn_background, "async.background", name))
end

local function items_of(first, ...)
  if type(first) == "table" and getmetatable(first) == nil then return first end
  return { first, ... }
end

-- The task behind each item; functions are started.  All are looked at before one is.
local function tasks_of(items, label)
  local list = {}
  for i = 1, #items do
    local item = items[i]
    if type(item) ~= "function" and not handles.of(item) then
      host.raise("argument", label .. ": item " .. i .. " is a " .. type(item) .. ", not a function, a task or a promise")
    end
  end
  for i = 1, #items do
    local item = items[i]
    list[i] = handles.of(item) or tasks.spawn(item)
  end
  return list
end

local function first_results(list)
  local results = array({})
  for i = 1, #list do
    local value = gates.await(list[i])
    results[i] = value == nil and null or value
  end
  return results
end

local function all(...)
  host.check()
  local list = tasks_of(items_of(...), "async.all")
  gates.join(list)
  return first_results(list)
end

local function one_of(wait, label)
  return function(...)
    host.check()
    local list = tasks_of(items_of(...), label)
    if #list == 0 then host.raise("argument", label .. " takes at least one function, task or promise") end
    return wait(list)
  end
end

local function join(list)
  takes(list, "table", "async.join takes a list of tasks")
  gates.join(tasks_of(list, "async.join"))
end

local function map(list, fn, options)
  takes(list, "table", "async.map takes a list")
  takes(fn, "function", "async.map takes a function as its second argument")
  local concurrency = host.options(options, { "concurrency" }, "async.map").concurrency or 8
  if type(concurrency) ~= "number" or not (concurrency >= 1) then host.raise("argument", "async.map: concurrency must be a number of at least 1") end
  local results, at, count = array({}), 0, #list
  local function work()
    while at < count do
      at = at + 1
      local index = at
      local value = fn(list[index], index)
      results[index] = value == nil and null or value
    end
  end
  local workers = {}
  for i = 1, concurrency < count and concurrency or count do workers[i] = work end
  all(workers)
  return results
end

local function listed()
  local list = array({})
  for _, group in ipairs({ "cell_tasks", "background_tasks" }) do
    for _, task in ipairs(tasks[group]()) do
      if task ~= tasks.main() then
        list[#list + 1] = { name = tasks.label(task), background = group == "background_tasks", done = false }
      end
    end
  end
  return list
end

return {
  all = all,
  any = one_of(gates.any, "async.any"),
  background = background,
  join = join,
  map = map,
  race = one_of(gates.race, "async.race"),
  sleep = host.use("sleep"),
  spawn = spawn,
  tasks = listed,
}
