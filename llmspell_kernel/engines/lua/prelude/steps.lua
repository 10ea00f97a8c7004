-- Steps as JSON text: what came of running until the cell suspends, ends or fails.  The shapes are protocol/steps.py's.
local output, stop, frames, faults, values, effects, tasks, cells = ...

local ipairs, match, tostring, type = ipairs, string.match, tostring, type
local collect, concat = collectgarbage, table.concat
local quote = values.quote

local returned = {} -- texts of what host-called functions gave since the last step
local open_invocations = 0 -- of the cell

local function place_text(place)
  return '{"chunk":' .. quote(place.chunk) .. ',"line":' .. place.line .. ',"function":' .. quote(faults.readable_name(place.name or "")) .. "}"
end

-- The text of a fault's plain fields (see faults.read).
local function record_text(fault)
  local places = {}
  for i, place in ipairs(fault.frames) do places[i] = place_text(place) end
  return '{"code":' .. quote(fault.code) .. ',"message":' .. quote(fault.message) .. ',"name":' .. quote(fault.name)
    .. ',"retryable":' .. tostring(fault.retryable) .. (fault.limit and ',"limit":' .. quote(fault.limit) or "")
    .. ',"frames":[' .. concat(places, ",") .. "]}"
end

local function fault_text(value) return record_text(faults.read(value)) end

local function syntax_fault_text(problem, chunk)
  local line, rest = match(problem, ":(%d+): (.*)$")
  -- a jump to nowhere is noticed at the end of its block, and told with its own line
  line = match(rest or "", "^no visible label '.*' for <goto> at line (%d+)$") or match(rest or "", "^break outside loop at line (%d+)$") or line
  return '{"code":"script","name":"SyntaxError","message":' .. quote(faults.readable_message(rest or problem)) .. ',"frames":['
    .. (line and place_text({ chunk = chunk, line = line }) or "") .. "]}"
end

local function take_returned()
  local texts = concat(returned, ",")
  returned = {}
  return texts
end

-- Lets go of everything that runs or waits, also in the background.
local function abandon(why)
  tasks.end_all(why or "everything was ended")
  returned, open_invocations = {}, 0
  frames.forget()
  output.flush()
  collect()
end

-- Where the script was: a stop that came while it waited finds it where its cell waits.
local function stopped_places()
  local main = tasks.main()
  local places = stop.places() or main and main.co and not main.done and frames.places(main.co) or {}
  for i, place in ipairs(places) do places[i] = place_text(place) end
  return concat(places, ",")
end

-- The text of an error about a limit is the host's, which knows how to raise it.
local function stopped_fault_text()
  local limit, places = stop.limit(), stopped_places()
  if not limit then return '{"code":"interrupted","message":"stopped","frames":[' .. places .. "]}" end
  return '{"code":"limit","message":"","limit":' .. quote(limit.name) .. ',"value":' .. limit.value .. ',"used":' .. limit.used
    .. ',"frames":[' .. places .. "]}"
end

-- What the cell has run so far, as a field.
local function run_text() return ',"instructions":' .. stop.spent() end

local function stopped_step()
  local text = '{"type":"failed","fault":' .. stopped_fault_text() .. run_text() .. "}"
  abandon("everything was stopped")
  return text
end

local function labels_text()
  local labels = {}
  for i, task in ipairs(tasks.background_tasks()) do labels[i] = quote(faults.readable_name(tasks.label(task))) end
  return concat(labels, ",")
end

-- The field that tells what goes on without a cell; nothing where nothing does.
local function background_text()
  local records = tasks.take_background_failures()
  local asked, abandoned = effects.take()
  local returns = take_returned()
  if #tasks.background_tasks() == 0 and #records == 0 then return "" end
  for i, record in ipairs(records) do records[i] = record_text(record) end
  return ',"background":{"effects":[' .. asked .. '],"returned":[' .. returns .. '],"abandoned":[' .. abandoned
    .. '],"open":[' .. concat(tasks.open_effects(), ",") .. '],"tasks":[' .. labels_text() .. '],"failed":[' .. concat(records, ",") .. "]}"
