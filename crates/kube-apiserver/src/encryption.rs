//! The file that says what is encrypted in etcd: read at the start and, if wanted, when it changes; and the key services
//! that it names, which are asked now and then.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use storage::{Encryption, EncryptionConfiguration};

use crate::flags::Flags;

/// How often the file is looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// How often a key service is asked, while it is well and while it is not, as upstream.
const WELL: Duration = Duration::from_secs(60);
const NOT_WELL: Duration = Duration::from_secs(10);
/// How long the start waits for key services: their plugins may be static pods of this machine that start, too.
const FIRST: Duration = Duration::from_secs(20);

/// What the flags say of encryption; without a configuration nothing is encrypted. The key services that it names have
/// given their keys, unless they take too long.
pub async fn load(flags: &Flags) -> anyhow::Result<Arc<Encryption>> {
    match &flags.encryption_provider_config {
        Some(path) => {
            let (_, configuration) = read(path)?;
            let encryption = Encryption::new(&configuration)
                .with_context(|| format!("--encryption-provider-config {}", path.display()))?;
            let begin = tokio::time::Instant::now();
            while encryption.renew().await.is_err() && begin.elapsed() < FIRST {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Ok(Arc::new(encryption))
        }
        None if flags.encryption_provider_config_automatic_reload => bail!(
            "--encryption-provider-config-automatic-reload must be set with --encryption-provider-config"
        ),
        None => Ok(Arc::default()),
    }
}

/// Asks the key services how they are, and for other keys where theirs have changed.
pub async fn keep(encryption: Arc<Encryption>) {
    let mut pause = WELL;
    loop {
        tokio::time::sleep(pause).await;
        pause = if encryption.renew().await.is_ok() { WELL } else { NOT_WELL };
    }
}

/// Follows the file: what it says from now on holds for every read and write. A wrong file changes nothing.
pub async fn follow(path: PathBuf, encryption: Arc<Encryption>) {
    // What was read at the start may have changed before this begins: the same text again does no harm.
    let mut known = String::new();
    loop {
        match read(&path) {
            Ok((text, _)) if text == known => {}
            Ok((text, configuration)) => {
                match encryption.replace_when_ready(&configuration).await {
                    Ok(()) if known.is_empty() => {}
                    Ok(()) => {
                        tracing::info!(path = %path.display(), "read the encryption configuration again")
                    }
                    Err(error) => {
                        tracing::error!(path = %path.display(), %error, "kept the old encryption configuration");
                    }
                }
                known = text;
            }
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "kept the old encryption configuration");
            }
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn read(path: &Path) -> anyhow::Result<(String, EncryptionConfiguration)> {
    let context = || format!("--encryption-provider-config {}", path.display());
    let text = std::fs::read_to_string(path).with_context(context)?;
    let configuration = serde_saphyr::from_str(&text).with_context(context)?;
    Ok((text, configuration))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_file_that_upstream_documents() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("encryption-config.yaml");
        let text = "kind: EncryptionConfiguration
apiVersion: apiserver.config.k8s.io/v1
resources:
  - resources:
      - secrets
    providers:
      - aescbc:
          keys:
            - name: key1
              secret: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
      - identity: {}
";
        std::fs::write(&file, text).unwrap();
        Encryption::new(&read(&file).unwrap().1).unwrap();
        std::fs::write(&file, text.replace("aescbc", "aescbd")).unwrap();
        let error = format!("{:#}", read(&file).unwrap_err());
        assert!(error.contains("aescbd"), "{error}");
    }
}
