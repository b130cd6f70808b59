//! Questions about names that are not the cluster's, asked of the node's name servers.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::cache::{Cache, Key};
use crate::message::Transport;
use crate::{metrics, wire};

/// Questions under way at once. Each holds a socket and a buffer; more are refused at once.
const SLOTS: usize = 256;
/// Servers tried for one question: together they answer before a resolver's five seconds are over.
const TRIES: usize = 2;
/// The largest UDP reply read; a larger one was cut short.
const BUFFER: usize = 4096;
/// Failures in a row after which a server is left alone,
const BROKEN_AFTER: u32 = 3;
/// but for one question each time this is over.
const RETRY: Duration = Duration::from_secs(2);

/// No server answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no name server answered")]
pub struct NoAnswer;

/// Leave to ask one question.
pub struct Slot {
    #[allow(dead_code, reason = "gives the slot back when dropped")]
    permit: OwnedSemaphorePermit,
}

/// The name servers, and what they said lately.
pub struct Forwarder {
    upstreams: Vec<Upstream>,
    slots: Arc<Semaphore>,
    cache: Mutex<Cache>,
    patience: Duration,
}

struct Upstream {
    address: SocketAddr,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    failures: u32,
    /// When a server that is broken may be asked again.
    retry: Option<Instant>,
}

impl State {
    /// Tells whether to ask now; says yes to one question of many when the server is broken.
    fn admits(&mut self, now: Instant) -> bool {
        if self.failures < BROKEN_AFTER {
            return true;
        }
        let due = self.retry.is_none_or(|retry| now >= retry);
        if due {
            self.retry = Some(now + RETRY);
        }
        due
    }

    fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.retry = Some(now + RETRY);
    }
}

impl Forwarder {
    /// Forwards to these servers, in this order, waiting for each as long as said.
    pub fn new(upstreams: Vec<SocketAddr>, patience: Duration) -> Self {
        let upstreams = upstreams.into_iter().map(|address| Upstream { address, state: Mutex::default() });
        Forwarder {
            upstreams: upstreams.collect(),
            slots: Arc::new(Semaphore::new(SLOTS)),
            cache: Mutex::default(),
            patience,
        }
    }

    /// Takes a slot; none when all are taken, or when there is nobody to ask.
    pub fn slot(&self) -> Option<Slot> {
        if self.upstreams.is_empty() {
            return None;
        }
        match Arc::clone(&self.slots).try_acquire_owned() {
            Ok(permit) => Some(Slot { permit }),
            Err(_) => {
                metrics::rejected();
                None
            }
        }
    }

    /// Returns what was said to such a request lately, as the reply to this one.
    pub fn cached(&self, request: &[u8]) -> Option<Vec<u8>> {
        let key = Key::new(request)?;
        let reply = self.cache.lock().get(&key, Instant::now());
        metrics::cached(reply.is_some());
        let mut reply = reply?;
        wire::readdress(&mut reply, request);
        Some(reply)
    }

    /// Asks the servers in turn until one answers.
    pub async fn ask(&self, _: &Slot, request: &[u8], transport: Transport) -> Result<Vec<u8>, NoAnswer> {
        let mut numbered = request.to_vec();
        // A number of our own, and a port chosen by the kernel: who does not see the question cannot answer it.
        numbered.get_mut(..2).ok_or(NoAnswer)?.copy_from_slice(&rand::random::<[u8; 2]>());
        let admitted = self.upstreams.iter().filter(|upstream| upstream.state.lock().admits(Instant::now()));
        for upstream in admitted.take(TRIES) {
            let exchange = exchange(upstream.address, &numbered, transport);
            let failure = match timeout(self.patience, exchange).await {
                Ok(Ok(mut reply)) => {
                    *upstream.state.lock() = State::default();
                    if let Some(key) = Key::new(request) {
                        let mut cache = self.cache.lock();
                        cache.insert(key, &reply, Instant::now());
                        metrics::cache_size(cache.len());
                    }
                    wire::readdress(&mut reply, request);
                    return Ok(reply);
                }
                Ok(Err(error)) => error,
                Err(_) => io::ErrorKind::TimedOut.into(),
            };
            tracing::debug!(upstream = %upstream.address, error = %failure, "no answer");
            upstream.state.lock().failed(Instant::now());
        }
        Err(NoAnswer)
    }
}

async fn exchange(upstream: SocketAddr, request: &[u8], transport: Transport) -> io::Result<Vec<u8>> {
    match transport {
        Transport::Udp => by_packet(upstream, request).await,
        Transport::Tcp => by_connection(upstream, request).await,
    }
}

async fn by_packet(upstream: SocketAddr, request: &[u8]) -> io::Result<Vec<u8>> {
    let any: IpAddr = match upstream {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(upstream).await?;
    socket.send(request).await?;
    let mut reply = vec![0; BUFFER];
    loop {
        let length = socket.recv(&mut reply).await?;
        // Anything else is not for us; the caller's patience ends the loop.
        if wire::answers(&reply[..length], request) {
            if length == BUFFER {
                wire::truncate(&mut reply);
            } else {
                reply.truncate(length);
            }
            return Ok(reply);
        }
    }
}

async fn by_connection(upstream: SocketAddr, request: &[u8]) -> io::Result<Vec<u8>> {
    let length = u16::try_from(request.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut stream = TcpStream::connect(upstream).await?;
    stream.write_all(&[&length.to_be_bytes(), request].concat()).await?;
    let mut reply = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut reply).await?;
    if wire::answers(&reply, request) { Ok(reply) } else { Err(io::ErrorKind::InvalidData.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_server_is_asked_once_in_a_while() {
        let (mut state, start) = (State::default(), Instant::now());
        for _ in 0..BROKEN_AFTER {
            assert!(state.admits(start));
            state.failed(start);
        }
        assert!(!state.admits(start));
        assert!(state.admits(start + RETRY), "one question finds out");
        assert!(!state.admits(start + RETRY), "and only one");
    }

    #[test]
    fn with_nobody_to_ask_there_is_no_slot() {
        assert!(Forwarder::new(Vec::new(), RETRY).slot().is_none());
    }
}
