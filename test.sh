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

# The clients of the end-to-end tests, and what checks descriptions of interfaces. Without one, its
# tests are skipped by name.
client=build/client-venv
for package in 'tritonclient[http]' kserve schemathesis openapi-spec-validator; do
    name=$(printf '%s' "${package%%\[*}" | tr - _)
    "$client/bin/python" -c "import $name" >/dev/null 2>&1 && continue
    mkdir -p build
    [ -x "$client/bin/pip" ] || python3 -m venv "$client" || break
    if "$client/bin/pip" install --quiet "$package" numpy; then
        echo "installed $package in $client"
    else
        echo "$package could not be installed: its tests will be skipped"
    fi
done

# The engine that the operators of com.microsoft, and fused and quantised models, are held against.
peer=build/onnx-venv
for package in onnx onnxruntime sympy; do
    "$peer/bin/python" -c "import $package" >/dev/null 2>&1 && continue
    mkdir -p build
    [ -x "$peer/bin/pip" ] || python3 -m venv "$peer" || break
    if "$peer/bin/pip" install --quiet "$package"; then
        echo "installed $package in $peer"
    else
        echo "$package could not be installed: its tests will be skipped"
    fi
done

# What fits and exports the classic models that the operators of ai.onnx.ml are held against. XGBoost
# without what it needs for graphics cards.
fitter=build/ml-venv
for package in scikit-learn xgboost-cpu lightgbm skl2onnx onnxmltools onnxruntime; do
    case $package in
    scikit-learn) name=sklearn ;;
    *) name=${package%-cpu} ;;
    esac
    "$fitter/bin/python" -c "import $name" >/dev/null 2>&1 && continue
    mkdir -p build
    [ -x "$fitter/bin/pip" ] || python3 -m venv "$fitter" || break
    if "$fitter/bin/pip" install --quiet "$package"; then
        echo "installed $package in $fitter"
    else
        echo "$package could not be installed: its tests will be skipped"
    fi
done

# Programs that read text, type files and hear speech, whose networks are asked of the server. Pinned:
# the texts, labels and decisions that the tests expect are theirs. Line by line, so that one that
# cannot be had takes only its own tests with it.
real=build/real-venv
wanted=tests/real/requirements.txt
if ! cmp -s "$wanted" "$real/installed"; then
    mkdir -p build
    [ -x "$real/bin/pip" ] || python3 -m venv "$real" || true
    if [ -x "$real/bin/pip" ]; then
        complete=yes
        for package in $(grep -v '^#' "$wanted"); do
            "$real/bin/pip" install --quiet --no-deps "$package" || {
                complete=no
                echo "$package could not be installed: its tests will be skipped"
            }
        done
        [ $complete = no ] || { cp "$wanted" "$real/installed" && echo "installed $real"; }
    fi
fi

# The Open Inference Protocol's published OpenAPI file, at one commit and with one hash. It is not
# part of this repository; without it, the test that is made from it is skipped by name.
protocol=build/oip/open_inference_rest.yaml
protocol_from=https://raw.githubusercontent.com/kserve/open-inference-protocol/d49cc23f89d709d87b210ef9449e273ae243984e/specification/protocol/open_inference_rest.yaml
protocol_sha256=719644d1cec52d1c98268ee16f3b75d6de7f523c6686463cbf06bf79134edbb2
if [ ! -s "$protocol" ] && [ ! -s ../shared/oip/open_inference_rest.yaml ]; then
    mkdir -p build/oip
    if curl -fsS --max-time 60 -o "$protocol.part" "$protocol_from" &&
        echo "$protocol_sha256  $protocol.part" | sha256sum --check --quiet; then
        mv "$protocol.part" "$protocol"
        echo "fetched $protocol"
    else
        rm -f "$protocol.part"
        echo "the published protocol could not be fetched: its test will be skipped"
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
