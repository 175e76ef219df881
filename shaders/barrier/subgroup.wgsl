// Slot barrier, used by family/recurrence_steps.
// The barrier after a step where a workgroup is one subgroup of a software driver. Such a driver runs a kernel with other barriers as a
// coroutine, and keeps what would be in registers in the coroutine's memory.
fn step_barrier() {
    subgroupBarrier();
}
