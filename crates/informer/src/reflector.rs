//! Keeps a store equal to the server's state: list once, then watch for as long as the process lives.

use std::marker::PhantomData;
use std::time::{Duration, Instant};

use component::Runtime;
use component::cause::whole;
use http::Request;
use kube::Client;
use tokio::sync::Notify;
use tracing::{debug, info, warn};

use crate::{Backoff, Object, Sink, Watch};
pub use event::Event;
use event::Page;
use lines::Lines;

mod event;
mod lines;
#[cfg(test)]
mod tests;

/// How long a watch may last before the server ends it; spread, so that many watches do not end at once.
const TIMEOUT_SECONDS: std::ops::Range<u32> = 240..290;
/// How long past its timeout a silent watch is waited for before it is taken for dead.
const MARGIN: Duration = Duration::from_secs(10);
/// A watch that ends sooner than this without a single event counts as a failure.
const SHORT: Duration = Duration::from_secs(1);

/// Over how long the watches of a process spread that have heard that the server is back.
const SPREAD: Duration = Duration::from_millis(500);

/// Word among a process's watches that one of them, which had lost the server, has it back. The others need not wait
/// for the ends of their pauses, which may be many seconds long.
static BACK: Notify = Notify::const_new();

/// Why a listing or a watch ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server answered with a failure.
    #[error("{message} ({code})")]
    Status {
        /// The HTTP code.
        code: u16,
        /// The server's words.
        message: String,
    },
    /// The request failed on its way.
    #[error("request failed")]
    Request(#[source] kube::Error),
    /// The answer broke off.
    #[error("connection broke")]
    Body(#[source] kube::Error),
    /// The server sent something that is not what was asked for.
    #[error("cannot decode")]
    Decode(#[source] serde_json::Error),
    /// One event is larger than any object can be.
    #[error("a line of more than {0} bytes")]
    TooLong(usize),
    /// The connection fell silent.
    #[error("nothing heard for {0:?}")]
    Silent(Duration),
    /// The server ended a watch that had hardly begun.
    #[error("watch ended at once")]
    Short,
}

impl Error {
    fn code(&self) -> u16 {
        match self {
            Error::Status { code, .. } => *code,
            _ => 0,
        }
    }
}

/// Where the reflector stands.
#[derive(Debug)]
enum State {
    /// Nothing is known, or too long ago: everything must be sent.
    Unknown,
    /// Everything up to this version is in the store.
    At(String),
}

/// Watches for as long as it is polled and keeps a [`Store`](crate::Store), or another sink, equal to what it sees.
///
/// Asks for a streaming list first and falls back to pages where the server does not know it. Retries every failure
/// with growing pauses, or as soon as another watch of this process succeeds again; says once that it lost the server
/// and once that it has it back.
pub async fn reflect<K: Object>(client: Client, watch: Watch, sink: impl Sink<K>) {
    let kind = PhantomData;
    let mut reflector =
        Reflector { client, watch, sink, state: State::Unknown, streaming: true, lost: false, kind };
    let mut backoff = Backoff::default();
    loop {
        let Err(error) = reflector.step().await else { continue };
        let pause = backoff.failed(Instant::now(), rand::random());
        let shown = whole(&error);
        if error.code() == 410 {
            info!(path = reflector.watch.path(), "the last version seen is too old, listing again");
            reflector.state = State::Unknown;
        } else if reflector.lost {
            debug!(path = reflector.watch.path(), error = %shown, ?pause, "still not watching");
        } else {
            reflector.lost = true;
            warn!(path = reflector.watch.path(), error = %shown, ?pause, "watch failed, will retry");
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = BACK.notified() => tokio::time::sleep(SPREAD.mul_f64(rand::random())).await,
        }
    }
}

/// Keeps a sink equal to what a watch sees until the process stops, as a task of its own named after the resource.
pub fn follow<K: Object>(runtime: &Runtime, client: &Client, watch: Watch, sink: impl Sink<K> + 'static) {
    let (client, shutdown) = (client.clone(), runtime.shutdown());
    runtime.spawn(format!("watch {}", watch.path()), async move {
        tokio::select! {
            () = reflect(client, watch, sink) => {}
            () = shutdown.cancelled() => {}
        }
        anyhow::Ok(())
    });
}

struct Reflector<K, S> {
    client: Client,
    watch: Watch,
    sink: S,
    state: State,
    /// Whether the server is believed to know streaming lists.
    streaming: bool,
    /// Whether the last attempt failed, which is said once.
    lost: bool,
    kind: PhantomData<fn() -> K>,
}

impl<K: Object, S: Sink<K>> Reflector<K, S> {
    /// Goes on until the present listing is complete or the present watch has ended.
    async fn step(&mut self) -> Result<(), Error> {
        let timeout = rand::random_range(TIMEOUT_SECONDS);
        match &self.state {
            State::At(version) => {
                let request = self.watch.since(version, timeout);
                self.follow(request, timeout).await
            }
            State::Unknown if self.streaming => {
                let request = self.watch.streaming_list(timeout);
                match self.follow(request, timeout).await {
                    Err(Error::Status { code: 400 | 422, message }) => {
                        debug!(
                            path = self.watch.path(),
                            message, "no streaming lists here, listing by pages"
                        );
                        self.streaming = false;
                        Ok(())
                    }
                    other => other,
                }
            }
            State::Unknown => self.list().await,
        }
    }

    async fn list(&mut self) -> Result<(), Error> {
        self.sink.restart();
        let mut token = String::new();
        loop {
            let body = self.client.request_text(self.watch.page(&token)).await.map_err(request_error)?;
            self.found();
            let page: Page<K> = serde_json::from_str(&body).map_err(Error::Decode)?;
            drop(body);
            for object in page.items {
                self.sink.apply(object);
            }
            if page.metadata.continue_token.is_empty() {
                self.sink.restarted();
                self.state = State::At(page.metadata.resource_version);
                return Ok(());
            }
            token = page.metadata.continue_token;
        }
    }

    /// Reads one watch to its end.
    async fn follow(&mut self, request: Request<Vec<u8>>, timeout: u32) -> Result<(), Error> {
        let begun = Instant::now();
        let silence = Duration::from_secs(timeout.into()) + MARGIN;
        let initial = matches!(self.state, State::Unknown);
        if initial {
            self.sink.restart();
        }
        let mut lines = Lines::open(&self.client, request).await?;
        self.found();
        let mut events = 0u64;
        loop {
            let next =
                tokio::time::timeout(silence, lines.next()).await.map_err(|_| Error::Silent(silence))??;
            let Some(line) = next else { break };
            events += 1;
            match Event::<K>::decode(line)? {
                Event::Applied(object) => {
                    self.advance(object.resource_version());
                    self.sink.apply(object);
                }
                Event::Deleted(object) => {
                    self.advance(object.resource_version());
                    let key = object.key();
                    self.sink.delete(key.as_str(), Some(object));
                }
                Event::Bookmark { resource_version, end_of_initial } => {
                    if matches!(self.state, State::At(_)) {
                        self.advance(&resource_version);
                    } else if end_of_initial {
                        self.sink.restarted();
                        self.state = State::At(resource_version);
                    }
                }
                Event::Error { code, message } => return Err(Error::Status { code, message }),
            }
        }
        if events == 0 && begun.elapsed() < SHORT { Err(Error::Short) } else { Ok(()) }
    }

    fn found(&mut self) {
        if std::mem::take(&mut self.lost) {
            info!(path = self.watch.path(), "watching again");
            BACK.notify_waiters();
        }
    }

    /// Remembers how far the watch came; during a streaming list that says nothing yet.
    fn advance(&mut self, resource_version: &str) {
        if let State::At(version) = &mut self.state
            && !resource_version.is_empty()
        {
            resource_version.clone_into(version);
        }
    }
}

fn request_error(error: kube::Error) -> Error {
    match error {
        kube::Error::Api(status) => Error::Status { code: status.code, message: status.message },
        error => Error::Request(error),
    }
}
