//! The vocabulary every component shares: object metadata, selectors, quantities, names and Status.
//!
//! Nothing here does I/O, reads a clock or knows a runtime. Objects are `serde_json::Value`: their keys are
//! sorted, as upstream's unstructured objects print them.

pub mod cluster_role;
pub mod fields;
pub mod go;
pub mod gvk;
pub mod hash;
pub mod json;
pub mod labels;
pub mod names;
pub mod object;
pub mod quantity;
pub mod status;
pub mod time;
pub mod user;

pub use gvk::{GroupVersionKind, GroupVersionResource};
pub use object::ObjectExt;
pub use quantity::Quantity;
pub use status::{FieldError, Status};
pub use user::User;
