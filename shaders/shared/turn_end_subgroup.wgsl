// The same where a workgroup is one subgroup of a software driver: stands in for `shared/turn_end`. Such a driver runs a kernel with
// other barriers as a coroutine, and keeps what it would keep in registers in that one's memory.
fn end_turn() {
    subgroupBarrier();
}
