//! What every kubectl command stands on: the command line, the connection to the server, discovery, objects by name,
//! by file and by selector, and printing them.

#[macro_use]
pub mod out;
pub mod change;
pub mod cli;
pub mod client;
pub mod discovery;
pub mod error;
pub mod last_applied;
pub mod print;
pub mod resource;
