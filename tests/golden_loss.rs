//! Losses and their gradients as PyTorch computes them: `tests/golden/loss.json`.

mod support;

use support::golden;
use wgrad::Result;

#[test]
fn the_family_is_whole() -> Result<()> {
    let cases = golden::read("loss")?;
    assert!(cases.len() > 150);
    assert!(cases.iter().all(|case| case.inputs.len() == case.gradients.len() && case.outputs.len() == 1));
    Ok(())
}
