-- async.all, async.map, async.sleep and sleep over async.spawn and async.join.  No privilege: what is here a script could write itself.
local spawn, join, type, error, getmetatable, array, null = async.spawn, async.join, type, error, getmetatable, array, null
local sleep_for = timer and timer.sleep

local function functions_of(first, ...)
  if type(first) == "table" and getmetatable(first) == nil then return first end
  return { first, ... }
end

local function start(item)
  if type(item) == "function" then return spawn(item) end
  return item
end

-- The first results of several functions or tasks, in order.  One failure cancels the others and is raised.
local function all(...)
  local items = functions_of(...)
  local tasks, results = {}, array({})
  for i = 1, #items do tasks[i] = start(items[i]) end
  join(tasks)
  for i = 1, #tasks do
    local value = tasks[i]:await()
    results[i] = value == nil and null or value
  end
  return results
end

async.all = all

-- fn(item, index) for every item of a list, at most `concurrency` at a time (default 8); results in the list's order.
function async.map(list, fn, options)
  if type(list) ~= "table" then error("async.map takes a list, not a " .. type(list), 2) end
  if type(fn) ~= "function" then error("async.map takes a function as its second argument, not a " .. type(fn), 2) end
  local concurrency = options and options.concurrency or 8
  if type(concurrency) ~= "number" or concurrency < 1 then error("async.map: concurrency must be a number of at least 1", 2) end
  local results, at = array({}), 0
  local function work()
    while at < #list do
      at = at + 1
      local index = at
      local value = fn(list[index], index)
      results[index] = value == nil and null or value
    end
  end
  local workers = {}
  for i = 1, concurrency < #list and concurrency or #list do workers[i] = work end
  all(workers)
  return results
end

if sleep_for then
  function sleep(seconds) return sleep_for(seconds) end
  async.sleep = sleep
end
