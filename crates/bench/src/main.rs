//! Loads and measurements of the running components.

fn main() {}
