//! Histories of many clients of two servers over three members of etcd, while a server and the members that lead are
//! killed, and members hang.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Parser;
use component::Runtime;
use http::Method;
use kube_apiserver::{Flags, run};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::cluster::{Answer, Client, Cluster, Events, MAPS, map};
use crate::history::{Deed, Operation, contradictions, watch_contradictions};

/// By what the test's own program becomes a server that can be killed.
const ARGUMENTS: &str = "MAGNETITE_TEST_SERVER_ARGUMENTS";
/// How many times something is killed, where that is said.
const ROUNDS: &str = "MAGNETITE_TEST_ROUNDS";
const KEYS: usize = 3;
const CLIENTS: usize = 6;
const READERS: usize = 2;
/// Writes acknowledged before something is done, and while it lasts: more than are under way at once.
const WRITES: usize = 2 * CLIENTS;
/// How long these may take, elections and restarts of busy machines included.
const PATIENCE: Duration = Duration::from_secs(60);

/// Not a test by itself: run by the test below as a process of its own.
#[test]
#[ignore = "run by another test as a process of its own"]
fn server_process() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else { return };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    threads.block_on(async {
        let flags = Flags::parse_from(arguments.lines());
        let _server = run::serve(&Runtime::detached(), flags).await.unwrap();
        std::future::pending::<()>().await;
    });
}

/// A server in a process of its own.
struct Process(Child);

