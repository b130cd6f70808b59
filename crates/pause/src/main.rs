//! The sandbox container: reaps children, ends on a signal.

fn main() {}
