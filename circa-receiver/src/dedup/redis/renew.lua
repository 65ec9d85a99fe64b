-- Prolongs the lease, from now. ARGV: token (16 digits), lease (microseconds), margin (milliseconds).
local value = redis.call('GET', KEYS[1])
if not value or string.sub(value, 1, 17) ~= 'P' .. ARGV[1] then
    return 0
end
local time = redis.call('TIME')
local lease = tonumber(ARGV[2])
local ends = string.format('%016.0f', time[1] * 1000000 + time[2] + lease)
local expiry = string.format('%.0f', math.ceil(lease / 1000) + tonumber(ARGV[3]))
redis.call('SET', KEYS[1], string.sub(value, 1, 17) .. ends .. string.sub(value, 34), 'PX', expiry)
return 1
