-- What wrk asks: the same request again and again, or (with a body) one whose `%d` is a number of its own each time.
-- Arguments behind `--`: the key, and for submits the body. Prints one line of JSON at the end.

local thread_number = 0

function setup(thread)
  thread:set("first", thread_number * 1000000)
  thread_number = thread_number + 1
end

function init(arguments)
  number = first
  body = arguments[2]
  wrk.headers["Authorization"] = "Bearer " .. arguments[1]
  if body then
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/json"
  end
end

function request()
  if not body then
    return wrk.format()
  end
  number = number + 1
  return wrk.format(nil, nil, nil, (body:gsub("%%d", string.format("%07d", number))))
end

function done(summary, latency, _)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  print(string.format(
    '{"per_second": %.3f, "p95_ms": %.3f, "requests": %d, "failed": %d}',
    summary.requests / summary.duration * 1e6, latency:percentile(95) / 1000, summary.requests, failed
  ))
end