end

-- The end of a cell.  What the background waited for may have ended with it, so that goes on before its effects are told.
local function ended(text)
  tasks.end_cell()
  open_invocations = 0
  tasks.run()
  if stop.stopped() then return stopped_step() end
  text = text .. run_text() .. background_text() .. "}"
  stop.renew() -- what goes on in the background has the budget of a whole cell
  output.flush()
  return text
end

local function failed(value)
  local text = '{"type":"failed","fault":' .. fault_text(value)
  if faults.is_memory(value) then
    abandon(faults.FULL)
    return text .. run_text() .. "}"
  end
  text = ended(text)
  frames.forget()
  collect()
  return text
end

local function finished(results)
  local ok, text = values.try_encode_results(cells.results_of(results))
  if not ok then return failed(text) end
  return ended('{"type":"finished","values":' .. text)
end

local function suspended()
  local asked, abandoned = effects.take()
  local text = '{"type":"suspended","effects":[' .. asked .. '],"returned":[' .. take_returned() .. '],"abandoned":[' .. abandoned .. "]"
    .. run_text() .. "}"
  output.flush()
  return text
end

local function not_begun(fault)
  output.flush()
  collect()
  return '{"type":"failed","fault":' .. fault .. background_text() .. "}"
end

-- The end of a cell that the host does not even hand over.
local function refuse(code, message, name) return not_begun(record_text({ code = code, message = message, name = name, retryable = false, frames = {} })) end

-- Readies a cell to run.  A cell that does not compile is a step already.
local function prepare(code, chunk)
  stop.clear()
  frames.forget()
  frames.add_script(chunk)
  local fn, problem = cells.compile(code, chunk)
  if not fn then return not_begun(syntax_fault_text(problem, chunk)) end
  cells.note_locals(code, chunk)
  tasks.spawn_main(fn, cells.RESULT)
end

-- Readies a call of a function of the script as a cell of its own; anything else is a step already.
local function prepare_call(fn, name, ...)
  stop.clear()
  frames.forget()
  if type(fn) ~= "function" then return not_begun(fault_text(faults.fault("script", "there is no global function '" .. name .. "'"))) end
  tasks.spawn_main(fn, ...)
end

-- No cell runs, but the background did: it never suspends, because nobody waits for it.
local function idle()
  local text = '{"type":"finished","values":[]' .. run_text() .. background_text() .. "}"
  output.flush()
  return text
end

-- A waiting script reads no hook: the host raises the flag and resumes with nothing.
local function go_on()
  if not stop.poll() then tasks.run() end
  if stop.stopped() then return stopped_step() end
  local main = tasks.main()
  if not main then return idle() end
  if main.done and not main.ok then return failed(main.error) end
  if tasks.waits() or #returned > 0 or open_invocations > 0 then return suspended() end
  if not main.done then return failed(faults.fault("script", "nothing left to wait for: every task waits for another")) end
  local unseen = tasks.first_unseen()
  if unseen then return failed(unseen.error) end
  return finished(main.results)
end

-- The host calls a function of the script.
local function invoke(id, callback, ...)
  local of_cell = tasks.main() ~= nil
  if of_cell then open_invocations = open_invocations + 1 end
  local task = tasks.spawn(values.callback(callback), ...)
  task.on_done = function()
    if of_cell then open_invocations = open_invocations - 1 end
    local ok, text = task.ok, task.error
    if ok then ok, text = values.try_encode(task.results[1], "the function's result") end
    returned[#returned + 1] = '{"id":' .. id .. (ok and ',"value":' .. text or ',"fault":' .. fault_text(text)) .. "}"
  end
end

return { abandon = abandon, go_on = go_on, invoke = invoke, prepare = prepare, prepare_call = prepare_call, refuse = refuse }
