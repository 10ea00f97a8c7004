-- sleep(seconds): waits; other tasks go on.
return function(seconds) return host.call("timer", "sleep", nil, seconds) end
