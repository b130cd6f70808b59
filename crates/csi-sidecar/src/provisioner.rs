//! Makes volumes for claims and deletes them again.
//!
//! Keeps true: a claim that asks for the driver has a volume, or says why not; a released volume goes with its data.
//! Woken by: changes of claims, volumes, classes, attachments and nodes.
//! Reads: these. Writes: volumes, the claim's chosen node where the driver has no room there.
//! Gives up when: never; it tries again, later each time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use component::Runtime;
use component::cause::whole;
use component::events::Kind;
use controller_runtime::api::Patch;
use controller_runtime::api::path::{path_of, resource_path};
use controller_runtime::objects::Resource as _;
use csi::v1::{DeleteVolumeRequest, TopologyRequirement};
use informer::{Key, Object as _, Outcome, RateLimit, Store, Watch, WorkQueue, run_workers};
use provisioning::SELECTED_NODE;
use provisioning::objects::{Claim, SecretRef, StorageClass, Volume};
use serde_json::json;

use crate::objects::{Attachment, CsiNode};
use crate::parameters;
use crate::provision::{self, Reclaim, Step, Wanted};
use crate::run::{Context, Error};
use crate::topology::{self, Segments};

/// How long a claim waits after each failure, as upstream.
const RETRY: RateLimit = RateLimit { base: Duration::from_secs(1), limit: Duration::from_secs(300) };
/// Claims, and volumes, seen to at once.
const WORKERS: usize = 4;
/// The index of attachments by their volume.
const BY_VOLUME: &str = "volume";
/// The index of claims by their class.
const BY_CLASS: &str = "class";

/// Starts the role.
pub fn start(runtime: &Runtime, context: Context) {
    let csi_nodes = Watch::resource(CsiNode::GROUP, CsiNode::VERSION, CsiNode::PLURAL, "");
    let shell = Arc::new(Shell {
        claims: context.stores.of(),
        volumes: context.stores.of(),
        classes: context.stores.of(),
        attachments: context.stores.of(),
        csi_nodes: context.stores.watch(context.of_own_node(csi_nodes)),
        claim_queue: WorkQueue::with_limit("claims", RETRY),
        volume_queue: WorkQueue::with_limit("volumes", RETRY),
        context,
    });
    shell.attachments.index(BY_VOLUME, |attachment: &Attachment| {
        vec![attachment.spec.source.persistent_volume_name.clone()]
    });
    shell.claims.index(BY_CLASS, |claim: &Claim| {
        let waits = claim.spec.volume_name.is_empty();
        waits.then(|| claim.class().to_owned()).into_iter().collect()
    });
    shell.context.stores.close_at_shutdown(&shell.claim_queue);
    shell.context.stores.close_at_shutdown(&shell.volume_queue);
    let on_claim = Arc::clone(&shell);
    shell.claims.on_change(move |change| on_claim.claim_queue.add(change.object().key()));
    let on_class = Arc::clone(&shell);
    shell.classes.on_change(move |change| {
        let waiting = on_class.claims.by_index(BY_CLASS, change.object().name());
        waiting.iter().for_each(|claim| on_class.claim_queue.add(claim.key()));
    });
    let on_volume = Arc::clone(&shell);
    shell.volumes.on_change(move |change| on_volume.volume_queue.add(change.object().key()));
    let on_attachment = Arc::clone(&shell);
    shell.attachments.on_change(move |change| {
        let volume = &change.object().spec.source.persistent_volume_name;
        on_attachment.volume_queue.add(Key::new("", volume));
    });
    runtime.spawn("provisioner", async move {
        shell.claims.ready().await;
        shell.volumes.ready().await;
        shell.classes.ready().await;
        shell.attachments.ready().await;
        shell.csi_nodes.ready().await;
        shell.context.nodes.ready().await;
        let claims = run_workers("claims", &shell.claim_queue, WORKERS, |key| shell.claim(key));
        let volumes = run_workers("volumes", &shell.volume_queue, WORKERS, |key| shell.volume(key));
        futures::future::join(claims, volumes).await;
        anyhow::Ok(())
    });
}

struct Shell {
    context: Context,
    claims: Store<Claim>,
    volumes: Store<Volume>,
    classes: Store<StorageClass>,
    attachments: Store<Attachment>,
    csi_nodes: Store<CsiNode>,
    claim_queue: WorkQueue<Key>,
    volume_queue: WorkQueue<Key>,
}

impl Shell {
    async fn claim(&self, key: Key) -> Result<Outcome, Error> {
        let Some(claim) = self.claims.get(key.as_str()) else { return Ok(Outcome::Done) };
        let class = self.classes.get(claim.class());
        let context = &self.context;
        let own_node = context.config.node.as_deref();
        match (provision::decide(&context.driver, own_node, &claim, class.as_deref()), class) {
            (Step::Refuse(why), _) => {
                self.not_provisioned(&claim, &why);
                Ok(Outcome::Done)
            }
            (Step::Make(node), Some(class)) => {
                let made = self.make(&claim, &class, node.as_deref()).await;
                if let Err(error) = &made {
                    self.not_provisioned(&claim, &whole(error));
                }
                made.map(|()| Outcome::Done)
            }
            (Step::Leave | Step::Make(_), _) => Ok(Outcome::Done),
        }
    }

    fn not_provisioned(&self, claim: &Claim, why: &str) {
        let message = format!("failed to provision volume with StorageClass {:?}: {why}", claim.class());
        self.context.tell(claim, Kind::Warning, "ProvisioningFailed", message);
    }

