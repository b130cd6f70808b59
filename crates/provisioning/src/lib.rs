//! What provisioners of volumes share: claims that ask for one, the volume written down for them, its end.
//!
//! The annotations and the finalizer are upstream's, whose provisioners all stand on one library: a volume that one made
//! can be deleted by another of the same name.

mod claim;
pub mod objects;
mod volume;

pub use claim::{PROVISIONER, SELECTED_NODE, class_of, selected_node};
pub use volume::{FINALIZER, PROVISIONED_BY, Reclaim, let_go, made_by, reclaim, record, remove};
