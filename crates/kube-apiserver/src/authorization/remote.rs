//! A webhook that is asked what a request may do, and its answers, remembered for a while.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use authz::webhook::{Answer, Remote};
use bytes::Bytes;
use webhooks::Client;

use crate::remembered::Remembered;

/// The first pause before a call that found nobody is made again, as upstream.
const PAUSE: Duration = Duration::from_millis(500);
/// How many answers are remembered, as upstream.
const REMEMBERED: usize = 8192;

/// How long answers are remembered; zero for not at all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    /// A yes.
    pub authorized: Duration,
    /// Anything else.
    pub unauthorized: Duration,
}

/// A webhook behind HTTPS.
pub(super) struct Webhook {
    client: Client,
    timeout: Duration,
    memory: Memory,
    known: Remembered<Vec<u8>, Answer>,
}

impl Webhook {
    pub(super) fn new(client: Client, timeout: Duration, memory: Memory) -> Self {
        Self { client, timeout, memory, known: Remembered::at_most(REMEMBERED) }
    }

    async fn answer(&self, question: Vec<u8>) -> Result<Answer, String> {
        if let Some(answer) = self.known.answer(&question) {
            return Ok(answer);
        }
        let body = Bytes::from(question);
        let answer = self.client.post_again(&body, self.timeout, PAUSE).await.map_err(|error| {
            tracing::error!(%error, "failed to make webhook authorizer request");
            error.to_string()
        })?;
        let answer = Answer::read(&answer)?;
        let life = if answer.allowed { self.memory.authorized } else { self.memory.unauthorized };
        self.known.remember(body.to_vec(), &answer, life);
        Ok(answer)
    }
}

impl Remote for Webhook {
    fn ask(&self, question: Vec<u8>) -> Pin<Box<dyn Future<Output = Result<Answer, String>> + Send + '_>> {
        Box::pin(self.answer(question))
    }

    fn ask_blocking(&self, question: Vec<u8>) -> Result<Answer, String> {
        if let Some(answer) = self.known.answer(&question) {
            return Ok(answer);
        }
        let runtime = tokio::runtime::Handle::try_current().map_err(|error| error.to_string())?;
        // The runtime gives this thread's other tasks to another one meanwhile.
        tokio::task::block_in_place(|| runtime.block_on(self.answer(question)))
    }
}
