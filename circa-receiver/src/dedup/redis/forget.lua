-- Forgets a key that is done; its token stays for a while, so that the next one is higher. ARGV:
-- margin (milliseconds).
local value = redis.call('GET', KEYS[1])
if not value or string.sub(value, 1, 1) ~= 'D' then
    return 0
end
redis.call('SET', KEYS[1], 'R' .. string.sub(value, 2, 17), 'PX', ARGV[1])
return 1
