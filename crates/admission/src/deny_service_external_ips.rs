//! DenyServiceExternalIPs: nobody takes addresses of others for a Service.

use apimachinery::status::Status;
use serde_json::Value;
use strategy::read::Read;

use crate::{Context, Operation, Plugin, Steps};

pub(crate) struct DenyServiceExternalIPs;

impl Plugin for DenyServiceExternalIPs {
    fn name(&self) -> &'static str {
        "DenyServiceExternalIPs"
    }

    fn steps(&self) -> Steps {
        Steps::Validate
    }

    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn validate(&self, context: &mut Context, object: &Value) -> Result<(), Status> {
        if !context.attributes.is("", "services") {
            return Ok(());
        }
        // What a Service has already it may keep.
        let known = context.old.map_or(&[][..], |old| old["spec"].items("externalIPs"));
        if object["spec"].items("externalIPs").iter().all(|address| known.contains(address)) {
            return Ok(());
        }
        Err(context.attributes.forbidden(object, "Use of external IPs is denied by admission control"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Cluster, Request};

    #[test]
    fn addresses_may_be_kept_and_not_taken() {
        let service = |addresses: Value| json!({"spec": {"externalIPs": addresses}});
        let judge = |request: Request, addresses: Value| {
            let judged =
                request.named("s").admit(&DenyServiceExternalIPs, &Cluster::new(), service(addresses));
            judged.map(drop).map_err(|status| status.message)
        };
        let refused =
            Err("services \"s\" is forbidden: Use of external IPs is denied by admission control".to_owned());
        assert_eq!(judge(Request::create("", "services"), json!(["1.2.3.4"])), refused);
        assert_eq!(judge(Request::create("", "services"), json!([])), Ok(()));
        let update = || Request::update("", "services", service(json!(["1.2.3.4"])));
        assert_eq!(judge(update(), json!(["1.2.3.4"])), Ok(()));
        assert_eq!(judge(update(), json!(["1.2.3.4", "1.2.3.5"])), refused);
    }
}
