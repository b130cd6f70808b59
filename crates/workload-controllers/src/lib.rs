//! The controllers of workloads: each keeps as many pods as its owner asks for, of the kind that it asks for.

use controller_runtime::Controller;

mod batch;
mod cron_job;
mod daemon_set;
mod deployment;
mod disruption;
mod history;
mod horizontal_pod_autoscaler;
mod job;
mod pod_control;
mod pods;
mod replica_set;
mod stateful_set;
mod ttl_after_finished;

pub use cron_job::Schedule;
pub use job::completed_indexes;

/// The controllers of this crate.
pub const ALL: &[Controller] = &[
    Controller {
        name: "deployment-controller",
        alias: "deployment",
        account: "deployment-controller",
        event_source: "deployment-controller",
        by_default: true,
        start: deployment::start,
    },
    Controller {
        name: "replicaset-controller",
        alias: "replicaset",
        account: "replicaset-controller",
        event_source: "replicaset-controller",
        by_default: true,
        start: replica_set::start,
    },
    Controller {
        name: "replicationcontroller-controller",
        alias: "replicationcontroller",
        account: "replication-controller",
        event_source: "replication-controller",
        by_default: true,
        start: replica_set::start_replication_controllers,
    },
    Controller {
        name: "job-controller",
        alias: "job",
        account: "job-controller",
        event_source: "job-controller",
        by_default: true,
        start: job::start,
    },
    Controller {
        name: "daemonset-controller",
        alias: "daemonset",
        account: "daemon-set-controller",
        event_source: "daemonset-controller",
        by_default: true,
        start: daemon_set::start,
    },
    Controller {
        name: "statefulset-controller",
        alias: "statefulset",
        account: "statefulset-controller",
        event_source: "statefulset-controller",
        by_default: true,
        start: stateful_set::start,
    },
    Controller {
        name: "cronjob-controller",
        alias: "cronjob",
        account: "cronjob-controller",
        event_source: "cronjob-controller",
        by_default: true,
        start: cron_job::start,
    },
    Controller {
        name: "ttl-after-finished-controller",
        alias: "ttl-after-finished",
        account: "ttl-after-finished-controller",
        event_source: "ttl-after-finished-controller",
        by_default: true,
        start: ttl_after_finished::start,
    },
    Controller {
        name: "disruption-controller",
        alias: "disruption",
        account: "disruption-controller",
        event_source: "controllermanager",
        by_default: true,
        start: disruption::start,
    },
    Controller {
        name: "horizontal-pod-autoscaler-controller",
        alias: "horizontalpodautoscaling",
        account: "horizontal-pod-autoscaler",
        event_source: "horizontal-pod-autoscaler",
        by_default: true,
        start: horizontal_pod_autoscaler::start,
    },
];
