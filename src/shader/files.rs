//! The files under `shaders/`: kernels, plain modules that they import, and slots, which a kernel leaves open for one of several modules.
//!
//! A slot is a folder with a type of the same name here, whose variants are its files (`Fold::Sum` is `fold/sum.wgsl`), or whose text is
//! generated (`Finish`). Each family's constants are a slot, too: a file of `constants/` with defaults, and a struct that prints others.
//! These declarations are the list of files; there is no other.

use std::borrow::Cow;
use std::fmt::Write;

use crate::tensor::DType;

/// A file under `shaders/`.
#[derive(Debug)]
pub(super) struct File {
    /// Its path below `shaders/`, without `.wgsl`: what `#import` names.
    pub(super) path: &'static str,
    /// The slot that it is a variant of.
    pub(super) slot: Option<&'static str>,
    pub(super) text: &'static str,
}

/// What fills a slot of a kernel.
pub(crate) trait Slot {
    /// The slot's folder, or the file of constants.
    const NAME: &'static str;

    /// The WGSL, with the imports that it needs.
    fn text(&self) -> Cow<'static, str>;
}

macro_rules! text {
    ($($part:expr),*) => {
        include_str!(concat!("../../shaders/", $($part,)* ".wgsl"))
    };
}

macro_rules! kernels {
    ($($variant:ident: $name:literal,)*) => {
        /// A kernel's file.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum KernelFile { $($variant),* }

        impl KernelFile {
            /// All of them.
            pub(super) const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name, as labels have it.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            pub(super) const fn file(self) -> &'static File {
                match self { $(Self::$variant => {
                    const FILE: &File = &File { path: concat!("kernels/", $name), slot: None, text: text!("kernels/", $name) };
                    FILE
                }),* }
            }
        }
    };
}

macro_rules! modules {
    ($($path:literal),* $(,)?) => {
        const MODULES: &[File] = &[$(File { path: $path, slot: None, text: text!($path) }),*];
    };
}

/// Slots that are filled with one of their files.
macro_rules! slots {
    ($($(#[$doc:meta])* $slot:ident: $folder:literal { $($(#[$of_variant:meta])* $variant:ident: $file:literal),* $(,)? })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub(crate) enum $slot { $($(#[$of_variant])* $variant),* }

            impl Slot for $slot {
                const NAME: &'static str = $folder;

                fn text(&self) -> Cow<'static, str> {
                    match self { $(Self::$variant => text!($folder, "/", $file)),* }.into()
                }
            }
        )*
        const VARIANTS: &[File] = &[$($(
            File { path: concat!($folder, "/", $file), slot: Some($folder), text: text!($folder, "/", $file) }
        ),*),*];
    };
}

/// Slots that are filled with generated text, and the files that stand for it.
macro_rules! generated {
    ($($(#[$doc:meta])* $slot:ident: $folder:literal [$($file:literal),*],)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub(crate) struct $slot<'a>(pub(crate) &'a str);

            impl Slot for $slot<'_> {
                const NAME: &'static str = $folder;

                fn text(&self) -> Cow<'static, str> {
                    self.0.to_owned().into()
                }
            }
        )*
        const GENERATED: &[File] = &[$($(
            File { path: concat!($folder, "/", $file), slot: Some($folder), text: text!($folder, "/", $file) }
        ),*),*];
    };
}

/// Slots of constants.
macro_rules! constants {
    ($($(#[$doc:meta])* $slot:ident: $path:literal { $($name:ident: $field:ident: $kind:ty),* $(,)? })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug)]
            #[allow(missing_docs, reason = "the file of the constants says what they are")]
            pub(crate) struct $slot { $(pub(crate) $field: $kind),* }

            impl Slot for $slot {
                const NAME: &'static str = $path;

                fn text(&self) -> Cow<'static, str> {
                    let mut text = String::new();
                    $(let _ = writeln!(text, "const {} = {};", stringify!($name), self.$field.wgsl());)*
                    text.into()
                }
            }
        )*
        const CONSTANTS: &[File] = &[$(File { path: $path, slot: Some($path), text: text!($path) }),*];

        /// The names of each slot's constants.
        #[cfg(test)]
        pub(super) const CONSTANT_NAMES: &[(&str, &[&str])] = &[$(($path, &[$(stringify!($name)),*])),*];
    };
}

/// The value of a constant.
trait Constant {
    fn wgsl(&self) -> String;
}

impl Constant for usize {
    fn wgsl(&self) -> String {
        format!("{self}u")
    }
}

impl Constant for bool {
    fn wgsl(&self) -> String {
        self.to_string()
    }
}

