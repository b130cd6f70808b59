//! What extends the API: custom resource definitions and aggregated API services.

use super::{Row, STATUS};
use crate::kinds::*;
use crate::resource::Resource;

const APIEXTENSIONS_V1: (&str, &str) = ("apiextensions.k8s.io", "v1");
const APIREGISTRATION_V1: (&str, &str) = ("apiregistration.k8s.io", "v1");

pub(super) const CUSTOM_RESOURCE_DEFINITIONS: &[Resource] = &[Row::cluster(
    APIEXTENSIONS_V1,
    "customresourcedefinitions",
    "customresourcedefinition",
    ("CustomResourceDefinition", "CustomResourceDefinitionList"),
    APIEXTENSIONS_V1_CUSTOMRESOURCEDEFINITION,
)
.short(&["crd", "crds"])
.categories(&["api-extensions"])
.subresources(STATUS)
.prefix("apiextensions.k8s.io/customresourcedefinitions")
.build()];

pub(super) const API_SERVICES: &[Resource] = &[Row::cluster(
    APIREGISTRATION_V1,
    "apiservices",
    "apiservice",
    ("APIService", "APIServiceList"),
    APIREGISTRATION_V1_APISERVICE,
)
.categories(&["api-extensions"])
.subresources(STATUS)
.prefix("apiregistration.k8s.io/apiservices")
.build()];
