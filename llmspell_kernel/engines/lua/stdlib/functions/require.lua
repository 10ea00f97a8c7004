-- require(name): the value of a module that was registered with the session, loaded when it is first asked for and then kept.
--
-- Each module is loaded by a task of its own, so that its errors keep their places and several that ask at once wait for the same one.
local tasks, gates = host.tasks, host.gates

local loaded = {} -- name -> { value }
local loading = {} -- name -> its task

local function compiled(name)
  local modules = host.bridge("modules") or host.raise("unknown_module", "no modules are registered with this session, so there is no '" .. name .. "'")
  local chunk = "module[" .. name .. "]"
  local fn, problem = host.load_script(modules.source(name, "lua"), chunk)
  if fn then return fn end
  local line, message = string.match(problem, ":(%d+): (.*)$")
  error(host.located("script", chunk .. ":" .. (line or "?") .. ": " .. (message or problem), "SyntaxError", false, chunk, tonumber(line) or 0, ""), 0)
end

local function load_module(name)
  tasks.current().module = name
  local value = compiled(name)(name)
  if value == nil then value = true end
  loaded[name] = { value }
  return value
end

-- "a -> b -> a" where `asking`, a module that is being loaded, would wait for `name`, and that one waits for it.
local function cycle(asking, name)
  local path, at = name, name
  while at and at ~= asking do
    at = loading[at] and loading[at].requires
    path = path .. " -> " .. (at or "")
  end
  return at and path .. " -> " .. name
end

local function wait_for(task, name)
  local asking = tasks.current().module
  local asker = asking and loading[asking]
  if not asker then return gates.await(task) end
  local path = cycle(asking, name)
  if path then host.raise("module_cycle", "modules that require each other: " .. path) end
  asker.requires = name
  local ok, value = pcall(gates.await, task)
  asker.requires = nil
  if ok then return value end
  error(value, 0)
end

return function(name)
  host.takes(name, "string", "require takes the name of a module")
  if loaded[name] then return loaded[name][1] end
  local task = loading[name]
  if not task or task.done then
    task = tasks.spawn(load_module, name)
    loading[name] = task
  end
  return wait_for(task, name)
end
