//! Volumes that must be attached to the node before they are mounted: what the node reports, and what it waits for.
//!
//! The node says first that it uses a volume (`volumesInUse`); from then on the attach-detach controller does not take it
//! away. Then it waits until the controller says that the volume is attached (`volumesAttached`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use informer::{Change, Identity, IdentityRef, Object, Store, Watch, null_is_default, reflect};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::storage::v1::VolumeAttachment;
use kube::Api;
use podrules::csi::unique_volume_name;
use serde::Deserialize;
use tokio::sync::watch;

use super::Csi;
use super::layout::{self, Record};
use super::request::{Spec, Terms};
use crate::volume::blocking;

/// How long a pod's start waits before it says so and begins anew.
const PATIENCE: Duration = Duration::from_secs(60);

/// The node's own object, as far as it says what is attached.
#[derive(Debug, Deserialize)]
pub struct OwnNode {
    metadata: Identity,
    #[serde(default)]
    status: Attachments,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Attachments {
    #[serde(deserialize_with = "null_is_default")]
    volumes_attached: Vec<Attached>,
}

#[derive(Debug, Deserialize)]
struct Attached {
    name: String,
}

/// A set of volumes, as the node's object of a version has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    volumes: BTreeSet<String>,
    version: u64,
}

impl Object for OwnNode {
    fn identity(&self) -> IdentityRef<'_> {
        self.metadata.by_ref()
    }
}

impl Csi {
    /// Waits until a volume is attached to the node, and answers what the attacher said of it. A volume that need not
    /// be attached is answered at once.
    pub async fn attached(
        &self,
        spec: &Spec,
        terms: &Terms,
        pod_uid: &str,
    ) -> anyhow::Result<BTreeMap<String, String>> {
        let record = spec.record(&self.node, terms);
        if record.attachment.is_empty() {
            return Ok(BTreeMap::new());
        }
        let client = self.client.clone().context("no API server to ask for attachments")?;
        // Not before the driver is there: what it never mounted it need not take back.
        self.drivers.get(&spec.id.driver)?;
        let attachment = record.attachment.clone();
        {
            let _turn = self.turns.take(&spec.id).await;
            self.write_down(self.layout.publishing(pod_uid, &spec.name), record).await?;
        }
        let name = unique_volume_name(&spec.id.driver, &spec.id.handle);
        let (mut reported, mut attached) = (self.reported.subscribe(), self.attached_volumes(client.clone()));
        let waited = tokio::time::timeout(PATIENCE, async {
            let version = reported.wait_for(|seen| seen.volumes.contains(&name)).await?.version;
            // What was attached before the report may have been taken away since: nobody knew that it is used.
            attached.wait_for(|seen| seen.version >= version && seen.volumes.contains(&name)).await?;
            anyhow::Ok(())
        });
        match waited.await {
            Ok(done) => done?,
            Err(_) => bail!(
                "timed out waiting for external-attacher of {} CSI driver to attach volume {}",
                spec.id.driver,
                spec.id.handle
            ),
        }
        let attachments: Api<VolumeAttachment> = Api::all(client);
        let status = attachments.get(&attachment).await?.status.unwrap_or_default();
        if let Some(error) = status.attach_error.filter(|_| !status.attached) {
            bail!("{}", error.message.unwrap_or_default());
        }
        anyhow::ensure!(status.attached, "volume {} is not attached to the node", spec.name);
        Ok(status.attachment_metadata.unwrap_or_default())
    }

    /// The names of the volumes that the node uses.
    pub fn in_use(&self) -> BTreeSet<String> {
        self.in_use.borrow().clone()
    }

    /// Returns when the volumes that the node uses are others than those that it reported last.
    pub async fn unreported(&self) {
        let mut in_use = self.in_use.subscribe();
        let reported = self.reported.subscribe();
        // It lives as long as its sender, which is this.
        let _ = in_use.wait_for(|in_use| *in_use != reported.borrow().volumes).await;
    }

    /// Notes that the API server has been told, and in which version of the node it says so.
    pub fn report(&self, volumes: BTreeSet<String>, version: Option<&str>) {
        let version = version.and_then(|version| version.parse().ok()).unwrap_or_default();
        self.reported.send_replace(Seen { volumes, version });
    }

    /// Writes down who uses a volume, and has it reported.
    pub(super) async fn write_down(&self, directory: PathBuf, record: Record) -> anyhow::Result<()> {
        blocking(move || Ok(layout::write(&directory, &record)?)).await?;
        self.look().await
    }

    /// Looks at what the node uses.
    pub(super) async fn look(&self) -> anyhow::Result<()> {
        let layout = self.layout.clone();
        let found = blocking(move || Ok(layout.in_use()?)).await?;
        self.in_use.send_if_modified(|in_use| std::mem::replace(in_use, found.clone()) != found);
        Ok(())
    }

    /// What is attached to the node, watched from the first time that somebody asks.
    fn attached_volumes(&self, client: kube::Client) -> watch::Receiver<Seen> {
        let receiver = self.attached.get_or_init(|| {
            let (sender, receiver) = watch::channel(Seen::default());
            let store = Store::<OwnNode>::new();
            store.on_change(move |change| {
                let seen = match change {
                    Change::Applied { new, .. } => Seen {
                        volumes: new
                            .status
                            .volumes_attached
                            .iter()
                            .map(|volume| volume.name.clone())
                            .collect(),
                        version: new.metadata.resource_version.parse().unwrap_or_default(),
                    },
                    Change::Deleted(_) => Seen::default(),
                };
                sender.send_replace(seen);
            });
            let watch = Watch::all::<Node>().fields(&format!("metadata.name={}", self.node));
            self.process.spawn_session(async move { reflect(client, watch, store).await });
            receiver
        });
        receiver.clone()
    }
}
