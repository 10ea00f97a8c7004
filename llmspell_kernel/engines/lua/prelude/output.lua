-- Printing: live from a running slice, as the records of protocol/output.py on the worker's own output pipe.
local settings = ...

local clock, pack, sub = os.clock, string.pack, string.sub
local stdout = io.stdout
local STATE = settings.state
local PIECE_BYTES = 1048576 -- a record must fit protocol/output.py's limit, so long texts go in pieces
local LATEST_S = 0.02 -- of CPU time, between a print in a busy slice and its flush

local waits, last_flush = false, 0

local function flush()
  if waits then
    waits = false
    last_flush = clock()
    stdout:flush()
  end
end

local function flush_when_due()
  if waits and clock() - last_flush > LATEST_S then flush() end
end

local function write(stream, text)
  for at = 1, #text, PIECE_BYTES do stdout:write(pack("<I4I1s4", STATE, stream, sub(text, at, at + PIECE_BYTES - 1))) end
  waits = true
end

return { flush = flush, flush_when_due = flush_when_due, write = write }
