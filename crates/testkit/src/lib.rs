//! Doubles and helpers that tests of several crates share: a real etcd on a free port, an HTTPS server in the test,
//! waiting for conditions, numbers that look random.

mod dice;
pub mod etcd;
mod eventually;
pub mod https_server;

pub use dice::Dice;
pub use etcd::Etcd;
pub use eventually::{eventually, eventually_within, free_port};
pub use https_server::HttpsServer;
