//! The Vagrant lab as a reader has it, start to end, on any Linux machine: QEMU emulates the processors, libvirt runs in
//! namespaces of its own, the box is made from Debian's packages. Nothing touches the host's network or its libvirt.

mod apart;
mod chapters;
mod cli;
mod journey;
mod vagrant;

pub use cli::main;
