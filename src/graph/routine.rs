//! Operators that are a routine: work with kernels of its own, which other operators do not fuse into, but for an epilogue.

use crate::shader::{Adapter, KernelPlan, Operand, RoutineShapes};
use crate::tensor::{Element, TensorType};

/// What a routine has: a form for the CPU, one for GPUs, or both, and how it takes part in fusion.
#[derive(Clone, Copy)]
pub struct Routine<'a> {
    pub(crate) cpu: Option<&'a dyn CpuRoutine>,
    pub(crate) gpu: Option<&'a dyn GpuRoutine>,
    pub(crate) accepts_epilogue: bool,
    pub(crate) accepts_views: bool,
}

impl<'a> Routine<'a> {
    /// With both forms.
    pub fn new(cpu: &'a dyn CpuRoutine, gpu: &'a dyn GpuRoutine) -> Self {
        Self { cpu: Some(cpu), gpu: Some(gpu), accepts_epilogue: false, accepts_views: false }
    }

    /// Without a form for GPUs, where its decomposition is compiled instead.
    pub fn on_cpu(cpu: &'a dyn CpuRoutine) -> Self {
        Self { cpu: Some(cpu), gpu: None, accepts_epilogue: false, accepts_views: false }
    }

    /// Without a form for the CPU, where its decomposition is compiled instead.
    pub fn on_gpu(gpu: &'a dyn GpuRoutine) -> Self {
        Self { cpu: None, gpu: Some(gpu), accepts_epilogue: false, accepts_views: false }
    }

    /// Whether an expression of the only output can be applied before it is stored.
    #[must_use]
    pub fn accepts_epilogue(self, accepts_epilogue: bool) -> Self {
        Self { accepts_epilogue, ..self }
    }

    /// Whether inputs are read through any strides; else they are laid out row-major first.
    #[must_use]
    pub fn accepts_views(self, accepts_views: bool) -> Self {
        Self { accepts_views, ..self }
    }

    /// True where a device's form reads an input as it is stored: the CPU's, or that for GPUs.
    pub(crate) fn reads_stored(&self, input: usize, on_cpu: bool) -> bool {
        if on_cpu {
            self.cpu.is_some_and(|cpu| cpu.reads_stored(input))
        } else {
            self.gpu.is_some_and(|gpu| gpu.reads_stored(input))
        }
    }

    /// The outputs that a device's form can store in 16 bits.
    pub(crate) fn stores_half(&self, outputs: &[TensorType], on_cpu: bool) -> &'static [usize] {
        if on_cpu {
            self.cpu.map_or(&[], |cpu| cpu.stores_half(outputs))
        } else {
            self.gpu.map_or(&[], |gpu| gpu.stores_half(outputs))
        }
    }

    /// True where the kernels store groups of four neighbours.
    pub(crate) fn stores_quads(&self, output: &TensorType) -> bool {
        self.gpu.is_some_and(|gpu| gpu.stores_quads(output))
    }

    /// The form for the CPU.
    ///
    /// # Errors
    /// Where there is none.
    pub(crate) fn cpu(&self) -> Result<&'a dyn CpuRoutine, String> {
        self.cpu.ok_or_else(|| "it has no CPU form".to_owned())
    }

    /// The form for GPUs.
    ///
    /// # Errors
    /// Where there is none.
    pub(crate) fn gpu(&self) -> Result<&'a dyn GpuRoutine, String> {
        self.gpu.ok_or_else(|| "it has no GPU kernel".to_owned())
    }
}

/// A routine's form for the CPU.
pub trait CpuRoutine {
    /// The CPU's implementation. Inputs are read through their maps (row-major unless the operator accepts
    /// views), outputs are row-major bytes of the given types.
    ///
    /// # Errors
    /// Where the element type has no implementation; a program that could meet this is refused when compiled.
    fn evaluate(&self, inputs: &[(&Operand, &[u8])], outputs: &mut [(&TensorType, &mut [u8])]) -> Result<(), String>;

    /// Computes the only output on the CPU as [`evaluate`](Self::evaluate) does, in chunks that are finished while they are in a
    /// cache: adds a value for each index along the last axis, where there is a bias, then passes the chunk with the index of its
    /// first element to `finish`, once. False where it cannot; nothing is written then. Asked where the routine accepts an epilogue.
    ///
    /// # Errors
    /// As for `evaluate`.
    fn evaluate_in_chunks(
        &self,
        _inputs: &[(&Operand, &[u8])],
        _output: (&TensorType, &mut [u8]),
        _bias: Option<&[f32]>,
        _finish: &(dyn Fn(usize, &mut [u8]) + Sync),
    ) -> Result<bool, String> {
        Ok(false)
    }

