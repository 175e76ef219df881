#!/usr/bin/env bash
# Builds the page into FOLDER (target/page, where none is named): the files of web/page, the module, and its JavaScript.
#
#     web/build.sh [--install] [FOLDER]
#
# A compiler for wasm32-unknown-unknown is, in this order: one whose standard library for that target is installed (as by
# `rustup target add wasm32-unknown-unknown`), or one that has the library's source and builds it (`rustup component add rust-src`, or Debian's
# packages rustc-web, cargo-web, rust-web-src and lld, which --install installs). Where there is none, it says what is missing and exits
# with 77.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly TARGET=wasm32-unknown-unknown MISSING=77 PACKAGES="rustc-web cargo-web rust-web-src lld"

install=false
if [ "${1:-}" = --install ]; then
    install=true
    shift
fi
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
page=$(realpath -m "${1:-$target/page}")
# Apart from other builds: another compiler would make them anew.
export CARGO_TARGET_DIR="$target/web"

began=$SECONDS
say() {
    echo "web: $* (${SECONDS} s)" >&2
}

# Whether a compiler is as new as the workspace asks.
new_enough() {
    local asked
    asked=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
    [ "$(printf '%s\n' "$asked" "$("$1" --version | cut -d ' ' -f 2)" | sort -V | head -n 1)" = "$asked" ]
}

# Sets `rustc`, `cargo`, and `std`, the arguments that build the standard library.
find_compiler() {
    local directory candidate root
    for directory in "" /usr/bin/; do
        candidate=${directory}rustc
        command -v "$candidate" >/dev/null && command -v "${directory}cargo" >/dev/null || continue
        new_enough "$candidate" || continue
        rustc=$(command -v "$candidate") cargo=$(command -v "${directory}cargo") std=()
        if ls "$("$rustc" --print target-libdir --target "$TARGET")"/libstd-*.rlib >/dev/null 2>&1; then
            return 0
        fi
        root=$("$rustc" --print sysroot)
        if [ -e "$root/lib/rustlib/src/rust/library/Cargo.lock" ]; then
            # Without backtraces, which a page has no use for: half as many crates.
            std=(-Zbuild-std=std,panic_abort -Zbuild-std-features=)
            return 0
        fi
    done
    return 1
}

if ! find_compiler && $install && command -v apt-get >/dev/null; then
    sudo=""
    [ "$(id -u)" -eq 0 ] || sudo="sudo"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086 # a list of words
    { $sudo apt-get update -qq && $sudo apt-get install -y -qq $PACKAGES; } >/dev/null 2>&1 || say "installing $PACKAGES failed"
fi
if ! find_compiler; then
    say "no compiler for $TARGET: 'rustup target add $TARGET', or install $PACKAGES"
    exit $MISSING
fi
if ! ls "$("$rustc" --print sysroot)"/lib/rustlib/*/bin/rust-lld >/dev/null 2>&1; then
    if ! command -v wasm-ld >/dev/null; then
        say "no linker for $TARGET: neither rust-lld nor wasm-ld (of Debian's package lld)"
        exit $MISSING
    fi
    export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld
fi
say "$("$rustc" --version)${std:+, which builds the standard library}"

# What writes the JavaScript must be of the version of the crate.
wanted=$(grep -A 1 '^name = "wasm-bindgen"$' Cargo.lock | sed -n 's/^version = "\(.*\)"/\1/p')
has=$(grep -A 1 '^name = "wasm-bindgen-cli-support"$' web/bindgen/Cargo.lock | sed -n 's/^version = "\(.*\)"/\1/p')
if [ "$wanted" != "$has" ]; then
    say "wasm-bindgen is $wanted in Cargo.lock, and $has in web/bindgen: 'cargo update -p wasm-bindgen-cli-support --precise $wanted' there"
    exit 1
fi
# Beside the page's build, whose first crates come one by one.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
CARGO_TARGET_DIR="$target/web/bindgen" cargo build --quiet --locked --manifest-path web/bindgen/Cargo.toml >"$log" 2>&1 &
bindgen=$!

# Vectors of 128 bits are in every browser that has WebGPU, and in all others since 2023.
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="-Ctarget-feature=+simd128"
if [ ${#std[@]} -gt 0 ]; then
    export RUSTC_BOOTSTRAP=1
fi
RUSTC="$rustc" "$cargo" build --profile web --locked -p wgrad-web --target "$TARGET" "${std[@]}"
say "the module is built"
if ! wait $bindgen; then
    cat "$log" >&2
    exit 1
fi
mkdir -p "$page"
cp web/page/* "$page/"
"$target/web/bindgen/debug/wgrad-web-bindgen" "$target/web/$TARGET/web/wgrad_web.wasm" "$page/wasm"
say "$page: $(du -b "$page/wasm/wgrad_web_bg.wasm" | cut -f 1) bytes, $(gzip -c "$page/wasm/wgrad_web_bg.wasm" | wc -c) in gzip; took $((SECONDS - began)) s"
