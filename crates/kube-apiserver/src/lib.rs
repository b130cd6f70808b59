//! The API server: authentication, authorisation, admission, storage in etcd, watch.
//!
//! A request goes [`http::connection`] → [`http::service`] (who asks, may they, is there room) → [`dispatch`] →
//! [`handlers`] → the store. Objects stay bytes on the way out; on the way in they are one tree that is decoded,
//! admitted, validated and serialised once.

pub mod access;
pub mod admission_config;
mod admitting;
pub mod aggregation;
pub mod alloc;
pub mod auditing;
pub mod authentication_config;
pub mod authorization;
pub mod bootstrap;
pub mod convert;
pub mod dispatch;
pub mod documents;
pub mod encryption;
pub mod endpoints;
mod extension;
mod features;
pub mod flags;
pub mod flow;
pub mod handlers;
pub mod health;
pub mod http;
pub mod identity;
mod image_policy;
mod legacy_tokens;
pub mod metrics;
pub mod protobuf;
pub mod quota;
pub mod refusal;
pub mod registry;
mod remembered;
pub mod run;
pub mod selection;
pub mod server;
pub mod service_places;
pub mod serving;
pub mod streaming;
pub mod token_keys;
pub mod view;
pub mod webhook_admission;

pub use flags::{Flags, IGNORED};
pub use server::Server;
