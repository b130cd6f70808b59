//! AlwaysDeny: refuses everything, to show that refusals arrive.

use apimachinery::status::Status;
use serde_json::Value;

use crate::{Context, Operation, Plugin, Steps};

pub(crate) struct AlwaysDeny;

impl Plugin for AlwaysDeny {
    fn name(&self) -> &'static str {
        "AlwaysDeny"
    }

    fn steps(&self) -> Steps {
        Steps::Both
    }

    fn handles(&self, _operation: Operation) -> bool {
        true
    }

    fn admit(&self, context: &mut Context, object: &mut Value) -> Result<(), Status> {
        self.validate(context, object)
    }

    fn validate(&self, context: &mut Context, object: &Value) -> Result<(), Status> {
        Err(context.attributes.forbidden(object, "admission control is denying all modifications"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Cluster, Request};

    #[test]
    fn nothing_passes() {
        let refused = Request::delete("", "pods").inside("x").named("p").admit(
            &AlwaysDeny,
            &Cluster::new(),
            json!(null),
        );
        assert_eq!(
            refused.unwrap_err().message,
            "pods \"p\" is forbidden: admission control is denying all modifications"
        );
    }
}
