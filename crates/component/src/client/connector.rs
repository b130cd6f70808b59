//! Connections to the API server: to whichever of its addresses answers first, given up when the peer is gone without a
//! word, and ended at once when their owner has a new certificate to show.

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use parking_lot::Mutex;
use pki::Identity;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    task::JoinSet,
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tower::Service;

/// How long one address may take to answer.
const ANSWER: Duration = Duration::from_secs(3);
/// How long an address has the race to itself before the next is tried beside it (RFC 8305 recommends 250 ms).
const AHEAD: Duration = Duration::from_millis(250);
/// A machine that lost its power sends no word of it. The kernel asks on an idle connection after this time, then every
/// second, and gives up after the third question; on a connection with data under way it gives up after `UNHEARD`.
const IDLE: Duration = Duration::from_secs(3);
const ASK_AGAIN: Duration = Duration::from_secs(1);
const QUESTIONS: u32 = 3;
const UNHEARD: Duration = Duration::from_secs(5);

/// The open connections of a client, and the certificate that they were opened with.
#[derive(Clone, Default)]
pub struct Connections {
    identity: Option<Arc<Identity>>,
    open: Arc<Mutex<CancellationToken>>,
}

impl Connections {
    pub(super) fn with(identity: Option<Arc<Identity>>) -> Self {
        Self { identity, open: Arc::default() }
    }

    /// Ends every connection, so that the next request opens one with the certificate that its file holds by now.
    /// Watches end with an error and resume.
    pub fn renew(&self) {
        if let Some(identity) = &self.identity {
            identity.look();
        }
        std::mem::take(&mut *self.open.lock()).cancel();
    }

    fn ended(&self) -> WaitForCancellationFutureOwned {
        self.open.lock().clone().cancelled_owned()
    }
}

/// Opens connections for a client.
#[derive(Clone)]
pub struct Connector {
    connections: Connections,
}

impl Connector {
    pub(super) fn new(connections: Connections) -> Self {
        Self { connections }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Severable>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, io::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let ended = self.connections.ended();
        Box::pin(async move {
            let stream = first(resolve(&uri).await?).await?;
            stream.set_nodelay(true)?;
            notice_silence(&stream)?;
            Ok(TokioIo::new(Severable { stream, ended: Box::pin(ended) }))
        })
    }
}

/// The addresses of a URI's host.
async fn resolve(uri: &Uri) -> io::Result<Vec<SocketAddr>> {
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("{uri}: {what}"));
    let host = uri.host().ok_or_else(|| invalid("no host"))?;
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = literal.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    if found.is_empty() { Err(invalid("the name has no address")) } else { Ok(found) }
}

/// Connects to the address that answers first; each has a head start before the next.
async fn first(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter();
    let mut tries: JoinSet<io::Result<TcpStream>> = JoinSet::new();
    let mut last = None;
    loop {
        if let Some(address) = waiting.next() {
            tries.spawn(attempt(address));
        } else if tries.is_empty() {
            return Err(last.unwrap_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable)));
        }
        let ahead = async {
            match waiting.len() {
                0 => std::future::pending().await,
                _ => tokio::time::sleep(AHEAD).await,
            }
        };
        tokio::select! {
            Some(tried) = tries.join_next() => match tried {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = Some(error),
                Err(error) => last = Some(io::Error::other(error)),
            },
            () = ahead => {}
        }
    }
}

async fn attempt(address: SocketAddr) -> io::Result<TcpStream> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
    match tokio::time::timeout(ANSWER, TcpStream::connect(address)).await {
        Ok(connected) => connected.map_err(named),
        Err(_) => Err(named(io::ErrorKind::TimedOut.into())),
    }
}

fn notice_silence(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(IDLE).with_interval(ASK_AGAIN).with_retries(QUESTIONS);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(UNHEARD))
}

/// A connection that ends when its client's connections are renewed.
pub struct Severable {
    stream: TcpStream,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Severable {
    fn severed(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.ended.as_mut().poll(context) {
            Poll::Ready(()) => {
                let why = "the connection was opened with a certificate that has been replaced";
                Err(io::Error::new(io::ErrorKind::ConnectionAborted, why))
            }
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Severable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.severed(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Severable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Connection for Severable {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::{io::AsyncReadExt as _, net::TcpListener};

    use super::*;

    /// A listener whose queue is full answers nobody, like a machine without power.
    async fn silent() -> (std::net::TcpListener, Vec<TcpStream>) {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        socket.listen(0).unwrap();
        let listener = std::net::TcpListener::from(socket);
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(Ok(stream)) =
            tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(address)).await
        {
            queued.push(stream);
        }
        (listener, queued)
    }

    #[tokio::test]
    async fn an_address_that_answers_is_found_behind_those_that_do_not() {
        let (dead, _queued) = silent().await;
        let refused = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let alive = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = vec![dead.local_addr().unwrap(), refused, alive.local_addr().unwrap()];
        let start = tokio::time::Instant::now();
        let stream = first(addresses).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), alive.local_addr().unwrap());
        assert!(start.elapsed() < ANSWER, "the silent one was not waited for: {:?}", start.elapsed());
    }

    #[tokio::test]
    async fn the_last_failure_is_told_where_none_answers() {
        let refused = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let error = first(vec![refused]).await.unwrap_err();
        assert!(error.to_string().starts_with("127.0.0.1:1: "), "{error}");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn renewal_ends_what_is_open_and_nothing_later() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri: Uri = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let connections = Connections::default();
        let mut connector = Connector::new(connections.clone());
        let mut old = connector.call(uri.clone()).await.unwrap().into_inner();
        let reading = tokio::spawn(async move { old.read_u8().await });
        // The read waits by now or will find itself severed at once; either way it ends.
        connections.renew();
        assert_eq!(reading.await.unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        let mut new = connector.call(uri).await.unwrap().into_inner();
        let still_open = tokio::time::timeout(Duration::from_millis(20), new.read_u8()).await;
        assert!(still_open.is_err());
    }
}
