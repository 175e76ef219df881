// What invocations of a workgroup have left for each other is there after this.
fn end_turn() {
    storageBarrier();
}
