//! Volumes of CSI drivers: what they need from the API server, fetched, and handed to [`crate::csi`].

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use component::events::Kind as EventKind;
use k8s_openapi::api::core::v1::{
    CSIPersistentVolumeSource, CSIVolumeSource, PersistentVolume, PersistentVolumeClaim, Secret,
};
use kube::Api;
use serde_json::json;

use super::{Mounted, Setup, group};
use crate::csi::{self, Growth, Mount, SecretName, Spec, Terms};
use crate::event::pod_event;
use crate::pod;

/// How often a claim is looked at for growth while its pod runs: a node may read claims one by one, and not watch them.
const GROWTH_CHECK: Duration = Duration::from_secs(10);
/// How often a volume is published again for drivers that ask for that.
const REPUBLISH: Duration = Duration::from_secs(60);
/// The secrets entry, or attribute, with the tokens of the pod's account.
const TOKENS: &str = "csi.storage.k8s.io/serviceAccount.tokens";

/// Mounts a PersistentVolume of a driver.
pub(super) async fn persistent(
    setup: &Setup<'_>,
    volume: &PersistentVolume,
    source: &CSIPersistentVolumeSource,
    claim: &PersistentVolumeClaim,
    read_only: bool,
) -> anyhow::Result<(Mounted, Option<Duration>)> {
    let spec = Spec::persistent(volume, source, read_only);
    let terms = setup.csi.terms(&spec.id.driver).await?;
    let is_mounted = setup.csi.is_mounted(pod::uid(setup.pod), &spec.name).await?;
    let publish_context = match is_mounted && !terms.republish {
        true => BTreeMap::new(),
        false => setup.csi.attached(&spec, &terms, pod::uid(setup.pod)).await?,
    };
    let mut mount = prepare(setup, spec, terms).await?;
    mount.publish_context = publish_context;
    if !is_mounted {
        mount.stage_secrets = secret(setup, mount.spec.stage_secret.as_ref()).await?;
    }
    let path = setup.csi.mount(&mount).await?;
    if let Some(growth) = csi::growth(claim, volume)
        && let Err(error) = grow(setup, &mount, &path, claim, &growth).await
    {
        // The volume is as good as it was: the pod runs on, and it is tried again.
        let message = format!("NodeExpandVolume failed for volume {:?} : {error:#}", mount.spec.name);
        pod_event(setup.recorder, setup.pod, EventKind::Warning, "VolumeResizeFailed", message);
    }
    let refresh = if mount.terms.republish { REPUBLISH } else { GROWTH_CHECK };
    Ok((Mounted { path, read_only: mount.spec.read_only, image: None }, Some(refresh)))
}

async fn grow(
    setup: &Setup<'_>,
    mount: &Mount,
    path: &Path,
    claim: &PersistentVolumeClaim,
    growth: &Growth,
) -> anyhow::Result<()> {
    let secrets = secret(setup, mount.spec.expand_secret.as_ref()).await?;
    setup.csi.expand(mount, path, growth, secrets).await?;
    setup.csi.tell_grown(setup.pod, claim, &mount.spec.name, growth, setup.recorder).await
}

/// Mounts a volume that is written in the pod.
pub(super) async fn inline(
    setup: &Setup<'_>,
    name: &str,
    source: &CSIVolumeSource,
) -> anyhow::Result<(Mounted, Option<Duration>)> {
    let spec = Spec::inline(setup.pod, name, source);
    let terms = setup.csi.terms(&spec.id.driver).await?;
    ensure!(
        terms.ephemeral,
        "volume mode \"Ephemeral\" not supported by driver {} (no CSIDriver object, or only \"Persistent\")",
        spec.id.driver
    );
    let mount = prepare(setup, spec, terms).await?;
    let path = setup.csi.mount(&mount).await?;
    let refresh = mount.terms.republish.then_some(REPUBLISH);
    Ok((Mounted { path, read_only: mount.spec.read_only, image: None }, refresh))
}

async fn prepare(setup: &Setup<'_>, spec: Spec, terms: Terms) -> anyhow::Result<Mount> {
    let mut publish_secrets = secret(setup, spec.publish_secret.as_ref()).await?;
    let mut more_context = match terms.pod_info {
        true => csi::pod_info(setup.pod, spec.lifecycle),
        false => BTreeMap::new(),
    };
    if let Some(tokens) = tokens(setup, &terms).await? {
        let into = if terms.tokens_in_secrets { &mut publish_secrets } else { &mut more_context };
        into.insert(TOKENS.to_owned(), tokens);
    }
    Ok(Mount {
        group: group(setup.pod),
        pod_uid: pod::uid(setup.pod).to_owned(),
        publish_context: BTreeMap::new(),
        stage_secrets: BTreeMap::new(),
        publish_secrets,
        more_context,
        spec,
        terms,
    })
}

/// The tokens that a driver asks for, by audience.
async fn tokens(setup: &Setup<'_>, terms: &Terms) -> anyhow::Result<Option<String>> {
    let mut tokens = serde_json::Map::new();
    for wanted in &terms.tokens {
        let seconds = wanted.expiration_seconds.unwrap_or(3600);
        let (token, expires) = setup.tokens.get_until(setup.pod, &wanted.audience, seconds).await?;
        let token = json!({"token": token, "expirationTimestamp": apimachinery::time::rfc3339(expires)});
        tokens.insert(wanted.audience.clone(), token);
    }
    Ok((!tokens.is_empty()).then(|| serde_json::Value::Object(tokens).to_string()))
}

async fn secret(setup: &Setup<'_>, name: Option<&SecretName>) -> anyhow::Result<BTreeMap<String, String>> {
    let Some(name) = name else { return Ok(BTreeMap::new()) };
    let client = setup.client.context("no API server to read secrets from")?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &name.namespace);
    let found = secrets
        .get(&name.name)
        .await
        .with_context(|| format!("failed to get secret {}/{}", name.namespace, name.name))?;
    let data = found.data.unwrap_or_default().into_iter();
    Ok(data.map(|(key, value)| (key, String::from_utf8_lossy(&value.0).into_owned())).collect())
}
