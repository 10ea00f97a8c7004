-- Cells as functions: the last expression of a cell is its result, and its top-level locals are noted for better errors.
local faults, ENV = ...

local load, rawequal, next = load, rawequal, next
local find, gmatch, gsub, match = string.find, string.gmatch, string.gsub, string.match
local concat, pack, unpack = table.concat, table.pack, table.unpack
local max, min = math.max, math.min

local MOST_LINES = 60 -- of a last expression
local MOST_PARSED_BYTES = 4 * 1024 * 1024 -- in search of it: no hook runs while a cell is compiled, and a megabyte takes a tenth of a second

local RESULT = {} -- given to a cell, which puts it before the values of its last expression (see with_result)

local function each_line(code) return gmatch(code .. "\n", "(.-)\n") end

local function lines_of(code)
  local lines = {}
  for line in each_line(code) do lines[#lines + 1] = line end
  return lines
end

-- With a mark before it the last expression is no tail call, so that the cell's own frame is there when it fails; also where the script wrote
-- the `return`.  A closing bracket after it would not do: the lines of its errors would be the bracket's.
local function with_result(lines, from)
  local above = from > 1 and concat(lines, "\n", 1, from - 1) .. "\n" or ""
  local below = from < #lines and "\n" .. concat(lines, "\n", from + 1) or ""
  return above .. "return (...)," .. gsub(lines[from], "^return%f[%s({\"']", "") .. below
end

-- Do the lines above stand alone?  Else this line begins inside a statement, a string or a comment, and nothing may be put before it.
local function stands_alone(lines, before) return load(concat(lines, "\n", 1, before - 1), "=cell", "t", ENV) ~= nil end

-- Closing and chaining lines belong to what is above them.
local function continues(line) return find(line, "^[%s%)%]}:%.]") or find(line, "^end%f[^%w_]") end

-- How many lines are tried; each may be parsed with what is above it, and again with all.
local function most_tried(code) return max(1, min(MOST_LINES, MOST_PARSED_BYTES // (2 * #code + 1))) end

-- Puts a `return` before the last lines that then compile.
local function compile(code, chunk)
  local plain, problem = load(code, "=" .. chunk, "t", ENV)
  local lines = lines_of(code)
  for from = #lines, max(1, #lines - most_tried(code)), -1 do
    if find(lines[from], "%S") and not find(lines[from], "^%s*%-%-") then
      local fn = load(with_result(lines, from), "=" .. chunk, "t", ENV)
      if fn and stands_alone(lines, from) then return fn end
      if not fn and plain and not continues(lines[from]) and stands_alone(lines, from) then break end
    end
  end
  return plain, problem
end

-- A cell's results without the mark.
local function results_of(results)
  if rawequal(results[1], RESULT) then return pack(unpack(results, 2, results.n)) end
  return results
end

local function note_locals(code, chunk)
  for line in each_line(code) do
    local name = match(line, "^local%s+function%s+([%a_][%w_]*)")
    local names = name or match(line, "^local%s+([%a_][%w_,%s]*)") or ""
    for each in gmatch(names, "[%a_][%w_]*") do faults.note_local(each, chunk) end
  end
end

local function completeness(code)
  if load("return " .. code, "=cell", "t", {}) then return "complete" end
  local fn, problem = load(code, "=cell", "t", {})
  if fn then return "complete" end
  return find(problem, "near '?<eof>'?$") and "incomplete" or "invalid", problem
end

return { RESULT = RESULT, compile = compile, completeness = completeness, note_locals = note_locals, results_of = results_of }
