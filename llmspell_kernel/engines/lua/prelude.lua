-- The inside of one Lua state: allow-listed environment, task scheduler, value text, errors.  Runs once, before any script.
--
-- Rules
-- * Everything used here is a captured local: a script that changes its tables changes nothing of ours.
-- * Tables of scripts are read with rawget/next only; no metamethod of a script runs on our side of the border.
-- * Once stopped, the stop error passes through pcall, xpcall, coroutines and __close: the hook fires on every instruction until the task is gone.
-- * Only strings, numbers and opaque Lua references reach the host side; no host object ever comes in.
local STOP_VARIABLE, STATE_ID, MAX_VALUE_BYTES, HOOK_COUNT = ...

local assert, error, getmetatable, ipairs, load, next, pairs, pcall, rawequal, rawget, rawlen, rawset, select, setmetatable, tonumber, tostring, type, xpcall =
  assert, error, getmetatable, ipairs, load, next, pairs, pcall, rawequal, rawget, rawlen, rawset, select, setmetatable, tonumber, tostring, type, xpcall
local co_create, co_resume, co_yield, co_status, co_running, co_close, co_isyieldable =
  coroutine.create, coroutine.resume, coroutine.yield, coroutine.status, coroutine.running, coroutine.close, coroutine.isyieldable
local getinfo, sethook = debug.getinfo, debug.sethook
local getenv, clock, getlocaltime = os.getenv, os.clock, os.date
local collect = collectgarbage
local byte, char, find, format, gsub, match, pack, rep, sub, gmatch =
  string.byte, string.char, string.find, string.format, string.gsub, string.match, string.pack, string.rep, string.sub, string.gmatch
local concat, sort, tpack, tunpack = table.concat, table.sort, table.pack, table.unpack
local math_type, huge, tointeger = math.type, math.huge, math.tointeger
local utf8_len = utf8.len
local stdout = io.stdout

---------------------------------------------------------------------------------------------------------------- stopping

local STOP = setmetatable({}, { __tostring = function() return "stopped" end, __metatable = false })
local stopped, printed, last_flush = false, false, 0

local function flush()
  if printed then
    printed = false
    last_flush = clock()
    stdout:flush()
  end
end

local function hook()
  if not stopped and getenv(STOP_VARIABLE) ~= "0" then stopped = true end
  if stopped then
    sethook(hook, "", 1)
    error(STOP, 0)
  end
  if printed and clock() - last_flush > 0.02 then flush() end
end

local function arm(co)
  sethook(co, hook, "", HOOK_COUNT)
  return co
end

-- Given the results of a protected call: raise the stop again where the call swallowed it.
local function unless_stopped(...)
  if stopped then
    sethook(hook, "", 1)
    error(STOP, 0)
  end
  return ...
end

---------------------------------------------------------------------------------------------------------------- errors

local FAULT = { __metatable = false, __name = "error" }
local fault_places = setmetatable({}, { __mode = "k" }) -- fault -> where a function of ours failed before the host passed the error on
function FAULT.__tostring(fault) return tostring(rawget(fault, "message")) end

local function fault(code, message, name, retryable)
  return setmetatable({ code = code, message = message, name = name or "", retryable = retryable or false }, FAULT)
end

local function raise(code, message) error(fault(code, message), 0) end

local scripts, earlier_locals = {}, {} -- chunk name -> true; top-level local -> chunk it belonged to