    async fn make(&self, claim: &Claim, class: &StorageClass, node: Option<&str>) -> Result<(), Error> {
        let context = &self.context;
        let name = provision::name(&context.config.prefix, claim);
        if self.volumes.get(&name).is_some() {
            // The binder has yet to see it.
            return Ok(());
        }
        let parameters = parameters::read(class, claim, &name).map_err(Error::Refused)?;
        let wanted = Wanted {
            driver: &context.driver,
            writers: context.writers(),
            claim,
            class,
            parameters: &parameters,
            default_fs_type: &context.config.default_fs_type,
            name: &name,
        };
        let message =
            format!("External provisioner is provisioning volume for claim \"{}\"", claim.metadata.key());
        context.tell(claim, Kind::Normal, "Provisioning", message);
        let mut request = wanted.request(self.places(class, node)?, context.config.tells_names);
        let secret = parameters.secrets.get(&parameters::Step::Provisioner);
        request.secrets = context.secret(secret).await?;
        let secrets = request.secrets.clone();
        let made = match context.client.create_volume(request).await {
            Ok(answer) => answer.volume,
            Err(error) => {
                let is_full = error.code() == csi::tonic::Code::ResourceExhausted;
                if is_full && node.is_some() && context.config.node.is_none() {
                    self.choose_again(claim).await?;
                }
                return Err(error.into());
            }
        };
        let made = made.ok_or_else(|| csi::Error::malformed("the driver answered without a volume"))?;
        let asked = claim.request().map_or(0, |request| request.value());
        if made.capacity_bytes != 0 && made.capacity_bytes < asked {
            let delete = DeleteVolumeRequest { volume_id: made.volume_id, secrets };
            context.client.delete_volume(delete).await?;
            let has = made.capacity_bytes;
            return Err(Error::Refused(format!(
                "created volume capacity {has} less than requested capacity {asked}"
            )));
        }
        match context.api.create(&resource_path::<Volume>(""), &wanted.volume(&made)).await {
            Err(error) if error.is_already_exists() => {}
            other => drop(other?),
        }
        tracing::info!(volume = name, claim = %claim.metadata.key(), "made");
        let message = format!("Successfully provisioned volume {name}");
        context.tell(claim, Kind::Normal, "ProvisioningSucceeded", message);
        Ok(())
    }

    /// Where the volume may be; none where the driver's volumes are everywhere.
    fn places(&self, class: &StorageClass, node: Option<&str>) -> Result<Option<TopologyRequirement>, Error> {
        let context = &self.context;
        if !context.has_topology {
            return Ok(None);
        }
        let place = |csi_node: &CsiNode| -> Option<Segments> {
            let keys = &csi_node.driver(&context.driver)?.topology_keys;
            let node = context.nodes.get(csi_node.name())?;
            topology::place(&node.metadata.labels, keys).filter(|place| !place.is_empty())
        };
        let chosen = match node {
            None => None,
            Some(name) => {
                let found = self.csi_nodes.get(name).and_then(|node| place(&node));
                let missing = || {
                    Error::Refused(format!(
                        "error generating accessibility requirements: no topology key found on CSINode {name}"
                    ))
                };
                Some(found.ok_or_else(missing)?)
            }
        };
        let all: BTreeSet<Segments> = self.csi_nodes.list().iter().filter_map(|node| place(node)).collect();
        Ok(topology::requirement(&topology::View {
            chosen,
            all,
            allowed: &class.allowed_topologies,
            strict: context.config.strict_topology,
            immediate: context.config.immediate_topology,
        }))
    }

    /// Has the scheduler choose another node for a claim's pod.
    async fn choose_again(&self, claim: &Claim) -> Result<(), Error> {
        let change = json!({"metadata": {
            "resourceVersion": claim.metadata.resource_version,
            "annotations": {SELECTED_NODE: null},
        }});
        self.context.api.patch(&path_of(claim), Patch::Merge, &change).await?;
        Ok(())
    }

    async fn volume(&self, key: Key) -> Result<Outcome, Error> {
        let Some(volume) = self.volumes.get(key.as_str()) else { return Ok(Outcome::Done) };
        let context = &self.context;
        if !context.is_here(&volume) {
            return Ok(Outcome::Done);
        }
        let attachments = self.attachments.by_index(BY_VOLUME, key.name());
        let attached_to = attachments.first().map(|attachment| attachment.spec.node_name.as_str());
        let done = match provision::reclaim(&context.driver, &volume, attached_to) {
            // An attachment that goes wakes its volume.
            Reclaim::Leave | Reclaim::Wait(_) => Ok(()),
            Reclaim::LetGo => provisioning::let_go(&context.api, &volume).await.map_err(Error::from),
            Reclaim::Delete { handle, secret } => self.delete(&volume, handle, secret.as_ref()).await,
        };
        match done {
            Ok(()) => Ok(Outcome::Done),
            Err(Error::Api(error)) if error.is_not_found() => Ok(Outcome::Done),
            Err(error) => {
                if !informer::Failure::is_conflict(&error) {
                    context.tell(&*volume, Kind::Warning, "VolumeFailedDelete", whole(&error));
                }
                Err(error)
            }
        }
    }

    async fn delete(&self, volume: &Volume, handle: String, secret: Option<&SecretRef>) -> Result<(), Error> {
        let context = &self.context;
        let request = DeleteVolumeRequest { volume_id: handle, secrets: context.secret(secret).await? };
        match context.client.delete_volume(request).await {
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
        provisioning::remove(&context.api, volume).await?;
        tracing::info!(volume = volume.metadata.name, "deleted");
        Ok(())
    }
}
