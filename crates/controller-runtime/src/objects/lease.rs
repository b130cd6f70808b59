//! Leases, of which only the time of renewal matters.

use informer::Metadata;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use serde::Deserialize;

use super::resource;

/// A lease.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Lease {
    /// The metadata.
    pub metadata: Metadata,
    /// What the holder says.
    pub spec: LeaseSpec,
}

/// What the holder says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LeaseSpec {
    /// When the holder last said so.
    pub renew_time: Option<MicroTime>,
}

resource!(Lease, "coordination.k8s.io", "v1", "Lease", "leases");
