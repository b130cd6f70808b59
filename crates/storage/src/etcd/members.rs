//! Connections to the members of etcd's cluster, one to each, and calls over them.
//!
//! A call goes straight into the streams of HTTP/2: nothing queues it, no task stands between it and its connection, and
//! answers are read from where they arrived. Each connection has a task that drives it, asks every few seconds whether
//! the other side still lives, and opens it again.

use std::{
    io,
    path::PathBuf,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use component::gathering::{Below, Gathering};
use h2::{
    Ping, RecvStream, SendStream,
    client::{Connection, SendRequest},
};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use prost::Message;
use rustls_pki_types::ServerName;
use tokio::{
    net::TcpStream,
    sync::{Notify, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;
use tonic::Status;

use super::{
    EtcdConfig,
    framing::{Unframe, framed},
};
use crate::CallError;

/// How long opening a connection may take.
const DIAL: Duration = Duration::from_secs(2);
/// How often a connection's other side is asked whether it lives: etcd bears no more than one question in 5 s
/// (`--grpc-keepalive-min-time`).
const ASK: Duration = Duration::from_secs(5);
/// How long it has to answer: so a member whose machine lost its power is noticed within 7 s. Calls made meanwhile go to
/// the others, which have less under way.
const ANSWER: Duration = Duration::from_secs(2);
/// How soon a member that could not be reached is dialled again when a call asks for it.
const SOON: Duration = Duration::from_millis(20);
/// How long it is left alone at most when none does.
const SELDOM: Duration = Duration::from_secs(5);
/// What etcd may send ahead on a stream, and on all: one that is read slowly does not hold up the others.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 32 << 20;

/// What HTTP/2 is spoken on, plain or in TLS: what calls write at the same time goes out together.
type Wire = Gathering<Box<dyn Below + Send>>;

/// Where a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Address {
    /// As in the URL; what a certificate must be for.
    host: Box<str>,
    port: u16,
    secure: bool,
}

impl Address {
    /// Reads a URL of `--etcd-servers`.
    fn parse(url: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("etcd server {url:?}: {why}");
        let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| wrong(&error.to_string()))?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong("it must begin with https:// or http://")),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| wrong("it names no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        // etcd's own port.
        Ok(Self { host: host.into(), port: uri.port_u16().unwrap_or(2379), secure })
    }

    fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// The state of a connection.
#[derive(Clone)]
enum Link {
    /// It is being opened, and calls may wait for it.
    Opening,
    /// Calls go over it. The number tells it from those before and after it.
    Up(SendRequest<Bytes>, u64),
    /// It could not be opened.
    Down(Arc<io::Error>),
}

/// One member as calls see it.
struct Member {
    /// Scheme and authority of its requests.
    scheme: &'static str,
    authority: http::uri::Authority,
    /// Calls that wait for its answer.
    under_way: AtomicUsize,
    /// The number of the last connection that took no more calls.
    spent: AtomicU64,
    /// Wakes its task: a call wants it, or its connection is spent.
    wanted: Notify,
}

/// The members of a cluster. The tasks that hold their connections end with it.
pub(super) struct Members {
    members: Arc<[Member]>,
    links: watch::Receiver<Vec<Link>>,
    /// Where to begin looking, so that equals take turns.
    turn: AtomicUsize,
    _tasks: JoinSet<()>,
}

impl Members {
    /// Begins to connect to all of them.
    pub(super) fn connect(config: &EtcdConfig) -> Result<Self, CallError> {
        let unusable =
            |why: String| CallError::Connection(Arc::new(io::Error::new(io::ErrorKind::InvalidInput, why)));
        let addresses = config.servers.iter().map(|url| Address::parse(url));
        let addresses: Vec<Address> = addresses.collect::<Result<_, _>>().map_err(unusable)?;
        if addresses.is_empty() {
            return Err(unusable("--etcd-servers names no server".into()));
        }
        let tls = if addresses.iter().any(|address| address.secure) {
            Some(tls(config).map_err(|error| unusable(error.to_string()))?)
        } else {
            None
        };
        let members = addresses.iter().map(|address| {
            let authority = address.authority();
            Ok(Member {
                scheme: if address.secure { "https" } else { "http" },
                authority: authority.parse().map_err(|error| format!("etcd server {authority}: {error}"))?,
                under_way: AtomicUsize::new(0),
                spent: AtomicU64::new(0),
                wanted: Notify::new(),
            })
        });
        let members: Arc<[Member]> = members.collect::<Result<_, _>>().map_err(unusable)?;
        let (states, links) = watch::channel(vec![Link::Opening; members.len()]);
        let states = Arc::new(states);
        let mut tasks = JoinSet::new();
        for (index, address) in addresses.into_iter().enumerate() {
            let dialer = Dialer { tls: tls.clone().filter(|_| address.secure), address };
            tasks.spawn(keep_connected(dialer, Arc::clone(&members), index, Arc::clone(&states)));
        }
        Ok(Self { members, links, turn: AtomicUsize::new(0), _tasks: tasks })
    }

    /// Asks one question and reads its answer.
    pub(super) async fn unary<Q: Message, A: Message + Default>(
        &self,
        path: &'static str,
        question: &Q,
    ) -> Result<A, CallError> {
        let picked = self.pick().await?;
        picked.member.under_way.fetch_add(1, Ordering::Relaxed);
        let _done = Done(&picked.member.under_way);
        let (response, _) = picked.send(path, framed(question), false)?;
        let mut answers = Answers::begin(response.await?)?;
        let answer = answers.next().await?.ok_or_else(|| Status::internal("an answer without a message"))?;
        answers.end().await?;
        Ok(answer)
    }

    /// Sends one message and reads those that come for it, until either side ends.
    pub(super) async fn stream<Q: Message>(
        &self,
        path: &'static str,
        first: &Q,
    ) -> Result<Answers, CallError> {
        let (response, question) = self.pick().await?.send(path, framed(first), true)?;
        let mut answers = Answers::begin(response.await?)?;
        answers.question = Some(question);
        Ok(answers)
    }

    /// The member to ask: of those that are connected, the one with the least under way. While there is none, those that
    /// are being connected are waited for.
    async fn pick(&self) -> Result<Picked<'_>, CallError> {
        if let Some(picked) = self.least_busy(&self.links.borrow()) {
            return Ok(picked);
        }
        let mut links = self.links.clone();
        let decided =
            links.wait_for(|links| links.iter().all(Link::is_down) || links.iter().any(Link::is_up)).await;
        let decided = decided.map_err(|_| Status::cancelled("the connections to etcd have been closed"))?;
        if let Some(picked) = self.least_busy(&decided) {
            return Ok(picked);
        }
        for member in &*self.members {
            member.wanted.notify_one();
        }
        let turn = self.turn.load(Ordering::Relaxed) % decided.len();
        match &decided[turn] {
            Link::Down(error) => Err(CallError::Connection(Arc::clone(error))),
            _ => Err(Status::unavailable("etcd is not connected").into()),
        }
    }

    fn least_busy(&self, links: &[Link]) -> Option<Picked<'_>> {
        let turn = if links.len() > 1 { self.turn.fetch_add(1, Ordering::Relaxed) } else { 0 };
        let order = (0..links.len()).map(|step| turn.wrapping_add(step) % links.len());
        let up = order.filter_map(|index| match (&self.members[index], &links[index]) {
            (member, Link::Up(link, number)) if *number > member.spent.load(Ordering::Relaxed) => {
                Some((member, link, *number))
            }
            _ => None,
        });
        let (member, link, number) =
            up.min_by_key(|(member, ..)| member.under_way.load(Ordering::Relaxed))?;
        Some(Picked { member, link: link.clone(), number })
    }
}

