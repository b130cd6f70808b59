//! The file that says what is encrypted in etcd: read at the start and, if wanted, when it changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use storage::{Encryption, EncryptionConfiguration};

use crate::flags::Flags;

/// How often the file is looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// What the flags say of encryption; without a configuration nothing is encrypted.
pub fn load(flags: &Flags) -> anyhow::Result<Arc<Encryption>> {
    match &flags.encryption_provider_config {
        Some(path) => {
            let (_, configuration) = read(path)?;
            let encryption = Encryption::new(&configuration)
                .with_context(|| format!("--encryption-provider-config {}", path.display()))?;
            Ok(Arc::new(encryption))
        }
        None if flags.encryption_provider_config_automatic_reload => bail!(
            "--encryption-provider-config-automatic-reload must be set with --encryption-provider-config"
        ),
        None => Ok(Arc::default()),
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
                match encryption.replace(&configuration) {
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
