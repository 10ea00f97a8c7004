-- What a script holds of a task: a sealed handle, which names the task to us and to nobody else.
local sealed, bridges, tasks, gates, library = ...

local error, next, setmetatable = error, next, setmetatable
local sort = table.sort
local read_only, seal = sealed.read_only, sealed.seal

local of_handle = setmetatable({}, { __mode = "k" }) -- handle -> task

-- A kind of handles: its methods are given the task, not the handle.
local function kind(name, methods)
  local names, own = {}, {}
  for method, fn in next, methods do
    names[#names + 1] = method
    own[method] = function(handle, ...)
      return fn(of_handle[handle] or error("call it with a colon on a " .. name .. ": t:" .. method .. "()", 2), ...)
    end
  end
  sort(names)
  return {
    __name = name,
    __tostring = function() return name end,
    __newindex = function() error("a " .. name .. " is read-only", 2) end,
    __index = read_only(name, own, bridges.no_such(name, names)),
  }
end

local function wrap(task, metatable)
  local handle = seal({}, metatable)
  of_handle[handle] = task
  return handle
end

local function await(task, timeout_s)
  if timeout_s == nil then return gates.await(task) end
  return library.use("deadline")(task, timeout_s)
end

local TASK = kind("task", {
  await = await,
  cancel = function(task) tasks.cancel(task) end,
  done = function(task) return task.done end,
})

return {
  await = await,
  kind = kind,
  of = function(handle) return handle ~= nil and of_handle[handle] or nil end,
  task = function(task) return wrap(task, TASK) end,
  wrap = wrap,
}
