//! Attaches volumes to nodes and detaches them, as VolumeAttachments ask.
//!
//! Keeps true: each attachment of the driver that lives is attached, or says why not; one that is deleted is detached
//! before it goes, and its volume does not go before it.
//! Woken by: changes of attachments, volumes and CSINodes.
//! Reads: these. Writes: attachments, their status, finalizers of volumes.
//! Gives up when: never; it tries again, later each time.

use std::sync::Arc;
use std::time::Duration;

use component::Runtime;
use component::cause::whole;
use controller_runtime::api::Patch;
use controller_runtime::api::path::path_of;
use controller_runtime::context::now;
use csi::v1::controller_service_capability::rpc::Type as Rpc;
use csi::v1::{ControllerPublishVolumeRequest, ControllerUnpublishVolumeRequest};
use informer::{Key, Object as _, Outcome, RateLimit, Store, WorkQueue, run_workers};
use provisioning::objects::Volume;
use serde_json::{Value, json};

use crate::attach::{self, NODE_ID, Step};
use crate::objects::{Attachment, CsiNode};
use crate::run::{Context, Error};

/// How long an attachment waits after each failure, as upstream.
const RETRY: RateLimit = RateLimit { base: Duration::from_secs(1), limit: Duration::from_secs(300) };
/// Attachments seen to at once.
const WORKERS: usize = 10;
/// The index of attachments by their volume.
const BY_VOLUME: &str = "volume of attacher";
/// The index of attachments by their node.
const BY_NODE: &str = "node";

/// Starts the role.
pub fn start(runtime: &Runtime, context: Context) {
    let shell = Arc::new(Shell {
        attachments: context.stores.of(),
        volumes: context.stores.of(),
        nodes: context.stores.of(),
        queue: WorkQueue::with_limit("attachments", RETRY),
        volume_queue: WorkQueue::with_limit("attached volumes", RETRY),
        context,
    });
    shell.attachments.index(BY_VOLUME, |attachment: &Attachment| {
        vec![attachment.spec.source.persistent_volume_name.clone()]
    });
    shell.attachments.index(BY_NODE, |attachment: &Attachment| vec![attachment.spec.node_name.clone()]);
    shell.context.stores.close_at_shutdown(&shell.queue);
    shell.context.stores.close_at_shutdown(&shell.volume_queue);
    let on_attachment = Arc::clone(&shell);
    shell.attachments.on_change(move |change| {
        let attachment = change.object();
        on_attachment.queue.add(attachment.key());
        let volume = &attachment.spec.source.persistent_volume_name;
        on_attachment.volume_queue.add(Key::new("", volume));
    });
    let on_volume = Arc::clone(&shell);
    shell.volumes.on_change(move |change| {
        let volume = change.object();
        on_volume.volume_queue.add(volume.key());
        on_volume.wake(BY_VOLUME, volume.name());
    });
    let on_node = Arc::clone(&shell);
    shell.nodes.on_change(move |change| on_node.wake(BY_NODE, change.object().name()));
    runtime.spawn("attacher", async move {
        shell.attachments.ready().await;
        shell.volumes.ready().await;
        shell.nodes.ready().await;
        let attachments = run_workers("attachments", &shell.queue, WORKERS, |key| shell.attachment(key));
        let volumes = run_workers("attached volumes", &shell.volume_queue, 1, |key| shell.volume(key));
        futures::future::join(attachments, volumes).await;
        anyhow::Ok(())
    });
}

struct Shell {
    context: Context,
    attachments: Store<Attachment>,
    volumes: Store<Volume>,
    nodes: Store<CsiNode>,
    queue: WorkQueue<Key>,
    volume_queue: WorkQueue<Key>,
}

impl Shell {
    /// Looks again at what is not attached yet.
    fn wake(&self, index: &'static str, value: &str) {
        for attachment in self.attachments.by_index(index, value) {
            if !attachment.status.attached || attachment.metadata.is_deleting() {
                self.queue.add(attachment.key());
            }
        }
    }

    async fn attachment(&self, key: Key) -> Result<Outcome, Error> {
        let Some(attachment) = self.attachments.get(key.as_str()) else { return Ok(Outcome::Done) };
        let volume = self.volumes.get(&attachment.spec.source.persistent_volume_name);
        let node = self.nodes.get(&attachment.spec.node_name);
        let own = self.context.config.node.as_deref();
        let step = attach::decide(&self.context.driver, own, &attachment, volume.as_deref(), node.as_deref());
        let (done, field) = match (step, &volume) {
            (Step::Leave, _) => (Ok(()), ""),
            (Step::Refuse(why), _) => (Err(Error::Refused(why)), "attachError"),
            (Step::Attach { node_id }, Some(volume)) => {
                (self.attach(&attachment, volume, node_id).await, "attachError")
            }
            (Step::Attach { .. }, None) => (Ok(()), ""),
            (Step::Detach { handle, node_id }, _) => {
                (self.detach(&attachment, volume.as_deref(), handle, node_id).await, "detachError")
            }
        };
        match done {
            Ok(()) => Ok(Outcome::Done),
            Err(Error::Api(error)) if error.is_not_found() => Ok(Outcome::Done),
            Err(error) => {
                if !informer::Failure::is_conflict(&error) {
                    self.say(&attachment, field, &whole(&error)).await;
                }
                Err(error)
            }
        }
    }

