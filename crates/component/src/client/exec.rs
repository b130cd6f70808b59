//! Credentials that a program hands out (`users[].user.exec`, client.authentication.k8s.io).

use std::{collections::HashMap, process::Stdio, time::Duration};

use anyhow::Context as _;
use http::HeaderValue;
use jiff::Timestamp;
use kube::config::ExecConfig;
use serde::Deserialize;
use tokio::{process::Command, sync::Mutex};

use super::credentials::bearer;

/// The versions of the contract that a program may speak.
const VERSIONS: [&str; 2] = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];
/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// A token this close to its end is not begun with.
const MARGIN: Duration = Duration::from_secs(10);

/// A program that hands out tokens, and the last one.
pub struct Exec {
    version: String,
    command: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    hint: String,
    /// Held while the program runs, so that requests that come together run it once.
    last: Mutex<Option<Token>>,
}

/// A token that a program printed.
#[derive(Debug)]
pub struct Token {
    /// The header `Authorization` that shows it.
    pub header: HeaderValue,
    /// When it ends, where the program says.
    pub expires: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecCredential {
    api_version: Option<String>,
    kind: Option<String>,
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    expiration_timestamp: Option<Timestamp>,
    token: Option<String>,
    client_certificate_data: Option<String>,
}

impl Exec {
    /// Checks what a kubeconfig says about the program.
    pub fn new(config: ExecConfig) -> anyhow::Result<Self> {
        let version = config.api_version.unwrap_or_default();
        anyhow::ensure!(VERSIONS.contains(&&*version), "exec plugin: invalid apiVersion {version:?}");
        let command = config.command.filter(|command| !command.is_empty());
        let pair = |mut entry: HashMap<String, String>| Some((entry.remove("name")?, entry.remove("value")?));
        Ok(Self {
            version,
            command: command.context("exec plugin: command is missing")?,
            arguments: config.args.unwrap_or_default(),
            environment: config.env.into_iter().flatten().filter_map(pair).collect(),
            hint: config.install_hint.unwrap_or_default(),
            last: Mutex::new(None),
        })
    }

    /// The header of a token that is good for a while.
    pub async fn token(&self) -> anyhow::Result<HeaderValue> {
        let mut last = self.last.lock().await;
        let limit = Timestamp::now() + MARGIN;
        if let Some(token) = last.as_ref().filter(|token| token.expires.is_none_or(|end| end > limit)) {
            return Ok(token.header.clone());
        }
        let token = parse(&self.run().await?, &self.version)?;
        Ok(last.insert(token).header.clone())
    }

    async fn run(&self) -> anyhow::Result<Vec<u8>> {
        let info = serde_json::json!({
            "kind": "ExecCredential", "apiVersion": self.version, "spec": {"interactive": false},
        });
        let output = Command::new(&self.command)
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("KUBERNETES_EXEC_INFO", info.to_string())
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(PATIENCE, output)
            .await
            .with_context(|| format!("exec: {} did not end within {PATIENCE:?}", self.command))?
            .with_context(|| format!("exec: executable {} cannot be run. {}", self.command, self.hint))?;
        anyhow::ensure!(
            output.status.success(),
            "exec: executable {} failed with {}",
            self.command,
            output.status
        );
        Ok(output.stdout)
    }
}

/// Reads what a program printed.
pub fn parse(text: &[u8], version: &str) -> anyhow::Result<Token> {
    let credential: ExecCredential = serde_json::from_slice(text).context("decoding exec plugin output")?;
    let found = credential.api_version.unwrap_or_default();
    anyhow::ensure!(credential.kind.as_deref() == Some("ExecCredential"), "exec plugin printed another kind");
    anyhow::ensure!(
        found == version,
        "exec plugin is configured to use API version {version}, plugin returned version {found}"
    );
    let status = credential.status.context("exec plugin didn't return a status field")?;
    match status.token.filter(|token| !token.is_empty()) {
        Some(token) => Ok(Token { header: bearer(&token)?, expires: status.expiration_timestamp }),
        None if status.client_certificate_data.is_some() => anyhow::bail!(
            "exec plugin returned a certificate: let it write files, and name them as client-certificate and client-key"
        ),
        None => anyhow::bail!("exec plugin didn't return a token or cert/key pair"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const V1: &str = VERSIONS[0];

    fn exec(script: &str) -> Exec {
        let config = serde_json::json!({
            "apiVersion": V1, "command": "sh", "args": ["-c", script], "env": [{"name": "WHO", "value": "me"}],
        });
        Exec::new(serde_json::from_value(config).unwrap()).unwrap()
    }

    fn printing(status: &str) -> String {
        format!(r#"{{"apiVersion": "{V1}", "kind": "ExecCredential", "status": {status}}}"#)
    }

    #[tokio::test]
    async fn a_program_is_run_once_for_a_token_that_stays_good() {
        let runs = std::env::temp_dir().join(format!("runs-{}", std::process::id()));
        let script =
            format!("echo $WHO >> {}; cat <<'EOF'\n{}\nEOF", runs.display(), printing(r#"{"token": "t"}"#));
        let exec = exec(&script);
        for _ in 0..3 {
            assert_eq!(exec.token().await.unwrap(), "Bearer t");
        }
        assert_eq!(std::fs::read_to_string(&runs).unwrap(), "me\n");
        std::fs::remove_file(runs).unwrap();
    }

    #[tokio::test]
    async fn a_token_at_its_end_is_asked_for_again() {
        let runs = std::env::temp_dir().join(format!("again-{}", std::process::id()));
        let status = r#"{"token": "t", "expirationTimestamp": "2020-01-01T00:00:00Z"}"#;
        let exec = exec(&format!("echo run >> {}; cat <<'EOF'\n{}\nEOF", runs.display(), printing(status)));
        exec.token().await.unwrap();
        exec.token().await.unwrap();
        assert_eq!(std::fs::read_to_string(&runs).unwrap(), "run\nrun\n");
        std::fs::remove_file(runs).unwrap();
    }

    #[tokio::test]
    async fn a_program_that_fails_is_named() {
        let error = exec("exit 3").token().await.unwrap_err();
        assert_eq!(error.to_string(), "exec: executable sh failed with exit status: 3");
    }

    #[test]
    fn what_is_no_credential_is_refused() {
        for (text, wording) in [
            ("{".to_owned(), "decoding exec plugin output"),
            (printing("null"), "didn't return a status field"),
            (printing("{}"), "didn't return a token or cert/key pair"),
            (printing(r#"{"clientCertificateData": "x"}"#), "let it write files"),
            (printing(r#"{"token": "t"}"#).replace("/v1", "/v1beta1"), "plugin returned version"),
            ("{\"kind\": \"Pod\"}".to_owned(), "another kind"),
        ] {
            let error = parse(text.as_bytes(), V1).err().unwrap();
            assert!(format!("{error:#}").contains(wording), "{text}: {error:#}");
        }
    }
}
