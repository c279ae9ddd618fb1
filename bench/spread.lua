-- As new_record.lua, but each connection waits a random part of the first second before its first request, as users
-- that are spawned over a second do. wrk counts a response time from after that wait.
dofile((debug.getinfo(1, "S").source:match("@(.*/)") or "./") .. "new_record.lua")
local waiting = 0
function init(arguments) waiting = tonumber(arguments[1]) end
function delay()
  if waiting == 0 then return 0 end
  waiting = waiting - 1
  return math.random(0, 1000)
end
