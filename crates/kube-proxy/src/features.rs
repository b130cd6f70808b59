//! Which of upstream's features the proxy has.

use component::features::{Gate, lacking, stable};

/// Upstream's stable features that are the proxy's own, and whether they are here.
pub const GATES: &[Gate] = &[lacking("NFTablesProxyMode"), stable("PreferSameTrafficDistribution")];
