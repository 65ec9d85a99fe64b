-- Claims a key: won if it is absent, released, its lease has lapsed, or the same delivery holds it already.
--
-- ARGV: fingerprint (32 bytes), nonce (16 bytes), lease (microseconds), how long the key lives (milliseconds), the
-- server's time until which the caller waits (microseconds). Answers {state, value, now}: 0 too late, 1 won (token),
-- 2 in progress (microseconds left), 3 done (whether with the same body).
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local lease, limit = tonumber(ARGV[3]), tonumber(ARGV[5])
-- A server that was frozen reads claims whose callers have given up: made, they would block their events for a lease.
local late = now > limit
local function held(token)
    return string.format('P%016.0f%016.0f', token, now + lease) .. ARGV[2] .. ARGV[1]
end
-- Most events are new, and need one command less so. An error is ignored here: a server that takes no writes can still
-- answer that an event is done.
local set = not late and redis.pcall('SET', KEYS[1], held(now), 'NX', 'PX', ARGV[4])
if set and set.ok then
    return { 1, now, now }
end
local value = redis.call('GET', KEYS[1])
local token = now
if value then
    local state = string.sub(value, 1, 1)
    local last = tonumber(string.sub(value, 2, 17))
    if not last or not string.find('PDR', state, 1, true) then
        return redis.error_reply('ERR the value at this key was not written by this store')
    end
    if state == 'D' then
        return { 3, string.sub(value, 18) == ARGV[1] and 1 or 0, now }
    end
    -- Higher than the last token, even where the clock was set back.
    token = math.max(now, last + 1)
    if state == 'P' then
        local ends = tonumber(string.sub(value, 18, 33))
        if now < ends then
            if string.sub(value, 34, 49) ~= ARGV[2] then
                if ends - now > lease then
                    -- The clock was set back: without the cap the entry would outlast every lease.
                    local capped = string.sub(value, 1, 17) .. string.format('%016.0f', now + lease)
                    redis.pcall('SET', KEYS[1], capped .. string.sub(value, 34), 'PX', ARGV[4])
                    ends = now + lease
                end
                return { 2, ends - now, now }
            end
            token = last
        end
    end
end
if late then
    return { 0, 0, now }
end
redis.call('SET', KEYS[1], held(token), 'PX', ARGV[4])
return { 1, token, now }
