//! Correlation of ranks.

/// Spearman's rank correlation: Pearson's correlation of the values' ranks, where equal values share the mean of theirs, as SciPy's
/// `spearmanr`. `None` for fewer than two pairs, where all values of a side are equal, and for a NaN.
///
/// ```
/// use wgrad::metrics::spearman;
/// let found = spearman([(1.0, 5.0), (2.0, 6.0), (3.0, 7.0), (4.0, 8.0), (5.0, 7.0)]).unwrap();
/// assert!((found - 0.820_782_681_668_123_3).abs() < 1e-12); // scipy.stats.spearmanr
/// assert_eq!(spearman([(1.0, 2.0), (1.0, 3.0)]), None);
/// ```
pub fn spearman(pairs: impl IntoIterator<Item = (f64, f64)>) -> Option<f64> {
    let (first, second): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
    if first.len() < 2 || first.iter().chain(&second).any(|value| value.is_nan()) {
        return None;
    }
    let (first, second) = (ranks(&first), ranks(&second));
    // Ranks have the mean of their positions, whatever is equal.
    let mean = (first.len() - 1) as f64 / 2.0;
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>();
    let spread = product(&first, &first) * product(&second, &second);
    (spread > 0.0).then(|| (product(&first, &second) / spread.sqrt()).clamp(-1.0, 1.0))
}

/// Ranks from 0 on; equal values have the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let equal = order[start..].iter().take_while(|&&index| values[index] == values[order[start]]).count();
        let rank = start as f64 + (equal - 1) as f64 / 2.0;
        order[start..start + equal].iter().for_each(|&index| ranks[index] = rank);
        start += equal;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_of_equal_values_are_their_mean() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0, 3.0]), [3.0, 0.0, 3.0, 1.0, 3.0]);
        assert_eq!(ranks(&[0.0, -0.0]), [0.5, 0.5]);
    }

    #[test]
    fn what_has_no_order_has_no_correlation() {
        assert_eq!(spearman([]), None);
        assert_eq!(spearman([(1.0, 1.0)]), None);
        assert_eq!(spearman([(1.0, f64::NAN), (2.0, 1.0)]), None);
        assert_eq!(spearman([(1.0, 9.0), (2.0, 8.0), (3.0, f64::NEG_INFINITY)]), Some(-1.0));
    }
}
