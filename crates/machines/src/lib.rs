//! Debian machines that boot with systemd, as nspawn containers on overlays, joined by a bridge of their own.
//!
//! A site is a set of machines and the fabric that joins them: a network namespace with a bridge. Each machine boots a
//! real init with real units in namespaces of its own, on an overlay over a root that is made once and shared. The
//! host's network, its units and its files are not touched. Everything of a site lies in one directory.

pub mod base;
pub mod boot;
pub mod cli;
pub mod layer;
pub mod network;
pub mod power;
pub mod site;
pub mod topology;

use std::path::{Path, PathBuf};

pub use layer::Software;
pub use site::{Options, Site};
pub use topology::{Machine, Topology};

/// Directory that holds the sites of a build, and the roots they share: beside its binaries.
pub fn home(binaries: &Path) -> PathBuf {
    binaries.join("sites")
}
