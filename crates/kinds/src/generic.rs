//! The strategy of kinds that need none of their own, custom resources among them.

use crate::strategy::Strategy;

/// Stores what the schema and the metadata rules accept.
pub struct Generic {
    /// Whether the kind keeps a status that only its `status` subresource may write.
    pub has_status: bool,
    /// Whether `metadata.generation` counts the changes of the spec.
    pub has_generation: bool,
}

impl Strategy for Generic {
    fn has_status(&self) -> bool {
        self.has_status
    }

    fn has_generation(&self) -> bool {
        self.has_generation
    }
}

/// Objects without status and generation, such as most configuration.
pub static PLAIN: Generic = Generic { has_status: false, has_generation: false };
/// Objects with a status subresource and a counted spec.
pub static WITH_STATUS: Generic = Generic { has_status: true, has_generation: true };
