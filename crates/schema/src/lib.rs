//! The catalogue of built-in kinds and the schemas their objects are decoded, pruned and described by.
//!
//! Everything is data: the catalogue's rows are written by hand, the schemas' rows are generated from
//! k8s-openapi. A custom resource makes rows of the same shape at run time.

mod catalogue;
mod decode;
pub mod discovery;
mod generated;
pub mod openapi;
mod resource;
pub mod tables;
mod types;

pub use catalogue::{Catalogue, Group, catalogue, groups};
pub use decode::{
    DecodeError, FieldValidation, Misfit, Parsed, SyntaxError, Warnings, decode, decode_parsed, parse,
};
pub use generated::kinds;
pub use resource::{Body, Names, Resource, Stability, Subresource, Text, Verbs};
pub use tables::{ListType, MapType, PatchStrategy};
pub use types::{Element, Field, Kind, Merge, Schema, Type, TypeId};
