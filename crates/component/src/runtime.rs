//! The life of a process: config, logging, tasks, readiness, signals, drain.

use std::{future::Future, process::ExitCode, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{Latch, Readiness, about, cause::whole, logging, logging::LoggingFlags, memory, notify};

/// How long tasks get to finish after the first signal.
const DRAIN: Duration = Duration::from_secs(25);

/// What a component's `run` gets: a place for its tasks, and word of when to stop.
///
/// When a task ends before shutdown, fails or panics, the process stops with its name, and systemd restarts it.
#[derive(Clone)]
pub struct Runtime {
    inner: Arc<Inner>,
}

struct Inner {
    readiness: Readiness,
    shutdown: CancellationToken,
    tasks: TaskTracker,
    failures: mpsc::UnboundedSender<String>,
    ended: CancellationToken,
    first_failure: Mutex<Option<String>>,
}

impl Runtime {
    fn new() -> (Self, mpsc::UnboundedReceiver<String>) {
        // Unbounded: at most one message from each task, sent at its end.
        let (failures, receiver) = mpsc::unbounded_channel();
        let inner = Inner {
            readiness: Readiness::default(),
            shutdown: CancellationToken::new(),
            tasks: TaskTracker::new(),
            failures,
            ended: CancellationToken::new(),
            first_failure: Mutex::new(None),
        };
        (Self { inner: Arc::new(inner) }, receiver)
    }

    /// A runtime whose failures nobody watches, for tests that drive a component in their own process.
    pub fn detached() -> Self {
        Self::new().0
    }

    /// Runs a task under a name. It must run until [`Runtime::shutdown`]; an earlier end stops the process.
    pub fn spawn<F, E>(&self, name: impl Into<String>, task: F) -> JoinHandle<()>
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<anyhow::Error> + Send + 'static,
    {
        let (name, inner) = (name.into(), Arc::clone(&self.inner));
        let running = tokio::spawn(task);
        self.inner.tasks.spawn(async move {
            let why = match running.await {
                Ok(Ok(())) => "ended".to_owned(),
                Ok(Err(error)) => format!("failed: {}", whole(error.into().as_ref())),
                Err(error) if error.is_panic() => "panicked".to_owned(),
                Err(_) => "was cancelled".to_owned(),
            };
            if !inner.shutdown.is_cancelled() {
                let _ = inner.failures.send(format!("task {name} {why}"));
            }
        })
    }

    /// Runs a task that may end by itself (one connection, one pod). It is waited for at shutdown; a panic is
    /// logged by the panic hook and ends that task only.
    pub fn spawn_transient<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.inner.tasks.spawn(task);
    }

    /// Runs a task that ends by itself, or with the process: a session that somebody holds open does not hold up the
    /// process's end.
    pub fn spawn_session<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let shutdown = self.shutdown();
        self.spawn_transient(async move {
            tokio::select! {
                () = task => {}
                () = shutdown.cancelled() => {}
            }
        });
    }

    /// Cancelled when the process should stop.
    pub fn shutdown(&self) -> CancellationToken {
        self.inner.shutdown.clone()
    }

    /// Asks the process to stop with an error, as losing a leader lease does.
    pub fn fail(&self, why: impl Into<String>) {
        let _ = self.inner.failures.send(why.into());
    }

    /// Asks the process to stop, as it has done what it was started for.
    pub fn end(&self) {
        self.inner.ended.cancel();
    }

    /// Adds something that readiness waits for.
    pub fn latch(&self, name: impl Into<String>) -> Latch {
        self.inner.readiness.latch(name)
    }

    /// The latches, for health endpoints.
    pub fn readiness(&self) -> &Readiness {
        &self.inner.readiness
    }
}

