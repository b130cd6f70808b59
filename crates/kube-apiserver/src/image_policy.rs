//! The service that is asked whether a pod's images may run, and its answers, remembered for a while.

use std::time::Duration;

use admission::Attributes;
use admission::image_policy::{AUDIT_PREFIX, Answer, Settings, concerns, question};
use apimachinery::Status;
use bytes::Bytes;
use serde_json::Value;
use webhooks::{Client, ConfigError};

use crate::remembered::Remembered;

/// How long one call may take, as upstream.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many answers are remembered, as upstream.
const REMEMBERED: usize = 1024;

/// Asks about images.
pub struct ImagePolicy {
    settings: Settings,
    client: Client,
    known: Remembered<String, Answer>,
}

impl ImagePolicy {
    /// Asks whom the settings name.
    pub fn new(settings: Settings) -> Result<Self, ConfigError> {
        let client = Client::of_kubeconfig(&settings.kubeconfig)?;
        Ok(Self { settings, client, known: Remembered::at_most(REMEMBERED) })
    }

    /// Refuses a pod whose images may not run.
    pub async fn judge(&self, attributes: &Attributes<'_>, pod: &Value) -> Result<(), Status> {
        if !concerns(attributes) {
            return Ok(());
        }
        let annotate = |key: &str, value: &str| audit::annotate(&format!("{AUDIT_PREFIX}{key}"), value);
        let question = question(attributes, pod);
        let told = question["spec"].to_string();
        let answer = match self.known.answer(&told) {
            Some(answer) => answer,
            None => match self.ask(&question).await {
                Ok(answer) => {
                    let life = if answer.allowed { self.settings.allow } else { self.settings.deny };
                    self.known.remember(told, &answer, life);
                    answer
                }
                Err(error) if self.settings.fails_open => {
                    tracing::warn!(%error, "nobody says whether images may run, letting them");
                    annotate("failed-open", "true");
                    return Ok(());
                }
                Err(error) => return Err(attributes.forbidden(pod, error)),
            },
        };
        for (key, value) in &answer.audit_annotations {
            annotate(key, value);
        }
        answer.refusal().map_or(Ok(()), |why| Err(attributes.forbidden(pod, why)))
    }

    async fn ask(&self, question: &Value) -> Result<Answer, String> {
        let body = Bytes::from(question.to_string());
        let answer = self.client.post_again(&body, PATIENCE, self.settings.pause).await;
        Answer::read(&answer.map_err(|error| error.to_string())?)
    }
}
