//! Pod addresses, routes between nodes.

fn main() {}
