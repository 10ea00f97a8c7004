-- errors: errors as values.
--
-- errors.try(fn, ...)  value, err: the function's first result, or nil and the error object with `code`, `message` and `retryable`.  A text that
--                      was raised becomes such an object and keeps its place; a table that the script raised stays what it is.  A stop, a limit
--                      and memory that ran out are not caught.
-- errors.new(code, message, { retryable = })   an error object to raise with error(e).
local function try(fn, ...)
  host.takes(fn, "function", "errors.try takes a function")
  local ok, value = pcall(fn, ...)
  if ok then return value end
  if host.is_limit(value) then error(value, 0) end
  return nil, host.as_object(value)
end

local function new(code, message, options)
  host.takes(code, "string", "errors.new takes a code (a string)")
  host.takes(message, "string", "errors.new takes a message (a string) as its second argument")
  if host.is_reserved(code) then host.raise("argument", "errors.new: the code '" .. code .. "' is for the host alone; choose another") end
  return host.fault(code, message, nil, host.options(options, { "retryable" }, "errors.new").retryable == true)
end

return { new = new, try = try }
