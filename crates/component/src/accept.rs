//! Connections accepted by one loop that owns the tasks which serve them and ends them when the process drains.

use std::{convert::Infallible, future::Future, io, net::SocketAddr, time::Duration};

use http::{Request, Response};
use hyper::{
    body::{Body, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a request's head may take.
const HEAD: Duration = Duration::from_secs(30);
/// Out of file descriptors, most likely: waiting is all that helps.
const PAUSE: Duration = Duration::from_millis(100);

/// What a listener takes on.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; more wait in the kernel's queue.
    pub connections: usize,
    /// How long connections may finish what they are at once the process drains; then they are ended.
    pub drain: Duration,
}

/// Accepts connections until `stop`, each served by a task of its own, and returns when the last of them has ended.
pub async fn accept<F, Fut>(listener: TcpListener, limits: Limits, stop: CancellationToken, serve: F)
where
    F: Fn(TcpStream, SocketAddr) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            // A panic was logged by the hook; it ends that connection only.
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < limits.connections => match accepted {
                Ok((stream, peer)) => {
                    let _ = stream.set_nodelay(true);
                    connections.spawn(serve(stream, peer));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.drain, drained).await.is_err() && !limits.drain.is_zero() {
        tracing::warn!("connections still open after {:?}", limits.drain);
    }
    connections.shutdown().await;
}

/// Secures a connection, in time.
pub async fn handshake(tls: &TlsAcceptor, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    tokio::time::timeout(HANDSHAKE, tls.accept(stream))
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long"))?
}

/// Speaks HTTP/1.1 or HTTP/2 on a connection until it ends; requests may upgrade it.
pub async fn speak<S, B, F, Fut>(stream: S, answer: F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    F: Fn(Request<Incoming>) -> Fut,
    Fut: Future<Output = Response<B>> + Send + 'static,
{
    let service = service_fn(|request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    if let Err(error) = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "connection");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        sync::Semaphore,
    };

    use super::*;

    /// A listener whose connections say hello, wait to be let go, and say goodbye.
    async fn start(limits: Limits, let_go: Arc<Semaphore>) -> (SocketAddr, CancellationToken, impl Future) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let serve = move |mut stream: TcpStream, _| {
            let let_go = Arc::clone(&let_go);
            async move {
                stream.write_all(b"hello").await.unwrap();
                let_go.acquire().await.unwrap().forget();
                stream.write_all(b"bye").await.unwrap();
            }
        };
        (address, stop.clone(), accept(listener, limits, stop, serve))
    }

    async fn greeted(address: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut hello = [0; 5];
        stream.read_exact(&mut hello).await.unwrap();
        stream
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_wait_for_one_to_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let open = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let seen = Arc::clone(&open);
        let serve = move |mut stream: TcpStream, _| {
            let open = Arc::clone(&open);
            async move {
                open.1.fetch_max(open.0.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                stream.write_all(b"hello").await.unwrap();
                // Until the client has gone.
                let _ = stream.read(&mut [0]).await;
                open.0.fetch_sub(1, Ordering::SeqCst);
            }
        };
        let stop = CancellationToken::new();
        let limits = Limits { connections: 2, drain: Duration::from_secs(10) };
        let clients = async {
            futures::future::join_all((0..6).map(|_| async { drop(greeted(address).await) })).await;
            stop.cancel();
        };
        tokio::join!(accept(listener, limits, stop.clone(), serve), clients);
        assert_eq!(seen.1.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn what_is_open_may_finish_and_is_ended_after_the_drain() {
        for (permits, heard) in [(1, "bye"), (0, "")] {
            let let_go = Arc::new(Semaphore::new(0));
            let limits = Limits {
                connections: 8,
                drain: Duration::from_millis(if permits == 0 { 1 } else { 10_000 }),
            };
            let (address, stop, accepting) = start(limits, Arc::clone(&let_go)).await;
            let client = async {
                let mut stream = greeted(address).await;
                stop.cancel();
                let_go.add_permits(permits);
                let mut rest = String::new();
                let _ = stream.read_to_string(&mut rest).await;
                rest
            };
            let (_, rest) = tokio::join!(accepting, client);
            assert_eq!(rest, heard);
        }
    }
}
