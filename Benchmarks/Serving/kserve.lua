-- wrk script: posts one KServe v2 request with a binary tensor again and again, and prints a line of JSON at the end.
-- The body is a file (KSERVE_BODY), its JSON part KSERVE_HEAD bytes long: a shell cannot carry binary.
local file = assert(io.open(os.getenv("KSERVE_BODY"), "rb"))
wrk.method = "POST"
wrk.body = file:read("*a")
file:close()
wrk.headers["Content-Type"] = "application/octet-stream"
wrk.headers["Inference-Header-Content-Length"] = os.getenv("KSERVE_HEAD")

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests":%d,"seconds":%.6f,"mean":%.1f,"p50":%.1f,"p95":%.1f,"p99":%.1f,"failed":%d}\n',
    summary.requests, summary.duration / 1e6, latency.mean, latency:percentile(50), latency:percentile(95), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