/// A member that a call goes to, and the connection it goes over.
struct Picked<'a> {
    member: &'a Member,
    link: SendRequest<Bytes>,
    number: u64,
}

impl Picked<'_> {
    /// Sends a message; `open` leaves our side of the stream as it is.
    fn send(
        mut self,
        path: &'static str,
        message: Bytes,
        open: bool,
    ) -> Result<(h2::client::ResponseFuture, SendStream<Bytes>), CallError> {
        let request = self.member.request(path, open)?;
        let (response, mut stream) = self.link.send_request(request, false).inspect_err(|_| {
            // It takes no more calls: etcd is about to go, or is gone.
            self.member.spent.fetch_max(self.number, Ordering::Relaxed);
            self.member.wanted.notify_one();
        })?;
        stream.send_data(message, !open)?;
        Ok((response, stream))
    }
}

impl Member {
    fn request(&self, path: &'static str, needs_leader: bool) -> Result<Request<()>, CallError> {
        let uri = Uri::builder().scheme(self.scheme).authority(self.authority.clone()).path_and_query(path);
        let mut headers = HeaderMap::with_capacity(3);
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        if needs_leader {
            // A member that is cut off from the others ends the watch rather than be silent.
            headers.insert("hasleader", HeaderValue::from_static("true"));
        }
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.build().map_err(|error| Status::internal(error.to_string()))?;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

impl Link {
    fn is_up(&self) -> bool {
        matches!(self, Self::Up(..))
    }
    fn is_down(&self) -> bool {
        matches!(self, Self::Down(_))
    }
}

/// Counts a call as done, however it ends.
struct Done<'a>(&'a AtomicUsize);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The messages that come for a call.
pub(crate) struct Answers {
    body: RecvStream,
    pieces: Unframe,
    /// Our side of a stream, which stays open as long as answers are wanted.
    question: Option<SendStream<Bytes>>,
}

impl Answers {
    fn begin(response: http::Response<RecvStream>) -> Result<Self, CallError> {
        let (head, body) = response.into_parts();
        // A call that is refused at once has its status here.
        refused(&head.headers)?;
        if head.status != http::StatusCode::OK {
            return Err(Status::unavailable(format!("HTTP status {}", head.status)).into());
        }
        Ok(Self { body, pieces: Unframe::default(), question: None })
    }

