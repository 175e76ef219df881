// The same where a workgroup is one subgroup of a software driver: replaces `shared/step_barrier`. Such a driver runs a kernel
// with other barriers as a coroutine, and keeps what would be in registers in the coroutine's memory.
fn step_barrier() {
    subgroupBarrier();
}
