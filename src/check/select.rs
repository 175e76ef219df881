//! What a filter means.

/// The items whose name has the filter as a part between slashes, or as several of them: `relu` takes `elementwise/relu` and not
/// `elementwise/leaky_relu`, `step/mlp` takes `step/mlp` and `step/mlp/synced` and not `step/mlp-tiny`. Where no name has such a
/// part, those that have the filter anywhere: `gelu_` takes `elementwise/gelu_tanh`. An empty filter takes all.
///
/// ```
/// use wgrad::check::select;
/// let names = ["elementwise/relu", "elementwise/leaky_relu", "matmul/vectors"];
/// assert_eq!(select(names, "relu", |name| name), ["elementwise/relu"]);
/// assert_eq!(select(names, "elementwise", |name| name).len(), 2);
/// assert_eq!(select(names, "relu ", |name| name), [""; 0]);
/// assert_eq!(select(names, "elu", |name| name).len(), 2);
/// ```
pub fn select<T>(items: impl IntoIterator<Item = T>, filter: &str, name: impl Fn(&T) -> &str) -> Vec<T> {
    let bounded = format!("/{}/", filter.trim_matches('/'));
    let (whole, others): (Vec<T>, Vec<T>) =
        items.into_iter().partition(|item| filter.is_empty() || format!("/{}/", name(item)).contains(&bounded));
    if whole.is_empty() { others.into_iter().filter(|item| name(item).contains(filter)).collect() } else { whole }
}