/// An expression.
impl Constant for String {
    fn wgsl(&self) -> String {
        self.clone()
    }
}

kernels! {
    Map: "map", Reduce: "reduce", ReduceSplit: "reduce_split",
    ReducePartials: "reduce_partials", Rows: "rows", Matmul: "matmul", MatmulSmall: "matmul_small",
    MatmulCooperative: "matmul_cooperative", MatmulDirect: "matmul_direct",
    MatmulSoftware: "matmul_software", MatmulSum: "matmul_sum", MatmulSumQuads: "matmul_sum_quads",
    ConvolutionSoftware: "convolution_software", ConvolutionDirect: "convolution_direct", Recurrence: "recurrence",
    RecurrenceBackward: "recurrence_backward", RecurrenceWeights: "recurrence_weights", Scan: "scan", ScanBlocks: "scan_blocks", ScanCarries: "scan_carries",
    Sort: "sort", SortRank: "sort_rank", SortBlocks: "sort_blocks", SortStep: "sort_step", SortMerge: "sort_merge",
    SortGather: "sort_gather", SortJoin: "sort_join", Scatter: "scatter", ScatterSorted: "scatter_sorted", ScatterUpdate: "scatter_update",
    ScatterUpdateSorted: "scatter_update_sorted", PoolMax: "pool_max",
    PoolMaxGather: "pool_max_gather", PoolMaxScatter: "pool_max_scatter", PoolSum: "pool_sum",
    PoolSumGradient: "pool_sum_gradient", Resample: "resample", SearchSorted: "search_sorted",
    Attention: "attention", AttentionSoftware: "attention_software", PictureRead: "picture_read", PictureWrite: "picture_write",
}

modules![
    "shared/numbers",
    "shared/exponential",
    "shared/logarithm",
    "shared/trigonometry",
    "shared/arctangent",
    "shared/power",
    "shared/remainder",
    "shared/functions",
    "shared/activations",
    "shared/random",
    "shared/half",
    "shared/widen",
    "family/bindings",
    "family/product",
    "family/product_sum",
    "family/tile_steps",
    "family/tiles",
    "family/matrix_tiles",
    "family/block_cursor",
    "family/tile_cursor",
    "family/tile_row_sums",
    "family/tile_loop",
    "family/row_walk",
    "family/lhs_cursor",
    "family/lhs_items",
    "family/lhs_blocks",
    "family/lhs_lines",
    "family/lhs_block_quads",
    "family/lhs_block_elements",
    "family/convolution",
    "family/convolution_inner",
    "family/convolution_source",
    "family/convolution_staging",
    "family/convolution_result",
    "family/tree",
    "family/fold",
    "family/extremes",
    "family/recurrence",
    "family/recurrence_steps",
    "family/scan",
    "family/network",
    "family/sort",
    "family/scatter_shape",
    "family/scatter",
    "family/windows",
    "family/pool",
    "family/attention",
    "family/picture",
];

