-- Waiting for a task for a limited time: the host's clock is a second task beside it.
local tasks, gates = host.tasks, host.gates

return function(task, timeout_s)
  if type(timeout_s) ~= "number" or not (timeout_s >= 0) then host.raise("argument", "await takes a time in seconds, at least 0") end
  if task.done then return gates.await(task) end
  local clock = tasks.spawn(host.use("sleep"), timeout_s)
  return gates.await_until(task, clock, tasks.label(task) .. " did not end within " .. timeout_s .. " s")
end