/// Runs a component: logging, a tokio runtime of `threads` workers, `start`, then tasks until a signal.
///
/// `start` sets up and returns; what goes on runs in tasks of the [`Runtime`]. The first SIGTERM or SIGINT drains,
/// the second exits. Exits with 1 when `start` or a task fails.
pub fn run<F, Fut>(
    name: &str,
    threads: usize,
    logging_flags: &LoggingFlags,
    ignored_flags: &[&str],
    start: F,
) -> ExitCode
where
    F: FnOnce(Runtime) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    memory::join_what_is_freed();
    about::is(name);
    logging::init(logging_flags);
    for flag in ignored_flags {
        tracing::warn!("flag --{flag} has no meaning in Magnetite and is ignored");
    }
    // Already installed when several components share a process; both are the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let default_hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!("panic: {panic}");
        default_hook(panic);
    }));
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .max_blocking_threads(16)
        .thread_name(name)
        .enable_all()
        .build();
    let tokio = match tokio {
        Ok(tokio) => tokio,
        Err(error) => {
            tracing::error!(%error, "cannot start threads");
            return ExitCode::FAILURE;
        }
    };
    tracing::info!(version = crate::VERSION, "{name} starting");
    let code = tokio.block_on(supervise(start));
    tokio.shutdown_timeout(Duration::from_millis(200));
    code
}

/// Tells systemd what the process waits for, where that has changed.
fn tell(readiness: &Readiness, told: &mut String) {
    let waiting: Vec<String> =
        readiness.checks().into_iter().filter(|(_, open)| !open).map(|(name, _)| name).collect();
    let status = match waiting.as_slice() {
        [] => "STATUS=Starting".to_owned(),
        _ => format!("STATUS=Waiting for: {}", waiting.join(", ")),
    };
    if *told != status {
        notify::send(&status);
        *told = status;
    }
}

async fn supervise<F, Fut>(start: F) -> ExitCode
where
    F: FnOnce(Runtime) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let (runtime, mut failures) = Runtime::new();
    let (mut terminate, mut interrupt) =
        match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
            (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
            (Err(error), _) | (_, Err(error)) => {
                tracing::error!(%error, "cannot listen for signals");
                return ExitCode::FAILURE;
            }
        };
    let starting = start(runtime.clone());
    tokio::pin!(starting);
    let mut started = false;
    let readiness = runtime.readiness().clone();
    let mut announced = false;
    let giving_back = async {
        readiness.wait().await;
        for pause in memory::SETTLING {
            tokio::time::sleep(pause).await;
            memory::give_back();
        }
        std::future::pending::<()>().await;
    };
    tokio::pin!(giving_back);
    let mut told = String::new();
    let failed = loop {
        if !announced {
            tell(&readiness, &mut told);
        }
        tokio::select! {
            result = &mut starting, if !started => match result {
                Ok(()) => started = true,
                Err(error) => {
                    tracing::error!("cannot start: {}", whole(error.as_ref()));
                    return ExitCode::FAILURE;
                }
            },
            () = readiness.wait(), if started && !announced => {
                announced = true;
                tracing::info!("ready");
                notify::send("READY=1\nSTATUS=Ready");
            }
            () = &mut giving_back, if started => {}
            () = readiness.changed(), if !announced => {}
            _ = terminate.recv() => break false,
            _ = interrupt.recv() => break false,
            () = runtime.inner.ended.cancelled(), if started => break false,
            Some(why) = failures.recv() => {
                tracing::error!("{why}; stopping");
                runtime.inner.first_failure.lock().get_or_insert(why);
                break true;
            }
        }
    };
    notify::send("STOPPING=1\nSTATUS=Finishing what is under way");
    runtime.inner.shutdown.cancel();
    runtime.inner.tasks.close();
    tokio::select! {
        () = runtime.inner.tasks.wait() => {}
        () = tokio::time::sleep(DRAIN) => tracing::warn!("tasks still running after {DRAIN:?}; exiting"),
        _ = terminate.recv() => tracing::warn!("second signal; exiting"),
        _ = interrupt.recv() => tracing::warn!("second signal; exiting"),
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
