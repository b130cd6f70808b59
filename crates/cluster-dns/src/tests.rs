//! The whole server at sockets of the loopback interface, with a name server beside it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use component::Runtime;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use parking_lot::RwLock;
use testkit::Dice;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::answer::Zones;
use crate::forward::Forwarder;
use crate::message::{Transport, read_reply};
use crate::records::{Endpoint, Records, Service, Slice, dashed};
use crate::server::{Server, Step};
use crate::{run, tcp, wire};

const SOON: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_millis(200);

fn records() -> Records {
    let mut records = Records::default();
    records.apply_namespace("d");
    let addresses = Box::new(["10.96.0.7".parse().unwrap()]);
    records.apply_service("d/web", Service::ClusterIp { addresses, ports: Box::new([]) });
    records.apply_service("d/big", Service::Headless { publish_not_ready: false });
    let endpoints = (0..600u16).map(|number| {
        let address = SocketAddr::from(([10, 0, (number / 256) as u8, number as u8], 0)).ip();
        Endpoint { name: dashed(address), address, ready: true }
    });
    records.apply_slice("d/big-1", "d/big", Slice::new(Vec::new(), endpoints.collect()));
    records.apply_service("d/away", Service::ExternalName("www.example.com".into()));
    records
}

/// A server with its runtime; returns the address of both its sockets.
async fn serve(upstreams: Vec<SocketAddr>) -> (Runtime, SocketAddr) {
    let zones = Zones { domain: Name::from_ascii("cluster.local.").unwrap(), networks: Vec::new() };
    let forwarder = Forwarder::new(upstreams, PATIENCE);
    let server = Server::new(zones, Arc::new(RwLock::new(records())), forwarder);
    let runtime = Runtime::detached();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let socket = UdpSocket::bind(address).await.unwrap();
    run::answer(&runtime, Arc::new(server), socket, listener, Duration::ZERO);
    (runtime, address)
}

