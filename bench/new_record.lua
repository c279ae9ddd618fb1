-- wrk's side of the bench: a POST with a new record and a new key each time.
local n = 0
local headers = {["Content-Type"] = "application/json", ["Traffic-Worker"] = "worker-1", ["User-Agent"] = "bench"}
function request()
  n = n + 1
  headers["Idempotency-Key"] = "20261122-172228-375a-" .. n
  local body = '{"name": "Ana Maria Nunez", "msg": "a message of fifty letters, as in the data, ' .. n .. '"}'
  return wrk.format("POST", "/", headers, body)
end