    /// Writes why an attachment is not what it should be. That this fails too is no other error than the first.
    async fn say(&self, attachment: &Attachment, field: &str, why: &str) {
        let error = json!({"message": why, "time": apimachinery::time::rfc3339(now())});
        let status = json!({"attached": attachment.status.attached, field: error});
        if let Err(error) = self.write_status(attachment, status).await {
            tracing::debug!(error = whole(&error), "cannot say why a volume is not attached");
        }
    }

    async fn write_status(&self, attachment: &Attachment, status: Value) -> Result<(), Error> {
        let patch = json!({"metadata": {"uid": attachment.metadata.uid}, "status": status});
        let path = format!("{}/status", path_of(attachment));
        self.context.api.patch(&path, Patch::Merge, &patch).await?;
        Ok(())
    }

    async fn attach(&self, attachment: &Attachment, volume: &Volume, node_id: String) -> Result<(), Error> {
        let context = &self.context;
        let mut publish_context = Value::Null;
        if context.can(Rpc::PublishUnpublishVolume) {
            if self.hold(attachment, volume, &node_id).await? {
                // Seen again as it is now: the driver is asked once.
                return Ok(());
            }
            let source = volume.spec.csi.clone().unwrap_or_default();
            let secret = source.controller_publish_secret_ref.as_ref();
            let request = ControllerPublishVolumeRequest {
                volume_id: source.volume_handle.clone(),
                node_id,
                volume_capability: Some(attach::volume_capability(volume, context.writers())),
                readonly: source.read_only && context.can(Rpc::PublishReadonly),
                secrets: context.secret(secret).await?,
                volume_context: source.volume_attributes.clone(),
            };
            publish_context = json!(context.client.controller_publish(request).await?.publish_context);
        }
        let status = json!({"attached": true, "attachmentMetadata": publish_context, "attachError": null});
        self.write_status(attachment, status).await?;
        let volume = &volume.metadata.name;
        tracing::info!(volume, node = attachment.spec.node_name, "attached");
        Ok(())
    }

    /// Holds volume and attachment, so that neither goes while the driver has attached it. Tells whether one was not yet.
    async fn hold(&self, attachment: &Attachment, volume: &Volume, node_id: &str) -> Result<bool, Error> {
        let finalizer = attach::finalizer(&self.context.driver);
        let api = &self.context.api;
        if !volume.metadata.finalizers.contains(&finalizer) {
            let change = json!({"metadata": {"uid": volume.metadata.uid, "finalizers": [finalizer]}});
            api.patch(&path_of(volume), Patch::Strategic, &change).await?;
            return Ok(true);
        }
        let metadata = &attachment.metadata;
        let is_held = metadata.finalizers.contains(&finalizer)
            && metadata.annotations.get(NODE_ID).is_some_and(|known| known == node_id);
        if !is_held {
            let change = json!({"metadata": {
                "uid": metadata.uid,
                "finalizers": [finalizer],
                "annotations": {NODE_ID: node_id},
            }});
            api.patch(&path_of(attachment), Patch::Strategic, &change).await?;
        }
        Ok(!is_held)
    }

    async fn detach(
        &self,
        attachment: &Attachment,
        volume: Option<&Volume>,
        handle: Option<String>,
        node_id: String,
    ) -> Result<(), Error> {
        let context = &self.context;
        match handle {
            Some(volume_id) => {
                let source = volume.and_then(|volume| volume.spec.csi.as_ref());
                let secret = source.and_then(|source| source.controller_publish_secret_ref.as_ref());
                let secrets = context.secret(secret).await?;
                let request = ControllerUnpublishVolumeRequest { volume_id, node_id, secrets };
                match context.client.controller_unpublish(request).await {
                    Err(error) if !error.is_not_found() => return Err(error.into()),
                    _ => {}
                }
            }
            None => tracing::warn!(
                attachment = attachment.metadata.name,
                "its volume is gone, and with it the driver's name for it"
            ),
        }
        let change = json!({"metadata": {
            "uid": attachment.metadata.uid,
            "$deleteFromPrimitiveList/finalizers": [attach::finalizer(&context.driver)],
        }});
        context.api.patch(&path_of(attachment), Patch::Strategic, &change).await?;
        let volume = &attachment.spec.source.persistent_volume_name;
        tracing::info!(volume, node = attachment.spec.node_name, "detached");
        Ok(())
    }

    async fn volume(&self, key: Key) -> Result<Outcome, Error> {
        let Some(volume) = self.volumes.get(key.as_str()) else { return Ok(Outcome::Done) };
        let driver = &self.context.driver;
        let is_attached = !self.attachments.by_index(BY_VOLUME, key.name()).is_empty();
        if attach::lets_go(driver, &volume, is_attached) {
            let change = json!({"metadata": {
                "uid": volume.metadata.uid,
                "$deleteFromPrimitiveList/finalizers": [attach::finalizer(driver)],
            }});
            match self.context.api.patch(&path_of(&*volume), Patch::Strategic, &change).await {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => {}
            }
        }
        Ok(Outcome::Done)
    }
}
