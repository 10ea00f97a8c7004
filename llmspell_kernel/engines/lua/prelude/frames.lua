-- Where scripts failed: the frames of scripts only, ours and the libraries' left out.
local getinfo = debug.getinfo
local ipairs, rawequal, sub = ipairs, rawequal, string.sub

local MOST_FRAMES = 32
local MOST_LEVELS = 1000 -- getinfo walks from the top for each level, so a deep stack without a script's frame would take minutes

local scripts = {} -- chunk name -> true

local function places(co)
  local found = {}
  for level = 0, MOST_LEVELS do
    local info = getinfo(co, level, "Sln")
    if not info or #found == MOST_FRAMES then break end
    local chunk = sub(info.source, 2)
    if info.what ~= "C" and scripts[chunk] then
      found[#found + 1] = { chunk = chunk, line = info.currentline, name = info.what ~= "main" and info.name or nil }
    end
  end
  return found
end

local function append(to, more)
  for _, place in ipairs(more) do
    if #to >= MOST_FRAMES then break end
    to[#to + 1] = place
  end
  return to
end

-- Frames of coroutines that died below the one that reports, kept until somebody reports the same error value.
local raised_value, raised_places

local function remember(co, value)
  local here = places(co)
  if raised_places and rawequal(raised_value, value) then
    append(raised_places, here)
  else
    raised_value, raised_places = value, here
  end
end

local function forget() raised_value, raised_places = nil, nil end

-- The remembered frames of this error, once.
local function take(value)
  local found = rawequal(raised_value, value) and raised_places or {}
  forget()
  return found
end

return {
  add_script = function(chunk) scripts[chunk] = true end,
  append = append,
  forget = forget,
  places = places,
  is_script = function(chunk) return scripts[chunk] == true end,
  remember = remember,
  take = take,
}
