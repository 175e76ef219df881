//! The guide: from concepts to an application that trains beside its frames. Every page is also a file of `docs/guide/`.
//!
//! | page | for |
//! |---|---|
//! | [`concepts`] | what graphs, programs, sessions and variables are, and who waits for whom |
//! | [`first_model`] | a list of layers, trained, saved and used |
//! | [`training_loop`] | the graph and its steps, without a trainer |
//! | [`own_parts`] | functions, layers, cells, scores of attention, operators |
//! | [`embedding`] | beside an application's own work: its device, buffers, frames, threads, and when its device is lost |
//! | [`browser`] | the same in a page |
//! | [`performance`] | where time and memory go, and what helps |
//! | [`troubleshooting`] | error messages, with cause and way out |

#[doc = include_str!("../docs/guide/concepts.md")]
pub mod concepts {}

#[doc = include_str!("../docs/guide/first-model.md")]
pub mod first_model {}

#[doc = include_str!("../docs/guide/training-loop.md")]
pub mod training_loop {}

#[doc = include_str!("../docs/guide/own-parts.md")]
pub mod own_parts {}

#[doc = include_str!("../docs/guide/embedding.md")]
pub mod embedding {}

#[doc = include_str!("../docs/guide/browser.md")]
pub mod browser {}

#[doc = include_str!("../docs/guide/performance.md")]
pub mod performance {}

#[doc = include_str!("../docs/guide/troubleshooting.md")]
pub mod troubleshooting {}
