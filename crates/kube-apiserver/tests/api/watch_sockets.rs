//! Watches over a WebSocket.

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::cluster::{Cluster, MAPS, map};

type Socket = WebSocketStream<TlsStream<TcpStream>>;

async fn open(cluster: &Cluster, path: &str, accept: &str) -> Result<Socket, Error> {
    let connection = cluster.connection("admin", &["system:masters"], "http/1.1").await;
    let mut request = format!("wss://localhost{path}").into_client_request().unwrap();
    request.headers_mut().insert("accept", accept.parse().unwrap());
    let (socket, answer) = client_async(request, connection).await?;
    assert_eq!(answer.status(), 101);
    Ok(socket)
}

async fn next(socket: &mut Socket) -> Message {
    let message = tokio::time::timeout(std::time::Duration::from_secs(20), socket.next()).await;
    message.expect("a message within 20 s").expect("the socket is open").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_over_a_websocket_sends_each_event_as_a_message() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let made = client.post(MAPS, &map("a", "☃")).await.ok();
    client.post(MAPS, &map("b", "1")).await.ok();
    let selected = format!("{MAPS}?watch=true&fieldSelector=metadata.name!=kube-root-ca.crt");
    let mut socket = open(&cluster, &selected, "application/json").await.unwrap();
    let event = |message: Message| -> Value { serde_json::from_str(message.to_text().unwrap()).unwrap() };
    let first = next(&mut socket).await;
    assert!(first.is_text(), "{first:?}");
    assert_eq!(event(first), json!({"type": "ADDED", "object": made}));
    assert_eq!(event(next(&mut socket).await)["object"]["metadata"]["name"], "b");
    socket.send(Message::Ping("are you there".into())).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::Pong("are you there".into()));
    client.delete(&format!("{MAPS}/a")).await.ok();
    assert_eq!(event(next(&mut socket).await)["type"], "DELETED");

    // Protobuf comes in binary messages, without the length that separates events in a plain answer.
    let mut binary =
        open(&cluster, &selected, "application/vnd.kubernetes.protobuf;stream=watch").await.unwrap();
    let Message::Binary(event) = next(&mut binary).await else { panic!("not binary") };
    assert_eq!(&event[..8], b"\x0a\x05ADDED\x12");

    // A client that goes ends its watch, and a watch that ends is closed. The server itself watches none of these.
    let cache = cluster.server.store.cache("podtemplates").unwrap();
    let mut idle = open(&cluster, "/api/v1/podtemplates?watch=1", "application/json").await.unwrap();
    testkit::eventually(|| async {
        if cache.watch_count() == 1 { Ok(()) } else { Err(cache.watch_count()) }
    })
    .await;
    idle.close(None).await.unwrap();
    testkit::eventually(|| async {
        if cache.watch_count() == 0 { Ok(()) } else { Err(cache.watch_count()) }
    })
    .await;
    let mut short =
        open(&cluster, &format!("{MAPS}?watch=1&timeoutSeconds=1&labelSelector=x"), "*/*").await.unwrap();
    assert!(matches!(next(&mut short).await, Message::Close(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_that_may_not_watch_is_refused_as_any_request() {
    let cluster = Cluster::start().await;
    let wrong = open(&cluster, &format!("{MAPS}?watch=1&resourceVersion=x"), "application/json").await;
    let Err(Error::Http(answer)) = wrong else { panic!("{wrong:?}") };
    assert_eq!(answer.status(), 422);
    let connection = cluster.connection("nobody", &[], "http/1.1").await;
    let request = format!("wss://localhost{MAPS}?watch=1").into_client_request().unwrap();
    let Err(Error::Http(answer)) = client_async(request, connection).await else { panic!("not refused") };
    assert_eq!(answer.status(), 403);
}