impl Process {
    fn start(arguments: &[String]) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["linearizable::server_process", "--exact", "--ignored"])
            .env(ARGUMENTS, arguments.join("\n"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What all clients share.
struct Run {
    cluster: Cluster,
    addresses: [std::net::SocketAddr; 2],
    origin: Instant,
    over: AtomicBool,
    next: AtomicU64,
    /// How many writes were acknowledged.
    written: watch::Sender<usize>,
}

impl Run {
    fn now(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }

    /// Waits until as many more writes are acknowledged: with a leader gone, that others have elected another.
    async fn writes(&self, more: usize) {
        let mut written = self.written.subscribe();
        let enough = *written.borrow() + more;
        let reached = tokio::time::timeout(PATIENCE, written.wait_for(|written| *written >= enough)).await;
        reached.expect("writes are acknowledged again").unwrap();
    }

    /// Waits until the server that is killed now and then is back.
    async fn second_server(&self) {
        testkit::eventually_within(PATIENCE, || async {
            let client = self.cluster.try_client_of(self.addresses[1], "admin", &["system:masters"]).await;
            client.map(drop).ok_or("it does not answer")
        })
        .await;
    }

    /// Does something to etcd's members, which may take its time.
    async fn etcd<T: Send + 'static>(
        self: &Arc<Self>,
        act: impl FnOnce(&mut testkit::Etcd) -> T + Send + 'static,
    ) -> T {
        let run = self.clone();
        tokio::task::spawn_blocking(move || act(&mut run.cluster.etcd.lock())).await.unwrap()
    }

    /// Asks one of the servers; `None` when the answer never came.
    async fn ask(
        &self,
        client: &mut Option<Client>,
        at: usize,
        method: Method,
        path: &str,
        body: String,
    ) -> Option<Answer> {
        if client.is_none() {
            *client = self.cluster.try_client_of(self.addresses[at], "admin", &["system:masters"]).await;
        }
        let headers = [("content-type", "application/json")];
        let asked = client.as_ref()?.try_ask(method, path, &headers, Bytes::from(body));
        let answer = tokio::time::timeout(Duration::from_secs(5), asked).await.ok().flatten();
        if answer.is_none() {
            *client = None;
        }
        answer
    }
}

fn state(object: &Value) -> (u64, String) {
    let version = object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    (version, object["data"]["key"].as_str().unwrap().to_owned())
}

/// One client: reads, writes upon what it read, and notes both. Those beyond the first only read: a writer waits for etcd,
/// and would seldom see what a server knows that hears nothing from there.
async fn client(run: Arc<Run>, number: usize) -> Vec<Operation> {
    let (mut history, mut at, mut connection) = (Vec::new(), number % 2, None);
    while !run.over.load(Ordering::Relaxed) {
        let key = format!("register-{}", (history.len() + number) % KEYS);
        let path = format!("{MAPS}/{key}");
        let began = run.now();
        let answer = run.ask(&mut connection, at, Method::GET, &path, String::new()).await;
        let Some(answer) = answer.filter(|answer| answer.code == 200) else {
            // This server is away: the other one is asked, and not too often, as neither may be there. A process that
            // begins tells nobody when it listens.
            at = 1 - at;
            connection = None;
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let mut object = answer.json();
        let (base, value) = state(&object);
        let ended = run.now();
        history.push(Operation { key: key.clone(), began, ended, deed: Deed::Read { version: base, value } });
        if number >= CLIENTS {
            // The rate of readers, who wait for nothing: they leave the machine to writers.
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        }
        let value = format!("{number}-{}", run.next.fetch_add(1, Ordering::Relaxed));
        object["data"]["key"] = value.as_str().into();
        let began = run.now();
        let answer = run.ask(&mut connection, at, Method::PUT, &path, object.to_string()).await;
        let deed = match answer {
            Some(answer) if answer.code == 200 => {
                let (version, stored) = state(&answer.json());
                assert_eq!(stored, value);
                run.written.send_modify(|written| *written += 1);
                Deed::Write { base, value, version: Some(version) }
            }
            Some(answer) if answer.code == 409 => Deed::Refused { base, value },
            // It may have been stored all the same.
            _ => Deed::Write { base, value, version: None },
        };
        history.push(Operation { key, began, ended: run.now(), deed });
    }
    history
}

/// What a watch tells, up to the last version once that is known: name, version and value.
async fn collect(mut events: Events, mut last: watch::Receiver<Option<u64>>) -> Vec<(String, u64, String)> {
    let mut told: Vec<(String, u64, String)> = Vec::new();
    loop {
        let reached = told.last().map(|(_, version, _)| *version);
        if last.borrow().is_some_and(|last| reached >= Some(last)) {
            return told;
        }
        tokio::select! {
            event = events.next() => {
                let object = &event.expect("the watch lives on")["object"];
                let (version, value) = state(object);
                told.push((object["metadata"]["name"].as_str().unwrap().to_owned(), version, value));
            }
            changed = last.changed() => changed.expect("the test says when it is over"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_or_reordered_while_servers_and_etcd_are_killed() {
    let cluster = Cluster::start_over(testkit::Etcd::start_members(3).unwrap(), &[]).await;
    let admin = cluster.admin().await;
    for key in 0..KEYS {
        let mut object = map(&format!("register-{key}"), "first");
        object["metadata"]["labels"] = json!({"history": "yes"});
        admin.post(MAPS, &object).await.ok();
    }
    let events = admin.watch(&format!("{MAPS}?watch=1&labelSelector=history")).await;
    let (last_known, last) = watch::channel(None);
    let watcher = tokio::spawn(collect(events, last));
    let port = testkit::free_port().unwrap();
    let arguments = cluster.arguments_of("10.0.0.6", port);
    let mut server = Process::start(&arguments);
    let addresses = [cluster.address, ([127, 0, 0, 1], port).into()];
    let (over, next, written) = (AtomicBool::new(false), AtomicU64::new(0), watch::Sender::new(0));
    let run = Arc::new(Run { cluster, addresses, origin: Instant::now(), over, next, written });
    let clients: Vec<_> =
        (0..CLIENTS + READERS).map(|number| tokio::spawn(client(run.clone(), number))).collect();
    run.second_server().await;
    // What is killed lives again before the next is: two members of three must agree.
    let rounds = std::env::var(ROUNDS).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(9);
    for round in 0..rounds {
        run.writes(WRITES).await;
        match round % 3 {
            0 => {
                drop(server);
                run.writes(WRITES).await;
                server = Process::start(&arguments);
                run.second_server().await;
            }
            1 => {
                let leader = run
                    .etcd(|etcd| {
                        let leader = etcd.leader().unwrap_or_default();
                        etcd.kill_member(leader).unwrap();
                        leader
                    })
                    .await;
                run.writes(WRITES).await;
                run.etcd(move |etcd| etcd.start_member_again(leader).unwrap()).await;
            }
            _ => {
                // One after another: the leader too, which finds others elected another.
                let hangs = round / 3 % 3;
                run.etcd(move |etcd| etcd.pause_member(hangs).unwrap()).await;
                run.writes(WRITES).await;
                run.etcd(move |etcd| etcd.resume_member(hangs).unwrap()).await;
            }
        }
    }
    run.over.store(true, Ordering::Relaxed);
    let mut history = Vec::new();
    for client in clients {
        history.extend(client.await.unwrap());
    }
    assert_eq!(contradictions(&history), [""; 0]);
    let written = history
        .iter()
        .filter(|operation| matches!(operation.deed, Deed::Write { version: Some(_), .. }))
        .count();
    assert!(written > 20, "only {written} writes of {} operations", history.len());
    // The watch has told every version, once and in order.
    let admin = run.cluster.admin().await;
    let mut last = 0;
    for key in 0..KEYS {
        let path = format!("{MAPS}/register-{key}");
        let object = testkit::eventually(|| async {
            let answer = admin.get(&path).await;
            if answer.code == 200 { Ok(answer.json()) } else { Err(answer) }
        })
        .await;
        last = last.max(state(&object).0);
    }
    last_known.send_replace(Some(last));
    let told = watcher.await.unwrap();
    // The first events are of the three keys as they were, in the order of their names.
    assert_eq!(watch_contradictions(&history, &told), [""; 0]);
}
