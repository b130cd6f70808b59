//! A node and pods as network namespaces, each held by a thread: when the threads end, nothing is left.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use tokio::sync::oneshot;

const TIMEOUT: Duration = Duration::from_secs(3);

/// Runs a test in a fresh network namespace with forwarding on.
pub fn on_a_node(test: impl Future<Output = ()> + Send + 'static) {
    let node = std::thread::spawn(move || {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            eprintln!("skipped: cannot make a network namespace: {error}");
            return;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            ip("link set lo up").await;
            set("net/ipv4/ip_forward", "1");
            set("net/ipv4/conf/all/route_localnet", "1");
            test.await;
        });
    });
    if let Err(panic) = node.join() {
        std::panic::resume_unwind(panic);
    }
}

fn set(name: &str, value: &str) {
    if let Err(error) = std::fs::write(format!("/proc/sys/{name}"), value) {
        eprintln!("cannot set {name}: {error}");
    }
}

/// Whether node ports can answer at 127.0.0.1 here.
pub fn localnet_is_routed() -> bool {
    std::fs::read_to_string("/proc/sys/net/ipv4/conf/all/route_localnet").is_ok_and(|text| text.trim() == "1")
}

/// Runs `ip` in the calling thread's namespace.
pub async fn ip(arguments: &str) {
    let arguments: Vec<&str> = arguments.split(' ').collect();
    netrules::program::succeed("ip", &arguments, b"", Duration::from_secs(10)).await.unwrap();
}

/// Connects from the calling thread's namespace and reads what the server says.
pub async fn get(address: &str) -> io::Result<String> {
    let address: SocketAddr = address.parse().unwrap();
    let connect = async {
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        let mut text = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut text).await?;
        Ok(text)
    };
    tokio::time::timeout(TIMEOUT, connect).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// A namespace with one address behind the node. A server on port 8080 says the pod's name and who asks.
pub struct Pod {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

type Job = (String, oneshot::Sender<io::Result<String>>);

impl Pod {
    /// Makes a pod and its link to the calling thread's namespace.
    pub async fn start(name: &'static str, address: &'static str) -> Pod {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let (identify, identity) = oneshot::channel();
        let (connect, connected) = mpsc::channel::<()>();
        let (announce, ready) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            identify.send(nix::unistd::gettid()).unwrap();
            // The node has made the link.
            if connected.recv().is_err() {
                return;
            }
            for arguments in [
                "link set lo up".to_owned(),
                format!("addr add {address}/32 dev eth0"),
                "link set eth0 up".to_owned(),
                "route add 169.254.1.1 dev eth0".to_owned(),
                "route add default via 169.254.1.1 dev eth0".to_owned(),
            ] {
                let status = std::process::Command::new("ip").args(arguments.split(' ')).status().unwrap();
                assert!(status.success(), "ip {arguments}");
            }
            let listener = TcpListener::bind("0.0.0.0:8080").unwrap();
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    let Ok(mut stream) = stream else { return };
                    let peer = stream.peer_addr().map(|peer| peer.ip().to_string()).unwrap_or_default();
                    let text = format!("{name} {peer}");
                    let stop = text == format!("{name} 127.0.0.1");
                    let _ = stream.write_all(text.as_bytes());
                    if stop {
                        return;
                    }
                }
            });
            announce.send(()).unwrap();
            for (target, reply) in inbox {
                let _ = reply.send(ask(&target));
            }
            // Ends the server, and with it the namespace.
            let _ = ask("127.0.0.1:8080");
        });
        let identity = identity.await.unwrap();
        ip(&format!("link add v-{name} type veth peer name eth0 netns {identity}")).await;
        ip(&format!("link set v-{name} up")).await;
        set(&format!("net/ipv4/conf/v-{name}/proxy_arp"), "1");
        ip(&format!("addr add 169.254.1.1/32 dev v-{name}")).await;
        ip(&format!("route add {address}/32 dev v-{name}")).await;
        connect.send(()).unwrap();
        ready.await.unwrap();
        Pod { jobs: Some(jobs), thread: Some(thread) }
    }

    /// Connects from the pod and reads what the server says.
    pub async fn get(&self, address: &str) -> io::Result<String> {
        let (reply, answer) = oneshot::channel();
        self.jobs.as_ref().unwrap().send((address.to_owned(), reply)).unwrap();
        answer.await.unwrap()
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.jobs.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn ask(target: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&target.parse().unwrap(), TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}
