//! The server in this process against a real etcd, driven over HTTPS as a client drives it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod admission_plugins;
mod admission_policies;
mod admission_webhooks;
mod aggregation;
mod apply;
mod auditing;
mod authentication;
mod authorization;
mod cluster;
mod concurrency;
mod discovery;
mod early_answers;
mod encodings;
mod every_kind;
mod extension;
mod fairness;
mod history;
mod hook_server;
mod linearizable;
mod lists;
mod metrics;
mod objects;
mod outside;
mod patches;
mod pods;
mod restart;
mod servers;
mod services;
mod serving;
mod watch_sockets;
mod watches;
