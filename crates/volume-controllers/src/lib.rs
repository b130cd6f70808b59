//! The controllers of persistent volumes: claims are made for pods, bound to volumes and expanded; volumes are attached
//! to nodes and reclaimed; both are protected while in use.

mod attacher;
mod binder;
mod ephemeral;
mod expander;
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
        name: "persistentvolume-attach-detach-controller",
        alias: "attachdetach",
        account: "attachdetach-controller",
        event_source: "attachdetach-controller",
        by_default: true,
        start: attacher::start,
    },
    Controller {
        name: "persistentvolume-expander-controller",
        alias: "persistentvolume-expander",
        account: "expand-controller",
        event_source: "volume_expand",
        by_default: true,
        start: expander::start,
    },
    Controller {
        name: "ephemeral-volume-controller",
        alias: "ephemeral-volume",
        account: "ephemeral-volume-controller",
        event_source: "ephemeral_volume",
        by_default: true,
        start: ephemeral::start,
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
