-- Whether the server takes writes; answers its time in microseconds.
redis.call('SET', KEYS[1], '', 'PX', 1000)
local time = redis.call('TIME')
return time[1] * 1000000 + time[2]
