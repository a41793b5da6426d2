#!/bin/sh
# Installs what the tests need, builds everything with gcc and with clang, and runs every test (the
# unit tests once more, and the fuzz targets, under clang's sanitizers).
# May be run again, and is then quick. Ends with ctest's summary.
set -eu
cd "$(dirname "$0")"
if [ $# -ne 0 ]; then
    echo "usage: ./test.sh (takes no arguments; single tests: ctest --test-dir build -R NAME)" >&2
    exit 2
fi

packaging/dependencies.sh test
cmake/civetweb.sh

# The clients of the end-to-end tests. Without one, its tests are skipped by name.
client=build/client-venv
for package in 'tritonclient[http]' kserve openapi-spec-validator; do
    name=$(echo "${package%%\[*}" | tr - _)
    "$client/bin/python" -c "import $name" >/dev/null 2>&1 && continue
    mkdir -p build
    [ -x "$client/bin/pip" ] || python3 -m venv "$client" || break
    if "$client/bin/pip" install --quiet "$package" numpy; then
        echo "installed $package in $client"
    else
        echo "$package could not be installed: its tests will be skipped"
    fi
done

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

# The second compiler has the sanitizers: unit tests and fuzz targets run under them, for a bounded
# time. Its warnings are errors too.
build build/clang -DCMAKE_C_COMPILER=clang-14 -DCMAKE_BUILD_TYPE=Debug -DSTRONGROOM_FUZZ=ON \
    -DSTRONGROOM_SANITIZE=ON
build build -DCMAKE_C_COMPILER=gcc

echo "unit tests and fuzz targets under the sanitizers"
ctest --test-dir build/clang --output-on-failure --no-tests=error -j 2 -L 'unit|fuzz' \
    >build/clang/ctest.log 2>&1 || {
    cat build/clang/ctest.log
    exit 1
}
tail -n 8 build/clang/ctest.log

exec ctest --test-dir build --output-on-failure --no-tests=error -j 2
