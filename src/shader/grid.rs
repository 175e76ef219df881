//! Workgroup counts. Only this module computes them.

/// Workgroups of a dispatch. Kernels number their workgroups in one line; where that is longer than a dimension may be,
/// it is folded into rows of `width`, and the kernel unfolds it: `group = id.y * width + id.x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Workgroups in a row; the first word of every kernel's parameters.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Grid {
    /// A line of workgroups, folded at the limit of a dimension. The last row may be partly idle: kernels check their
    /// number against what there is to do. `None` where even the limit of both dimensions is too small.
    pub fn line(groups: usize, limit: u32) -> Option<Self> {
        let limit = limit.max(1) as usize;
        if groups <= limit {
            return Some(Self { width: groups as u32, height: 1 });
        }
        let height = groups.div_ceil(limit);
        // As even as possible, so that few workgroups of the last row are idle.
        let width = groups.div_ceil(height);
        (height <= limit).then_some(Self { width: width as u32, height: height as u32 })
    }

    /// Enough workgroups of `size` invocations for `items`, as [`line`](Self::line) makes them.
    pub fn covering(items: usize, size: usize, limit: u32) -> Option<Self> {
        Self::line(items.div_ceil(size), limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_fold_and_cover_everything() {
        for groups in [0, 1, 65_535, 65_536, 65_537, 1_000_003, 65_535 * 65_535] {
            let grid = Grid::line(groups, 65_535).unwrap();
            assert!(grid.width <= 65_535 && grid.height <= 65_535);
            assert!(grid.width as usize * grid.height as usize >= groups);
            assert!((grid.width as usize * grid.height as usize) < groups + grid.height as usize + 1);
        }
        assert_eq!(Grid::line(65_535 * 65_535 + 1, 65_535), None);
    }
}
