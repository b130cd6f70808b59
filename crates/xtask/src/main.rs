//! The project's one entry point: up, down, test, bench, tidy, dist, codegen.

fn main() {}
