-- Time as the host tells it, at each step, and in between by the instructions that ran: a replay of the same steps sees the same times.
--
-- Times never go backwards.  The measure of an instruction is about right for a loop of them; what C functions take is not counted.
local stop = ...

local date, time, select = os.date, os.time, select
local difftime = os.difftime
local run_so_far = stop.run_so_far

local INSTRUCTION_S = 5e-9
local told, told_at = 0, 0 -- Unix time, and how much had run then

local function now() return told + (run_so_far() - told_at) * INSTRUCTION_S end

return {
  tell = function(time_s)
    local latest = now()
    told, told_at = time_s > latest and time_s or latest, run_so_far()
  end,
  library = {
    -- a measure of what the state's scripts have run, as the processor's own time could not be replayed
    clock = function() return run_so_far() * INSTRUCTION_S end,
    date = function(format, at)
      if format == nil then format = "%c" end
      if at == nil then at = now() // 1 | 0 end
      return date(format, at)
    end,
    difftime = difftime,
    time = function(...)
      if select("#", ...) > 0 and (...) ~= nil then return time(...) end
      return now() // 1 | 0
    end,
  },
}