slots! {
    /// How many elements an expression computes at once.
    Lanes: "lanes" { One: "one", Four: "four" }
    /// Which values are NaN.
    Nan: "nan" { Floats: "floats", Integers: "integers" }
    /// How a reduction or a scatter folds values into one.
    Fold: "fold" {
        Sum: "sum", Product: "product", Extreme: "extreme", Index: "index", LogSumExp: "log_sum_exp", Last: "last",
    }
    /// The left operand of a product in memory.
    Lhs: "lhs" {
        Elements: "elements", Quads: "quads", QuadsHalf: "quads_half", ElementsF16: "elements_f16",
        QuadsF16: "quads_f16",
    }
    /// The right operand of a product in memory.
    Rhs: "rhs" {
        Elements: "elements", Pairs: "pairs", Quads: "quads", QuadsHalf: "quads_half", ElementsF16: "elements_f16",
        QuadsF16: "quads_f16",
    }
    /// The matrices that a matrix instruction multiplies.
    Fragment: "fragment" { Eight: "eight", Sixteen: "sixteen" }
    /// How an invocation loads its part of both tiles for matrix instructions.
    Blocks: "blocks" { Quads: "quads", Matrix: "matrix", Convolution: "convolution" }
    /// How an invocation loads its part of both tiles of a product.
    Load: "load" { Elements: "elements", Quads: "quads" }
    /// What is loaded into the tiles an element at a time.
    Staging: "staging" { Matrix: "matrix", Convolution: "convolution" }
    /// Where the elements of a product are stored.
    Store: "store" {
        Matrix: "matrix", MatrixQuads: "matrix_quads", Convolution: "convolution",
        ConvolutionQuads: "convolution_quads",
    }
    /// What an invocation of a pool stores.
    PoolStore: "pool_store" { Element: "element", Quad: "quad" }
    /// Sums of the left operand's rows, beside a product.
    RowSums: "row_sums" { None: "none", Stored: "stored" }
    /// The same in the second pass of a product whose inner dimension is split.
    JoinedRows: "joined_rows" { None: "none", Stored: "stored" }
    /// How invocations share the state that a recurrence multiplies.
    StateProduct: "state_product" { Pieces: "pieces", Lanes: "lanes" }
    /// In which order the weight of a recurrence is in memory.
    StateWeight: "state_weight" { Quads: "quads", Words: "words" }
    /// How the sequences that a recurrence writes are in memory.
    StepStore: "step_store" { Words: "words", Pairs: "pairs" }
    /// What separates the steps of a recurrence.
    Barrier: "barrier" { Storage: "storage", Subgroup: "subgroup" }
    /// What a scan begins a chunk with.
    Carry: "carry" { Nothing: "nothing", Chunks: "chunks" }
    /// What attention computes: its result, or gradients.
    AttentionPass: "attention_pass" { Forward: "forward", Queries: "queries", Keys: "keys" }
    /// How attention reads its tensors.
    Words: "words" { Elements: "elements", Pairs: "pairs", Halves: "halves", Stored: "stored" }
    /// The format of a texture that takes an output.
    Texel: "texel" {
        Rgba8Unorm: "rgba8unorm", Rgba8Snorm: "rgba8snorm", Bgra8Unorm: "bgra8unorm", Rgba16Float: "rgba16float",
        R32Float: "r32float", Rg32Float: "rg32float", Rgba32Float: "rgba32float",
    }
    /// Words in the order of the values that are sorted.
    SortKey: "sort_key" { F32: "f32", I32: "i32", U32: "u32", Position: "position" }
}

generated! {
    /// What a map computes: [`emit_map`](crate::scalar::emit_map).
    Expression: "expression" ["copy"],
    /// What a reduction folds: [`emit_operand`](crate::scalar::emit_operand).
    Operand: "operand" ["row"],
    /// The last step of a routine, with an element or with four: [`Epilogue`](crate::scalar::Epilogue).
    Finish: "finish" ["element", "quad"],
    /// What is folded of rows, and stored of their totals: [`emit_rows`](crate::scalar::emit_rows).
    RowFunctions: "row_work" ["normalize"],
    /// What a recurrence computes for a unit in a step.
    Cell: "cell" ["sum"],
    /// What attention does with a score before the softmax.
    Score: "score" ["plain"],
}

