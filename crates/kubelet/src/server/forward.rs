//! Port-forward: the client's streams joined to a port on the pod's own loopback.
//!
//! The connection is made from inside the pod's network namespace, on a thread that enters it for that and ends.

use std::{collections::HashMap, fs::File, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use component::Runtime;
use http::{HeaderValue, Request, Response, StatusCode};
use httpstream::{
    portforward::{PROTOCOL, TUNNEL},
    spdy::{self, Connection, End, Stream},
    websocket::{self, Channels, Message},
};
use hyper::{body::Incoming, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use nix::sched::{CloneFlags, setns};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    Body,
    query::Query,
    stream::{accept, switching},
    text,
};
use crate::{kubelet::Kubelet, pod};

/// How long a stream waits for its twin.
const TWIN: Duration = Duration::from_secs(30);
/// Streams that wait for their twins at once; a client that opens more halves of pairs has them dropped.
const HALVES: usize = 1024;
const CONNECT: Duration = Duration::from_secs(10);
const READ: usize = 32 << 10;

/// Where a pod's ports are reached.
#[derive(Clone)]
struct Place {
    /// The pod's network namespace; none for the node's own.
    namespace: Option<PathBuf>,
    name: String,
}

/// Serves port-forward.
pub(super) async fn serve(
    kubelet: &Arc<Kubelet>,
    mut request: Request<Incoming>,
    namespace: &str,
    pod: &str,
    query: &Query,
) -> Response<Body> {
    let Some((spec, state)) = kubelet.pods.by_name(namespace, pod) else {
        return text(StatusCode::NOT_FOUND, "pod does not exist");
    };
    let sandbox =
        state.observed.lock().sandbox().filter(|sandbox| sandbox.ready).map(|sandbox| sandbox.id.clone());
    let Some(sandbox) = sandbox else {
        return text(StatusCode::INTERNAL_SERVER_ERROR, "the pod is not running");
    };
    let network = match pod::is_host_network(&spec) {
        true => None,
        false => match network_of(kubelet, &sandbox).await {
            Ok(path) => Some(path),
            Err(error) => return text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")),
        },
    };
    let place = Place { namespace: network, name: format!("{namespace}/{pod}") };
    let client = hyper::upgrade::on(&mut request);

    if httpstream::asks_for(request.headers(), websocket::UPGRADE) {
        let served = [TUNNEL, "v4.channel.k8s.io", "v4.base64.channel.k8s.io"];
        let (response, protocol) = match accept(request.headers(), &served) {
            Ok(accepted) => accepted,
            Err(answer) => return *answer,
        };
        let mut ports: Vec<u16> = Vec::new();
        for text in query.all("ports").into_iter().chain(query.all("port")) {
            ports.extend(text.split(',').filter_map(|port| port.parse::<u16>().ok()));
        }
        let process = kubelet.process.clone();
        kubelet.spawn(async move {
            match client.await {
                Ok(client) if protocol == TUNNEL => tunnel(&process, TokioIo::new(client), place).await,
                Ok(client) => {
                    channels(Channels::new(TokioIo::new(client), protocol).await, &ports, &place).await
                }
                Err(error) => tracing::debug!(%error, "a client did not take up its streams"),
            }
        });
        return response;
    }
    if !httpstream::asks_for(request.headers(), spdy::UPGRADE) {
        return text(StatusCode::BAD_REQUEST, "Upgrade request required");
    }
    let response = switching(spdy::switching(Some(HeaderValue::from_static(PROTOCOL))));
    let process = kubelet.process.clone();
    kubelet.spawn(async move {
        match client.await {
            Ok(client) => connections(&process, TokioIo::new(client), place).await,
            Err(error) => tracing::debug!(%error, "a client did not take up its streams"),
        }
    });
    response
}

/// Asks the runtime where a sandbox's network namespace is.
async fn network_of(kubelet: &Kubelet, sandbox: &str) -> anyhow::Result<PathBuf> {
    let answer = kubelet.runtime.pod_sandbox_status(sandbox, true).await?;
    let info = answer.info.get("info").context("the runtime tells nothing about the sandbox")?;
    let info: serde_json::Value = serde_json::from_str(info)?;
    let namespaces = info["runtimeSpec"]["linux"]["namespaces"].as_array().cloned().unwrap_or_default();
    let network = namespaces.iter().find(|namespace| namespace["type"] == "network");
    if let Some(path) = network.and_then(|network| network["path"].as_str()).filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    let process = info["pid"].as_i64().filter(|pid| *pid > 0).context("the sandbox has no process")?;
    Ok(format!("/proc/{process}/ns/net").into())
}

/// Connects to a port of the pod.
async fn connect(place: &Place, port: u16) -> anyhow::Result<TcpStream> {
    let namespace = place.namespace.clone();
    let (answer, answered) = tokio::sync::oneshot::channel();
    // A thread of its own: it changes its network namespace and must serve nobody else after.
    std::thread::Builder::new().name("port-forward".into()).spawn(move || {
        let _ = answer.send(connect_inside(namespace, port));
    })?;
    let stream = answered.await.context("the connecting thread is gone")??;
    stream.set_nonblocking(true)?;
    let stream = TcpStream::from_std(stream)?;
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

fn connect_inside(namespace: Option<PathBuf>, port: u16) -> anyhow::Result<std::net::TcpStream> {
    if let Some(path) = namespace {
        let file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        setns(file, CloneFlags::CLONE_NEWNET).context("entering the pod's network namespace")?;
    }
    let four = SocketAddr::from(([127, 0, 0, 1], port));
    let six = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port));
    match std::net::TcpStream::connect_timeout(&four, CONNECT) {
        Ok(stream) => Ok(stream),
        Err(first) => std::net::TcpStream::connect_timeout(&six, CONNECT).map_err(|_| first.into()),
    }
}

