//! `--authentication-token-webhook-config-file`: a service that is asked about tokens by `TokenReview`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use authn::{Found, Known, Outside, token_review};
use bytes::Bytes;
use component::flags::duration;
use jiff::Timestamp;
use webhooks::Client;

/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a call that found nobody is made again, and the first pause; each next one is longer by half, as upstream.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);

/// The flags of the token webhook.
#[derive(Debug, Clone, clap::Args)]
pub struct TokenWebhookFlags {
    /// Kubeconfig of a service that is asked about tokens
    #[arg(long, value_name = "FILE")]
    pub authentication_token_webhook_config_file: Option<PathBuf>,
    /// How long its answers are remembered
    #[arg(long, value_name = "DURATION", default_value = "2m0s", value_parser = duration)]
    pub authentication_token_webhook_cache_ttl: Duration,
    /// Version of TokenReview that it is sent: v1 or v1beta1
    #[arg(long, value_name = "VERSION", default_value = "v1beta1")]
    pub authentication_token_webhook_version: String,
}

struct TokenWebhook {
    client: Client,
    version: String,
    api_audiences: Vec<String>,
    known: Option<Known<Option<Found>>>,
}

pub(super) fn load(
    flags: &TokenWebhookFlags,
    api_audiences: &[String],
) -> anyhow::Result<Option<Arc<dyn Outside>>> {
    let Some(path) = &flags.authentication_token_webhook_config_file else { return Ok(None) };
    let version = flags.authentication_token_webhook_version.clone();
    ensure!(
        token_review::VERSIONS.contains(&version.as_str()),
        "unsupported authentication webhook version {version:?}"
    );
    let client = Client::of_kubeconfig(path).context("--authentication-token-webhook-config-file")?;
    let seconds = i64::try_from(flags.authentication_token_webhook_cache_ttl.as_secs()).unwrap_or(i64::MAX);
    let known = (seconds > 0).then(|| Known::new(seconds));
    Ok(Some(Arc::new(TokenWebhook { client, version, api_audiences: api_audiences.to_vec(), known })))
}

impl TokenWebhook {
    async fn ask(&self, token: &str, audiences: &[String]) -> Result<Option<Found>, String> {
        let question = token_review::question(&self.version, token, audiences).to_string();
        let mut pause = PAUSE;
        let mut attempt = 1;
        let answer = loop {
            match self.client.post("", Bytes::from(question.clone()), PATIENCE).await {
                Ok(answer) => break answer,
                Err(error) if attempt < ATTEMPTS && error.may_pass() => {
                    tokio::time::sleep(pause).await;
                    pause = pause * 3 / 2;
                    attempt += 1;
                }
                // The call's error names the place and the reason; the token is in neither.
                Err(error) => return Err(error.to_string()),
            }
        };
        let answer = serde_json::from_slice(&answer)
            .map_err(|error| format!("webhook returned an invalid TokenReview: {error}"))?;
        token_review::answer(&answer, audiences, &self.api_audiences)
    }
}

impl Outside for TokenWebhook {
    fn identify<'a>(&'a self, token: &'a str, audiences: &'a [String], now: Timestamp) -> authn::Answer<'a> {
        Box::pin(async move {
            if let Some(found) = self.known.as_ref().and_then(|known| known.get(token, audiences, now)) {
                return Ok(found);
            }
            let found = self.ask(token, audiences).await?;
            if let Some(known) = &self.known {
                known.put(token, audiences, found.clone(), now);
            }
            Ok(found)
        })
    }
}
