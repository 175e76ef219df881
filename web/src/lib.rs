//! Networks that train in a browser's page, on its visitor's GPU.
//!
//! Each demo is a struct over [`wgrad`] alone, which runs and is tested anywhere; `page` is what the page's JavaScript calls.

pub mod digits;
#[cfg(target_arch = "wasm32")]
mod page;
pub mod painting;
pub mod progress;
pub mod writing;
