//! A deployment's replica sets while a plan is made: as they are, and as they will be.

use std::collections::BTreeMap;
use std::sync::Arc;

use controller_runtime::objects::ReplicaSet;
use serde_json::{Value, json};

use super::annotations::{DESIRED, MAXIMUM, revision};

/// A replica set with the changes planned for it.
#[derive(Clone, Debug)]
pub struct Set {
    /// The set as it is.
    pub object: Arc<ReplicaSet>,
    /// How many pods it will be asked for.
    pub replicas: i32,
    /// The annotations it will have.
    pub annotations: BTreeMap<String, String>,
    /// The seconds a pod must be ready that it will have.
    pub min_ready_seconds: i64,
    /// Pods that have not ended.
    pub unfinished_pods: usize,
}

impl Set {
    /// Starts with no changes.
    pub fn new(object: Arc<ReplicaSet>, unfinished_pods: usize) -> Set {
        Set {
            replicas: object.spec.replicas,
            annotations: object.metadata.annotations.clone(),
            min_ready_seconds: object.spec.min_ready_seconds,
            unfinished_pods,
            object,
        }
    }

    /// Plans another number of pods, noting what the deployment wants in all.
    pub fn scale(&mut self, replicas: i32, desired: i32, maximum: i32) {
        self.replicas = replicas;
        self.annotations.insert(DESIRED.to_owned(), desired.to_string());
        self.annotations.insert(MAXIMUM.to_owned(), maximum.to_string());
    }

    /// Tells whether any change is planned.
    pub fn is_changed(&self) -> bool {
        self.replicas != self.object.spec.replicas
            || self.min_ready_seconds != self.object.spec.min_ready_seconds
            || self.annotations != self.object.metadata.annotations
    }

    /// Returns the change as a merge patch, good only for the version it was planned on.
    pub fn patch(&self) -> Value {
        let before = &self.object.metadata.annotations;
        let changed = self.annotations.iter().filter(|(key, value)| before.get(*key) != Some(value));
        let annotations: BTreeMap<&String, &String> = changed.collect();
        let mut patch = json!({
            "metadata": {"resourceVersion": self.object.metadata.resource_version, "annotations": annotations}});
        if self.replicas != self.object.spec.replicas {
            patch["spec"]["replicas"] = self.replicas.into();
        }
        if self.min_ready_seconds != self.object.spec.min_ready_seconds {
            patch["spec"]["minReadySeconds"] = self.min_ready_seconds.into();
        }
        patch
    }

    /// Returns what to say about a change of the number of pods.
    pub fn scaling_event(&self) -> Option<String> {
        let before = self.object.spec.replicas;
        let direction = match self.replicas.cmp(&before) {
            std::cmp::Ordering::Less => "down",
            std::cmp::Ordering::Equal => return None,
            std::cmp::Ordering::Greater => "up",
        };
        let name = &self.object.metadata.name;
        Some(format!("Scaled {direction} replica set {name} from {before} to {}", self.replicas))
    }

    /// The pods that have been ready for long enough.
    pub fn available(&self) -> i32 {
        self.object.status.available_replicas
    }

    /// The revision it will have.
    pub fn revision(&self) -> i64 {
        revision(&self.annotations)
    }

    /// When it was created, for ordering by age; sets of one second are ordered by name.
    pub fn age_order(&self) -> (Option<jiff::Timestamp>, &str) {
        let metadata = &self.object.metadata;
        (metadata.creation_timestamp.as_ref().map(|time| time.0), &metadata.name)
    }
}
