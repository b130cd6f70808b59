//! Writes the generated schema tables from k8s-openapi's types.

fn main() {}
