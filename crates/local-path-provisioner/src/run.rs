//! The shell: watches wake it, what was decided is carried out.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use component::cause::whole;
use component::events::{Kind, Recorder};
use component::{Runtime, client};
use controller_runtime::api::path::{collection_path, path_of, resource_path};
use controller_runtime::api::{Api, Error as ApiError, Patch};
use controller_runtime::context::{Stores, now, reference};
use controller_runtime::objects::Resource;
use informer::{Failure, Key, Object as _, Outcome, Store, WorkQueue, run_workers};
use provisioning::Reclaim;
use provisioning::objects::{Claim, StorageClass, Volume};
use serde_json::{Value, json};

use crate::claim;
use crate::config::Config;
use crate::directory;
use crate::volume::{self, HOSTNAME, Own};

/// Why something was not done; it is tried again.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the API server")]
    Api(#[from] ApiError),
    #[error("the volume's directory")]
    Directory(#[from] directory::Error),
    #[error("a task failed")]
    Task(#[from] tokio::task::JoinError),
}

impl Failure for Error {
    fn is_conflict(&self) -> bool {
        matches!(self, Error::Api(error) if error.is_conflict())
    }
}

/// Starts the provisioner.
pub async fn start(runtime: Runtime, config: Config) -> anyhow::Result<()> {
    let connection = client::Connection {
        kubeconfig: config.kubeconfig.as_deref(),
        master: None,
        user_agent: "local-path-provisioner",
    };
    let client = client::connect(&connection).await?;
    let api = Api::new(client.clone());
    let node = format!("{}/{}", collection_path("", "v1", "nodes", ""), config.node);
    let node = api.get_metadata(&node).await.with_context(|| format!("reading node {:?}", config.node))?;
    let hostname = node["metadata"]["labels"][HOSTNAME].as_str().unwrap_or(&config.node).to_owned();
    let stores = Stores::new(client.clone(), runtime.clone());
    // The name by which upstream's library announces itself in events.
    let source = format!("{}_{}", config.provisioner, config.node);
    let shell = Arc::new(Shell {
        recorder: Recorder::start(&runtime, client, &source, None),
        claims: stores.of(),
        volumes: stores.of(),
        classes: stores.of(),
        claim_queue: WorkQueue::new("claims"),
        volume_queue: WorkQueue::new("volumes"),
        hostname,
        api,
        config,
    });
    stores.close_at_shutdown(&shell.claim_queue);
    stores.close_at_shutdown(&shell.volume_queue);
    let on_claim = Arc::clone(&shell);
    shell.claims.on_change(move |change| on_claim.claim_queue.add(change.object().key()));
    let on_volume = Arc::clone(&shell);
    shell.volumes.on_change(move |change| {
        let volume = change.object();
        on_volume.volume_queue.add(volume.key());
        if let Some(claim) = &volume.spec.claim_ref {
            on_volume.claim_queue.add(Key::new(&claim.namespace, &claim.name));
        }
    });
    runtime.spawn("volumes", async move {
        shell.claims.ready().await;
        shell.volumes.ready().await;
        shell.classes.ready().await;
        tracing::info!(node = shell.config.node, directory = %shell.config.directory.display(), "ready");
        let claims = run_workers("claims", &shell.claim_queue, 4, |key| shell.claim(key));
        let volumes = run_workers("volumes", &shell.volume_queue, 4, |key| shell.volume(key));
        futures::future::join(claims, volumes).await;
        anyhow::Ok(())
    });
    Ok(())
}

struct Shell {
    config: Config,
    hostname: String,
    api: Api,
    recorder: Recorder,
    claims: Store<Claim>,
    volumes: Store<Volume>,
    classes: Store<StorageClass>,
    claim_queue: WorkQueue<Key>,
    volume_queue: WorkQueue<Key>,
}

impl Shell {
    fn own(&self) -> Own<'_> {
        Own { provisioner: &self.config.provisioner, node: &self.config.node, hostname: &self.hostname }
    }

    fn tell<K: Resource>(&self, about: &K, kind: Kind, reason: &str, message: impl Into<String>) {
        self.recorder.record(reference(about), kind, reason, message);
    }

    async fn claim(&self, key: Key) -> Result<Outcome, Error> {
        let Some(claim) = self.claims.get(key.as_str()) else { return Ok(Outcome::Done) };
        let class = self.classes.get(claim.class());
        let volume = self.volumes.get(&claim.spec.volume_name);
        let step =
            claim::decide(&self.own(), &self.config.directory, &claim, class.as_deref(), volume.as_deref());
        match step {
            claim::Step::Leave => Ok(Outcome::Done),
            claim::Step::Refuse(why) => {
                self.not_provisioned(&claim, &why);
                Ok(Outcome::Done)
            }
            claim::Step::Make(made) => self.make(&claim, &made).await,
            claim::Step::Grow => match volume {
                Some(volume) => self.grow(&claim, &volume).await,
                None => Ok(Outcome::Done),
            },
        }
    }

    fn not_provisioned(&self, claim: &Claim, why: &str) {
        let message = format!("failed to provision volume with StorageClass {:?}: {why}", claim.class());
        self.tell(claim, Kind::Warning, "ProvisioningFailed", message);
    }

    async fn make(&self, claim: &Claim, made: &Value) -> Result<Outcome, Error> {
        let name = made["metadata"]["name"].as_str().unwrap_or_default();
        if self.volumes.get(name).is_some() {
            // The binder has yet to see it.
            return Ok(Outcome::Done);
        }
        let message =
            format!("External provisioner is provisioning volume for claim \"{}\"", claim.metadata.key());
        self.tell(claim, Kind::Normal, "Provisioning", message);
        let base = &self.config.directory;
        let path = directory::path(base, name, &claim.metadata.namespace, &claim.metadata.name);
        let done = async {
            blocking(move || directory::make(&path)).await?;
            match self.api.create(&resource_path::<Volume>(""), made).await {
                Err(error) if error.is_already_exists() => Ok(()),
                other => other.map(drop).map_err(Error::from),
            }
        };
        match done.await {
            Ok(()) => {
                tracing::info!(volume = name, claim = %claim.metadata.key(), "made");
                let message = format!("Successfully provisioned volume {name}");
                self.tell(claim, Kind::Normal, "ProvisioningSucceeded", message);
                Ok(Outcome::Done)
            }
            Err(error) => {
                self.not_provisioned(claim, &whole(&error).to_string());
                Err(error)
            }
        }
    }

    /// Makes a volume larger. A directory has no size of its own: what changes is what volume and claim say, in the
    /// order in which upstream's resizer says it.
    async fn grow(&self, claim: &Claim, volume: &Volume) -> Result<Outcome, Error> {
        let Some(request) = claim.spec.resources.requests.get("storage") else { return Ok(Outcome::Done) };
        let status = format!("{}/status", path_of(claim));
        // A store that is behind must not make a claim begin twice.
        let mut version = json!(claim.metadata.resource_version);
        if !claim.status.conditions.iter().any(|condition| condition.kind == "Resizing") {
            let begun = json!({"metadata": {"resourceVersion": version}, "status": {"conditions": [{
                "type": "Resizing",
                "status": "True",
                "lastTransitionTime": apimachinery::time::rfc3339(now()),
            }]}});
            let changed = self.api.patch(&status, Patch::Strategic, &begun).await?;
            version = changed["metadata"]["resourceVersion"].clone();
            let message = format!("External resizer is resizing volume {}", volume.metadata.name);
            self.tell(claim, Kind::Normal, "Resizing", message);
        }
        let larger =
            json!({"metadata": {"uid": volume.metadata.uid}, "spec": {"capacity": {"storage": request}}});
        self.api.patch(&path_of(volume), Patch::Merge, &larger).await?;
        let done = json!({"metadata": {"resourceVersion": version}, "status": {
            "capacity": {"storage": request},
            "conditions": [
                {"$patch": "delete", "type": "Resizing"},
                {"$patch": "delete", "type": "FileSystemResizePending"},
            ],
        }});
        self.api.patch(&status, Patch::Strategic, &done).await?;
        tracing::info!(volume = volume.metadata.name, size = %request, "made larger");
        self.tell(claim, Kind::Normal, "VolumeResizeSuccessful", "Resize volume succeeded");
        Ok(Outcome::Done)
    }

    async fn volume(&self, key: Key) -> Result<Outcome, Error> {
        let Some(volume) = self.volumes.get(key.as_str()) else { return Ok(Outcome::Done) };
        let done = match volume::decide(&self.own(), &volume) {
            Reclaim::Leave => Ok(()),
            Reclaim::LetGo => provisioning::let_go(&self.api, &volume).await.map_err(Error::from),
            Reclaim::Delete => self.delete(&volume).await,
        };
        match done {
            Ok(()) => Ok(Outcome::Done),
            Err(Error::Api(error)) if error.is_not_found() => Ok(Outcome::Done),
            Err(error) => {
                if !error.is_conflict() {
                    self.tell(&*volume, Kind::Warning, "VolumeFailedDelete", whole(&error).to_string());
                }
                Err(error)
            }
        }
    }

    async fn delete(&self, volume: &Volume) -> Result<(), Error> {
        if let Some(path) = volume.path() {
            let (base, path) = (self.config.directory.clone(), Path::new(path).to_owned());
            blocking(move || directory::remove(&base, &path)).await?;
        }
        provisioning::remove(&self.api, volume).await?;
        tracing::info!(volume = volume.metadata.name, "removed");
        Ok(())
    }
}

/// Runs filesystem work off the async threads.
async fn blocking(work: impl FnOnce() -> Result<(), directory::Error> + Send + 'static) -> Result<(), Error> {
    Ok(tokio::task::spawn_blocking(work).await??)
}
