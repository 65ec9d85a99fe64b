-- Gives the claim up; its token stays for a while, so that the next one is higher. ARGV: token (16 digits), margin (milliseconds).
local value = redis.call('GET', KEYS[1])
if not value then
    return 0
end
if value == 'R' .. ARGV[1] then
    -- By this claim: the answer to the first call was lost, and the call is repeated.
    return 1
end
if string.sub(value, 1, 17) ~= 'P' .. ARGV[1] then
    return 0
end
redis.call('SET', KEYS[1], 'R' .. ARGV[1], 'PX', ARGV[2])
return 1
