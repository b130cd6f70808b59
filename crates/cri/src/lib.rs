//! The Container Runtime Interface v1: messages, client, and the runtime trait the kubelet drives.

mod client;
mod error;
mod events;
pub mod fake;
mod runtime;

/// The messages of the contract `runtime.v1`, generated from `proto/runtime/v1/api.proto`.
#[allow(missing_docs, clippy::all)]
pub mod v1 {
    tonic::include_proto!("runtime.v1");
}

pub use client::{Client, Observer, Timeouts};
pub use error::Error;
pub use events::{ContainerChange, Event};
pub use runtime::{Reply, Runtime};
