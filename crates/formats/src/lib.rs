//! The formats in which kubectl reads and prints objects: YAML, JSON, JSONPath, Go templates, columns and tables.
//!
//! Text in, values out, and back: nothing here reads a file, asks a server or writes to a terminal.

pub mod columns;
mod error;
pub mod json;
pub mod jsonpath;
pub mod table;
pub mod tabwriter;
pub mod template;
#[cfg(test)]
mod tests;
pub mod yaml;

pub use error::{Error, Result};
