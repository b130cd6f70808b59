//! Makes volumes larger.
//!
//! Keeps true: a claim that asks for more than its volume has gets it; what the node has to do for that, the claim says.
//! Woken by: changes of claims and volumes.
//! Reads: these. Writes: volumes' sizes, claims' status.
//! Gives up when: never; it tries again, later each time.

use std::sync::Arc;
use std::time::Duration;

use apimachinery::Quantity;
use apimachinery::quantity::Format;
use component::Runtime;
use component::cause::whole;
use component::events::Kind;
use controller_runtime::api::Patch;
use controller_runtime::api::path::path_of;
use controller_runtime::context::now;
use csi::v1::controller_service_capability::rpc::Type as Rpc;
use csi::v1::{CapacityRange, ControllerExpandVolumeRequest};
use informer::{Key, Object as _, Outcome, RateLimit, Store, WorkQueue, run_workers};
use provisioning::objects::{Claim, Volume};
use serde_json::{Value, json};

use crate::attach;
use crate::resize::{self, NODE_PENDING, RESIZING, Step};
use crate::run::{Context, Error};

/// How long a claim waits after each failure, as upstream.
const RETRY: RateLimit = RateLimit { base: Duration::from_secs(1), limit: Duration::from_secs(300) };
/// Claims seen to at once.
const WORKERS: usize = 4;

/// Starts the role.
pub fn start(runtime: &Runtime, context: Context) {
    let shell = Arc::new(Shell {
        claims: context.stores.of(),
        volumes: context.stores.of(),
        queue: WorkQueue::with_limit("resizes", RETRY),
        context,
    });
    shell.context.stores.close_at_shutdown(&shell.queue);
    let on_claim = Arc::clone(&shell);
    shell.claims.on_change(move |change| on_claim.queue.add(change.object().key()));
    let on_volume = Arc::clone(&shell);
    shell.volumes.on_change(move |change| {
        if let Some(claim) = &change.object().spec.claim_ref {
            on_volume.queue.add(Key::new(&claim.namespace, &claim.name));
        }
    });
    runtime.spawn("resizer", async move {
        shell.claims.ready().await;
        shell.volumes.ready().await;
        shell.context.nodes.ready().await;
        run_workers("resizes", &shell.queue, WORKERS, |key| shell.claim(key)).await;
        anyhow::Ok(())
    });
}

struct Shell {
    context: Context,
    claims: Store<Claim>,
    volumes: Store<Volume>,
    queue: WorkQueue<Key>,
}

fn condition(kind: &str, message: &str) -> Value {
    let mut condition = json!({
        "type": kind,
        "status": "True",
        "lastTransitionTime": apimachinery::time::rfc3339(now()),
    });
    if !message.is_empty() {
        condition["message"] = message.into();
    }
    condition
}

impl Shell {
    async fn claim(&self, key: Key) -> Result<Outcome, Error> {
        let Some(claim) = self.claims.get(key.as_str()) else { return Ok(Outcome::Done) };
        let Some(volume) = self.volumes.get(&claim.spec.volume_name) else { return Ok(Outcome::Done) };
        let Step::Expand(size) = resize::decide(&self.context.driver, &claim, &volume) else {
            return Ok(Outcome::Done);
        };
        // Where each node has its own, only one may answer.
        if !self.context.is_here(&volume) {
            return Ok(Outcome::Done);
        }
        match self.expand(&claim, &volume, size).await {
            Ok(()) => Ok(Outcome::Done),
            Err(Error::Api(error)) if error.is_not_found() => Ok(Outcome::Done),
            Err(error) => {
                if !informer::Failure::is_conflict(&error) {
                    let (name, why) = (&volume.metadata.name, whole(&error));
                    let message =
                        format!("resize volume {name:?} by resizer {:?} failed: {why}", self.context.driver);
                    self.context.tell(&*claim, Kind::Warning, "VolumeResizeFailed", message);
                }
                Err(error)
            }
        }
    }

    async fn expand(&self, claim: &Claim, volume: &Volume, size: Quantity) -> Result<(), Error> {
        let context = &self.context;
        let status = format!("{}/status", path_of(claim));
        // A store that is behind must not make a claim begin twice.
        let mut version = json!(claim.metadata.resource_version);
        if !claim.status.conditions.iter().any(|condition| condition.kind == RESIZING) {
            let begun = json!({"metadata": {"resourceVersion": version},
                "status": {"conditions": [condition(RESIZING, "")]}});
            let changed = context.api.patch(&status, Patch::Strategic, &begun).await?;
            version = changed["metadata"]["resourceVersion"].clone();
            let message = format!("External resizer is resizing volume {}", volume.metadata.name);
            context.tell(claim, Kind::Normal, "Resizing", message);
        }
        let (bytes, node_must_follow) = self.ask(volume, size).await?;
        let size = Quantity::from_value(bytes, Format::BinarySi).to_string();
        let larger =
            json!({"metadata": {"uid": volume.metadata.uid}, "spec": {"capacity": {"storage": size}}});
        context.api.patch(&path_of(volume), Patch::Merge, &larger).await?;
        tracing::info!(volume = volume.metadata.name, size, "made larger");
        let resizing_is_over = json!({"$patch": "delete", "type": RESIZING});
        let (done, reason, message) = if node_must_follow {
            let waits =
                "Waiting for user to (re-)start a pod to finish file system resize of volume on node.";
            (
                json!({"conditions": [resizing_is_over, condition(NODE_PENDING, waits)]}),
                "FileSystemResizeRequired",
                "Require file system resize of volume on node",
            )
        } else {
            let is_over = json!({"$patch": "delete", "type": NODE_PENDING});
            (
                json!({"capacity": {"storage": size}, "conditions": [resizing_is_over, is_over]}),
                "VolumeResizeSuccessful",
                "Resize volume succeeded",
            )
        };
        let done = json!({"metadata": {"resourceVersion": version}, "status": done});
        context.api.patch(&status, Patch::Strategic, &done).await?;
        context.tell(claim, Kind::Normal, reason, message);
        Ok(())
    }

    /// Asks the driver. One whose controller does not expand leaves it all to its node part.
    async fn ask(&self, volume: &Volume, size: Quantity) -> Result<(i64, bool), Error> {
        let context = &self.context;
        if !context.can(Rpc::ExpandVolume) {
            return Ok((size.value(), true));
        }
        let source = volume.spec.csi.clone().unwrap_or_default();
        let request = ControllerExpandVolumeRequest {
            volume_id: source.volume_handle.clone(),
            capacity_range: Some(CapacityRange { required_bytes: size.value(), limit_bytes: 0 }),
            secrets: context.secret(source.controller_expand_secret_ref.as_ref()).await?,
            volume_capability: Some(attach::volume_capability(volume, context.writers())),
        };
        let answer = context.client.controller_expand(request).await?;
        // A block device is a block device whatever its size.
        let is_block = volume.spec.volume_mode == "Block";
        Ok((answer.capacity_bytes.max(size.value()), answer.node_expansion_required && !is_block))
    }
}
