//! Every controller loop of the cluster: each reads shared stores, decides, and writes through the API server.
//!
//! A controller is one entry in [`controllers::ALL`]: a pure decision with tables that test it, and a thin shell
//! that gathers the view and carries out what was decided. All of them share one watch for each type of object.

pub mod api;
mod batch;
mod config;
mod context;
mod controllers;
mod discovery;
mod history;
pub mod objects;
mod ownership;
mod pod_control;
mod pods;
mod run;

pub use config::{Config, IGNORED, Options};
pub use run::run;
