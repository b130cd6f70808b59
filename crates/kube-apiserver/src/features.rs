//! Which of upstream's features the server has.

use component::features::{Gate, Stage, lacking, stable};
use pod_strategy::gates::{ALL, Gates};

/// Upstream's stable features that are the API server's own, and whether they are here.
pub const GATES: &[Gate] = &[
    stable("AnonymousAuthConfigurableEndpoints"),
    lacking("APIServerTracing"),
    stable("AuthorizeNodeWithSelectors"),
    stable("AuthorizeWithSelectors"),
    stable("BtreeWatchCache"),
    stable("ConsistentListFromCache"),
    stable("CRDValidationRatcheting"),
    stable("CustomResourceFieldSelectors"),
    stable("MultiCIDRServiceAllocator"),
    stable("RetryGenerateName"),
    stable("ServiceAccountTokenJTI"),
    stable("ServiceAccountTokenNodeBinding"),
    stable("ServiceAccountTokenNodeBindingValidation"),
    stable("ServiceAccountTokenPodNodeInfo"),
    stable("StreamingCollectionEncodingToJSON"),
    stable("StreamingCollectionEncodingToProtobuf"),
    stable("StructuredAuthenticationConfiguration"),
];

/// Upstream's features that `--feature-gates` switches here, all of them beta.
pub fn switched(gates: Gates) -> Vec<Gate> {
    let gate = |(gate, name, _): (_, &'static str, bool)| Gate {
        name,
        stage: Stage::Beta,
        enabled: gates.has(gate),
    };
    ALL.into_iter().map(gate).collect()
}
