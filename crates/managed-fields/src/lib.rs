//! Who owns which field of an object, and server-side apply.
//!
//! Everything is a pure function over JSON values under a [`schema::Type`]. [`update`] records what a create, an
//! update or a patch changed; [`apply`] merges a configuration into an object, refuses conflicts with other owners
//! and takes away what the applier no longer names. `metadata.managedFields` is a text here, never a part of the
//! object: most requests keep it as it is, and it need not be read for that.
//!
//! - [`set`]: sets of field paths, as `fieldsV1` writes them.
//! - [`validate`], [`ownership`], [`compare`], [`merge`], [`prune`]: one walk each over a value under its schema.

mod apply;
mod compare;
pub mod csa;
mod entries;
mod keys;
mod last_applied;
mod merge;
mod ownership;
mod place;
mod prune;
mod resets;
pub mod set;
mod update;
mod validate;

#[cfg(test)]
mod tests;

pub use apply::{Applied, Apply, ApplyError, Conflict, apply};
pub use entries::{DecodeError, check};
pub use last_applied::LAST_APPLIED;
pub use merge::merge;
pub use strategy::Resets;
pub use update::{AtVersion, Fields, Update, Versions, Writer, update};
