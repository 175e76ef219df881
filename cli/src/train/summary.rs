//! The end of a run, for people: scores, a line a class, and the confusion matrix to look at.

use console::style;
use wgrad::metrics::ConfusionMatrix;
use wgrad::train::Evaluation;

use super::demo::Data;
use crate::failure::Result;
use crate::output::{Output, flush_right};

/// Prints it.
pub fn print(output: &mut Output, data: &Data, evaluation: &Evaluation) -> Result {
    if output.is_json() {
        return Ok(());
    }
    let names: Vec<String> = (0..data.task.classes())
        .map(|class| data.test.class_names().get(class).cloned().unwrap_or_else(|| class.to_string()))
        .collect();
    let mut matrix = ConfusionMatrix::new(data.task.classes()).with_class_names(names.clone());
    matrix.update(&evaluation.predictions, data.test.column("y")?)?;
    scores(output, evaluation, &[])?;
    output.text(matrix.report().trim_end())?;
    output.text("")?;
    if output.is_lively() {
        for line in coloured(&matrix, &names) {
            output.text(line)?;
        }
    } else {
        output.text(matrix.to_string().trim_end())?;
    }
    output.text("")
}

/// Loss, metrics and more as a table.
pub fn scores(output: &mut Output, evaluation: &Evaluation, more: &[(String, f64)]) -> Result {
    let rows: Vec<Vec<String>> = std::iter::once(("loss", evaluation.loss))
        .chain(evaluation.metrics.iter().chain(more).map(|(name, value)| (name.as_ref(), *value)))
        .map(|(name, value)| vec![name.to_owned(), format!("{value:.4}")])
        .collect();
    output.table(&["<test", ">"], &rows)?;
    output.text("")
}

/// The matrix with its right ones green and its mistakes the redder the more of them there are.
fn coloured(matrix: &ConfusionMatrix, names: &[String]) -> Vec<String> {
    let width = names.iter().map(|name| console::measure_text_width(name)).max().unwrap_or(1).max(5);
    let cells: Vec<String> = names.iter().map(|name| format!(" {} ", flush_right(name, width))).collect();
    let corner = format!("{:>width$}  ", "true");
    let mut lines = vec![format!("{}{}  predicted", style(corner).dim(), style(cells.concat()).dim())];
    for (truth, (name, row)) in names.iter().zip(matrix.rows()).enumerate() {
        let total = row.iter().sum::<u64>().max(1);
        let cells: Vec<String> = row
            .iter()
            .enumerate()
            .map(|(predicted, &count)| {
                let share = count as f64 / total as f64;
                let text = if count == 0 { format!(" {:>width$} ", "·") } else { format!(" {count:>width$} ") };
                match (truth == predicted, count) {
                    (_, 0) => style(text).dim(),
                    // Levels of the 256-colour cube: green 22 … 34, red 52 … 160.
                    (true, _) => style(text).color256(255).on_color256(if share > 0.9 { 28 } else { 22 }),
                    (false, _) => style(text).color256(255).on_color256(if share > 0.05 { 160 } else { 88 }),
                }
                .to_string()
            })
            .collect();
        lines.push(format!("{}  {}", flush_right(name, width), cells.concat()));
    }
    lines
}
