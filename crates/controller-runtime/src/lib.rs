//! What every controller stands on: stores to read, an API to write, objects cut down to what is read, ownership.
//!
//! A controller is one [`Controller`] in a crate's list: a pure decision with tables that test it, and a thin shell that
//! gathers the view and carries out what was decided. All controllers of a process share one watch for each type.

pub mod api;
pub mod context;
mod controller;
pub mod objects;
mod options;
pub mod ownership;

pub use controller::{Controller, Running};
pub use options::{Choice, Concurrency, Options, Signing};
