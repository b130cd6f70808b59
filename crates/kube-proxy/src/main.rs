//! Services into packet rules.

fn main() {}
