//! Every controller loop of the cluster.

fn main() {}
