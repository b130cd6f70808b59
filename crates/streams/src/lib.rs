//! Commands that hold a connection open: to a container's terminal, files or log, to a port, or to the server itself.

#[macro_use(errln, outln)]
extern crate cli_runtime;

pub mod attach;
pub mod cp;
pub mod exec;
pub mod logs;
pub mod port_forward;
pub mod proxy;
mod stream;
