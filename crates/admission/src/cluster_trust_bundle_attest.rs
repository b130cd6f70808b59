//! ClusterTrustBundleAttest: only whoever may speak for a signer publishes whom to trust for it.

use apimachinery::status::Status;
use serde_json::Value;
use strategy::read::{Read, same};

use crate::certificates::may;
use crate::{Context, Operation, Plugin, Steps};

pub(crate) struct ClusterTrustBundleAttest;

impl Plugin for ClusterTrustBundleAttest {
    fn name(&self) -> &'static str {
        "ClusterTrustBundleAttest"
    }

    fn steps(&self) -> Steps {
        Steps::Validate
    }

    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn validate(&self, context: &mut Context, object: &Value) -> Result<(), Status> {
        if !context.attributes.is("certificates.k8s.io", "clustertrustbundles") {
            return Ok(());
        }
        // Whoever only takes a finalizer away attests nothing.
        let unchanged = context.old.is_some_and(|old| same(&old["spec"], &object["spec"]));
        let signer = object["spec"].text("signerName");
        if unchanged || signer.is_empty() || may(context, "attest", signer) {
            return Ok(());
        }
        let why = format!("user not permitted to attest for signerName {signer:?}");
        Err(context.attributes.forbidden(object, why))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Cluster, Request};

    #[test]
    fn attesting_for_a_signer_takes_its_permission() {
        let bundle = |signer: &str| json!({"spec": {"signerName": signer, "trustBundle": "x"}});
        let create = || Request::create("certificates.k8s.io", "clustertrustbundles").named("b");
        let judge = |cluster: Cluster, request: Request, object: Value| {
            request
                .admit(&ClusterTrustBundleAttest, &cluster, object)
                .map(drop)
                .map_err(|status| status.message)
        };
        assert_eq!(judge(Cluster::new(), create(), bundle("")), Ok(()));
        let refused = judge(Cluster::new(), create(), bundle("example.com/a")).unwrap_err();
        assert!(
            refused.ends_with("user not permitted to attest for signerName \"example.com/a\""),
            "{refused}"
        );
        assert_eq!(
            judge(Cluster::new().allowing("attest", "example.com/*"), create(), bundle("example.com/a")),
            Ok(())
        );
        let update = Request::update("certificates.k8s.io", "clustertrustbundles", bundle("example.com/a"));
        assert_eq!(judge(Cluster::new(), update, bundle("example.com/a")), Ok(()));
    }
}