/// A name server that knows `www.example.com` and nothing else; counts what it is asked.
async fn name_server() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let socket = UdpSocket::bind(address).await.unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    Runtime::detached().spawn_transient(async move {
        let mut packet = vec![0; 4096];
        loop {
            tokio::select! {
                received = socket.recv_from(&mut packet) => {
                    let (length, peer) = received.unwrap();
                    let reply = foreign_reply(&packet[..length], true);
                    // A forged reply first: it must be passed over.
                    let mut forged = reply.clone();
                    forged[0] ^= 1;
                    socket.send_to(&forged, peer).await.unwrap();
                    socket.send_to(&reply, peer).await.unwrap();
                }
                accepted = listener.accept() => {
                    let (mut stream, _) = accepted.unwrap();
                    let mut message = vec![0; stream.read_u16().await.unwrap().into()];
                    stream.read_exact(&mut message).await.unwrap();
                    let reply = foreign_reply(&message, false);
                    stream.write_u16(reply.len() as u16).await.unwrap();
                    stream.write_all(&reply).await.unwrap();
                }
            }
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    (address, asked)
}

fn foreign_reply(request: &[u8], packet: bool) -> Vec<u8> {
    let mut reply = Message::from_vec(request).unwrap().into_response();
    let name = reply.queries[0].name().clone();
    match name.to_lowercase().to_string().as_str() {
        "www.example.com." => {
            let address = RData::A(A::new(192, 0, 2, 1));
            reply.add_answer(Record::from_rdata(name, 300, address));
        }
        "long.example.com." if packet => reply.metadata.truncation = true,
        "long.example.com." => {
            for number in 0..200 {
                let address = RData::A(A::new(192, 0, 2, number));
                reply.add_answer(Record::from_rdata(name.clone(), 300, address));
            }
        }
        _ => reply.metadata.response_code = ResponseCode::NXDomain,
    }
    reply.to_vec().unwrap()
}

fn question(name: &str, payload: Option<u16>) -> Vec<u8> {
    let mut message = Message::new(0xbeef, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
    if let Some(payload) = payload {
        let mut edns = Edns::new();
        edns.set_max_payload(payload);
        message.set_edns(edns);
    }
    message.to_vec().unwrap()
}

async fn by_udp(server: SocketAddr, request: &[u8]) -> Message {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server).await.unwrap();
    socket.send(request).await.unwrap();
    let mut reply = vec![0; 65536];
    let length = timeout(SOON, socket.recv(&mut reply)).await.unwrap().unwrap();
    Message::from_vec(&reply[..length]).unwrap()
}

async fn by_tcp(stream: &mut TcpStream, request: &[u8]) -> Message {
    stream.write_u16(request.len() as u16).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut reply = vec![0; timeout(SOON, stream.read_u16()).await.unwrap().unwrap().into()];
    stream.read_exact(&mut reply).await.unwrap();
    Message::from_vec(&reply).unwrap()
}

fn addresses(message: &Message) -> Vec<String> {
    message.answers.iter().map(|record| record.data.to_string()).collect()
}

#[tokio::test]
async fn answers_packets_and_connections_alike() {
    let (_runtime, server) = serve(Vec::new()).await;
    let request = question("Web.d.svc.Cluster.local.", None);
    let mut stream = TcpStream::connect(server).await.unwrap();
    for reply in [
        by_udp(server, &request).await,
        by_tcp(&mut stream, &request).await,
        by_tcp(&mut stream, &request).await,
    ] {
        assert_eq!(addresses(&reply), ["10.96.0.7"]);
        assert_eq!((reply.metadata.id, reply.metadata.authoritative), (0xbeef, true));
        assert!(reply.metadata.recursion_available && reply.metadata.recursion_desired);
        // As it was spelt.
        assert_eq!(reply.queries[0].name().to_string(), "Web.d.svc.Cluster.local.");
        assert_eq!(reply.answers[0].name.to_string(), "Web.d.svc.Cluster.local.");
        assert!(reply.edns.is_none());
    }
}

#[tokio::test]
async fn what_does_not_fit_is_cut_short_and_whole_on_a_connection() {
    let (_runtime, server) = serve(Vec::new()).await;
    let name = "big.d.svc.cluster.local.";
    for (payload, limit) in [(None, 512), (Some(100), 512), (Some(800), 800), (Some(60000), 1232)] {
        let reply = by_udp(server, &question(name, payload)).await;
        assert!(reply.metadata.truncation, "{payload:?}");
        let length = reply.to_vec().unwrap().len();
        assert!(length <= limit && length > limit - 30, "{payload:?}: {length}");
        assert_eq!(reply.edns.is_some(), payload.is_some());
    }
    let mut stream = TcpStream::connect(server).await.unwrap();
    let reply = by_tcp(&mut stream, &question(name, None)).await;
    assert_eq!((reply.answers.len(), reply.metadata.truncation), (600, false));
}

#[tokio::test]
async fn other_names_are_asked_elsewhere_once() {
    let (upstream, asked) = name_server().await;
    let (_runtime, server) = serve(vec![upstream]).await;
    for name in ["www.example.com.", "WWW.Example.com."] {
        let reply = by_udp(server, &question(name, None)).await;
        assert_eq!(addresses(&reply), ["192.0.2.1"]);
        assert_eq!((reply.metadata.id, reply.metadata.authoritative), (0xbeef, false));
        assert_eq!(reply.queries[0].name().to_string(), name);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1, "the second answer was kept from the first");
    let reply = by_udp(server, &question("no.example.com.", None)).await;
    assert_eq!(reply.metadata.response_code, ResponseCode::NXDomain);
}

#[tokio::test]
async fn a_long_reply_of_another_server_comes_by_connection() {
    let (upstream, _) = name_server().await;
    let (_runtime, server) = serve(vec![upstream]).await;
    let request = question("long.example.com.", None);
    assert!(by_udp(server, &request).await.metadata.truncation);
    let mut stream = TcpStream::connect(server).await.unwrap();
    assert_eq!(by_tcp(&mut stream, &request).await.answers.len(), 200);
}

#[tokio::test]
async fn aliases_are_followed_out_of_the_cluster() {
    let (upstream, _) = name_server().await;
    let (_runtime, server) = serve(vec![upstream]).await;
    let request = question("away.d.svc.cluster.local.", Some(1232));
    for _ in 0..2 {
        let reply = by_udp(server, &request).await;
        assert_eq!(addresses(&reply), ["www.example.com.", "192.0.2.1"]);
    }
    let (_runtime, alone) = serve(Vec::new()).await;
    let reply = by_udp(alone, &request).await;
    assert_eq!(addresses(&reply), ["www.example.com."], "the alias is true all the same");
}

#[tokio::test]
async fn the_next_server_is_asked_when_one_is_silent() {
    // Bound and never read.
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (upstream, _) = name_server().await;
    let (_runtime, server) = serve(vec![silent.local_addr().unwrap(), upstream]).await;
    assert_eq!(addresses(&by_udp(server, &question("www.example.com.", None)).await), ["192.0.2.1"]);
}

#[tokio::test]
async fn nobody_to_ask_is_a_failure_at_once() {
    let gone = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for upstreams in [Vec::new(), vec![gone]] {
        let (_runtime, server) = serve(upstreams).await;
        let reply = by_udp(server, &question("www.example.com.", Some(1232))).await;
        assert_eq!(reply.metadata.response_code, ResponseCode::ServFail);
        assert_eq!(reply.queries.len(), 1);
    }
}

#[tokio::test]
async fn what_is_no_question_is_refused_or_passed_over() {
    let (_runtime, server) = serve(Vec::new()).await;
    let request = question("web.d.svc.cluster.local.", None);
    let changed = |at: usize, to: u8| {
        let mut request = request.clone();
        request[at] = to;
        request
    };
    for (message, code) in [
        (changed(2, 0x20), ResponseCode::NotImp),
        (changed(5, 0), ResponseCode::FormErr),
        (changed(5, 2), ResponseCode::FormErr),
        (changed(4, 0xff), ResponseCode::FormErr),
        (changed(7, 1), ResponseCode::FormErr),
        (changed(11, 9), ResponseCode::FormErr),
        (changed(12, 0xc0), ResponseCode::FormErr),
        (changed(12, 63), ResponseCode::FormErr),
        (request[..20].to_vec(), ResponseCode::FormErr),
    ] {
        assert_eq!(by_udp(server, &message).await.metadata.response_code, code, "{message:?}");
    }
    let mut newer = Message::from_vec(&question("web.d.svc.cluster.local.", Some(1232))).unwrap();
    newer.edns.as_mut().unwrap().set_version(1);
    let reply = by_udp(server, &newer.to_vec().unwrap()).await;
    // Number 16 has two names.
    assert_eq!(u16::from(reply.metadata.response_code), u16::from(ResponseCode::BADVERS));

    // Neither half a header nor an answer gets one; what comes after them does.
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server).await.unwrap();
    for silent in [request[..11].to_vec(), changed(2, 0x80), Vec::new()] {
        socket.send(&silent).await.unwrap();
    }
    let mut last = request.clone();
    last[0] = 1;
    socket.send(&last).await.unwrap();
    let mut reply = vec![0; 512];
    timeout(SOON, socket.recv(&mut reply)).await.unwrap().unwrap();
    assert_eq!(reply[..2], last[..2]);
}

#[tokio::test]
async fn a_connection_that_sends_nonsense_is_closed() {
    let (_runtime, server) = serve(Vec::new()).await;
    for nonsense in [&b"\xff\xffGET / HTTP/1.1"[..], b"\0\x03abc"] {
        let mut stream = TcpStream::connect(server).await.unwrap();
        stream.write_all(nonsense).await.unwrap();
        let mut rest = Vec::new();
        // Closed with or without reset: both end the reading.
        let _ = timeout(SOON, stream.read_to_end(&mut rest)).await.unwrap();
        assert!(rest.is_empty());
    }
}

#[tokio::test]
async fn a_connection_that_is_silent_or_never_done_is_closed() {
    let zones = Zones { domain: Name::from_ascii("cluster.local.").unwrap(), networks: Vec::new() };
    let forwarder = Forwarder::new(Vec::new(), PATIENCE);
    let server = Server::new(zones, Arc::new(RwLock::new(records())), forwarder);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let idle = Duration::from_millis(50);
    let serving = tcp::serve(Arc::new(server), listener, idle, CancellationToken::new());
    Runtime::detached().spawn_transient(serving);
    for beginning in [&b""[..], b"\0", b"\0\x20abc"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(beginning).await.unwrap();
        let mut rest = Vec::new();
        let _ = timeout(SOON, stream.read_to_end(&mut rest)).await.expect("the connection is still open");
        assert!(rest.is_empty());
    }
}

/// Messages changed at random, from a seed: whatever they are, nothing panics, and replies keep to their limit.
#[test]
fn no_message_does_harm() {
    let zones = Zones { domain: Name::from_ascii("cluster.local.").unwrap(), networks: Vec::new() };
    let forwarder = Forwarder::new(Vec::new(), PATIENCE);
    let server = Server::new(zones, Arc::new(RwLock::new(records())), forwarder);
    let seeds = [
        question("web.d.svc.cluster.local.", Some(1232)),
        question("10-0-0-1.big.d.svc.cluster.local.", None),
        question("7.0.96.10.in-addr.arpa.", Some(512)),
        question("away.d.svc.cluster.local.", Some(4096)),
    ];
    let mut dice = Dice::new(0x9e37_79b9_7f4a_7c15);
    let mut answered = 0;
    for round in 0..20_000 {
        let mut message = seeds[round % seeds.len()].clone();
        for _ in 0..=dice.roll(4) {
            match dice.roll(3) {
                0 => message.truncate(dice.roll(message.len() + 1)),
                1 => message.extend((0..dice.roll(40)).map(|number| number as u8 ^ 0xc0)),
                _ => {
                    let at = dice.roll(message.len().max(1));
                    let value = dice.roll(256) as u8;
                    message.iter_mut().skip(at).take(1).for_each(|octet| *octet = value);
                }
            }
        }
        let peer = SocketAddr::from(([127, 0, 0, 1], 9)).ip();
        if let Step::Reply(mut reply) = server.begin(&message, peer, Transport::Udp) {
            answered += 1;
            assert!(reply.len() <= 1232 && reply[..2] == message[..2]);
            wire::truncate(&mut reply);
        }
        // As if another server had sent it.
        read_reply(&message, RecordType::A);
        wire::each_ttl(&mut message, |ttl| ttl);
    }
    assert!(answered > 1000, "{answered}");
}
