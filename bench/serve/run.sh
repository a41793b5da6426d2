#!/bin/sh
# Requests a second and latencies of a running strongroomd beside a bare CivetWeb handler, in turns,
# so that both meet the same machine.
#
#   SERVE_KEY=sr_... bench/serve/run.sh BUILD URL BODY
#
#   BUILD  the build folder (it holds bench/serve-bare)
#   URL    e.g. https://127.0.0.1:8443/v2/models/digits/infer
#   BODY   a file with the JSON request
#
# SERVE_SECONDS (8), SERVE_ROUNDS (3) and SERVE_CONNECTIONS ("8 32") may be set. The medians of the
# rounds are printed, and the ratio of strongroomd to the bare handler. Needs wrk.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
[ $# -eq 3 ] || {
    echo "usage: SERVE_KEY=... $0 BUILD URL BODY" >&2
    exit 2
}
build=$1
url=$2
SERVE_BODY=$3
export SERVE_BODY SERVE_KEY
seconds=${SERVE_SECONDS:-8}
rounds=${SERVE_ROUNDS:-3}
port=${SERVE_PORT:-18443}
command -v wrk >/dev/null || {
    echo "needs wrk" >&2
    exit 1
}
[ -n "${SERVE_KEY:-}" ] || {
    echo "SERVE_KEY is not set" >&2
    exit 2
}

work=$(mktemp -d)
mkfifo "$work/alive"
"$build/bench/serve-bare" "$port" 40 <"$work/alive" &
bare=$!
exec 8>"$work/alive" # the bare server ends when this closes
trap 'exec 8>&-; kill "$bare" 2>/dev/null || true; rm -rf "$work"' EXIT

figures() { # URL CONNECTIONS SECONDS -> "requests/s p50 p99 errors"
    wrk -t 2 -c "$2" -d "${3}s" -s "$here/post.lua" "$1" | sed -n 's/^figures //p'
}
median() { # COLUMN FILE
    cut -d' ' -f"$1" "$2" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

printf '%-12s %12s %12s %10s %10s %8s\n' connections server requests/s p50/us p99/us errors
for connections in ${SERVE_CONNECTIONS:-8 32}; do
    : >"$work/bare"
    : >"$work/strongroom"
    figures "$url" "$connections" 1 >/dev/null # the model is loaded, the channels are open
    round=0
    while [ $round -lt "$rounds" ]; do
        figures "https://127.0.0.1:$port/" "$connections" "$seconds" >>"$work/bare"
        figures "$url" "$connections" "$seconds" >>"$work/strongroom"
        round=$((round + 1))
    done
    for server in bare strongroom; do
        printf '%-12s %12s %12s %10s %10s %8s\n' "$connections" $server \
            "$(median 1 "$work/$server")" "$(median 2 "$work/$server")" \
            "$(median 3 "$work/$server")" "$(awk '{ n += $4 } END { print n }' "$work/$server")"
    done
    awk -v a="$(median 1 "$work/strongroom")" -v b="$(median 1 "$work/bare")" \
        -v c="$connections" 'BEGIN { printf "%-12s %12s %12.3f\n", c, "ratio", a / b }'
done
