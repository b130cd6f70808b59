//! A webhook that is asked what a request may do, and its answers, remembered for a while.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use authz::webhook::{Answer, Remote};
use bytes::Bytes;
use parking_lot::Mutex;
use webhooks::Client;

/// How often a call that found nobody is made, and the first pause; each next one is longer by half, as upstream.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);
/// How many answers are remembered, as upstream.
const REMEMBERED: usize = 8192;
/// Longer questions are not worth remembering their answers: a stranger could fill the memory with them.
const LONGEST: usize = 10_000;

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
    known: Mutex<HashMap<Vec<u8>, (Instant, Answer)>>,
}

impl Webhook {
    pub(super) fn new(client: Client, timeout: Duration, memory: Memory) -> Self {
        Self { client, timeout, memory, known: Mutex::default() }
    }

    fn known(&self, question: &[u8]) -> Option<Answer> {
        let known = self.known.lock();
        let (until, answer) = known.get(question)?;
        (*until > Instant::now()).then(|| answer.clone())
    }

    fn remember(&self, question: Vec<u8>, answer: &Answer) {
        let life = if answer.allowed { self.memory.authorized } else { self.memory.unauthorized };
        if life.is_zero() || question.len() > LONGEST {
            return;
        }
        let now = Instant::now();
        let mut known = self.known.lock();
        if known.len() >= REMEMBERED {
            known.retain(|_, (until, _)| *until > now);
        }
        if known.len() >= REMEMBERED {
            // All are young: whichever goes is asked for again.
            known.clear();
        }
        known.insert(question, (now + life, answer.clone()));
    }

    async fn answer(&self, question: Vec<u8>) -> Result<Answer, String> {
        if let Some(answer) = self.known(&question) {
            return Ok(answer);
        }
        let mut pause = PAUSE;
        let mut attempt = 1;
        let body = Bytes::from(question);
        let answer = loop {
            match self.client.post("", body.clone(), self.timeout).await {
                Ok(answer) => break answer,
                Err(error) if attempt < ATTEMPTS && error.may_pass() => {
                    tokio::time::sleep(pause).await;
                    pause = pause * 3 / 2;
                    attempt += 1;
                }
                Err(error) => {
                    tracing::error!(%error, "failed to make webhook authorizer request");
                    return Err(error.to_string());
                }
            }
        };
        let answer = Answer::read(&answer)?;
        self.remember(body.to_vec(), &answer);
        Ok(answer)
    }
}

impl Remote for Webhook {
    fn ask(&self, question: Vec<u8>) -> Pin<Box<dyn Future<Output = Result<Answer, String>> + Send + '_>> {
        Box::pin(self.answer(question))
    }

    fn ask_blocking(&self, question: Vec<u8>) -> Result<Answer, String> {
        if let Some(answer) = self.known(&question) {
            return Ok(answer);
        }
        let runtime = tokio::runtime::Handle::try_current().map_err(|error| error.to_string())?;
        // The runtime gives this thread's other tasks to another one meanwhile.
        tokio::task::block_in_place(|| runtime.block_on(self.answer(question)))
    }
}
