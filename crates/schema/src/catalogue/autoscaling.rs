//! The group `autoscaling`; both versions are stored as v2.

use super::{Row, STATUS};
use crate::kinds::*;
use crate::resource::Resource;

const V1: (&str, &str) = ("autoscaling", "v1");
const V2: (&str, &str) = ("autoscaling", "v2");

pub(super) const RESOURCES: &[Resource] = &[
    Row::namespaced(
        V2,
        "horizontalpodautoscalers",
        "horizontalpodautoscaler",
        ("HorizontalPodAutoscaler", "HorizontalPodAutoscalerList"),
        AUTOSCALING_V2_HORIZONTALPODAUTOSCALER,
    )
    .short(&["hpa"])
    .categories(&["all"])
    .subresources(STATUS)
    .build(),
    Row::namespaced(
        V1,
        "horizontalpodautoscalers",
        "horizontalpodautoscaler",
        ("HorizontalPodAutoscaler", "HorizontalPodAutoscalerList"),
        AUTOSCALING_V1_HORIZONTALPODAUTOSCALER,
    )
    .short(&["hpa"])
    .categories(&["all"])
    .subresources(STATUS)
    .stored_as("autoscaling", "v2")
    .build(),
];
