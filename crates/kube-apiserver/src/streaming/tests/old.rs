//! A kubelet that knows SPDY and the fourth protocol of channels, and clients that offer neither.

use std::collections::HashMap;

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{Method, StatusCode};
use httpstream::spdy::{self, Connection, End, Stream};
use httpstream::{portforward, remotecommand, websocket};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::World;
use crate::http::Body;

/// Answers as such a kubelet does; a WebSocket that it knows is none of this test's.
pub(super) fn answer(mut request: http::Request<Incoming>) -> http::Response<Body> {
    let refuse = |status: StatusCode, why: &'static str| {
        let mut response = http::Response::new(Body::full(why));
        *response.status_mut() = status;
        response
    };
    if httpstream::asks_for(request.headers(), websocket::UPGRADE) {
        return refuse(StatusCode::FORBIDDEN, "unable to negotiate protocol");
    }
    if !httpstream::asks_for(request.headers(), spdy::UPGRADE) || request.method() != Method::POST {
        return refuse(StatusCode::BAD_REQUEST, "Upgrade request required");
    }
    let path = request.uri().to_string();
    if path.contains("command=none") {
        return refuse(StatusCode::NOT_FOUND, "container not found");
    }
    let protocol = match path.starts_with("/portForward/") {
        true => portforward::PROTOCOL,
        false => remotecommand::PROTOCOL,
    };
    let offered =
        request.headers().get("x-stream-protocol-version").map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(offered.as_deref(), Some(protocol));
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let (connection, accepted, driver) =
            Connection::new(TokioIo::new(upgraded.await.unwrap()), End::Server);
        tokio::spawn(driver);
        match protocol {
            portforward::PROTOCOL => forward(accepted).await,
            _ => run(path, accepted).await,
        }
        connection.close().await;
    });
    let mut response = http::Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for (name, value) in
        [("connection", "Upgrade"), ("upgrade", spdy::UPGRADE), ("x-stream-protocol-version", protocol)]
    {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

/// A command that writes what it was asked for and then its input in capitals, tells of its terminal, and ends with 3
/// when its input does.
async fn run(path: String, mut accepted: tokio::sync::mpsc::Receiver<Stream>) {
    let kinds = [("input=1", "stdin"), ("output=1", "stdout"), ("error=1", "stderr"), ("tty=1", "resize")];
    let expected: Vec<&str> = kinds
        .into_iter()
        .filter(|(parameter, kind)| {
            path.contains(parameter) && !(*kind == "stderr" && path.contains("tty=1"))
        })
        .map(|(_, kind)| kind)
        .collect();
    let mut streams: HashMap<String, Stream> = HashMap::new();
    while streams.len() < expected.len() + 1 {
        let stream = accepted.recv().await.unwrap();
        streams.insert(stream.header("streamtype").to_owned(), stream);
    }
    let out = streams["stdout"].sender();
    out.write(Bytes::from(path)).await.unwrap();
    if let Some(mut resize) = streams.remove("resize") {
        let size = resize.read().await.unwrap();
        out.write(size).await.unwrap();
    }
    let mut stdin = streams.remove("stdin").unwrap();
    while let Some(data) = stdin.read().await {
        out.write(data.to_ascii_uppercase().into()).await.unwrap();
    }
    let status = json!({"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": "3"}]}});
    let error = streams["error"].sender();
    error.write(status.to_string().into()).await.unwrap();
    for stream in streams.values() {
        stream.sender().finish().await.unwrap();
    }
}

/// A port behind which each connection's bytes come back once, turned round.
async fn forward(mut accepted: tokio::sync::mpsc::Receiver<Stream>) {
    let error = accepted.recv().await.unwrap();
    let mut data = accepted.recv().await.unwrap();
    assert_eq!(
        (error.header("streamtype"), data.header("streamtype"), data.header("port")),
        ("error", "data", "80")
    );
    let bytes = data.read().await.unwrap();
    data.sender().write(bytes.iter().rev().copied().collect()).await.unwrap();
    data.sender().finish().await.unwrap();
    error.sender().finish().await.unwrap();
    // The client ends the connection.
    assert!(accepted.recv().await.is_none());
}

/// A WebSocket of one protocol to a subresource of the pod.
async fn connect(world: &World, what: &str, protocol: &str) -> Result<WebSocketStream<TcpStream>, Error> {
    let stream = TcpStream::connect(world.server).await.unwrap();
    let url = format!("ws://{}/api/v1/namespaces/a/pods/old/{what}", world.server);
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocol.parse().unwrap());
    let (socket, response) = client_async(request, stream).await?;
    assert_eq!(response.headers()[SEC_WEBSOCKET_PROTOCOL], protocol);
    Ok(socket)
}

