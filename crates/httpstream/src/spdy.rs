//! SPDY/3.1, as far as exec, attach and port-forward use it: streams of bytes over one upgraded connection.
//!
//! Both ends are here: the kubelet is a server to `kubectl` and a client of the runtime's streaming server, and the API
//! server is a client of kubelets. Flow control windows are not kept, as no peer in this field keeps them.

mod frame;
mod headers;
mod inflate;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE as UPGRADE_HEADER};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
};

use crate::PROTOCOL_VERSION;
use frame::Frame;
use headers::{Compressor, Decompressor};

/// The name in `Upgrade:`.
pub const UPGRADE: &str = "SPDY/3.1";

/// The headers that ask to switch to SPDY, or switch to it, with this protocol of its streams.
pub fn switching(protocol: Option<HeaderValue>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE_HEADER, HeaderValue::from_static(UPGRADE));
    headers.extend(protocol.map(|protocol| (PROTOCOL_VERSION, protocol)));
    headers
}

/// Chunks of one stream that wait for a slow reader; more hold the connection.
const CHUNKS: usize = 16;
/// Frames that wait to be sent; more hold whoever sends.
const FRAMES: usize = 32;
/// Streams a peer may open that nobody has taken up yet.
const UNCLAIMED: usize = 64;
/// Streams that a peer may have open; more are refused.
const OPEN: usize = 4096;
/// The largest payload of one data frame sent.
const MAX_DATA: usize = 32 << 10;

/// A stream's headers, by lower-case name.
pub type Headers = Vec<(String, String)>;

enum Outgoing {
    Open { id: u32, headers: Headers },
    Reply { id: u32 },
    Refuse { id: u32 },
    Data { id: u32, data: Bytes, last: bool },
    Ping { id: u32 },
    Away,
}

/// Which end of a connection this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The one that asked for the upgrade.
    Client,
    /// The one that accepted it.
    Server,
}

impl End {
    /// Its first number of a stream or a ping: a client's are odd, a server's even.
    fn first(self) -> u32 {
        match self {
            Self::Client => 1,
            Self::Server => 2,
        }
    }
}

/// One end of a connection.
#[derive(Clone)]
pub struct Connection {
    outgoing: mpsc::Sender<Outgoing>,
    streams: Arc<Mutex<HashMap<u32, mpsc::Sender<Bytes>>>>,
    next: Arc<AtomicU32>,
    end: End,
}

/// One stream. Dropping it leaves what the peer still sends unread.
pub struct Stream {
    id: u32,
    /// The headers it was opened with.
    pub headers: Headers,
    incoming: mpsc::Receiver<Bytes>,
    sender: Sender,
}

/// The sending half of a stream.
#[derive(Clone)]
pub struct Sender {
    id: u32,
    outgoing: mpsc::Sender<Outgoing>,
}

/// The connection is gone.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed")]
pub struct Closed;

impl Connection {
    /// Takes over an upgraded connection. The streams that the peer opens come out of the receiver, which ends with the
    /// connection. The future reads and writes: the connection lives while somebody drives it.
    pub fn new<S>(
        io: S,
        end: End,
    ) -> (Self, mpsc::Receiver<Stream>, impl Future<Output = ()> + Send + 'static)
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (outgoing, queue) = mpsc::channel(FRAMES);
        let (opened, accepted) = mpsc::channel(UNCLAIMED);
        let connection =
            Self { outgoing, streams: Arc::default(), next: Arc::new(AtomicU32::new(end.first())), end };
        let (reader, writer) = tokio::io::split(io);
        let (streams, replies) = (Arc::clone(&connection.streams), connection.outgoing.downgrade());
        let reading = async move {
            if let Err(error) = read(reader, end, &streams, replies, opened).await {
                tracing::debug!(%error, "SPDY connection");
            }
            // Readers see the end.
            streams.lock().clear();
        };
        let driver = async move {
            tokio::join!(write(writer, queue), reading);
        };
        (connection, accepted, driver)
    }

    /// Opens a stream.
    pub async fn open(&self, headers: Headers) -> Result<Stream, Closed> {
        let id = self.next.fetch_add(2, Ordering::Relaxed);
        let (deliver, incoming) = mpsc::channel(CHUNKS);
        self.streams.lock().insert(id, deliver);
        self.outgoing.send(Outgoing::Open { id, headers: headers.clone() }).await.map_err(|_| Closed)?;
        Ok(Stream { id, headers, incoming, sender: Sender { id, outgoing: self.outgoing.clone() } })
    }

