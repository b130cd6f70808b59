//! Who decides what a request may do: `--authorization-mode` and its flags, or the file of `--authorization-config`, which
//! is read again when it changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use authz::configuration::{Kind, Named, WebhookConfiguration};
use authz::webhook::Webhook;
use authz::{Abac, Authorizer, Chain, Mode};
use component::flags::duration;
use webhooks::Client;

use super::remote::{self, Memory};

/// How often the file is looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// How long the webhook of the flags may take, as upstream.
const PATIENCE: Duration = Duration::from_secs(30);

/// The flags that say who decides.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct AuthorizationFlags {
    /// Authorisers in order: AlwaysAllow, AlwaysDeny, ABAC, Webhook, RBAC, Node; Node,RBAC if not given
    #[arg(long, value_name = "MODE", value_delimiter = ',')]
    pub authorization_mode: Vec<String>,
    /// File (AuthorizationConfiguration) that names the authorisers, in place of the modes; read again when it changes
    #[arg(long, value_name = "FILE")]
    pub authorization_config: Option<PathBuf>,
    /// Policies of the mode ABAC, a line of JSON each
    #[arg(long, value_name = "FILE")]
    pub authorization_policy_file: Option<PathBuf>,
    /// Kubeconfig of the service that the mode Webhook asks
    #[arg(long, value_name = "FILE")]
    pub authorization_webhook_config_file: Option<PathBuf>,
    /// Version of SubjectAccessReview that it is sent: v1 or v1beta1
    #[arg(long, value_name = "VERSION")]
    pub authorization_webhook_version: Option<String>,
    /// How long it is remembered that something is allowed; 5m0s if not given
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub authorization_webhook_cache_authorized_ttl: Option<Duration>,
    /// How long it is remembered that something is not allowed; 30s if not given
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub authorization_webhook_cache_unauthorized_ttl: Option<Duration>,
}

/// Makes the authorisers that the flags name.
pub fn load(flags: &AuthorizationFlags) -> anyhow::Result<Chain> {
    match &flags.authorization_config {
        Some(path) => {
            let modes_too = !flags.authorization_mode.is_empty()
                || flags.authorization_webhook_config_file.is_some()
                || flags.authorization_webhook_version.is_some()
                || flags.authorization_webhook_cache_authorized_ttl.is_some()
                || flags.authorization_webhook_cache_unauthorized_ttl.is_some();
            ensure!(
                !modes_too,
                "--authorization-config can not be specified when --authorization-mode or --authorization-webhook-* flags are defined"
            );
            Ok(Chain::of(of_file(path, flags)?.1))
        }
        None => Ok(Chain::of(of_flags(flags)?)),
    }
}

fn of_flags(flags: &AuthorizationFlags) -> anyhow::Result<Vec<Authorizer>> {
    let modes = match flags.authorization_mode.as_slice() {
        [] => vec![Mode::Node, Mode::Rbac],
        some => some.iter().map(|mode| mode.parse()).collect::<Result<Vec<Mode>, _>>()?,
    };
    for (index, mode) in modes.iter().enumerate() {
        ensure!(
            !modes[..index].contains(mode),
            "authorization-mode {:?} has mode specified more than once",
            flags.authorization_mode
        );
    }
    if !modes.contains(&Mode::Abac) && flags.authorization_policy_file.is_some() {
        bail!("cannot specify --authorization-policy-file without mode ABAC");
    }
    if !modes.contains(&Mode::Webhook) && flags.authorization_webhook_config_file.is_some() {
        bail!("cannot specify --authorization-webhook-config-file without mode Webhook");
    }
    modes.into_iter().map(|mode| of_mode(mode, flags)).collect()
}

fn of_mode(mode: Mode, flags: &AuthorizationFlags) -> anyhow::Result<Authorizer> {
    match mode {
        Mode::Abac => {
            let path = flags
                .authorization_policy_file
                .as_deref()
                .context("authorization-mode ABAC's authorization policy file not passed")?;
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("--authorization-policy-file {}", path.display()))?;
            Ok(Authorizer::Abac(Abac::read(&text)?))
        }
        Mode::Webhook => {
            let path = flags
                .authorization_webhook_config_file
                .as_deref()
                .context("authorization-mode Webhook's authorization config file not passed")?;
            let version = flags.authorization_webhook_version.clone().unwrap_or_else(|| "v1beta1".to_owned());
            ensure!(
                matches!(version.as_str(), "v1" | "v1beta1"),
                "unsupported authorization webhook version {version:?}"
            );
            let ttl = |given: Option<Duration>, seconds| given.unwrap_or(Duration::from_secs(seconds));
            let memory = Memory {
                authorized: ttl(flags.authorization_webhook_cache_authorized_ttl, 300),
                unauthorized: ttl(flags.authorization_webhook_cache_unauthorized_ttl, 30),
            };
            let client = Client::of_kubeconfig(path).context("--authorization-webhook-config-file")?;
            let remote = Arc::new(remote::Webhook::new(client, PATIENCE, memory));
            Ok(Authorizer::Webhook(Webhook::new(version, false, Vec::new(), remote)))
        }
        own => Ok(Authorizer::Own(own)),
    }
}

