# Formatting, lints and documentation, as CI checks them.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# All tests; those that need a GPU say so where there is none.
test:
    cargo test

# The whole of CI.
ci:
    .ci/run

# Kernels and training steps, measured on the device that is there.
bench *ARGS:
    cargo run --release -- bench {{ARGS}}
    cargo bench -p wgrad-benches

# Every kernel against the CPU, on each subgroup size that a software driver has.
check-kernels:
    LP_NATIVE_VECTOR_WIDTH=128 cargo run --release -- check --device gpu
    LP_NATIVE_VECTOR_WIDTH=256 cargo run --release -- check --device gpu
    LP_NATIVE_VECTOR_WIDTH=512 cargo run --release -- check --device gpu

# The page that trains in a browser, built and served.
web:
    web/build.sh
    python3 -m http.server --bind 127.0.0.1 --directory ${CARGO_TARGET_DIR:-target}/page 8080

# The page in headless Chromium: its networks learn there, on WebGPU and on the CPU.
web-test *ARGS:
    web/test.py {{ARGS}}

# All shaders through Tint, the compiler of Chrome; says so where it is skipped. tools/README.md has what it needs.
tint:
    #!/usr/bin/env bash
    set -euo pipefail
    if ! command -v node >/dev/null; then
        echo "tint: SKIPPED, nothing was checked: node is not there"
        exit 0
    fi
    WGRAD_SHADERS="$PWD/target/shaders" cargo test --release -p wgrad-cli --lib shaders
    node tools/browser/tint.mjs target/shaders

# What real GPUs' compilers make of the kernels, without a GPU: registers, spills, machine code. docs/lab.md says how to read it.
lab *ARGS:
    cargo build --release -p wgrad-cli
    tools/lab/lab.py run {{ARGS}}

# A GPU measured in ten minutes: right or not, how fast, what tuning wins, beside PyTorch. Results go to docs/measured.
measure *ARGS:
    cargo build --release -p wgrad-cli
    tools/measure/measure.py {{ARGS}}

# The tools' own tests.
tools-test:
    python3 -m unittest discover tools/lab
    python3 -m unittest discover tools/measure
