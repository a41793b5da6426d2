#!/bin/sh
# Installs what Strongroom needs from Debian: `packaging/dependencies.sh build|test`. Quick when all
# of it is there. Uses sudo only where it does not run as root.
set -eu

build="build-essential cmake ninja-build pkg-config ca-certificates curl xz-utils patch
    libssl-dev libsodium-dev libsqlite3-dev libopenblas-serial-dev libcyaml-dev libyaml-dev
    libjansson-dev libjpeg62-turbo-dev libpng-dev libwebp-dev libtiff-dev libopenjp2-7-dev
    libseccomp-dev libcurl4-openssl-dev zlib1g-dev sqlite3 python3"
test="$build libcriterion-dev clang-14 libclang-rt-14-dev clang-format-14 age gdb zstd wrk
    libonnx-testdata libgomp1 python3-venv python3-numpy zsh fish groff-base mandoc espeak-ng"

case ${1:-} in
build) wanted=$build ;;
test) wanted=$test ;;
*)
    echo "usage: packaging/dependencies.sh build|test" >&2
    exit 2
    ;;
esac

missing=
for package in $wanted; do
    case $(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true) in
    "install ok installed") ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || {
        echo "not root, and there is no sudo: please install$missing" >&2
        exit 1
    }
    root=sudo
fi
echo "installing:$missing"
$root apt-get update -qq
# shellcheck disable=SC2086 # a list of words
$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