/// The file's text, and the authorisers that it names.
fn of_file(path: &Path, flags: &AuthorizationFlags) -> anyhow::Result<(String, Vec<Authorizer>)> {
    let context = || format!("--authorization-config {}", path.display());
    let text = std::fs::read_to_string(path).with_context(context)?;
    let value = serde_saphyr::from_str(&text).with_context(context)?;
    let named = authz::configuration::read(value, |path| Ok(std::fs::metadata(path)?.is_file()))
        .map_err(anyhow::Error::msg)
        .with_context(context)?;
    let authorizers: anyhow::Result<_> = named.into_iter().map(|one| of_named(one, flags)).collect();
    Ok((text, authorizers.with_context(context)?))
}

fn of_named(named: Named, flags: &AuthorizationFlags) -> anyhow::Result<Authorizer> {
    match named.kind {
        Kind::Own(mode) => of_mode(mode, flags),
        Kind::Webhook(webhook) => {
            let WebhookConfiguration { timeout, authorized_ttl, unauthorized_ttl, .. } = *webhook;
            let client = Client::of_kubeconfig(Path::new(&webhook.kubeconfig))?;
            let memory = Memory { authorized: authorized_ttl, unauthorized: unauthorized_ttl };
            let remote = Arc::new(remote::Webhook::new(client, timeout, memory));
            let WebhookConfiguration { version, deny_on_failure, conditions, .. } = *webhook;
            Ok(Authorizer::Webhook(Webhook::new(version, deny_on_failure, conditions, remote)))
        }
    }
}

/// Follows the file that names the authorisers. A wrong one changes nothing, nor does one with an authoriser that the
/// server did not begin with: what that must know, it has not been told.
pub async fn follow(flags: AuthorizationFlags, chain: Arc<Chain>) {
    let Some(path) = &flags.authorization_config else { return std::future::pending().await };
    let fed = [Mode::Node, Mode::Rbac].map(|mode| (mode, chain.has(mode)));
    let mut known = std::fs::read_to_string(path).unwrap_or_default();
    loop {
        tokio::time::sleep(LOOK_AGAIN).await;
        let Ok(text) = std::fs::read_to_string(path) else { continue };
        if text == known {
            continue;
        }
        known = text;
        let read = of_file(path, &flags).and_then(|(_, authorizers)| {
            for (mode, is_fed) in fed {
                let named = authorizers.iter().any(|one| matches!(one, Authorizer::Own(own) if *own == mode));
                ensure!(is_fed || !named, "{mode:?} cannot be added while the server runs");
            }
            Ok(authorizers)
        });
        match read {
            Ok(authorizers) => {
                chain.replace(authorizers);
                tracing::info!(path = %path.display(), "read the authorization configuration again");
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(path = %path.display(), error, "kept the old authorization configuration");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut AuthorizationFlags)) -> String {
        let mut flags = AuthorizationFlags::default();
        change(&mut flags);
        load(&flags).err().map(|error| format!("{error:#}")).unwrap_or_default()
    }

    #[test]
    fn modes_come_with_what_they_need() {
        let modes = |modes: &[&str]| modes.iter().map(|mode| (*mode).to_owned()).collect::<Vec<_>>();
        assert_eq!(refusal(|_| {}), "");
        assert_eq!(
            refusal(|flags| flags.authorization_mode = modes(&["Webhook"])),
            "authorization-mode Webhook's authorization config file not passed"
        );
        assert_eq!(
            refusal(|flags| flags.authorization_mode = modes(&["ABAC"])),
            "authorization-mode ABAC's authorization policy file not passed"
        );
        assert_eq!(
            refusal(|flags| flags.authorization_mode = modes(&["RBAC", "Foo"])),
            "authorization-mode \"Foo\" is not a valid mode"
        );
        assert_eq!(
            refusal(|flags| flags.authorization_mode = modes(&["RBAC", "RBAC"])),
            "authorization-mode [\"RBAC\", \"RBAC\"] has mode specified more than once"
        );
        assert_eq!(
            refusal(|flags| flags.authorization_policy_file = Some("x".into())),
            "cannot specify --authorization-policy-file without mode ABAC"
        );
        assert!(
            refusal(|flags| {
                flags.authorization_mode = modes(&["RBAC"]);
                flags.authorization_config = Some("x".into());
            })
            .starts_with("--authorization-config can not be specified when --authorization-mode")
        );
    }

    #[test]
    fn a_file_names_the_authorisers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("authorization.yaml");
        let text = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\nauthorizers:\n- {type: Node, name: node}\n- {type: RBAC, name: rbac}\n";
        std::fs::write(&path, text).unwrap();
        let flags = AuthorizationFlags { authorization_config: Some(path), ..Default::default() };
        let chain = load(&flags).unwrap();
        assert!(chain.has(Mode::Node) && chain.has(Mode::Rbac) && !chain.has(Mode::Webhook));
    }
}
