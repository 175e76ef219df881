// Slot barrier, used by family/recurrence_steps.
// What invocations of a workgroup have stored for each other is visible after this.
fn step_barrier() {
    storageBarrier();
}
