//! Doubles and helpers that tests of several crates share: a real etcd on a free port, waiting for conditions.

pub mod etcd;
mod eventually;

pub use etcd::Etcd;
pub use eventually::{eventually, free_port};