    /// Pings the peer this often until the connection is gone: what lies between forgets no connection that is quiet.
    /// The answers say nothing that the end of the connection does not.
    pub async fn ping(&self, every: Duration) {
        let outgoing = self.outgoing.downgrade();
        let mut id = self.end.first();
        loop {
            tokio::time::sleep(every).await;
            let Some(outgoing) = outgoing.upgrade() else { return };
            if outgoing.send(Outgoing::Ping { id }).await.is_err() {
                return;
            }
            id = id.wrapping_add(2);
        }
    }

    /// Says goodbye: what was sent before still goes out.
    pub async fn close(&self) {
        let _ = self.outgoing.send(Outgoing::Away).await;
    }
}

impl Stream {
    /// Reads what comes next; none at the end.
    pub async fn read(&mut self) -> Option<Bytes> {
        self.incoming.recv().await
    }

    /// Its sending half.
    pub fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// Reads a header.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// Its number on the connection.
    pub fn id(&self) -> u32 {
        self.id
    }
}

impl Sender {
    /// Sends bytes.
    pub async fn write(&self, mut data: Bytes) -> Result<(), Closed> {
        while !data.is_empty() {
            let chunk = data.split_to(data.len().min(MAX_DATA));
            let frame = Outgoing::Data { id: self.id, data: chunk, last: false };
            self.outgoing.send(frame).await.map_err(|_| Closed)?;
        }
        Ok(())
    }

    /// Says that no more will be sent.
    pub async fn finish(&self) -> Result<(), Closed> {
        let frame = Outgoing::Data { id: self.id, data: Bytes::new(), last: true };
        self.outgoing.send(frame).await.map_err(|_| Closed)
    }
}

async fn write<W: AsyncWrite + Unpin>(mut writer: W, mut queue: mpsc::Receiver<Outgoing>) {
    let mut compressor = Compressor::default();
    while let Some(outgoing) = queue.recv().await {
        let (bytes, done) = match outgoing {
            Outgoing::Open { id, headers } => (frame::syn_stream(id, &compressor.compress(&headers)), false),
            Outgoing::Reply { id } => (frame::syn_reply(id, &compressor.compress(&[])), false),
            Outgoing::Refuse { id } => (frame::refuse(id), false),
            Outgoing::Data { id, data, last } => (frame::data(id, &data, last), false),
            Outgoing::Ping { id } => (frame::ping(id), false),
            Outgoing::Away => (frame::go_away(), true),
        };
        if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() || done {
            break;
        }
    }
    let _ = writer.shutdown().await;
}

