-- Marks the key done. ARGV: token (16 digits), retention (milliseconds).
local value = redis.call('GET', KEYS[1])
if not value then
    return 0
end
local head = string.sub(value, 1, 17)
if head == 'D' .. ARGV[1] then
    -- By this claim: the answer to the first call was lost, and the call is repeated.
    return 1
end
if head ~= 'P' .. ARGV[1] then
    return 0
end
redis.call('SET', KEYS[1], 'D' .. ARGV[1] .. string.sub(value, 50), 'PX', ARGV[2])
return 1