    /// The next message; none when etcd has ended the stream. May be dropped and called again.
    pub(crate) async fn next<A: Message + Default>(&mut self) -> Result<Option<A>, CallError> {
        loop {
            if let Some(message) = self.pieces.take().map_err(Status::internal)? {
                let message = A::decode(message);
                return Ok(Some(message.map_err(|error| Status::internal(error.to_string()))?));
            }
            let Some(piece) = self.body.data().await else {
                refused(&self.body.trailers().await?.unwrap_or_default())?;
                let broken = self.pieces.is_within();
                return if broken {
                    Err(Status::unavailable("a message broke off").into())
                } else {
                    Ok(None)
                };
            };
            let piece = piece?;
            self.body.flow_control().release_capacity(piece.len())?;
            self.pieces.push(piece);
        }
    }

    /// Reads what is left: nothing but whether all went well.
    async fn end(mut self) -> Result<(), CallError> {
        match self.next::<()>().await? {
            None => Ok(()),
            Some(()) => Err(Status::internal("more than one answer to one question").into()),
        }
    }
}

/// Reads the status of a call from headers or trailers.
fn refused(headers: &HeaderMap) -> Result<(), CallError> {
    match Status::from_header_map(headers) {
        Some(status) if status.code() != tonic::Code::Ok => Err(status.into()),
        _ => Ok(()),
    }
}

impl From<h2::Error> for CallError {
    fn from(error: h2::Error) -> Self {
        match error.get_io().map(|cause| io::Error::new(cause.kind(), cause.to_string())) {
            Some(cause) => Self::Connection(Arc::new(cause)),
            None => Status::unavailable(error.to_string()).into(),
        }
    }
}

/// A connection, and what it is spoken on.
struct Opened {
    link: SendRequest<Bytes>,
    connection: Connection<Wire>,
    wire: Wire,
}

/// How a member is reached.
struct Dialer {
    address: Address,
    tls: Option<TlsConnector>,
}

impl Dialer {
    async fn open(&self) -> io::Result<Opened> {
        let stream = TcpStream::connect((&*self.address.host, self.address.port)).await?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Below + Send> = match &self.tls {
            Some(tls) => {
                let name = ServerName::try_from(self.address.host.to_string()).map_err(io::Error::other)?;
                Box::new(tls.connect(name, stream).await?)
            }
            None => Box::new(stream),
        };
        let mut http = h2::client::Builder::new();
        http.initial_window_size(STREAM_WINDOW);
        http.initial_connection_window_size(CONNECTION_WINDOW);
        http.enable_push(false);
        let wire = Gathering::new(stream);
        let (link, connection) = http.handshake(wire.clone()).await.map_err(io::Error::other)?;
        Ok(Opened { link, connection, wire })
    }
}

/// Keeps one member connected, for ever.
async fn keep_connected(
    dialer: Dialer,
    members: Arc<[Member]>,
    index: usize,
    states: Arc<watch::Sender<Vec<Link>>>,
) {
    let member = &members[index];
    let is = |link: Link| states.send_modify(|links| links[index] = link);
    let (mut pause, mut number) = (SOON, 0);
    loop {
        let opened = timeout(DIAL, dialer.open()).await;
        let error = match opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(Opened { link, connection, wire }) => {
                pause = SOON;
                number += 1;
                is(Link::Up(link, number));
                let reason = hold(connection, &wire, member, number).await;
                tracing::debug!(member = %member.authority, reason, "the connection to etcd ended");
                is(Link::Opening);
                sleep(SOON).await;
                continue;
            }
            Err(error) => error,
        };
        tracing::debug!(member = %member.authority, %error, "cannot connect to etcd");
        is(Link::Down(Arc::new(error)));
        tokio::select! {
            () = sleep(pause) => {}
            () = async { tokio::join!(sleep(SOON), member.wanted.notified()); } => {}
        }
        pause = (pause * 2).min(SELDOM);
    }
}

