#!/bin/sh
# Installs what the tests need, builds everything with gcc and with clang, and runs every test.
# May be run again, and is then quick. Ends with ctest's summary.
set -eu
cd "$(dirname "$0")"

packaging/dependencies.sh test
cmake/civetweb.sh

# The clients of the end-to-end tests. Without them those tests are skipped by name.
client=build/client-venv
if ! "$client/bin/python" -c 'import tritonclient.http' >/dev/null 2>&1; then
    mkdir -p build
    if python3 -m venv "$client" && "$client/bin/pip" install --quiet 'tritonclient[http]' numpy; then
        echo "installed tritonclient in $client"
    else
        echo "tritonclient could not be installed: its tests will be skipped"
    fi
fi

# build FOLDER [CMAKE ARGUMENT...]: quiet while it goes well.
build() {
    folder=$1
    shift
    mkdir -p "$folder"
    echo "building in $folder"
    cmake -S . -B "$folder" -G Ninja "$@" >"$folder/configure.log" 2>&1 || {
        cat "$folder/configure.log"
        exit 1
    }
    ninja -C "$folder" >"$folder/build.log" 2>&1 || {
        grep -v '^\[' "$folder/build.log" | tail -n 200
        exit 1
    }
}

# The second compiler only compiles: its warnings are errors too.
build build/clang -DCMAKE_C_COMPILER=clang-14
build build -DCMAKE_C_COMPILER=gcc

exec ctest --test-dir build --output-on-failure --no-tests=error -j 2
