// What invocations of a workgroup have stored for each other is visible after this.
fn step_barrier() {
    storageBarrier();
}
