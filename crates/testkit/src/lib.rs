//! Doubles and helpers that tests of several crates share: a real etcd on a free port, eventually, temporary clusters.
