//! Objects in etcd under upstream's keys, and the watch cache that serves their bytes.
//!
//! One watch over the whole key space feeds every resource's cache in revision order, so the revision that
//! the caches have reached is exact: every revision of etcd carries at least one event. A consistent read
//! asks etcd for its revision once (shared by all concurrent readers) and waits until the caches are there;
//! no progress notification is needed, whose answers etcd before 3.4.31 and 3.5.13 gets wrong.

mod cache;
mod compaction;
mod encryption;
mod error;
mod etcd;
mod feed;
mod freshness;
mod lease;
mod object;
mod parts;
mod progress;
mod scan;
mod store;

/// The contract with key services, and the form of the values that their keys protect, generated from
/// `proto/kms.proto`.
#[allow(missing_docs, clippy::all)]
pub mod kms {
    tonic::include_proto!("v2");
}

/// What goes between this server and etcd: the messages of its API, and the frames they come in.
pub mod wire {
    pub use crate::etcd::{
        framing::{Unframe, framed},
        wire::*,
    };
}

pub use cache::{
    Accepts, Cache, Counts, Filter, Lists, Page, Query, Resource, Rewrite, Source, Watch, WatchEvent,
    WatchStart,
};
pub use compaction::compact_every;
pub use encryption::{
    ConfigurationError, Encryption, EncryptionConfiguration, Opened, check_encrypted, check_status,
};
pub use error::{CallError, Error};
pub use etcd::{Etcd, EtcdConfig, Listing, Observer, Told};
pub use feed::Feed;
pub use freshness::Freshness;
pub use object::{Encoded, EventType, Object};
pub use parts::Parts;
pub use progress::Progress;
pub use scan::SelectableField;
pub use store::{Change, Consistency, Outcome, Store};
