//! The controllers of persistent volumes: claims are bound to volumes, volumes reclaimed, both protected while in use.

mod binder;
mod objects;
mod protection;

use controller_runtime::Controller;

/// The controllers of this crate.
pub const ALL: &[Controller] = &[
    Controller {
        name: "persistentvolume-binder-controller",
        alias: "persistentvolume-binder",
        account: "persistent-volume-binder",
        event_source: "persistentvolume-controller",
        by_default: true,
        start: binder::start,
    },
    Controller {
        name: "persistentvolumeclaim-protection-controller",
        alias: "pvc-protection",
        account: "pvc-protection-controller",
        event_source: "pvc-protection-controller",
        by_default: true,
        start: protection::start_claims,
    },
    Controller {
        name: "persistentvolume-protection-controller",
        alias: "pv-protection",
        account: "pv-protection-controller",
        event_source: "pv-protection-controller",
        by_default: true,
        start: protection::start_volumes,
    },
];
