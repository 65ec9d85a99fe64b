-- Gives up the claim of the delivery with this nonce; its token stays for a while, so that the next
-- one is higher. ARGV: nonce (16 bytes), margin (milliseconds).
local value = redis.call('GET', KEYS[1])
if not value or string.sub(value, 1, 1) ~= 'P' or string.sub(value, 34, 49) ~= ARGV[1] then
    return 0
end
redis.call('SET', KEYS[1], 'R' .. string.sub(value, 2, 17), 'PX', ARGV[2])
return 1