    /// True where `evaluate` reads an input of f16 or bf16 as it is stored, and computes in f32; else it is widened into f32 first.
    fn reads_stored(&self, _input: usize) -> bool {
        false
    }

    /// The outputs that `evaluate` can store as f16 or bf16, all of them as the same, where it computes in f32. That is asked for where
    /// the graph rounds all of them that are used.
    fn stores_half(&self, _outputs: &[TensorType]) -> &'static [usize] {
        &[]
    }

    /// Computes the only output in the memory of the first input, which holds that input; the others are as in `evaluate`. Called where
    /// the operator [`updates_in_place`](super::Operator::updates_in_place).
    ///
    /// # Errors
    /// As for `evaluate`.
    fn update(&self, _first: (&TensorType, &mut [u8]), _others: &[(&Operand, &[u8])]) -> Result<(), String> {
        Err("is not computed in place on the CPU".into())
    }
}

/// A routine's form for GPUs.
pub trait GpuRoutine {
    /// The GPU's variants, best guess first.
    ///
    /// # Errors
    /// A message for the user where no kernel fits the device or type.
    fn kernels(&self, shapes: &RoutineShapes<'_>, adapter: &Adapter) -> Result<Vec<KernelPlan>, String>;

    /// The variants that may be the fastest on a GPU, some more than [`kernels`](Self::kernels) has, with the same best guess
    /// first: what tuning tries. They are made only while tuning, and where it found one of them.
    ///
    /// # Errors
    /// As of [`kernels`](Self::kernels).
    fn candidates(&self, shapes: &RoutineShapes<'_>, adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
        self.kernels(shapes, adapter)
    }

    /// Why there are no kernels for inputs of these types on a device, for the user; the decomposition is compiled there instead. Nothing
    /// where there are.
    fn obstacle(&self, _inputs: &[&TensorType], _adapter: &Adapter) -> Option<String> {
        None
    }

    /// The variants that compute the only output in the memory of the first input, best guess first: `Output(0)` holds that input when
    /// they begin, and they do not bind `Input(0)`. Asked where the operator
    /// [`updates_in_place`](super::Operator::updates_in_place).
    ///
    /// # Errors
    /// As of [`kernels`](Self::kernels).
    fn update_kernels(&self, _: &RoutineShapes<'_>, _: &Adapter) -> Result<Vec<KernelPlan>, String> {
        Err("has no kernel that computes it in place".into())
    }

    /// True where the kernels read an input of f16 or bf16 as it is stored; else it is widened into f32 first. What the CPU's form reads
    /// so is [`CpuRoutine::reads_stored`].
    fn reads_stored(&self, _input: usize) -> bool {
        false
    }

    /// The outputs that the kernels can store as f16 or bf16, all of them as the same, as [`CpuRoutine::stores_half`] says of the CPU's
    /// form.
    fn stores_half(&self, _outputs: &[TensorType]) -> &'static [usize] {
        &[]
    }

    /// True where the kernels store results of this type in groups of four neighbours along the last axis, so that an epilogue
    /// can store 16-bit floats of them. Asked where the routine accepts an epilogue.
    fn stores_quads(&self, _output: &TensorType) -> bool {
        false
    }
}

/// The elements of an input in [`CpuRoutine::evaluate`]: row-major, unless the routine accepts views.
///
/// # Errors
/// Where its type is another.
pub fn elements<'a, T: Element>(input: &(&Operand, &'a [u8])) -> Result<&'a [T], String> {
    let (operand, bytes) = *input;
    if operand.ty.dtype != T::DTYPE {
        return Err(format!("is given {}, and its CPU form reads {}", operand.ty, T::DTYPE));
    }
    bytemuck::try_cast_slice(bytes).map_err(|error| error.to_string())
}

/// The elements of an output in [`CpuRoutine::evaluate`], row-major.
///
/// # Errors
/// Where its type is another.
pub fn elements_mut<'a, T: Element>(output: &'a mut (&TensorType, &mut [u8])) -> Result<&'a mut [T], String> {
    let (ty, bytes) = output;
    if ty.dtype != T::DTYPE {
        return Err(format!("is to give {ty}, and its CPU form gives {}", T::DTYPE));
    }
    bytemuck::try_cast_slice_mut(bytes).map_err(|error| error.to_string())
}
