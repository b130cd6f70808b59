//! The admission chain: plugins that change or refuse a write before it is stored.
//!
//! The server runs [`Chain::admit`] on the defaulted object, then the kind's own preparation and validation, then
//! [`Chain::validate`], then [`quota`]'s charges, then stores. Everything is pure: what a plugin must know of the
//! cluster it asks a [`View`].

mod attributes;
mod chain;
mod plugin;

pub use attributes::{Attributes, Operation, User};
pub use chain::{Chain, UnknownPlugin};
pub use plugin::{Access, Context, Plugin, View};
