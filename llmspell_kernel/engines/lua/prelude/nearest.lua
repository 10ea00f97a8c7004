-- The nearest of some names to a wrong one, for the hints of errors.
local ipairs, type = ipairs, type
local byte, concat, huge, sort = string.byte, table.concat, math.huge, table.sort

local LONGEST_NAME = 64 -- beyond it no distance is computed
local MOST_NAMES = 200

local function least(a, b, c)
  if b < a then a = b end
  return c < a and c or a
end

-- Levenshtein's, in one row.
local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local cost = byte(a, i) == byte(b, j) and diagonal or 1 + least(diagonal, row[j], row[j - 1])
      diagonal = row[j]
      row[j] = cost
    end
  end
  return row[#b]
end

-- "; did you mean 'chat'?", else what there is, told by `has`.
local function hint(wrong, names, has)
  local best, best_distance = nil, huge
  for i, name in ipairs(names) do
    if i > MOST_NAMES then break end
    local d = type(wrong) == "string" and #wrong <= LONGEST_NAME and #name <= LONGEST_NAME and distance(wrong, name) or huge
    if d < best_distance then best, best_distance = name, d end
  end
  if best_distance <= 3 then return "; did you mean '" .. best .. "'?" end
  return "; " .. has .. " " .. concat(names, ", ")
end

return { hint = hint }
