-- Sends requests from a file of ready-made ones, all of one length in bytes, each once. With STATIC
-- it sends the first again and again, which takes less of the load's CPU: for a route that does not
-- look at them.
local file = assert(io.open(os.getenv("REQUESTS"), "rb"))
local length = tonumber(os.getenv("LENGTH"))
file:setvbuf("full", 1048576)

if os.getenv("STATIC") then
  local head, body = file:read(length):match("^(.-)\r\n\r\n(.*)$")
  wrk.method, wrk.path, wrk.body = "POST", head:match("^POST (%S+)"), body
  for name, value in head:gmatch("\n([^:]+): ([^\r]*)") do
    -- wrk adds these two itself.
    if name ~= "host" and name ~= "content-length" then wrk.headers[name] = value end
  end
else
  function request()
    local made = file:read(length)
    if not made then
      -- From the start again: the server handles none of these twice, and its count tells.
      file:seek("set", 0)
      made = file:read(length)
    end
    return made
  end
end

function done(summary)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("RESULT %d %d %d\n", summary.requests, summary.duration, failed))
end
