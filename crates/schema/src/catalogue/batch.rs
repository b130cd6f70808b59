//! The group `batch`.

use super::{Row, STATUS};
use crate::kinds::*;
use crate::resource::Resource;

const V1: (&str, &str) = ("batch", "v1");

pub(super) const RESOURCES: &[Resource] = &[
    Row::namespaced(V1, "cronjobs", "cronjob", ("CronJob", "CronJobList"), BATCH_V1_CRONJOB)
        .short(&["cj"])
        .categories(&["all"])
        .subresources(STATUS)
        .build(),
    Row::namespaced(V1, "jobs", "job", ("Job", "JobList"), BATCH_V1_JOB)
        .categories(&["all"])
        .subresources(STATUS)
        .selectable(&["status.successful"])
        .build(),
];
