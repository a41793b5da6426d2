#!/bin/sh
# CivetWeb 1.16 or newer, for the front: `cmake/civetweb.sh [FOLDER]`, run before cmake.
#
# Debian 12 ships 1.15, which crashes at the first TLS handshake with OpenSSL 3. Where the system's
# library is 1.16 or newer and answers a TLS request (civetweb_probe.c), it is used. Otherwise
# Debian's source package of 1.16 is fetched with apt, checked, patched with Debian's series (which
# carries the fix of CVE-2025-55763) and built as a static library without file serving, CGI,
# scripting or websockets. The source is never part of this repository.
#
# apt runs with its own state, cache and source list inside FOLDER, so nothing of the machine's
# package set-up changes; the mirror and the keyring are those the machine already uses.
#
# FOLDER (default: $STRONGROOM_CIVETWEB_DIR, then build/deps/civetweb) receives include/, lib/ and
# the file `kind` (system or static), which cmake/civetweb.cmake reads. Run again, it does nothing.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
folder=${1:-${STRONGROOM_CIVETWEB_DIR:-$root/build/deps/civetweb}}

# The upstream tarball is the same in every Debian revision of 1.16; the patch series moves with the
# revision, so it is pinned by a hash over its sorted files, one line for each series reviewed:
#   1.16+dfsg-2+deb13u1   two more fixes on 1.16, CVE-2025-55763
#   1.16+dfsg-6           the same, and the build with OpenSSL 4
orig_name=civetweb_1.16+dfsg.orig.tar.xz
orig_sha256=41dbfd68cd3b914ce440a5813f21058813b61a972600cc04fb8233a0d2d04fe4
known_series="
8826da661bb8f96653fae3c48055c74867f348c3f1ccf03ddf824edbb42d6bd5
1fa421b422206ea7b43585ea0fc44a6c5424ea2d347fa23bdf1cab2cfbefc9c1
"
suites="trixie forky sid"

say() { printf 'civetweb: %s\n' "$*"; }
die() {
    printf 'civetweb: %s\n' "$*" >&2
    exit 1
}

mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
identity=$(cat "$here/civetweb.sh" "$here/civetweb_probe.c" | sha256sum | cut -d' ' -f1)

# Two builds may ask for the same folder at once.
exec 9>"$folder/lock"
flock 9

if [ "$(cat "$folder/identity" 2>/dev/null || true)" = "$identity" ]; then
    case $(cat "$folder/kind" 2>/dev/null || true) in
    static) [ -f "$folder/lib/libcivetweb.a" ] && exit 0 ;;
    system) pkg-config --atleast-version=1.16 civetweb 2>/dev/null && exit 0 ;;
    esac
fi
rm -f "$folder/identity" "$folder/kind"

for tool in cc tar xz patch sha256sum apt-get pkg-config; do
    command -v "$tool" >/dev/null 2>&1 || die "needs the program $tool, which is not installed"
done
pkg-config --atleast-version=3.0 openssl || die "needs OpenSSL 3 with its headers (libssl-dev)"

work=$folder/work
rm -rf "$work"
mkdir -p "$work"
trap 'rm -rf "$work"' EXIT

# probe FLAGS...: build the probe against one CivetWeb and let it answer a TLS request.
probe() {
    # shellcheck disable=SC2046
    cc -O1 -o "$work/probe" "$here/civetweb_probe.c" "$@" $(pkg-config --cflags --libs openssl) \
        -lpthread >"$work/probe.log" 2>&1 && timeout 30 "$work/probe" >>"$work/probe.log" 2>&1
}

if pkg-config --atleast-version=1.16 civetweb 2>/dev/null; then
    # shellcheck disable=SC2046
    if probe $(pkg-config --cflags --libs civetweb); then
        echo system >"$folder/kind"
        echo "$identity" >"$folder/identity"
        say "using the system's library, version $(pkg-config --modversion civetweb)"
        exit 0
    fi
    say "the system's library does not answer a TLS request; building our own"
fi

