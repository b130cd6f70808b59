//! Services into packet rules.

pub mod chains;
pub mod conntrack;
pub mod endpoints;
pub mod node;
pub mod rules;
pub mod service;
pub mod state;
pub mod sync;
