//! Weights that were learned in a browser, taken up natively: those that `web/test.py` left in the folder `WGRAD_WEB_WEIGHTS`.

use std::path::PathBuf;

use wgrad::prelude::*;
use wgrad::train::{Matching, Parameters};
use wgrad_web::digits::Digits;
use wgrad_web::writing::{SONNETS, Size, Writing};

/// A demo's weights, or nothing, where no folder is named.
fn weights(demo: &str) -> Result<Option<Parameters>> {
    let Some(folder) = std::env::var_os("WGRAD_WEB_WEIGHTS") else {
        eprintln!("skipped: WGRAD_WEB_WEIGHTS names no folder");
        return Ok(None);
    };
    Parameters::read(PathBuf::from(folder).join(format!("{demo}.safetensors"))).map(Some)
}

#[test]
fn digits_are_read_as_in_the_browser() -> Result<()> {
    let Some(weights) = weights("digits")? else { return Ok(()) };
    pollster::block_on(async {
        let mut digits = Digits::open(&Device::cpu(), 7).await?;
        assert!(digits.accuracy().await? < 0.5);
        digits.session().load_parameters(&weights, Matching::Strict)?;
        let accuracy = digits.accuracy().await?;
        assert!(accuracy >= 0.95, "{accuracy}");
        Ok(())
    })
}

#[test]
fn a_text_goes_on_as_in_the_browser() -> Result<()> {
    let Some(weights) = weights("writing")? else { return Ok(()) };
    pollster::block_on(async {
        // Which it was depends on the browser's GPU.
        let hidden = weights.get("head.weight").map(|weight| weight.shape()[1]);
        let size = [Size::FULL, Size::SMALL].into_iter().find(|size| Some(size.hidden) == hidden);
        let mut writing = Writing::open(&Device::cpu(), SONNETS, size.unwrap_or(Size::FULL), 7).await?;
        writing.session().load_parameters(&weights, Matching::Strict)?;
        // A step's loss comes from the weights before it.
        let mut left = 1;
        let more = || {
            left -= 1;
            left >= 0
        };
        let loss = writing.train(more).await?.loss;
        assert!(loss < 3.2, "{loss}");
        let written = writing.write(100, 0.5).await?;
        assert!(written.contains(' '), "{written}");
        Ok(())
    })
}
