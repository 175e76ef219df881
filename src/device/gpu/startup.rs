//! Where the time goes until a program is ready to run.

use std::fmt;

/// Where the time went until a program was ready to run: of [`Program::startup`](crate::session::Program::startup). All in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Startup {
    /// From the graph to the program.
    pub compile: f64,
    /// Until all pipelines were there. They are made side by side, so that those of the kernels add up to more.
    pub pipelines: f64,
    /// Of all first dispatches, in which software drivers make machine code.
    pub first_dispatches: f64,
    /// From the program until it is ready: pipelines, first dispatches, buffers, bind groups.
    pub load: f64,
    /// The kernels that the device did not have yet, in the order of their first use; none on the CPU.
    pub kernels: Vec<KernelStartup>,
}

/// What a kernel took until it was ready.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelStartup {
    /// What profiles call it.
    pub label: String,
    /// Bytes of its WGSL.
    pub bytes: usize,
    /// wgpu's: reading and validating the WGSL.
    pub module: f64,
    /// wgpu's translation for the driver, and what the driver does with it before the first dispatch.
    pub pipeline: f64,
    /// The first dispatch, where each is submitted by itself: on software drivers.
    pub first_dispatch: Option<f64>,
}

impl KernelStartup {
    /// Seconds in all.
    pub fn total(&self) -> f64 {
        self.module + self.pipeline + self.first_dispatch.unwrap_or(0.0)
    }
}

/// A line for each part, then one for each kernel, the slowest first; in milliseconds.
impl fmt::Display for Startup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |seconds: f64| format!("{:.1} ms", seconds * 1e3);
        writeln!(formatter, "graph to program   {:>12}", ms(self.compile))?;
        writeln!(formatter, "program to ready   {:>12}", ms(self.load))?;
        writeln!(formatter, "  pipelines        {:>12}", ms(self.pipelines))?;
        writeln!(formatter, "  first dispatches {:>12}", ms(self.first_dispatches))?;
        let sum = |part: fn(&KernelStartup) -> f64| ms(self.kernels.iter().map(part).sum());
        let mut rows = vec![["module", "pipeline", "dispatch", "bytes", "kernel"].map(str::to_owned)];
        let mut kernels: Vec<&KernelStartup> = self.kernels.iter().collect();
        kernels.sort_by(|one, other| other.total().total_cmp(&one.total()));
        for kernel in kernels {
            let dispatch = kernel.first_dispatch.map_or_else(|| "-".to_owned(), ms);
            rows.push([
                ms(kernel.module),
                ms(kernel.pipeline),
                dispatch,
                kernel.bytes.to_string(),
                kernel.label.clone(),
            ]);
        }
        rows.push([
            sum(|kernel| kernel.module),
            sum(|kernel| kernel.pipeline),
            sum(|kernel| kernel.first_dispatch.unwrap_or(0.0)),
            self.kernels.iter().map(|kernel| kernel.bytes).sum::<usize>().to_string(),
            format!("{} kernels", self.kernels.len()),
        ]);
        for [module, pipeline, dispatch, bytes, kernel] in rows {
            writeln!(formatter, "{module:>12} {pipeline:>12} {dispatch:>12} {bytes:>9}  {kernel}")?;
        }
        Ok(())
    }
}
