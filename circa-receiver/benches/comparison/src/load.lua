-- Sends requests from a file of ready-made ones, all of one length in bytes, each once. With STATIC it sends the first again and again, which takes
-- less of the load's CPU: for a route that does not look at them.
local file = assert(io.open(os.getenv("REQUESTS"), "rb"))
local length = tonumber(os.getenv("LENGTH"))
file:setvbuf("full", 1048576)
wrapped = 0

if os.getenv("STATIC") then
  local head, body = file:read(length):match("^(.-)\r\n\r\n(.*)$")
  wrk.method, wrk.path, wrk.body = "POST", head:match("^POST (%S+)"), body
  for name, value in head:gmatch("\n([^:]+): ([^\r]*)") do wrk.headers[name] = value end
else
  function request()
    local made = file:read(length)
    if not made then
      wrapped = wrapped + 1
      file:seek("set", 0)
      made = file:read(length)
    end
    return made
  end
end

local threads = {}
function setup(thread) table.insert(threads, thread) end

function done(summary, latency)
  local cycles = 0
  for _, thread in ipairs(threads) do cycles = cycles + thread:get("wrapped") end
  local errors = summary.errors
  io.write(string.format(
    "RESULT %d %d %d %d %d %d\n",
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout, cycles))
end
