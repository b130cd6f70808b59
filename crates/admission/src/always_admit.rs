//! AlwaysAdmit: lets everything pass, as the server does without it.

use crate::{Operation, Plugin, Steps};

pub(crate) struct AlwaysAdmit;

impl Plugin for AlwaysAdmit {
    fn name(&self) -> &'static str {
        "AlwaysAdmit"
    }

    fn steps(&self) -> Steps {
        Steps::Neither
    }

    fn handles(&self, _operation: Operation) -> bool {
        false
    }
}