/// What of each channel has come when the server closes.
async fn channels(mut socket: WebSocketStream<TcpStream>) -> HashMap<u8, Vec<u8>> {
    let mut channels: HashMap<u8, Vec<u8>> = HashMap::new();
    loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Binary(data) => channels.entry(data[0]).or_default().extend_from_slice(&data[1..]),
            Message::Close(frame) => {
                assert_eq!(frame.unwrap().code, CloseCode::Normal);
                return channels;
            }
            other => panic!("{other:?}"),
        }
    }
}

/// What the server's metrics say of translated streams.
fn counted() -> Vec<String> {
    let text = String::from_utf8(component::metrics::text()).unwrap();
    text.lines().filter(|line| line.starts_with("apiserver_stream_")).map(str::to_owned).collect()
}

#[tokio::test]
async fn commands_are_run_by_kubelets_that_know_only_spdy() {
    let world = World::new().await;
    for (what, query, size, said) in [
        (
            "exec",
            "command=cat&stdin=1&stdout=1&stderr=1",
            "",
            "/exec/a/old/c?command=cat&input=1&output=1&error=1",
        ),
        (
            "attach",
            "stdin=1&stdout=1&stderr=1&tty=1",
            "\x04{\"Width\":80}",
            "/attach/a/old/c?input=1&output=1&error=1&tty=1{\"Width\":80}",
        ),
    ] {
        let mut socket = connect(&world, &format!("{what}?{query}"), "v5.channel.k8s.io").await.unwrap();
        for message in [size, "\0some ", "\0input"].into_iter().filter(|message| !message.is_empty()) {
            socket.send(Message::binary(message.as_bytes().to_vec())).await.unwrap();
        }
        // The input ends, which only the fifth protocol can say, and the command sees it.
        socket.send(Message::binary(vec![255, 0])).await.unwrap();
        let seen = channels(socket).await;
        assert_eq!(String::from_utf8_lossy(&seen[&1]), format!("{said}SOME INPUT"));
        let status: Value = serde_json::from_slice(&seen[&3]).unwrap();
        assert_eq!(status["details"]["causes"][0]["message"], "3", "{status}");
        assert!(!seen.contains_key(&2));
    }
    world.tasks.close();
    world.tasks.wait().await;
    assert_eq!(counted(), ["apiserver_stream_translator_requests_total{code=\"200\"} 2"]);
}

#[tokio::test]
async fn ports_are_forwarded_by_kubelets_that_know_only_spdy() {
    let world = World::new().await;
    let socket = connect(&world, "portforward", portforward::TUNNEL).await.unwrap();
    let (inside, outside) = tokio::io::duplex(1 << 16);
    let (connection, _, driver) = Connection::new(inside, End::Client);
    let carried = tokio::spawn(async move { tokio::join!(driver, websocket::carry(socket, outside)) });
    let open = async |kind: &str| {
        let headers = [("streamtype", kind), ("port", "80"), ("requestid", "0")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        connection.open(headers).await.unwrap()
    };
    let (mut error, mut data) = (open("error").await, open("data").await);
    data.sender().write(Bytes::from_static(b"abc")).await.unwrap();
    assert_eq!(data.read().await.unwrap(), "cba");
    assert_eq!((data.read().await, error.read().await), (None, None));
    connection.close().await;
    carried.await.unwrap();
    world.tasks.close();
    world.tasks.wait().await;
    assert_eq!(counted(), ["apiserver_stream_tunnel_requests_total{code=\"101\"} 1"]);
}

#[tokio::test]
async fn what_translating_does_not_help_is_passed_on() {
    let world = World::new().await;
    for (what, protocol, status, why) in [
        // Refused over SPDY too.
        ("exec?command=none&stdout=1", "v5.channel.k8s.io", StatusCode::NOT_FOUND, "container not found"),
        // The kubelet has the last word about what it should know itself.
        (
            "exec?command=cat&stdout=1",
            "v4.channel.k8s.io",
            StatusCode::FORBIDDEN,
            "unable to negotiate protocol",
        ),
        ("portforward", "other", StatusCode::FORBIDDEN, "unable to negotiate protocol"),
    ] {
        let Err(Error::Http(answer)) = connect(&world, what, protocol).await else {
            panic!("{what} is served")
        };
        assert_eq!(answer.status(), status);
        assert_eq!(answer.body().as_deref().unwrap_or_default(), why.as_bytes());
    }
    // Only the first was for the translator.
    assert_eq!(counted(), ["apiserver_stream_translator_requests_total{code=\"500\"} 1"]);
}
