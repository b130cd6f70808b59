//! The Container Storage Interface v1 and plugin registration: messages, client, and the serving of both on sockets.
//!
//! Callers are the kubelet and `csi-sidecar`; the driver of the tests serves.

mod capability;
mod client;
mod endpoint;
mod error;
mod serve;

/// The messages of the contract `csi.v1`, generated from `proto/csi.proto`.
#[allow(missing_docs, clippy::all)]
pub mod v1 {
    tonic::include_proto!("csi.v1");
}

/// The messages of the contract `pluginregistration`, generated from `proto/pluginregistration.proto`.
#[allow(missing_docs, clippy::all)]
pub mod registration {
    tonic::include_proto!("pluginregistration");
}

pub use capability::{AccessType, Driver, access_mode, capability};
pub use client::{Client, Registrant};
pub use endpoint::socket_path;
pub use error::Error;
pub use serve::{listen, remove};

/// gRPC as servers of these contracts need it.
pub use tonic;
