//! Which of upstream's features the server has.

use component::features::{Gate, lacking, stable};

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