async fn read<R: AsyncRead + Unpin>(
    mut reader: R,
    end: End,
    streams: &Mutex<HashMap<u32, mpsc::Sender<Bytes>>>,
    replies: mpsc::WeakSender<Outgoing>,
    opened: mpsc::Sender<Stream>,
) -> Result<(), frame::Error> {
    let mut decompressor = Decompressor::default();
    while let Some(frame) = frame::read(&mut reader).await? {
        // Held only for one answer: the connection ends when everyone else has let go of it.
        let Some(outgoing) = replies.upgrade() else { return Ok(()) };
        match frame {
            Frame::SynStream { id, last, block } => {
                let headers = decompressor.decompress(&block)?;
                let is_refused = streams.lock().len() >= OPEN || opened.is_closed();
                let answer = if is_refused { Outgoing::Refuse { id } } else { Outgoing::Reply { id } };
                if outgoing.send(answer).await.is_err() {
                    return Ok(());
                }
                if is_refused {
                    continue;
                }
                let (deliver, incoming) = mpsc::channel(CHUNKS);
                if !last {
                    streams.lock().insert(id, deliver);
                }
                let sender = Sender { id, outgoing: outgoing.clone() };
                let _ = opened.send(Stream { id, headers, incoming, sender }).await;
            }
            Frame::SynReply { last, id, block } => {
                // The headers say nothing, but the decompressor must see them.
                decompressor.decompress(&block)?;
                if last {
                    streams.lock().remove(&id);
                }
            }
            Frame::Headers { block } => drop(decompressor.decompress(&block)?),
            Frame::Data { id, last, data } => {
                let deliver = streams.lock().get(&id).cloned();
                if let Some(deliver) = deliver
                    && !data.is_empty()
                {
                    // Nobody reads it any more: nothing is lost.
                    let _ = deliver.send(data).await;
                }
                if last {
                    streams.lock().remove(&id);
                }
            }
            Frame::Reset { id } => {
                streams.lock().remove(&id);
            }
            // One of this end's own comes back as the answer, and is not answered again.
            Frame::Ping { id } if id % 2 == end.first() % 2 => {}
            Frame::Ping { id } => {
                let _ = outgoing.send(Outgoing::Ping { id }).await;
            }
            Frame::GoAway => return Ok(()),
            Frame::Other => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn streams_carry_bytes_both_ways() {
        let (one, other) = tokio::io::duplex(1 << 16);
        let (client, _none, driver) = Connection::new(one, End::Client);
        tokio::spawn(driver);
        let (_server, mut accepted, driver) = Connection::new(other, End::Server);
        tokio::spawn(driver);
        let mut first = client.open(vec![("streamtype".into(), "error".into())]).await.unwrap();
        let second = client.open(vec![("streamtype".into(), "data".into())]).await.unwrap();
        let error = accepted.recv().await.unwrap();
        let mut data = accepted.recv().await.unwrap();
        assert_eq!((error.header("streamtype"), data.header("streamtype")), ("error", "data"));
        let big = Bytes::from(vec![7; 100_000]);
        let sender = second.sender();
        let expected = big.clone();
        tokio::spawn(async move {
            sender.write(big).await.unwrap();
            sender.finish().await.unwrap();
        });
        let mut got = Vec::new();
        while let Some(chunk) = data.read().await {
            got.extend_from_slice(&chunk);
        }
        assert_eq!(got, expected);
        error.sender().write(Bytes::from_static(b"no")).await.unwrap();
        error.sender().finish().await.unwrap();
        assert_eq!(first.read().await.unwrap(), "no");
        assert_eq!(first.read().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn pings_go_out_in_time_and_their_answers_are_not_answered() {
        for (end, own, others) in [(End::Client, [1, 3], 2), (End::Server, [2, 4], 1)] {
            let (one, mut peer) = tokio::io::duplex(1 << 16);
            let (connection, _none, driver) = Connection::new(one, end);
            tokio::spawn(driver);
            let began = tokio::time::Instant::now();
            tokio::spawn(async move { connection.ping(Duration::from_secs(5)).await });
            for (id, seconds) in own.into_iter().zip([5, 10]) {
                let ping = frame::read(&mut peer).await.unwrap().unwrap();
                assert!(matches!(ping, Frame::Ping { id: told } if told == id), "{end:?} {id}");
                assert_eq!(began.elapsed(), Duration::from_secs(seconds));
                peer.write_all(&frame::ping(id)).await.unwrap();
            }
            peer.write_all(&frame::ping(others)).await.unwrap();
            let pong = frame::read(&mut peer).await.unwrap().unwrap();
            assert!(matches!(pong, Frame::Ping { id } if id == others), "{end:?}");
        }
    }

    #[tokio::test]
    async fn more_streams_than_anybody_needs_are_refused() {
        let (one, other) = tokio::io::duplex(1 << 16);
        let (client, _none, driver) = Connection::new(one, End::Client);
        tokio::spawn(driver);
        let (_server, mut accepted, driver) = Connection::new(other, End::Server);
        tokio::spawn(driver);
        let taking = tokio::spawn(async move {
            let mut taken = Vec::new();
            while taken.len() < OPEN {
                taken.push(accepted.recv().await.unwrap());
            }
            (accepted, taken)
        });
        let mut open = Vec::new();
        for _ in 0..OPEN {
            open.push(client.open(vec![]).await.unwrap());
        }
        let (mut accepted, mut taken) = taking.await.unwrap();
        let mut refused = client.open(vec![]).await.unwrap();
        assert_eq!(refused.read().await, None);
        // One that has ended makes room for one more.
        open[0].sender().finish().await.unwrap();
        assert_eq!(taken[0].read().await, None);
        let asked = client.open(vec![("streamtype".into(), "data".into())]).await.unwrap();
        let mut next = accepted.recv().await.unwrap();
        asked.sender().write(Bytes::from_static(b"hello")).await.unwrap();
        assert_eq!(next.read().await.unwrap(), "hello");
        // Nobody takes up any more.
        drop(accepted);
        let mut refused = client.open(vec![]).await.unwrap();
        assert_eq!(refused.read().await, None);
    }

    #[tokio::test]
    async fn garbage_ends_the_connection_and_nothing_else() {
        let (mut one, other) = tokio::io::duplex(1 << 16);
        let (_server, mut accepted, driver) = Connection::new(other, End::Server);
        tokio::spawn(driver);
        // A control frame of a stream with a header block that is no zlib.
        one.write_all(&[0x80, 3, 0, 1, 0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xff, 0xff]).await.unwrap();
        assert!(accepted.recv().await.is_none());
    }
}