local function places(co, level)
  local found = {}
  while #found < 32 do
    local info = getinfo(co, level, "Sln")
    if not info then break end
    local chunk = sub(info.source, 2)
    if info.what ~= "C" and scripts[chunk] then
      found[#found + 1] = { chunk = chunk, line = info.currentline, name = info.what ~= "main" and info.name or nil }
    end
    level = level + 1
  end
  return found
end

-- Frames of coroutines that died below the one that reports, kept until somebody reports the same error value.
local raised_value, raised_places

local function remember(co, value)
  local here = places(co, 0)
  if raised_places and rawequal(raised_value, value) then
    for _, place in ipairs(here) do raised_places[#raised_places + 1] = place end
  else
    raised_value, raised_places = value, here
  end
end

---------------------------------------------------------------------------------------------------------------- value text

local null = setmetatable({}, { __tostring = function() return "null" end, __metatable = false, __newindex = function() error("null is read-only", 2) end })
local arrays, objects = setmetatable({}, { __mode = "k" }), setmetatable({}, { __mode = "k" })
local resources = setmetatable({}, { __mode = "k" }) -- proxy -> { id, type }
local callbacks, callback_ids, callback_count = {}, {}, 0

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }
local function escape(c) return ESCAPES[c] or format("\\u%04x", byte(c)) end
local function quote(s) return '"' .. gsub(s, '[%c"\\]', escape) .. '"' end

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local DIGITS = {}
for i = 0, 63 do DIGITS[i] = sub(ALPHABET, i + 1, i + 1) end

local function base64(s)
  local out = {}
  for i = 1, #s - #s % 3, 3 do
    local a, b, c = byte(s, i, i + 2)
    local n = a << 16 | b << 8 | c
    out[#out + 1] = DIGITS[n >> 18] .. DIGITS[n >> 12 & 63] .. DIGITS[n >> 6 & 63] .. DIGITS[n & 63]
  end
  local rest = #s % 3
  if rest == 1 then
    local a = byte(s, -1)
    out[#out + 1] = DIGITS[a >> 2] .. DIGITS[(a & 3) << 4] .. "=="
  elseif rest == 2 then
    local a, b = byte(s, -2, -1)
    local n = a << 8 | b
    out[#out + 1] = DIGITS[n >> 10] .. DIGITS[n >> 4 & 63] .. DIGITS[(n & 15) << 2] .. "="
  end
  return concat(out)
end

local function uncrossable(what, path) raise("value", what .. " (at " .. path .. ")") end

local function callback_id(fn)
  local id = callback_ids[fn]
  if not id then
    callback_count = callback_count + 1
    id = callback_count
    callback_ids[fn], callbacks[id] = id, fn
  end
  return id
end

local function float_text(n, plain, path)
  if n ~= n or n == huge or n == -huge then
    if plain then uncrossable("NaN and infinities have no JSON text", path) end
    return n ~= n and '{"$":["n","nan"]}' or n > 0 and '{"$":["n","inf"]}' or '{"$":["n","-inf"]}'
  end
  local text = format("%.16g", n)
  if tonumber(text) ~= n then text = format("%.17g", n) end
  return find(text, "[%.eE]") and text or text .. ".0"
end

local function string_text(s, plain, path)
  if utf8_len(s) then return quote(s) end
  if plain then uncrossable("the string is not valid UTF-8", path) end
  return '{"$":["b","' .. base64(s) .. '"]}'
end

local function child(path, key) return type(key) == "number" and path .. "[" .. key .. "]" or path .. "." .. key end

local table_text

-- `plain` is the text of json.encode: no tags, functions refused.  `state` counts bytes and knows the tables being written.
local function text_of(value, plain, path, depth, state)
  local kind = type(value)
  local text
  if kind == "string" then
    text = string_text(value, plain, path)
  elseif kind == "number" then
    text = math_type(value) == "integer" and format("%d", value) or float_text(value, plain, path)
  elseif kind == "boolean" then
    text = value and "true" or "false"
  elseif value == nil or rawequal(value, null) then
    text = "null"
  elseif kind == "table" then
    return table_text(value, plain, path, depth, state)
  elseif kind == "function" and not plain then
    text = '{"$":["f",' .. callback_id(value) .. "]}"
  else
    uncrossable("a " .. kind .. " cannot cross to the host", path)
  end
  state.bytes = state.bytes + #text
  if state.bytes > MAX_VALUE_BYTES then uncrossable("the value is larger than " .. MAX_VALUE_BYTES .. " bytes", path) end
  return text
end

local function array_text(t, count, plain, path, depth, state)
  local out = {}
  for i = 1, count do out[i] = text_of(rawget(t, i), plain, child(path, i), depth + 1, state) end
  return "[" .. concat(out, ",") .. "]"
end

local function object_text(t, plain, path, depth, state)
  local keys = {}
  for key in next, t do
    if type(key) ~= "string" then
      uncrossable("a table with the key " .. tostring(type(key) == "table" and "(a table)" or key) .. " is neither a list 1..n nor an object with string keys", path)
    end
    if not utf8_len(key) then uncrossable("a key is not valid UTF-8", path) end
    keys[#keys + 1] = key
  end
  sort(keys)
  local out, tagged = {}, false
  for i, key in ipairs(keys) do
    tagged = tagged or key == "$"
    state.bytes = state.bytes + #key + 4
    out[i] = quote(key) .. ":" .. text_of(rawget(t, key), plain, child(path, key), depth + 1, state)
  end
  local text = "{" .. concat(out, ",") .. "}"
  return tagged and not plain and '{"$":["o",' .. text .. "]}" or text
end

function table_text(t, plain, path, depth, state)
  local resource = resources[t]
  if resource then
    if plain then uncrossable("a " .. resource.type .. " has no JSON text", path) end
    return '{"$":["r",' .. resource.id .. "," .. quote(resource.type) .. "]}"
  end
  if state[t] then uncrossable("the table contains itself", path) end
  if depth >= 64 then uncrossable("nested deeper than 64 levels", path) end
  state.bytes = state.bytes + 2
  state[t] = true
  local text
  local count = rawlen(t)
  if next(t) == nil then
    text = arrays[t] and "[]" or (objects[t] or plain) and "{}" or '{"$":["e"]}'
  elseif count > 0 and rawget(t, 1) ~= nil then
    local keys = 0
    for _ in next, t do keys = keys + 1 end
    if keys ~= count then
      for key in next, t do
        if math_type(key) ~= "integer" or key < 1 or key > count then
          uncrossable("a list that also has the key " .. (type(key) == "table" and "(a table)" or tostring(key)) .. " cannot cross", path)
        end
      end
    end
    text = array_text(t, count, plain, path, depth, state)
  else
    text = object_text(t, plain, path, depth, state)
  end
  state[t] = nil
  return text
end

local function encode(value, path) return text_of(value, false, path or "value", 0, { bytes = 0 }) end

local function arguments_text(n, ...)
  while n > 0 and select(n, ...) == nil do n = n - 1 end
  local state, out = { bytes = 0 }, {}
  for i = 1, n do out[i] = text_of((select(i, ...)), false, "argument " .. i, 0, state) end
  return "[" .. concat(out, ",") .. "]"
end

-- A cell's results: what cannot cross at the top is shown as text rather than refused.
local function results_text(results)
  local out = {}
  for i = 1, results.n do
    local kind = type(results[i])
    if kind == "function" or kind == "thread" or kind == "userdata" then
      out[i] = '{"$":["x","' .. kind .. '"]}' -- no address: it differs from run to run
    elseif resources[results[i]] then
      out[i] = '{"$":["x",' .. quote(tostring(results[i])) .. "]}"
    else
      out[i] = encode(results[i], results.n == 1 and "result" or "result " .. i)
    end
  end
  return "[" .. concat(out, ",") .. "]"
end

---------------------------------------------------------------------------------------------------------------- tasks and effects

local HOST = {} -- passed up by every yield that is meant for the scheduler; scripts never see it
local main_task, current_task
local ready, ready_first, ready_last = {}, 1, 0
local live_tasks, waiting, waiting_count = 0, {}, 0
local effect_id, new_effects, returned, abandoned, failed_unseen = 0, {}, {}, {}, {}

local function enqueue(task, ...)
  ready_last = ready_last + 1
  ready[ready_last] = { task = task, values = tpack(...) }
end

local function spawn(fn, ...)
  local task = { co = arm(co_create(fn)), done = false, waiters = {}, gates = {} }
  live_tasks = live_tasks + 1
  enqueue(task, ...)
  return task
end

local function yield_to_host(...) return unless_stopped(co_yield(HOST, ...)) end

local function call(bridge, method, target, ...)
  if not co_isyieldable() then
    raise("script", bridge .. "." .. method .. " cannot wait inside a callback of string.gsub, table.sort or a similar function; "
      .. "collect what it needs first and call it in a loop")
  end
  local arguments = arguments_text(select("#", ...), ...)
  effect_id = effect_id + 1
  new_effects[#new_effects + 1] = '{"id":' .. effect_id .. ',"bridge":' .. quote(bridge) .. ',"method":' .. quote(method)
    .. ',"args":' .. arguments .. (target and ',"target":' .. target or "") .. "}"
  local ok, value = yield_to_host("effect", effect_id)
  if ok then return value end
  error(value, 0)
end

local function await(task)
  if not co_isyieldable() then raise("script", "task:await() cannot wait inside a callback of string.gsub, table.sort or a similar function") end
  if not task.done then yield_to_host("join", task) end
  failed_unseen[task] = nil
  if task.ok then return tunpack(task.results, 1, task.results.n) end
  error(task.error, 0)
end

-- Wakes whoever waits for a task that has ended.  A gate (see join) opens at the first failure or when nothing is left.
local function announce(task)
  for _, waiter in ipairs(task.waiters) do enqueue(waiter) end
  for _, gate in ipairs(task.gates) do
    gate.left = gate.left - 1
    if not task.ok and not gate.failed then gate.failed = task end
    if not gate.done and (gate.failed or gate.left == 0) then
      gate.done = true
      for _, waiter in ipairs(gate.waiters) do enqueue(waiter) end
    end
  end
end

-- Forget a task: nobody waits for its effect any more.
local function cancel(task)
  if task.done then return end
  task.done, task.ok, task.error = true, false, fault("cancelled", "the task was cancelled")
  live_tasks = live_tasks - 1
  if task.effect then
    waiting[task.effect] = nil
    waiting_count = waiting_count - 1
    abandoned[#abandoned + 1] = task.effect
  end
  announce(task)
end

-- Waits until all tasks have ended.  At the first failure the others are cancelled and it is raised.
local function join(tasks)
  if not co_isyieldable() then raise("script", "async.join cannot wait inside a callback of string.gsub, table.sort or a similar function") end
  local gate = { done = false, waiters = {}, left = 0 }
  for _, task in ipairs(tasks) do
    if not task.done then
      gate.left = gate.left + 1
      task.gates[#task.gates + 1] = gate
    elseif not task.ok and not gate.failed then
      gate.failed = task
    end
  end
  if gate.left > 0 and not gate.failed then yield_to_host("join", gate) end
  for _, task in ipairs(tasks) do
    failed_unseen[task] = nil
    if gate.failed then cancel(task) end
  end
  if gate.failed then error(gate.failed.error, 0) end
end

local function finish_task(task, ok, ...)
  task.done, task.ok = true, ok
  live_tasks = live_tasks - 1
  if ok then task.results = tpack(...) else
    task.error = ...
    if task ~= main_task and not task.on_done then failed_unseen[task] = true end
  end
  announce(task)
  if task.on_done then task.on_done(task) end
end

local function after_slice(task, ok, ...)
  current_task = nil
  if not ok then
    if not stopped then remember(task.co, (...)) end
    return finish_task(task, false, ...)
  end
  if co_status(task.co) == "dead" then return finish_task(task, true, ...) end
  local marker, kind, what = ...
  if marker ~= HOST then return finish_task(task, false, "attempt to yield from outside a coroutine") end
  if kind == "effect" then
    waiting[what], task.effect = task, what
    waiting_count = waiting_count + 1
  elseif what.done then
    enqueue(task)
  else
    what.waiters[#what.waiters + 1] = task
  end
end

local function run_slice(entry)
  local task = entry.task
  if task.done then return end
  task.effect = nil
  current_task = task
  after_slice(task, co_resume(task.co, tunpack(entry.values, 1, entry.values.n)))
end

-- A script's own coroutines pass what is meant for the host up to whoever resumed them, and the answer back down.
local function pump(co, ok, marker, ...)
  unless_stopped()
  if ok and rawequal(marker, HOST) then return pump(co, co_resume(co, co_yield(HOST, ...))) end
  if not ok then remember(co, marker) end
  return ok, marker, ...
end

local function resume(co, ...)
  if type(co) ~= "thread" then error("bad argument #1 to 'resume' (coroutine expected)", 2) end
  return pump(co, co_resume(co, ...))
end

local function unwrap(ok, ...)
  if ok then return ... end
  error((...), 0)
end

---------------------------------------------------------------------------------------------------------------- steps, as JSON text

local function place_text(place)
  return '{"chunk":' .. quote(place.chunk) .. ',"line":' .. place.line .. ',"function":' .. quote(place.name or "") .. "}"
end

local function hint(message)
  local name = match(message, "global '([%a_][%w_]*)'")
  local chunk = name and find(message, "nil value", 1, true) and earlier_locals[name]
  if not chunk then return message end
  return message .. " ('" .. name .. "' was a local of " .. chunk .. ", and locals end with their cell; drop 'local' there to keep it)"
end

-- The frames from the place that the message names on; an error raised again elsewhere keeps its first place in front.
local function from_place(frames, chunk, line)
  for i, place in ipairs(frames) do
    if place.chunk == chunk and place.line == line then return { tunpack(frames, i) } end
  end
  return { { chunk = chunk, line = line }, tunpack(frames) }
end

-- Whatever a script raised, as text and code.  The position that Lua puts before a message moves into the frames.
local function fault_text(value)
  local frames = rawequal(raised_value, value) and raised_places or {}
  raised_value, raised_places = nil, nil
  if type(value) == "table" and fault_places[value] then
    local joined = { tunpack(fault_places[value]) }
    for _, place in ipairs(frames) do joined[#joined + 1] = place end
    frames = joined
  end
  local code, message, name, retryable = "script", "", "", false
  if type(value) == "string" then
    message = value
    local chunk, line, rest = match(value, "^(.-):(%d+): (.*)$")
    if chunk and scripts[chunk] then
      message = rest
      frames = from_place(frames, chunk, tointeger(line))
    end
    if find(message, "not enough memory", 1, true) then
      code, message = "limit", "the state's memory limit was met"
    end
    message = hint(message)
  elseif type(value) == "table" then
    local own_message, own_code = rawget(value, "message"), rawget(value, "code")
    if getmetatable(value) == false and type(own_code) == "string" then
      code, name, retryable = own_code, rawget(value, "name"), rawget(value, "retryable") == true
    end
    message = type(own_message) == "string" and own_message or "an error object (a table without a 'message')"
  else
    message = "an error value: " .. tostring(value)
  end
  local texts = {}
  for i, place in ipairs(frames) do texts[i] = place_text(place) end
  if not utf8_len(message) then message = gsub(message, "[\128-\255]", "?") end
  return '{"code":' .. quote(code) .. ',"message":' .. quote(message) .. ',"name":' .. quote(type(name) == "string" and name or "")
    .. ',"retryable":' .. tostring(retryable) .. ',"frames":[' .. concat(texts, ",") .. "]}"
end

local function reset()
  ready, ready_first, ready_last = {}, 1, 0
  live_tasks, waiting, waiting_count = 0, {}, 0
  new_effects, returned, abandoned, failed_unseen = {}, {}, {}, {}
  main_task = nil
end

local function failed(fault_json)
  reset()
  flush()
  collect()
  return '{"type":"failed","fault":' .. fault_json .. "}"
end

local RESULT = {} -- given to a cell, which puts it before the values of its last expression (see with_result)

local function finished(results)
  if rawequal(results[1], RESULT) then results = tpack(tunpack(results, 2, results.n)) end
  local ok, text = pcall(results_text, results)
  if not ok then return failed(fault_text(text)) end
  reset()
  flush()
  return '{"type":"finished","values":' .. text .. "}"
end

local function suspended()
  local text = '{"type":"suspended","effects":[' .. concat(new_effects, ",") .. '],"returned":[' .. concat(returned, ",")
    .. '],"abandoned":[' .. concat(abandoned, ",") .. "]}"
  new_effects, returned, abandoned = {}, {}, {}
  flush()
  return text
end

local open_invocations = 0

-- Runs what can run, then says how the cell stands.
local function drive()
  while ready_first <= ready_last and not stopped do
    local entry = ready[ready_first]
    ready[ready_first] = nil
    ready_first = ready_first + 1
    run_slice(entry)
    if main_task.done and not main_task.ok then break end
  end
  if stopped then return failed('{"code":"interrupted","message":"stopped"}') end
  if main_task.done and not main_task.ok then return failed(fault_text(main_task.error)) end
  if waiting_count > 0 or #new_effects > 0 or #returned > 0 or open_invocations > 0 then return suspended() end
  if main_task.done then
    for task in next, failed_unseen do return failed(fault_text(task.error)) end
    return finished(main_task.results)
  end
  return failed(fault_text(fault("script", "nothing left to wait for: every task waits for another")))
end

---------------------------------------------------------------------------------------------------------------- the script's environment

local ENV = {}

local function read_only(name, content, missing)
  return setmetatable({}, {
    __index = function(_, key)
      local value = content[key]
      if value == nil and missing then return missing(key) end
      return value
    end,
    __newindex = function(_, key) error(name .. " is read-only: '" .. tostring(key) .. "' cannot be set", 2) end,
    __pairs = function() return next, content, nil end,
    __name = name,
    __tostring = function() return name end,
    __metatable = false,
  })
end

local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local cost = byte(a, i) == byte(b, j) and diagonal or 1 + (diagonal < row[j] and (diagonal < row[j - 1] and diagonal or row[j - 1]) or (row[j] < row[j - 1] and row[j] or row[j - 1]))
      diagonal = row[j]
      row[j] = cost
    end
  end
  return row[#b]
end

local function no_such(owner, names)
  return function(key)
    if type(key) ~= "string" then return nil end
    local best, best_distance = nil, huge
    for _, name in ipairs(names) do
      local d = #key <= 64 and distance(key, name) or huge
      if d < best_distance then best, best_distance = name, d end
    end
    local tail = best_distance <= 3 and "; did you mean '" .. best .. "'?" or "; it has " .. concat(names, ", ")
    error(owner .. " has no method '" .. key .. "'" .. tail, 3)
  end
end

local resource_types = {}

local function make_resource(id, kind)
  local declared = resource_types[kind]
  local proxy = {}
  local methods = {}
  for _, name in ipairs(declared.methods) do
    methods[name] = function(self, ...)
      if not rawequal(self, proxy) then error("call it with a colon: s:" .. name .. "()", 2) end
      return call(kind, name, id, ...)
    end
  end
  resources[proxy] = { id = id, type = kind }
  local function close()
    if methods.close then return methods.close(proxy) end
  end
  return setmetatable(proxy, {
    __index = read_only(kind, methods, no_such(kind, declared.methods)),
    __newindex = function() error("a " .. kind .. " is read-only", 2) end,
    __call = declared.iterate and function() return call(kind, declared.iterate, id) end or nil,
    __close = close,
    __name = kind,
    __tostring = function() return kind .. " #" .. id end,
    __metatable = false,
  })
end

local function copy(source, names)
  local out = {}
  for name in gmatch(names, "%S+") do out[name] = source[name] end
  return out
end

-- C loops that no hook interrupts are refused when a length is absurd.
local LONGEST = 10000000

local function check_length(t)
  local mt = type(t) == "table" and getmetatable(t)
  if type(mt) == "table" and rawget(mt, "__len") then
    local n = #t
    if type(n) ~= "number" or n > LONGEST then error("table is too long", 3) end
  end
end

local function guarded(fn)
  return function(t, ...)
    check_length(t)
    return fn(t, ...)
  end
end

local function write(stream, text)
  -- A record must fit protocol/output.py's limit, so long texts go in pieces.
  for at = 1, #text, 1048576 do stdout:write(pack("<I4I1s4", STATE_ID, stream, sub(text, at, at + 1048575))) end
  printed = true
end

local function printer(stream)
  return function(...)
    local n = select("#", ...)
    if n == 1 then return write(stream, tostring((...)) .. "\n") end
    local out = { ... }
    for i = 1, n do out[i] = tostring(out[i]) end
    write(stream, concat(out, "\t", 1, n) .. "\n")
  end
end

local function read_pieces(fn)
  local out = {}
  while true do
    local piece = fn()
    if piece == nil or piece == "" then return concat(out) end
    if type(piece) ~= "string" then error("reader function must return a string", 3) end
    out[#out + 1] = piece
  end
end

local TASK = { __name = "task", __metatable = false, __tostring = function() return "task" end }
local tasks = setmetatable({}, { __mode = "k" })

local function task_of(handle)
  local task = tasks[handle]
  if not task then error("call it with a colon on a task: t:await()", 3) end
  return task
end

TASK.__index = read_only("task", {
  await = function(handle) return await(task_of(handle)) end,
  cancel = function(handle) cancel(task_of(handle)) end,
  done = function(handle) return task_of(handle).done end,
})

local function async_spawn(fn, ...)
  if type(fn) ~= "function" then error("async.spawn takes a function, not a " .. type(fn), 2) end
  local handle = setmetatable({}, TASK)
  tasks[handle] = spawn(fn, ...)
  return handle
end

local function async_join(handles)
  if type(handles) ~= "table" then error("async.join takes a list of tasks, not a " .. type(handles), 2) end
  local list = {}
  for i = 1, rawlen(handles) do
    list[i] = tasks[rawget(handles, i)]
    if not list[i] then error("async.join: item " .. i .. " of the list is not a task", 2) end
  end
  return join(list)
end

ENV._G = ENV
ENV._VERSION = _VERSION
for name, value in next, { assert = assert, error = error, ipairs = ipairs, next = next, pairs = pairs, rawequal = rawequal, rawget = rawget, rawlen = rawlen, rawset = rawset, select = select, tonumber = tonumber, tostring = tostring, type = type } do
  ENV[name] = value
end
ENV.print, ENV.eprint = printer(1), printer(2)
ENV.null = null
function ENV.array(t)
  if type(t) ~= "table" then error("array takes a table: array{}", 2) end
  arrays[t], objects[t] = true, nil
  return t
end
function ENV.object(t)
  if type(t) ~= "table" then error("object takes a table: object{}", 2) end
  objects[t], arrays[t] = true, nil
  return t
end
function ENV.pcall(...) return unless_stopped(pcall(...)) end
function ENV.xpcall(fn, handler, ...)
  return unless_stopped(xpcall(fn, function(e)
    if stopped then return STOP end
    return handler(e)
  end, ...))
end
function ENV.setmetatable(t, mt)
  if type(mt) == "table" and rawget(mt, "__gc") ~= nil then error("__gc is not available to scripts", 2) end
  return setmetatable(t, mt)
end
function ENV.getmetatable(value)
  if type(value) == "table" then return getmetatable(value) end
  return nil
end
function ENV.load(source, name, mode, env)
  if type(source) == "function" then source = read_pieces(source) end
  if type(source) ~= "string" then error("load takes a string or a function", 2) end
  if mode == "b" then return nil, "bytecode is not available to scripts" end
  local chunk = type(name) == "string" and name or "=(load)"
  return load(source, chunk, "t", env == nil and ENV or env)
end
function ENV.collectgarbage(what)
  if what == nil or what == "collect" then return 0 end
  if what == "count" then return collect("count") end
  error("collectgarbage('" .. tostring(what) .. "') is not available to scripts", 2)
end
ENV.string = copy(string, "byte char find format gmatch gsub len lower match reverse rep sub upper pack packsize unpack")
-- ("").rep(huge) loops in C without allocating anything
ENV.string.rep = function(s, n, separator)
  if s == "" and (separator == nil or separator == "") then return "" end
  return rep(s, n, separator)
end
ENV.table = copy(table, "concat insert move pack remove sort unpack")
for _, name in ipairs({ "concat", "insert", "remove", "sort", "unpack" }) do ENV.table[name] = guarded(table[name]) end
local move = table.move
ENV.table.move = function(from, first, last, ...)
  if type(first) == "number" and type(last) == "number" and last - first > LONGEST then error("too many elements to move", 2) end
  return move(from, first, last, ...)
end
ENV.math = {}
for name, value in next, math do ENV.math[name] = value end
ENV.utf8 = copy(utf8, "char charpattern codes codepoint len offset")
ENV.os = copy(os, "clock date difftime time")
ENV.coroutine = {
  create = function(fn) return arm(co_create(fn)) end,
  resume = resume,
  yield = co_yield,
  status = co_status,
  running = co_running,
  isyieldable = co_isyieldable,
  close = function(co) return unless_stopped(co_close(co)) end,
  wrap = function(fn)
    local co = arm(co_create(fn))
    return function(...) return unwrap(resume(co, ...)) end
  end,
}
ENV.async = { spawn = async_spawn, join = async_join }
ENV.json = {
  encode = function(value) return text_of(value, true, "value", 0, { bytes = 0 }) end,
}
local string_metatable = getmetatable("")
string_metatable.__index = ENV.string
string_metatable.__metatable = false

---------------------------------------------------------------------------------------------------------------- compiling cells

-- With a mark before it the last expression is no tail call, so that the cell's own frame is there when it fails; also where the script wrote
-- the `return`.  A closing bracket after it would not do: the lines of its errors would be the bracket's.
local function with_result(lines, from)
  local out = { tunpack(lines) }
  out[from] = "return (...)," .. gsub(out[from], "^return%f[%s({\"']", "")
  return concat(out, "\n")
end

-- Do the lines above stand alone?  Else this line begins inside a statement, a string or a comment, and nothing may be put before it.
local function stands_alone(lines, before) return load(concat(lines, "\n", 1, before - 1), "=cell", "t", ENV) ~= nil end

-- Closing and chaining lines belong to what is above them.
local function continues(line) return find(line, "^[%s%)%]}:%.]") or find(line, "^end%f[^%w_]") end

-- The last expression of a cell is its result: put a `return` before the last lines that then compile.
local function compile(code, chunk)
  local plain, problem = load(code, "=" .. chunk, "t", ENV)
  local lines = {}
  for line in gmatch(code .. "\n", "(.-)\n") do lines[#lines + 1] = line end
  for from = #lines, #lines > 60 and #lines - 60 or 1, -1 do
    if find(lines[from], "%S") and not find(lines[from], "^%s*%-%-") then
      local fn = load(with_result(lines, from), "=" .. chunk, "t", ENV)
      if fn and stands_alone(lines, from) then return fn end
      if not fn and plain and not continues(lines[from]) and stands_alone(lines, from) then break end
    end
  end
  if plain then return plain end
  return nil, problem
end

local function remember_locals(code, chunk)
  for line in gmatch(code .. "\n", "(.-)\n") do
    local name = match(line, "^local%s+function%s+([%a_][%w_]*)")
    if name then earlier_locals[name] = chunk end
    local names = match(line, "^local%s+([%a_][%w_,%s]*)")
    if names and not name then
      for each in gmatch(names, "[%a_][%w_]*") do earlier_locals[each] = chunk end
    end
  end
end

---------------------------------------------------------------------------------------------------------------- what the host side calls

local H = { null = null }

function H.start(code, chunk)
  stopped, open_invocations = false, 0
  raised_value, raised_places = nil, nil
  reset()
  scripts[chunk] = true
  local fn, problem = compile(code, chunk)
  if not fn then
    local line, rest = match(problem, ":(%d+): (.*)$")
    return failed('{"code":"script","name":"SyntaxError","message":' .. quote(rest or problem) .. ',"frames":['
      .. (line and '{"chunk":' .. quote(chunk) .. ',"line":' .. line .. "}" or "") .. "]}")
  end
  remember_locals(code, chunk)
  main_task = spawn(fn, RESULT)
  return drive()
end

function H.answer(id, value)
  local task = waiting[id]
  if not task then return end
  waiting[id] = nil
  waiting_count = waiting_count - 1
  task.effect = nil
  enqueue(task, true, value)
end

-- `places` are chunk, line and function in turns.
function H.refuse(id, code, message, name, retryable, ...)
  local task = waiting[id]
  if not task then return end
  waiting[id] = nil
  waiting_count = waiting_count - 1
  task.effect = nil
  local refused, places = fault(code, message, name, retryable), {}
  for i = 1, select("#", ...), 3 do
    local chunk, line, called = select(i, ...)
    places[#places + 1] = { chunk = chunk, line = line, name = called }
  end
  if #places > 0 then fault_places[refused] = places end
  enqueue(task, false, refused)
end

function H.invoke(id, callback, ...)
  local fn = callbacks[callback]
  open_invocations = open_invocations + 1
  local task = spawn(fn or function() raise("script", "the function is gone") end, ...)
  task.on_done = function(done)
    open_invocations = open_invocations - 1
    local ok, text = true, "null"
    if done.ok then
      ok, text = pcall(encode, done.results[1], "the function's result")
      if not ok then done.error = text end
    end
    if not done.ok or not ok then
      returned[#returned + 1] = '{"id":' .. id .. ',"fault":' .. fault_text(done.error) .. "}"
    else
      returned[#returned + 1] = '{"id":' .. id .. ',"value":' .. text .. "}"
    end
  end
end

function H.go_on()
  -- a waiting script reads no hook: the host raises the flag and resumes with nothing
  if getenv(STOP_VARIABLE) ~= "0" then stopped = true end
  return drive()
end

function H.bridge(name, methods_list)
  local methods, names = {}, {}
  for method in gmatch(methods_list, "%S+") do
    names[#names + 1] = method
    methods[method] = function(...) return call(name, method, nil, ...) end
  end
  ENV[name] = read_only(name, methods, no_such(name, names))
end

function H.resource_type(kind, methods_list, iterate)
  local names = {}
  for method in gmatch(methods_list, "%S+") do names[#names + 1] = method end
  resource_types[kind] = { methods = names, iterate = iterate ~= "" and iterate or nil }
end

function H.resource(id, kind)
  if not resource_types[kind] then error("unknown resource type " .. kind, 0) end
  return make_resource(id, kind)
end

-- A function that comes back is the one that went out.
function H.callback(id)
  return callbacks[id] or error("unknown function " .. id, 0)
end

function H.empty_array()
  local t = {}
  arrays[t] = true
  return t
end

function H.empty_object()
  local t = {}
  objects[t] = true
  return t
end

function H.library(source, chunk)
  local fn = assert(load(source, "=" .. chunk, "t", ENV))
  fn()
end

-- Queries run nothing of the script: raw reads only.
local function lookup(path)
  local value = ENV
  for name in gmatch(path, "[^%.]+") do
    if type(value) ~= "table" then return nil end
    if resources[value] then return nil end
    value = rawget(value, name)
  end
  return value
end

function H.members(path)
  local value = lookup(path)
  local out = {}
  if type(value) == "table" then
    for key, item in next, value do
      if type(key) == "string" and utf8_len(key) and #out < 2000 then out[#out + 1] = "[" .. quote(key) .. "," .. quote(type(item)) .. "]" end
    end
    sort(out)
  elseif type(value) == "string" then
    for key in next, ENV.string do if type(key) == "string" then out[#out + 1] = "[" .. quote(key) .. ',"function"]' end end
    sort(out)
  end
  return "[" .. concat(out, ",") .. "]"
end

function H.get(name)
  local ok, text = pcall(encode, rawget(ENV, name), name)
  if ok then return text end
  return nil, tostring(text)
end

function H.set(name, value) rawset(ENV, name, value) end

function H.is_complete(code)
  if load("return " .. code, "=cell", "t", {}) then return "complete" end
  local fn, problem = load(code, "=cell", "t", {})
  if fn then return "complete" end
  return find(problem, "near '?<eof>'?$") and "incomplete" or "invalid"
end

local globals = _G
for name in next, globals do globals[name] = nil end
return H
