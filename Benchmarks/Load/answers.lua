-- wrk script: what each answer of a closed loop really took, beside what wrk prints of it.
-- wrk adds to its latencies requests that it did not send, by a guess from the mean interval (wg/wrk `src/wrk.c`, stats_correct). Here a thread
-- of one connection (-tN -cN) times its own. The body is a file (KSERVE_BODY), its JSON part KSERVE_HEAD bytes long. PERCENTILES, with commas
-- between, names others than the usual ones.
local ffi = require("ffi")
ffi.cdef [[ typedef struct { long seconds, nanoseconds; } moment; int clock_gettime(int, moment *); ]]
local now = ffi.new("moment")
local CLOCK_MONOTONIC = 1

local function microseconds()
  ffi.C.clock_gettime(CLOCK_MONOTONIC, now)
  return tonumber(now.seconds) * 1e6 + tonumber(now.nanoseconds) / 1e3
end

local threads = {}

function setup(thread) table.insert(threads, thread) end

function init()
  local file = assert(io.open(os.getenv("KSERVE_BODY"), "rb"))
  local headers = { ["Content-Type"] = "application/octet-stream", ["Inference-Header-Content-Length"] = os.getenv("KSERVE_HEAD") }
  post = wrk.format("POST", nil, headers, file:read("*a"))
  file:close()
  taken, started = {}, 0
end

function request()
  started = microseconds()
  return post
end

function response() taken[#taken + 1] = microseconds() - started end

function done(summary, latency)
  local all = {}
  for _, thread in ipairs(threads) do
    for _, value in ipairs(thread:get("taken")) do all[#all + 1] = value end
  end
  table.sort(all)
  local points, wanted = {}, {}
  for word in (os.getenv("PERCENTILES") or "50,75,90,95,99,99.9,99.99,100"):gmatch("[^,]+") do wanted[#wanted + 1] = tonumber(word) end
  for _, percentile in ipairs(wanted) do
    local own = all[math.max(1, math.ceil(percentile / 100 * #all))]
    points[#points + 1] = string.format('"%s":{"answers":%.1f,"printed":%.1f}', percentile, own, latency:percentile(percentile))
  end
  io.write(string.format('\nRESULT {"requests":%d,"seconds":%.6f,"failed":%d,"percentiles":{%s}}\n', #all, summary.duration / 1e6,
    summary.errors.status + summary.errors.timeout, table.concat(points, ",")))
end
