//! The controllers in this process against an API server in this process and a real etcd.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod cluster;
mod credentials;
mod garbage;
mod nodes;
mod policies;
mod services;
mod volumes;
mod workloads;
