//! Pods made and removed in an owner's name: counted by its expectations, told of by its events.

use std::sync::Arc;

use component::cause::whole;
use controller_runtime::api::path::{path_of, resource_path};
use controller_runtime::api::{Delete, Error};
use controller_runtime::context::Context;
use controller_runtime::objects::{Pod, Resource};
use controller_runtime::ownership::controller_key;
use informer::{Change, Expectations, Key, Object as _};
use serde_json::Value;

use crate::batch::slow_start;

/// Lowers what an owner of type `O` expects by what a change of a pod shows.
pub fn observe<O: Resource>(expectations: &Expectations, change: &Change<'_, Pod>) {
    let pod = change.object();
    let Some(owner) = controller_key::<O, _>(&**pod) else { return };
    match change {
        Change::Applied { new, .. } if new.metadata.is_deleting() => {
            expectations.deletion_observed(&owner, new.uid());
        }
        Change::Applied { old: None, .. } => expectations.creation_observed(&owner),
        Change::Applied { .. } => {}
        Change::Deleted(pod) => expectations.deletion_observed(&owner, pod.uid()),
    }
}

/// One owner's hand on its pods.
pub struct PodControl<'a, O> {
    /// Who asks the server and tells of it.
    pub context: &'a Context,
    /// What the owner still has to see.
    pub expectations: &'a Expectations,
    /// The owner's key.
    pub key: &'a Key,
    /// The owner.
    pub owner: &'a O,
}

/// How far the making of pods came.
#[derive(Debug)]
pub struct Made {
    /// How many there are now.
    pub count: usize,
    /// Why there are not all: the first refusal. A namespace on its way out is none, as the owner will go with it.
    pub error: Option<Error>,
}

impl<O: Resource> PodControl<'_, O> {
    /// Makes so many pods by slow start; `pod` gives each by its number.
    pub async fn create(&self, count: usize, pod: impl Fn(usize) -> Value) -> Made {
        if count == 0 {
            return Made { count, error: None };
        }
        let path = resource_path::<Pod>(self.owner.namespace());
        self.expectations.expect_creations(self.key, count);
        let batches =
            slow_start(count, async |number| match self.context.api.create(&path, &pod(number)).await {
                Ok(created) => {
                    let name = created["metadata"]["name"].as_str().unwrap_or_default();
                    self.context.normal(self.owner, "SuccessfulCreate", format!("Created pod: {name}"));
                    Ok(())
                }
                Err(error) => {
                    self.expectations.creation_observed(self.key);
                    Err(error)
                }
            })
            .await;
        for _ in 0..batches.skipped {
            self.expectations.creation_observed(self.key);
        }
        let error = batches.error.filter(|error| !error.is_namespace_terminating());
        if let Some(error) = &error {
            self.context.warning(self.owner, "FailedCreate", format!("Error creating: {}", whole(error)));
        }
        Made { count: batches.succeeded, error }
    }

    /// Removes pods, all at once. One that is gone already is as wished.
    pub async fn delete(&self, pods: &[Arc<Pod>]) -> Result<(), Error> {
        self.expectations.expect_deletions(self.key, pods.iter().map(|pod| pod.metadata.uid.clone()));
        let deletions = pods.iter().map(async |pod| {
            let result = self.context.api.delete(&path_of(&**pod), Delete::default()).await;
            self.deleted(pod, result)
        });
        futures::future::join_all(deletions).await.into_iter().collect()
    }

    fn deleted(&self, pod: &Pod, result: Result<Value, Error>) -> Result<(), Error> {
        match result {
            Ok(_) => {
                let message = format!("Deleted pod: {}", pod.metadata.name);
                self.context.normal(self.owner, "SuccessfulDelete", message);
                Ok(())
            }
            Err(error) => {
                self.expectations.deletion_observed(self.key, &pod.metadata.uid);
                if error.is_not_found() {
                    return Ok(());
                }
                self.context.warning(
                    self.owner,
                    "FailedDelete",
                    format!("Error deleting: {}", whole(&error)),
                );
                Err(error)
            }
        }
    }
}