# The mirrors that the machine's own sources name for Debian itself, each as "URI KEYRING" (KEYRING
# is `-` where the source names none and apt's trusted keys hold).
mirrors() {
    apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 2>/dev/null |
        awk '$2 == "Debian" && $3 == "Debian" && !seen[$1]++ { print $1 }' |
        while read -r uri; do
            bare=${uri%/}
            keyring=$(
                {
                    cat /etc/apt/sources.list.d/*.sources 2>/dev/null || true
                } | awk -v uri="$bare" '
                    function flush() { if (hit && key != "") { print key; exit } hit = 0; key = "" }
                    /^[ \t]*$/ { flush(); next }
                    tolower($1) == "uris:" {
                        for (i = 2; i <= NF; i++) { u = $i; sub(/\/$/, "", u); if (u == uri) hit = 1 }
                    }
                    tolower($1) == "signed-by:" && $2 ~ /^\// { key = $2 }
                    END { if (hit && key != "") print key }' | head -n 1
            )
            if [ -z "$keyring" ]; then
                keyring=$(
                    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
                        grep -F "$bare" | grep -v '^[[:space:]]*#' |
                        sed -n 's/.*signed-by=\(\/[^] ]*\).*/\1/p' | head -n 1
                ) || true
            fi
            printf '%s %s\n' "$uri" "${keyring:--}"
        done
}

# One private apt set-up for each suite: hooks of the machine (which need its database) are cleared.
fetch() { # URI KEYRING SUITE -> both tarballs in $work/$SUITE
    area=$work/$3
    mkdir -p "$area/lists/partial" "$area/cache/archives/partial"
    options=
    [ "$2" = - ] || options="[signed-by=$2] "
    printf 'deb-src %s%s %s main\n' "$options" "$1" "$3" >"$area/sources.list"
    cat >"$area/apt.conf" <<CONF
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear Acquire::IndexTargets::deb;
Dir::State::lists "$area/lists";
Dir::Cache "$area/cache";
Dir::Etc::sourcelist "$area/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Sandbox::User "$(id -un)";
CONF
    # `apt-get source` fails where a mirror has lost the .dsc, yet leaves the tarballs, verified
    # against the signed index; our own hashes decide below.
    (
        cd "$area"
        apt-get -c apt.conf -q update && apt-get -c apt.conf -q source --only-source \
            --download-only civetweb
    ) >"$area/apt.log" 2>&1 || true
    [ -f "$area/$orig_name" ] && ls "$area"/civetweb_1.16+dfsg-*.debian.tar.xz >/dev/null 2>&1
}

series_hash() { # over names and contents of debian/patches
    (cd "$1" && find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -d' ' -f1)
}

mirrors >"$work/mirrors"
[ -s "$work/mirrors" ] || die "no Debian mirror among this machine's apt sources (run apt-get update first)"

source=
refused=
while [ -z "$source" ] && read -r uri keyring <&3; do
    for suite in $suites; do
        fetch "$uri" "$keyring" "$suite" || {
            refused="$refused
  $suite: not offered complete by the mirror"
            continue
        }
        area=$work/$suite
        found=$(sha256sum "$area/$orig_name" | cut -d' ' -f1)
        [ "$found" = "$orig_sha256" ] ||
            die "$orig_name from $suite has SHA-256 $found, expected $orig_sha256"
        mkdir "$area/packaging"
        tar -xJf "$area"/civetweb_1.16+dfsg-*.debian.tar.xz -C "$area/packaging"
        found=$(series_hash "$area/packaging/debian/patches")
        case $known_series in
        *"$found"*) ;;
        *)
            refused="$refused
  $suite: the patch series has the hash $found, which nobody here has reviewed"
            continue
            ;;
        esac
        mkdir "$work/source"
        tar -xJf "$area/$orig_name" -C "$work/source" --strip-components=1
        while read -r name; do
            case $name in '' | '#'*) continue ;; esac
            patch -s -p1 -d "$work/source" <"$area/packaging/debian/patches/$name" ||
                die "the patch $name of $suite does not apply"
        done <"$area/packaging/debian/patches/series"
        source=$work/source
        say "building $(basename "$area"/civetweb_1.16+dfsg-*.debian.tar.xz .debian.tar.xz | tr _ ' ') from $suite"
        break
    done
done 3<"$work/mirrors"
[ -n "$source" ] || die "no usable source package of civetweb 1.16:$refused"

# Threads come by the hundred, one for each connection: small stacks. The time-outs and the gate of
# server/front assume no files, no CGI and OpenSSL 3 linked at build time.
hardening="-O2 -g -fPIC -fno-common -fno-strict-aliasing -fstack-protector-strong
    -fstack-clash-protection -D_FORTIFY_SOURCE=2 -Wformat -Werror=format-security"
case $(uname -m) in
x86_64) hardening="$hardening -fcf-protection" ;;
aarch64) hardening="$hardening -mbranch-protection=standard" ;;
esac
mkdir -p "$work/out/include" "$work/out/lib"
# shellcheck disable=SC2046,SC2086
cc -std=gnu11 $hardening -DNDEBUG -DNO_FILES -DNO_CGI -DNO_CACHING -DNO_SSL_DL \
    -DOPENSSL_API_3_0 -DUSE_IPV6 -DUSE_STACK_SIZE=262144 $(pkg-config --cflags openssl) \
    -I"$source/include" -c "$source/src/civetweb.c" -o "$work/civetweb.o" ||
    die "the library does not compile"
ar rcs "$work/out/lib/libcivetweb.a" "$work/civetweb.o"
cp "$source/include/civetweb.h" "$work/out/include/"
cp "$source/LICENSE.md" "$work/out/"

probe -I"$work/out/include" "$work/out/lib/libcivetweb.a" ||
    die "the library that was built does not answer a TLS request: $(tail -n 3 "$work/probe.log")"

rm -rf "$folder/include" "$folder/lib"
mv "$work/out/include" "$work/out/lib" "$work/out/LICENSE.md" "$folder/"
echo static >"$folder/kind"
echo "$identity" >"$folder/identity"
say "built"
