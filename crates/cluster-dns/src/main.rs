//! DNS for Services and pods.

fn main() {}