/// Carries the connections that a client forwards over SPDY.
async fn connections<S>(process: &Runtime, io: S, place: Place)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + 'static,
{
    let (_connection, mut accepted, driver) = Connection::new(io, End::Server);
    process.spawn_session(driver);
    // Each forwarded connection is a pair: a stream for its bytes and one for what went wrong.
    let mut waiting: HashMap<String, (Stream, tokio::time::Instant)> = HashMap::new();
    while let Some(stream) = accepted.recv().await {
        let now = tokio::time::Instant::now();
        waiting.retain(|_, (_, since)| now.duration_since(*since) < TWIN);
        // Old clients send no request id; their pairs follow each other, the error stream first.
        let key = match stream.header("requestid") {
            "" if stream.header("streamtype") == "error" => stream.id().to_string(),
            "" => stream.id().saturating_sub(2).to_string(),
            id => id.to_owned(),
        };
        let Some((twin, _)) = waiting.remove(&key) else {
            if waiting.len() < HALVES {
                waiting.insert(key, (stream, now));
            }
            continue;
        };
        let (data, error) =
            if stream.header("streamtype") == "data" { (stream, twin) } else { (twin, stream) };
        let place = place.clone();
        process.spawn_session(async move {
            let port = data.header("port").parse::<u16>().unwrap_or_default();
            if let Err(why) = pump(data, &place, port).await {
                let message = format!("error forwarding port {port} to pod {}, uid : {why:#}", place.name);
                let _ = error.sender().write(message.into()).await;
            }
            let _ = error.sender().finish().await;
        });
    }
}

/// Carries one forwarded connection.
async fn pump(mut data: Stream, place: &Place, port: u16) -> anyhow::Result<()> {
    let sender = data.sender();
    let stream = match connect(place, port).await {
        Ok(stream) => stream,
        Err(error) => {
            let _ = sender.finish().await;
            return Err(error);
        }
    };
    let (mut reader, mut writer) = stream.into_split();
    let up = async {
        while let Some(bytes) = data.read().await {
            if writer.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = writer.shutdown().await;
    };
    let down = async {
        let mut buffer = vec![0; READ];
        while let Ok(count @ 1..) = reader.read(&mut buffer).await {
            if sender.write(Bytes::copy_from_slice(&buffer[..count])).await.is_err() {
                return;
            }
        }
        let _ = sender.finish().await;
    };
    tokio::pin!(up);
    // When the pod has said all, what the client still sends has nobody to read it.
    tokio::select! {
        () = down => {}
        () = async { (&mut up).await; std::future::pending::<()>().await } => {}
    }
    Ok(())
}

/// Carries SPDY inside a WebSocket's messages.
async fn tunnel(process: &Runtime, io: TokioIo<Upgraded>, place: Place) {
    let (inside, outside) = tokio::io::duplex(READ * 2);
    tokio::select! {
        () = websocket::carry(websocket::accepted(io).await, outside) => {}
        () = connections(process, inside, place) => {}
    }
}

/// Carries ports as channels of a WebSocket: two for each port, data and error, each begun with the port's number.
async fn channels(channels: Channels<TokioIo<Upgraded>>, ports: &[u16], place: &Place) {
    let (mut incoming, outgoing) = channels.split();
    let mut writers = Vec::new();
    let mut readers = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        // A byte numbers the channels: 127 pairs at most.
        let Ok(channel) = u8::try_from(index * 2) else { break };
        for channel in [channel, channel.saturating_add(1)] {
            outgoing.send(channel, Bytes::copy_from_slice(&port.to_le_bytes())).await;
        }
        match connect(place, *port).await {
            Ok(stream) => {
                let (reader, writer) = stream.into_split();
                writers.push(Some(writer));
                readers.push((channel, reader));
            }
            Err(why) => {
                let message = format!("error forwarding port {port} to pod {}, uid : {why:#}", place.name);
                outgoing.send(channel.saturating_add(1), message.into()).await;
                writers.push(None);
            }
        }
    }
    let up = async {
        while let Some(message) = incoming.next().await {
            if let Message::Data(channel, data) = message
                && channel % 2 == 0
                && let Some(Some(writer)) = writers.get_mut(usize::from(channel / 2))
                && writer.write_all(&data).await.is_err()
            {
                writers[usize::from(channel / 2)] = None;
            }
        }
    };
    let down = async {
        let outgoing = &outgoing;
        let each = readers.into_iter().map(|(channel, mut reader)| async move {
            let mut buffer = vec![0; READ];
            while let Ok(count @ 1..) = reader.read(&mut buffer).await {
                outgoing.send(channel, Bytes::copy_from_slice(&buffer[..count])).await;
            }
        });
        futures::future::join_all(each).await;
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
    outgoing.close().await;
}