/// Drives a connection until it ends, is spent, or its other side no longer answers; says why.
async fn hold(mut connection: Connection<Wire>, wire: &Wire, member: &Member, number: u64) -> String {
    let ping = connection.ping_pong();
    let connection = pin!(connection);
    let lives = async move {
        let Some(mut ping) = ping else { return std::future::pending().await };
        loop {
            sleep(ASK).await;
            match timeout(ANSWER, ping.ping(Ping::opaque())).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return error.to_string(),
                Err(_) => return format!("no answer within {ANSWER:?}"),
            }
        }
    };
    let spent = async {
        while member.spent.load(Ordering::Relaxed) < number {
            member.wanted.notified().await;
        }
    };
    tokio::select! {
        ended = wire.drive(connection) => match ended {
            Ok(()) => "closed".to_owned(),
            Err(error) => error.to_string(),
        },
        reason = lives => reason,
        () = spent => "it takes no more calls".to_owned(),
    }
}

fn tls(config: &EtcdConfig) -> Result<TlsConnector, pki::Error> {
    let no_file =
        |flag| pki::Error::Make(format!("{flag} is needed for an etcd server that begins with https://"));
    let authorities: &PathBuf = config.ca_file.as_ref().ok_or_else(|| no_file("--etcd-cafile"))?;
    let identity = match (&config.certificate_file, &config.key_file) {
        (Some(certificate), Some(key)) => Some(pki::Identity::load(certificate, key)?),
        _ => None,
    };
    let mut tls = pki::client_config(pki::Trust::file(authorities)?, identity)?;
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsConnector::from(Arc::new(tls)))
}

#[cfg(test)]
mod tests;
