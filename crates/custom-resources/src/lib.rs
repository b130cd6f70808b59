//! Custom resource definitions and the rules of their objects (apiextensions.k8s.io/v1).
//!
//! A definition is read into a [`Definition`]; each of its versions has a structural schema ([`Node`]), under which
//! objects are pruned, defaulted and validated, and from which the tables of server-side apply are made. Everything is a
//! pure function.

pub mod approval;
mod declared;
mod default;
mod definition;
mod expressions;
pub mod field_path;
mod names;
mod node;
mod object;
mod prune;
mod published;
pub mod review;
mod rules;
mod scale;
mod stored;
mod structural;
mod structure;
mod tables;
mod validate;

pub use definition::{Conversion, Definition, DefinitionNames, Scale, Version};
pub use names::{Accepted, Taken, accept};
pub use node::Node;
pub use object::Rules;
pub use published::published;
pub use stored::Stored;
pub use structural::faults;
pub use tables::tables;
