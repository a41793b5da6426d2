-- wrk: POST one body, with the API key from the environment; count what is not 200, and print the
-- figures in a form that run.sh reads.
local file = assert(io.open(os.getenv("SERVE_BODY"), "rb"))
wrk.method = "POST"
wrk.body = file:read("*a")
file:close()
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. (os.getenv("SERVE_KEY") or "")
wrk.headers["Connection"] = "keep-alive"

function done(summary, latency)
    local e = summary.errors
    io.write(string.format("figures %.0f %.0f %.0f %d\n", summary.requests * 1e6 / summary.duration,
        latency:percentile(50), latency:percentile(99),
        e.status + e.connect + e.read + e.write + e.timeout))
end
