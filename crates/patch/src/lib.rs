//! JSON patch, merge patch and strategic merge patch, made and applied.
//!
//! Applying is what the server does with a PATCH request; making is what `kubectl apply` does.

mod error;
mod json_patch;
mod merge;
mod merging;
mod strategic;

#[cfg(test)]
mod properties;

pub use error::PatchError;
pub use json_patch::{MOST_OPERATIONS, json_patch};
pub use merge::{create_merge_patch, create_three_way_merge_patch, merge_patch};
pub use merging::{Merging, conflict};
pub use strategic::{create_three_way, create_two_way, strategic_merge_patch};