constants! {
    ProductConstants: "constants/product" { BATCH_AXES: batch_axes: usize, SWAPPED: swapped: bool }
    StoredConstants: "constants/stored" {
        LHS_F16: lhs_f16: bool, LHS_BF16: lhs_bf16: bool, RHS_F16: rhs_f16: bool, RHS_BF16: rhs_bf16: bool,
    }
    TileConstants: "constants/tiles" {
        TILE_ROWS: rows: usize, TILE_COLUMNS: columns: usize, TILE_INNER: inner: usize,
        LHS_ALONG_INNER: lhs_along_inner: bool, RHS_ALONG_INNER: rhs_along_inner: bool,
    }
    CooperativeConstants: "constants/cooperative" {
        LANES: lanes: usize, FRAGMENT_ROWS: rows: usize, FRAGMENT_COLUMNS: columns: usize,
    }
    DirectConstants: "constants/direct" { ROWS: rows: usize, COLUMNS: columns: usize }
    SoftwareConstants: "constants/software" { ROWS: rows: usize, COLUMNS: columns: usize, LANES: lanes: usize }
    PairConstants: "constants/pairs" { RHS_PAIRS: pairs: bool, ALONG_COLUMNS: along_columns: bool }
    ConvolutionConstants: "constants/convolution" {
        AXES: axes: usize, TOWARD_INPUT: toward_input: bool, TOWARD_WEIGHT: toward_weight: bool,
        CHECKED: checked: bool, POINT: point: bool,
    }
    ReductionConstants: "constants/reduction" {
        LINES: lines: usize, LANES: lanes: usize, ALONG_LANES: along_lanes: bool,
    }
    SplitConstants: "constants/split" { PARTIALS: partials: usize }
    ExtremeConstants: "constants/extreme" { SMALLEST: smallest: bool }
    RecurrenceConstants: "constants/recurrence" {
        ROWS: rows: usize, LANES: lanes: usize, WAVES: waves: usize, UNITS: units: usize, UNROLL: unroll: usize,
        ITEMS: items: usize,
    }
    SequenceConstants: "constants/sequence" {
        REVERSE: reverse: bool, HAS_BIAS: has_bias: bool, FIRST_PARAMETER: first_parameter: usize,
        HAS_INITIAL: has_initial: bool, HAS_LENGTHS: has_lengths: bool, IS_RAGGED: is_ragged: bool,
        HAS_OUTPUTS: has_outputs: bool, HAS_LAST: has_last: bool, READS_F16: reads_f16: bool,
        READS_BF16: reads_bf16: bool, STORES_BF16: stores_bf16: bool,
    }
    CellConstants: "constants/cell" {
        GATES: gates: usize, STATES: states: usize, PARAMETERS: parameters: usize, SAVED: saved: usize,
        GRADIENTS: gradients: usize, OF_PRODUCTS: of_products: usize, READS_HIDDEN: reads_hidden: bool,
        TWO_HALVES: two_halves: bool, SECOND: second: usize, INNER: inner: usize, FIRST: first: usize,
        PARAMETER_SLOTS: parameter_slots: usize, FIRST_SLOTS: first_slots: usize,
    }
    AttentionConstants: "constants/attention" {
        HEAD_SIZE: head_size: usize, VALUE_SIZE: value_size: usize, BUFFERS: buffers: usize, DROPS: drops: bool,
        FIRST_WRITTEN: first_written: usize, F16_TENSORS: f16_tensors: usize, BF16_TENSORS: bf16_tensors: usize,
    }
    AttentionSoftwareConstants: "constants/attention_software" {
        ROWS: rows: usize, COLUMNS: columns: usize, LANES: lanes: usize,
    }
    SortConstants: "constants/sort" { SIZE: size: usize, THREADS: threads: usize }
    PoolConstants: "constants/pool" {
        Z: z: String, Y: y: String, X: x: String, RESULT_ROWS: rows: usize, RESULT_COLUMNS: columns: usize,
    }
}

/// The types of a routine's values, and of what it passes to its last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    value: &'static str,
    element: &'static str,
}

const ELEMENT: File = File { path: "element/f32", slot: Some(Element::NAME), text: text!("element/f32") };

impl Element {
    /// The same type for both.
    ///
    /// # Errors
    /// Where a type has no arithmetic on a GPU.
    pub(crate) fn of(dtype: DType) -> Result<Self, String> {
        Self::new(dtype, dtype)
    }

    /// # Errors
    /// Where a type has no arithmetic on a GPU.
    pub(crate) fn new(value: DType, element: DType) -> Result<Self, String> {
        let name = |dtype: DType| match dtype {
            DType::F32 => Ok("f32"),
            DType::I32 => Ok("i32"),
            DType::U32 | DType::Bool => Ok("u32"),
            DType::F16 | DType::BF16 | DType::F64 | DType::I64 | DType::U8 => {
                Err(format!("does not compute in {dtype} on a GPU"))
            }
        };
        Ok(Self { value: name(value)?, element: name(element)? })
    }

    /// Several f32 at once, two to four.
    pub(crate) fn vector(count: usize) -> Self {
        let name = if count == 2 { "vec2<f32>" } else { "vec4<f32>" };
        Self { value: name, element: name }
    }
}

impl Slot for Element {
    const NAME: &'static str = "element";

    fn text(&self) -> Cow<'static, str> {
        format!("alias Value = {};\nalias Element = {};\n", self.value, self.element).into()
    }
}

/// Kernels apart, all files.
pub(super) fn all_modules() -> impl Iterator<Item = &'static File> {
    MODULES.iter().chain(VARIANTS).chain(GENERATED).chain(CONSTANTS).chain([&ELEMENT])
}

/// All shader files, each with its path below `shaders/` without `.wgsl`. A kernel of one's own imports those of `shared/`, which are
/// functions of numbers, and `finish/element` (see [`DispatchBuilder`](super::DispatchBuilder)).
///
/// ```
/// let (_, numbers) = wgrad::shader::files().find(|(path, _)| *path == "shared/numbers").expect("there is one");
/// assert!(numbers.contains("fn larger(a: Lanes, b: Lanes) -> Lanes"));
/// ```
pub fn files() -> impl Iterator<Item = (&'static str, &'static str)> {
    let kernels = KernelFile::ALL.iter().map(|kernel| kernel.file());
    kernels.chain(all_modules()).map(|file| (file.path, file.text))
}
