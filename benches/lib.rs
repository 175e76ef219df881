//! Cases through criterion: `cargo bench -p wgrad-benches`. In a package of its own, so that tests do not build criterion.
