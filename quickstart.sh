#!/bin/sh
# From nothing to an answered question: installs what is needed, builds, starts the server in a data
# folder of its own, makes the tenant `demo`, seals and uploads the example models, asks each a real
# question, and leaves the server running in the foreground. See --help.
set -eu
from=$PWD
cd "$(dirname "$0")"
here=$PWD

usage() {
    cat <<'TEXT'
usage: ./quickstart.sh [--once] [--data DIR] [--port N]

  --once      compare every answer with the expected one, stop the server, and
              exit 0 only if all was right
  --data DIR  the data folder (default: ./strongroom-data)
  --port N    the port on 127.0.0.1 (default: 8443)
TEXT
}

once=no
data=$here/strongroom-data
port=
while [ $# -gt 0 ]; do
    case $1 in
    --once) once=yes ;;
    --data) [ $# -ge 2 ] || { usage >&2; exit 2; }; data=$2; shift ;;
    --port) [ $# -ge 2 ] || { usage >&2; exit 2; }; port=$2; shift ;;
    -h | --help) usage; exit 0 ;;
    *) echo "quickstart.sh: unknown argument: $1" >&2; usage >&2; exit 2 ;;
    esac
    shift
done
case $port in *[!0-9]*) echo "quickstart.sh: --port: found \"$port\", expected a number" >&2; exit 2 ;; esac
case $data in /*) ;; *) data=$from/$data ;; esac
# A folder that is there keeps its configuration.
if [ -f "$data/strongroom.yaml" ]; then
    has=$(sed -n 's/^ *- *"127\.0\.0\.1:\([0-9]*\)".*/\1/p' "$data/strongroom.yaml" | head -n 1)
    if [ -z "$has" ] || { [ -n "$port" ] && [ "$port" != "$has" ]; }; then
        echo "quickstart.sh: $data/strongroom.yaml listens on 127.0.0.1:${has:-?}, not on ${port:-127.0.0.1}; use --port $has or another --data" >&2
        exit 2
    fi
    port=$has
fi
port=${port:-8443}

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$(printf '\033[1m'); plain=$(printf '\033[0m'); else bold=; plain=; fi
step() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }

step "Installing and building (quick when it was done before)"
packaging/dependencies.sh build
cmake/civetweb.sh
bin=$here/build/quickstart
mkdir -p build/quickstart
cmake -S . -B build/quickstart -G Ninja -DSTRONGROOM_TESTS=OFF -DSTRONGROOM_BENCH=OFF >build/quickstart/configure.log 2>&1 ||
    { cat build/quickstart/configure.log >&2; exit 1; }
ninja -C build/quickstart strongroomd strongroom >build/quickstart/build.log 2>&1 ||
    { grep -v '^\[' build/quickstart/build.log >&2; exit 1; }

strongroom() { STRONGROOM_DATA=$data "$bin/strongroom" "$@"; }
url=https://127.0.0.1:$port
cacert=$data/tls/cert.pem
keyfile=$data/demo.key

step "The server: data in $data, TLS with a certificate of its own"
[ -f "$data/strongroom.yaml" ] || "$bin/strongroom" init "$data" --listen "127.0.0.1:$port"
if curl -s --max-time 2 --cacert "$cacert" "$url/v2/health/live" >/dev/null 2>&1; then
    echo "quickstart.sh: something answers on $url already; stop it, or use --port and --data" >&2
    exit 1
fi
"$bin/strongroomd" --config "$data/strongroom.yaml" 2>>"$data/strongroomd.log" &
server=$!
stop() {
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
}
trap 'stop' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
waited=0
until curl -s --fail --max-time 2 --cacert "$cacert" "$url/v2/health/ready" >/dev/null 2>&1; do
    waited=$((waited + 1))
    if [ $waited -gt 150 ] || ! kill -0 "$server" 2>/dev/null; then
        echo "quickstart.sh: the server did not start; its log says:" >&2
        tail -n 20 "$data/strongroomd.log" >&2
        exit 1
    fi
    sleep 0.2
done
echo "serving on $url (log: $data/strongroomd.log)"

step "A tenant and its API key"
strongroom tenant show demo >/dev/null 2>&1 || strongroom tenant create demo
if [ ! -s "$keyfile" ]; then
    (umask 077 && strongroom key create --tenant demo --label quickstart \
        --scopes models:read,models:write,infer,audit:read --key-only >"$keyfile")
fi
echo "the key is in $keyfile, readable by you alone; the server keeps only a hash of it"
verifier=$(cat "$data/keys/verifier.txt")

step "Sealing and uploading the example models"
for model in examples/*/model.onnx; do
    name=$(basename "$(dirname "$model")")
    sealed=$data/$name.age
    strongroom seal "$model" -o "$sealed" --force --server "$url" --cacert "$cacert" \
        --key-file "$keyfile" --verifier "$verifier" --tenant demo
    status=0
    said=$(strongroom upload "$sealed" --model "$name" --version 1 --server "$url" \
        --cacert "$cacert" --key-file "$keyfile" 2>&1 >/dev/null) || status=$?
    case $status:$said in
    0:*) echo "$name: uploaded, opened by the tenant's worker, ready" ;;
    5:*"already exists"*) echo "$name: was there already" ;;
    *) printf '%s\n' "$said" >&2; exit "$status" ;;
    esac
    rm -f "$sealed"
done

step "Asking each a question"
failed=0
for model in examples/*/model.onnx; do
    name=$(basename "$(dirname "$model")")
    compare=
    [ $once = no ] || compare=--compare
    # shellcheck disable=SC2086 # empty or one word
    python3 examples/ask.py --url "$url" --cacert "$cacert" --key-file "$keyfile" $compare "$name" ||
        failed=1
done

step "The audit log: who asked what, newest first"
strongroom audit list --tenant demo --limit 12

step "strongroom doctor"
strongroom doctor || failed=1

step "Try it yourself"
cat <<TEXT
export STRONGROOM_KEY=\$(cat '$keyfile')
curl --cacert '$cacert' -H "Authorization: Bearer \$STRONGROOM_KEY" $url/v2/models/digits
curl --cacert '$cacert' -H "Authorization: Bearer \$STRONGROOM_KEY" -H 'Content-Type: application/json' \\
     --data '@$here/examples/digits/question.json' $url/v2/models/digits/infer
curl --cacert '$cacert' -H "Authorization: Bearer \$STRONGROOM_KEY" $url/v1/audit
TEXT

if [ $once = yes ]; then
    trap - EXIT
    kill "$server"
    wait "$server" || { echo "quickstart.sh: the server did not stop cleanly" >&2; failed=1; }
    if [ $failed = 0 ]; then
        step "All answers were as expected"
    else
        step "Something was not as expected, see above"
    fi
    exit $failed
fi
step "The server runs until you press Ctrl-C"
wait "$server"
