//! What scheduler, controllers and kubelet must agree on about pods and nodes: tolerations, affinity, requests, conditions.
//!
//! Pure functions over `k8s-openapi` types; no clock, no I/O.

pub mod conditions;
pub mod csi;
pub mod node_affinity;
pub mod owner;
pub mod ports;
pub mod requests;
pub mod sysctls;
pub mod tolerations;
