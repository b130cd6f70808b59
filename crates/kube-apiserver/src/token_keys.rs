//! The keys of service-account tokens, read again when their files change.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use authn::{SigningKey, VerificationKey};

use crate::flags::Flags;
use crate::server::Server;

/// How often the files are looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// The key that tokens are signed with.
pub fn signing(flags: &Flags) -> anyhow::Result<Option<SigningKey>> {
    let Some(path) = &flags.service_account_signing_key_file else { return Ok(None) };
    let key = SigningKey::from_pem(&read(path)?)
        .with_context(|| format!("--service-account-signing-key-file {}", path.display()))?;
    Ok(Some(key))
}

/// The keys that tokens may be signed with; where none are named, the one that signs.
pub fn accepted(flags: &Flags) -> anyhow::Result<Vec<VerificationKey>> {
    let mut keys = Vec::new();
    for path in &flags.service_account_key_file {
        let found = VerificationKey::from_pem(&read(path)?)
            .with_context(|| format!("--service-account-key-file {}", path.display()))?;
        keys.extend(found);
    }
    if keys.is_empty() {
        keys.extend(signing(flags)?.map(|key| key.verification_key().clone()));
    }
    Ok(keys)
}

/// Follows the files: tokens are accepted by other keys, then signed with another one. A wrong file changes nothing.
pub async fn follow(flags: Flags, server: Arc<Server>) {
    let paths: Vec<_> =
        flags.service_account_key_file.iter().chain(&flags.service_account_signing_key_file).collect();
    let texts = || paths.iter().map(|path| std::fs::read(path).unwrap_or_default()).collect::<Vec<_>>();
    let mut known = texts();
    loop {
        tokio::time::sleep(LOOK_AGAIN).await;
        let now = texts();
        if now == known {
            continue;
        }
        known = now;
        match accepted(&flags).and_then(|keys| Ok((keys, signing(&flags)?))) {
            Ok((keys, signing)) => {
                if let Some(tokens) = &server.authenticator.tokens {
                    tokens.replace_keys(keys);
                }
                if let (Some(tokens), Some(key)) = (&server.tokens, signing) {
                    tokens.issuer.replace_key(key);
                }
                tracing::info!("read the keys of service accounts again");
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(error, "kept the old keys of service accounts");
            }
        }
    }
}
