//! Several sources in one folder: ConfigMaps, Secrets, the downward API, tokens and trust bundles.

use std::time::Duration;

use anyhow::Context;
use k8s_openapi::api::{
    certificates::v1beta1::ClusterTrustBundle,
    core::v1::{DownwardAPIVolumeFile, Pod, ProjectedVolumeSource},
};
use kube::{Api, api::ListParams};
use volumes::Payload;

use super::{Setup, config_map, field, optional, secret};
use crate::{
    container::downward::{self, Facts},
    pod,
};

/// Collects the files of a projected volume, and when they must be renewed.
pub(super) async fn payload(
    setup: &Setup<'_>,
    source: &ProjectedVolumeSource,
) -> anyhow::Result<(Payload, Option<Duration>)> {
    let mode = source.default_mode.unwrap_or(0o644);
    let namespace = pod::namespace(setup.pod);
    let (mut payload, mut refresh) = (Payload::new(), None::<Duration>);
    for source in source.sources.iter().flatten() {
        if let Some(source) = &source.config_map {
            let found = optional(setup.objects.config_map(namespace, &source.name).await, source.optional)?;
            payload.extend(config_map(
                found.as_deref(),
                source.items.as_deref(),
                Some(mode),
                source.optional,
            )?);
        }
        if let Some(source) = &source.secret {
            let found = optional(setup.objects.secret(namespace, &source.name).await, source.optional)?;
            payload.extend(secret(found.as_deref(), source.items.as_deref(), Some(mode), source.optional)?);
        }
        for item in source.downward_api.iter().flat_map(|source| source.items.iter().flatten()) {
            downward_file(setup.pod, item, mode, setup.facts, &mut payload)?;
        }
        if let Some(source) = &source.service_account_token {
            let audience = source.audience.as_deref().unwrap_or_default();
            let expiration = source.expiration_seconds.unwrap_or(3600);
            let (token, renew) = setup.tokens.get(setup.pod, audience, expiration).await?;
            // Only the pod's user may read a token, where the pod has one.
            let (mode, owner) = token_mode(setup.pod, mode);
            volumes::place(&mut payload, &source.path, token.into_bytes(), mode, owner)?;
            refresh = Some(refresh.map_or(renew, |refresh| refresh.min(renew)));
        }
        if let Some(source) = &source.cluster_trust_bundle {
            let client = setup.client.context("no API server to read trust bundles from")?;
            let bundles: Api<ClusterTrustBundle> = Api::all(client.clone());
            let wanted = source.optional.unwrap_or_default();
            let mut text = String::new();
            if let Some(name) = &source.name {
                match bundles.get_opt(name).await? {
                    Some(bundle) => text = bundle.spec.trust_bundle,
                    None if wanted => {}
                    None => anyhow::bail!("clustertrustbundles.certificates.k8s.io {name:?} not found"),
                }
            } else if let Some(signer) = &source.signer_name {
                let labels = source.label_selector.as_ref().map(selector).unwrap_or_default();
                let params =
                    ListParams::default().fields(&format!("spec.signerName={signer}")).labels(&labels);
                let found = bundles.list(&params).await?;
                if found.items.is_empty() && !wanted {
                    anyhow::bail!("no cluster trust bundles for signer {signer:?}");
                }
                text = found.items.into_iter().map(|bundle| bundle.spec.trust_bundle).collect();
            }
            volumes::place(&mut payload, &source.path, text.into_bytes(), mode, None)?;
        }
    }
    Ok((payload, refresh))
}

fn selector(selector: &k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector) -> String {
    let equal = selector.match_labels.iter().flatten().map(|(key, value)| format!("{key}={value}"));
    let sets = selector.match_expressions.iter().flatten().map(|expression| {
        let values = expression.values.clone().unwrap_or_default().join(",");
        match expression.operator.as_str() {
            "In" => format!("{} in ({values})", expression.key),
            "NotIn" => format!("{} notin ({values})", expression.key),
            "Exists" => expression.key.clone(),
            _ => format!("!{}", expression.key),
        }
    });
    equal.chain(sets).collect::<Vec<_>>().join(",")
}

/// Tokens belong to the pod's user where all its containers run as one; else the group or everyone may read them.
fn token_mode(pod: &Pod, mode: i32) -> (i32, Option<u32>) {
    let spec = pod::spec(pod);
    let of_pod = spec.security_context.as_ref();
    if of_pod.is_some_and(|context| context.fs_group.is_some()) {
        return (0o600, None);
    }
    let users: std::collections::BTreeSet<Option<i64>> = pod::containers(pod)
        .iter()
        .map(|(_, container)| {
            let own = container.security_context.as_ref().and_then(|own| own.run_as_user);
            own.or(of_pod.and_then(|context| context.run_as_user))
        })
        .collect();
    let only = users.first().copied().flatten().filter(|_| users.len() == 1);
    match only.and_then(|user| u32::try_from(user).ok()) {
        Some(user) => (0o600, Some(user)),
        None => (mode, None),
    }
}

/// Adds one file of the downward API.
pub(super) fn downward_file(
    pod: &Pod,
    item: &DownwardAPIVolumeFile,
    default_mode: i32,
    facts: &Facts,
    payload: &mut Payload,
) -> anyhow::Result<()> {
    let text = match (&item.field_ref, &item.resource_field_ref) {
        (Some(reference), _) => field(pod, &reference.field_path, facts)?,
        (None, Some(selector)) => {
            downward::resource(pod, selector, None, facts).map_err(anyhow::Error::msg)?
        }
        (None, None) => String::new(),
    };
    volumes::place(payload, &item.path, text.into_bytes(), item.mode.unwrap_or(default_mode), None)?;
    Ok(())
}
