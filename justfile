# `just` lists the recipes; each is one command that can be typed as well.

default:
    @just --list

# Everything that must hold before a change is merged.
check:
    .ci/run

# Every test on both databases; arguments go to `cargo test`.
test *arguments:
    tests/run {{arguments}}

# Format the code.
fmt:
    cargo fmt --all

# Documentation of the code, private items included.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked

# Load generator with its peers; see bench/README.md.
bench *arguments:
    cargo run --profile dist --locked -p countersign-bench -- {{arguments}}

# Write docs/openapi.json anew from the code.
openapi:
    cargo run --locked --quiet -- openapi > docs/openapi.json.new
    mv docs/openapi.json.new docs/openapi.json

# Write the pages of docs/reference/ that are made from the code anew.
reference:
    COUNTERSIGN_REFERENCE=write cargo test --locked --quiet --test it reference::

# Take the pictures of the documentation anew.
pictures:
    docs/pictures/make

# The whole product on loopback, with sample people and a request that waits.
demo:
    cargo run --release --locked -- demo

# Licences, banned crates and sources of the dependencies (needs cargo-deny).
deny:
    cargo deny check bans licenses sources
