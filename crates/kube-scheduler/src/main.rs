//! Binds pods to nodes.

fn main() {}
