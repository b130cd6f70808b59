//! Pod volumes: their payloads, atomic updates and mounts.
//!
//! Nothing here talks to the API server or the runtime: the kubelet resolves what a volume refers to and hands it in.
//! All calls block on the filesystem.

mod atomic;
mod empty_dir;
mod error;
mod host_path;
pub mod mount;
mod nfs;
mod ownership;
mod payload;
mod sub_path;

pub use atomic::write;
pub use empty_dir::{Medium, empty_dir};
pub use error::Error;
pub use host_path::{HostPathType, host_path};
pub use nfs::{Nfs, nfs};
pub use ownership::{ChangePolicy, set_group};
pub use payload::{File, Item, Payload, config_map, place, secret};
pub use sub_path::{clean_sub_paths, sub_path};
