//! The strategy of kinds that need none of their own, custom resources among them.

use crate::{Keeps, Strategy};

/// Stores what the schema and the metadata rules accept.
pub struct Generic(Keeps);

impl Strategy for Generic {
    fn keeps(&self) -> Keeps {
        self.0
    }
}

/// Objects without status and generation, such as most configuration.
pub static PLAIN: Generic = Generic(Keeps::Nothing);
