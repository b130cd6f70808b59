//! What each verb does to a resource.

pub mod apply;
pub mod call;
pub mod component_status;
pub mod continuation;
pub mod create;
pub mod delete;
pub mod delete_collection;
mod devices;
pub mod get;
pub mod list;
pub mod output;
mod outside;
pub mod ownership;
pub mod patch;
pub mod pod_binding;
pub mod pod_eviction;
pub mod presented;
pub mod scale;
pub mod table;
pub mod update;
pub mod watch;
pub mod write;
