use std::{
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
};

use pki::{Authority, Identity, Leaf, Trust};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;

/// A transport that counts what is written to it, as the kernel would see it.
struct Counted {
    stream: DuplexStream,
    writes: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, piece: &[u8]) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.stream).poll_write(cx, piece)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A server's stream, how often it wrote, and its client. The transport holds so many bytes.
async fn pair(
    room: usize,
) -> (Gathering<server::TlsStream<Counted>>, Arc<AtomicUsize>, client::TlsStream<DuplexStream>) {
    let now = jiff::Timestamp::now();
    let authority = Authority::new("ca", 1, now).unwrap();
    let issued = authority.issue(&Leaf::server("server", &["server"], &[]), now).unwrap();
    let identity = Identity::from_pem(issued.certificate.as_bytes(), issued.key.as_bytes()).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(pki::server_config(identity, None).unwrap()));
    let connector = TlsConnector::from(Arc::new(pki::client_config(Trust::anybody(), None).unwrap()));
    let (ours, theirs) = tokio::io::duplex(room);
    let writes = Arc::new(AtomicUsize::new(0));
    let ours = Counted { stream: ours, writes: Arc::clone(&writes) };
    let name = ServerName::try_from("server").unwrap();
    let (ours, theirs) = tokio::join!(acceptor.accept(ours), connector.connect(name, theirs));
    writes.store(0, Ordering::Relaxed);
    (Gathering::new(ours.unwrap()), writes, theirs.unwrap())
}

/// Bytes that tell where they are.
fn bytes(length: usize, salt: usize) -> Vec<u8> {
    (0..length).map(|at| ((at + salt) % 251) as u8).collect()
}

#[tokio::test]
async fn what_one_poll_writes_goes_out_together() {
    let (stream, writes, mut client) = pair(1 << 20).await;
    let (mut spoken, said) = (stream.clone(), bytes(1300, 0));
    let mut speaking = pin!(async {
        for _ in 0..100 {
            spoken.write_all(&said).await.unwrap();
            spoken.flush().await.unwrap();
        }
    });
    stream.drive(speaking.as_mut()).await;
    let mut heard = vec![0; 130_000];
    client.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, said.repeat(100));
    // 130 KB, of which 64 KiB are held at most.
    assert!(writes.load(Ordering::Relaxed) <= 3, "{writes:?} writes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_many_tasks_write_goes_out_together() {
    let (stream, writes, mut client) = pair(1 << 20).await;
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel::<Vec<u8>>();
    let driven = tokio::spawn(async move {
        let mut spoken = stream.clone();
        let mut speaking = pin!(async {
            while let Some(piece) = receiver.recv().await {
                spoken.write_all(&piece).await.unwrap();
            }
        });
        stream.drive(speaking.as_mut()).await;
    });
    let watchers = tokio::spawn(async move {
        for _ in 0..100 {
            let sender = sender.clone();
            tokio::spawn(async move { sender.send(bytes(1300, 0)).unwrap() });
        }
    });
    let mut heard = vec![0; 130_000];
    client.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, bytes(1300, 0).repeat(100));
    watchers.await.unwrap();
    driven.await.unwrap();
    assert!(writes.load(Ordering::Relaxed) <= 10, "{writes:?} writes");
}

#[tokio::test]
async fn bytes_arrive_in_order_whatever_the_sizes_and_however_little_fits() {
    const SIZES: [usize; 10] = [1, 9, 300, SMALL, SMALL + 1, RECORD - 1, RECORD, RECORD + 9, 40_000, 150_000];
    for room in [700, 20_000, 1 << 20] {
        let (stream, _, mut client) = pair(room).await;
        let (mut spoken, mut said) = (stream.clone(), Vec::new());
        // Each size before and after each other.
        let pairs = SIZES.iter().flat_map(|one| SIZES.iter().flat_map(|other| [*one, *other]));
        let pieces: Vec<Vec<u8>> = pairs.enumerate().map(|(index, size)| bytes(size, index)).collect();
        pieces.iter().for_each(|piece| said.extend_from_slice(piece));
        let server = async {
            let mut speaking = pin!(async {
                for (index, piece) in pieces.iter().enumerate() {
                    spoken.write_all(piece).await.unwrap();
                    if index % 3 == 0 {
                        spoken.flush().await.unwrap();
                    }
                    if index % 7 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
            });
            stream.drive(speaking.as_mut()).await;
            stream.send().await.unwrap();
        };
        let mut heard = vec![0; said.len()];
        let (_, read) = tokio::join!(server, client.read_exact(&mut heard));
        read.unwrap();
        assert!(heard == said, "with room for {room}");
    }
}

#[tokio::test]
async fn nothing_waits_where_nobody_polls() {
    let (mut stream, writes, mut client) = pair(1 << 20).await;
    for round in 1..=3 {
        stream.write_all(b"hello").await.unwrap();
        stream.flush().await.unwrap();
        let mut heard = [0; 5];
        client.read_exact(&mut heard).await.unwrap();
        assert_eq!((&heard, writes.load(Ordering::Relaxed)), (b"hello", round));
    }
    client.write_all(b"bye").await.unwrap();
    let mut heard = [0; 3];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"bye");
}

#[tokio::test]
async fn a_shut_stream_has_sent_what_was_written_before() {
    let (stream, _, mut client) = pair(1 << 20).await;
    let mut spoken = stream.clone();
    let mut speaking = pin!(async {
        spoken.write_all(b"last words").await.unwrap();
        spoken.shutdown().await.unwrap();
    });
    stream.drive(speaking.as_mut()).await;
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"last words");
}

#[tokio::test]
async fn who_writes_next_is_told_why_it_could_not_be_sent() {
    let (stream, _, client) = pair(1 << 20).await;
    drop(client);
    let mut spoken = stream.clone();
    let mut speaking = pin!(async {
        loop {
            if let Err(error) = spoken.write_all(b"anybody there?").await {
                return error;
            }
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(stream.drive(speaking.as_mut()).await.kind(), io::ErrorKind::BrokenPipe);
}
