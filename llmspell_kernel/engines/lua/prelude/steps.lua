-- Steps as JSON text: what came of running until the cell suspends, ends or fails.  The shapes are protocol/steps.py's.
local output, stop, frames, faults, values, tasks, cells = ...

local ipairs, match, tostring, type = ipairs, string.match, tostring, type
local collect, concat = collectgarbage, table.concat
local quote = values.quote

local returned, open_invocations -- texts of what host-called functions gave since the last step; how many of them still run

local function reset()
  tasks.reset()
  returned, open_invocations = {}, 0
end

local function place_text(place)
  return '{"chunk":' .. quote(place.chunk) .. ',"line":' .. place.line .. ',"function":' .. quote(faults.readable_name(place.name or "")) .. "}"
end

local function fault_text(value)
  local fault, places = faults.read(value), {}
  for i, place in ipairs(fault.frames) do places[i] = place_text(place) end
  return '{"code":' .. quote(fault.code) .. ',"message":' .. quote(fault.message) .. ',"name":' .. quote(fault.name)
    .. ',"retryable":' .. tostring(fault.retryable) .. ',"frames":[' .. concat(places, ",") .. "]}"
end

local function syntax_fault_text(problem, chunk)
  local line, rest = match(problem, ":(%d+): (.*)$")
  return '{"code":"script","name":"SyntaxError","message":' .. quote(faults.readable_message(rest or problem)) .. ',"frames":['
    .. (line and place_text({ chunk = chunk, line = line }) or "") .. "]}"
end

-- Lets go of everything that the cell left running.
local function abandon()
  reset()
  frames.forget()
  output.flush()
  collect()
end

local function failed(text)
  abandon()
  return '{"type":"failed","fault":' .. text .. "}"
end

local function finished(results)
  local ok, text = values.try_encode_results(cells.results_of(results))
  if not ok then return failed(fault_text(text)) end
  reset()
  output.flush()
  return '{"type":"finished","values":' .. text .. "}"
end

local function suspended()
  local effects, abandoned = tasks.take_asked()
  local text = '{"type":"suspended","effects":[' .. effects .. '],"returned":[' .. concat(returned, ",") .. '],"abandoned":[' .. abandoned .. "]}"
  returned = {}
  output.flush()
  return text
end

-- Readies a cell to run.  A cell that does not compile is a step already.
local function prepare(code, chunk)
  stop.clear()
  frames.forget()
  reset()
  frames.add_script(chunk)
  local fn, problem = cells.compile(code, chunk)
  if not fn then return failed(syntax_fault_text(problem, chunk)) end
  cells.note_locals(code, chunk)
  tasks.spawn_main(fn, cells.RESULT)
end

-- Readies a call of a function of the script as a cell of its own; anything else is a step already.
local function prepare_call(fn, name, ...)
  stop.clear()
  frames.forget()
  reset()
  if type(fn) ~= "function" then return failed(fault_text(faults.fault("script", "there is no global function '" .. name .. "'"))) end
  tasks.spawn_main(fn, ...)
end

-- A waiting script reads no hook: the host raises the flag and resumes with nothing.
local function go_on()
  if not stop.poll() then tasks.run() end
  if stop.stopped() then return failed('{"code":"interrupted","message":"stopped"}') end
  local main = tasks.main()
  if main.done and not main.ok then return failed(fault_text(main.error)) end
  if tasks.waits() or #returned > 0 or open_invocations > 0 then return suspended() end
  if not main.done then return failed(fault_text(faults.fault("script", "nothing left to wait for: every task waits for another"))) end
  local unseen = tasks.first_unseen()
  if unseen then return failed(fault_text(unseen.error)) end
  return finished(main.results)
end

local function gone() faults.raise("script", "the function is gone") end

-- The host calls a function of the script.
local function invoke(id, callback, ...)
  open_invocations = open_invocations + 1
  local task = tasks.spawn(values.callback(callback) or gone, ...)
  task.on_done = function()
    open_invocations = open_invocations - 1
    local ok, text = task.ok, task.error
    if ok then ok, text = values.try_encode(task.results[1], "the function's result") end
    returned[#returned + 1] = '{"id":' .. id .. (ok and ',"value":' .. text or ',"fault":' .. fault_text(text)) .. "}"
  end
end

reset()

return { abandon = abandon, go_on = go_on, invoke = invoke, prepare = prepare, prepare_call = prepare_call }
