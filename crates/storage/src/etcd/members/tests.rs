use h2::server::{self, SendResponse};
use tokio::net::TcpListener;

use super::*;
use crate::etcd::{Etcd, RANGE, counting, wire::RangeResponse};

type Accepted = server::Connection<TcpStream, Bytes>;

/// A server of HTTP/2 that does what a test says.
async fn listen() -> (TcpListener, EtcdConfig) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let servers = vec![format!("http://{}", listener.local_addr().unwrap())];
    (listener, EtcdConfig { servers, ..EtcdConfig::default() })
}

async fn accept(listener: &TcpListener) -> Accepted {
    server::handshake(listener.accept().await.unwrap().0).await.unwrap()
}

async fn question(connection: &mut Accepted) -> SendResponse<Bytes> {
    connection.accept().await.unwrap().unwrap().1
}

fn trailers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &'static str)| {
        (http::HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    pairs.iter().map(pair).collect()
}

/// Answers with a revision, in as many pieces as there are bytes.
fn answer(mut to: SendResponse<Bytes>, revision: i64) {
    let header = Some(crate::etcd::wire::ResponseHeader { revision });
    let message = framed(&RangeResponse { header, ..RangeResponse::default() });
    let mut stream = to.send_response(http::Response::new(()), false).unwrap();
    for byte in message.chunks(1) {
        stream.send_data(Bytes::copy_from_slice(byte), false).unwrap();
    }
    stream.send_trailers(trailers(&[("grpc-status", "0")])).unwrap();
}

async fn drive(mut connection: Accepted) {
    while connection.accept().await.is_some() {}
}

#[tokio::test]
async fn a_connection_that_takes_no_more_calls_is_replaced() {
    let (listener, config) = listen().await;
    let server = tokio::spawn(async move {
        let mut first = accept(&listener).await;
        let (held, to) = (question(&mut first).await, question(&mut first).await);
        answer(to, 7);
        first.graceful_shutdown();
        let first = tokio::spawn(drive(first));
        // The next call comes over a connection of its own, though the first has one that is not answered.
        let mut second = accept(&listener).await;
        answer(question(&mut second).await, 8);
        drive(second).await;
        drop((first, held));
    });
    let etcd = Etcd::connect(&config).unwrap();
    let unanswered = tokio::spawn({
        let etcd = etcd.clone();
        async move { etcd.members.unary::<_, RangeResponse>(RANGE, &counting("held")).await }
    });
    while etcd.members.members[0].under_way.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(etcd.current_revision().await.unwrap(), 7);
    assert_eq!(etcd.current_revision().await.unwrap(), 8);
    assert!(unanswered.await.unwrap().is_err(), "what was under way on the first has ended with it");
    assert_eq!(etcd.members.members[0].under_way.load(Ordering::Relaxed), 0);
    server.abort();
}

#[tokio::test]
async fn what_etcd_refuses_has_its_words() {
    let (listener, config) = listen().await;
    let server = tokio::spawn(async move {
        let mut connection = accept(&listener).await;
        // At once, and behind half an answer.
        let mut to = question(&mut connection).await;
        let mut refusal = http::Response::new(());
        *refusal.headers_mut() =
            trailers(&[("grpc-status", "11"), ("grpc-message", "etcdserver:%20no%20such")]);
        to.send_response(refusal, true).unwrap();
        let mut to = question(&mut connection).await;
        let mut stream = to.send_response(http::Response::new(()), false).unwrap();
        stream.send_data(Bytes::from_static(&[0, 0, 0, 0, 9, 1]), false).unwrap();
        stream.send_trailers(trailers(&[("grpc-status", "0")])).unwrap();
        let mut to = question(&mut connection).await;
        let mut response = http::Response::new(());
        *response.status_mut() = http::StatusCode::BAD_GATEWAY;
        to.send_response(response, true).unwrap();
        drive(connection).await;
    });
    let members = Members::connect(&config).unwrap();
    for (words, code) in [
        ("etcdserver: no such", tonic::Code::OutOfRange),
        ("rpc error: code = Unavailable desc = a message broke off", tonic::Code::Unavailable),
        ("rpc error: code = Unavailable desc = HTTP status 502 Bad Gateway", tonic::Code::Unavailable),
    ] {
        let error = members.unary::<_, RangeResponse>(RANGE, &counting("key")).await.unwrap_err();
        assert_eq!(error.to_string(), words);
        assert!(matches!(error, CallError::Status(status) if status.code() == code), "{words}");
    }
    server.abort();
}

#[tokio::test]
async fn calls_go_to_the_member_that_has_the_least_to_do() {
    let (first, config) = listen().await;
    let (second, other) = listen().await;
    // The third is not there.
    let (third, absent) = listen().await;
    drop(third);
    let servers = [config.servers, other.servers, absent.servers].concat();
    let members = Members::connect(&EtcdConfig { servers, ..EtcdConfig::default() }).unwrap();
    let (one, two) = tokio::join!(accept(&first), accept(&second));
    let tasks = [tokio::spawn(drive(one)), tokio::spawn(drive(two))];
    let mut links = members.links.clone();
    links.wait_for(|links| links[0].is_up() && links[1].is_up() && links[2].is_down()).await.unwrap();
    let picks = |count: usize| {
        let members = &members;
        async move {
            let mut picked = Vec::new();
            for _ in 0..count {
                let member = members.pick().await.unwrap().member;
                picked.extend(members.members.iter().position(|other| std::ptr::eq(other, member)));
            }
            picked.sort_unstable();
            picked.dedup();
            picked
        }
    };
    assert_eq!(picks(6).await, [0, 1], "equals take turns");
    members.members[0].under_way.store(1, Ordering::Relaxed);
    assert_eq!(picks(6).await, [1]);
    members.members[1].under_way.store(2, Ordering::Relaxed);
    assert_eq!(picks(6).await, [0]);
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
}

#[test]
fn servers_are_read_as_the_flag_gives_them() {
    let at = |host: &str, port, secure| Ok(Address { host: host.into(), port, secure });
    for (url, expected) in [
        ("https://127.0.0.1:2379", at("127.0.0.1", 2379, true)),
        ("http://etcd-0.example:12379", at("etcd-0.example", 12379, false)),
        ("https://[fd00::1]:2379/", at("fd00::1", 2379, true)),
        ("https://etcd", at("etcd", 2379, true)),
        ("etcd:2379", Err(r#"etcd server "etcd:2379": it must begin with https:// or http://"#.into())),
        ("ftp://etcd", Err(r#"etcd server "ftp://etcd": it must begin with https:// or http://"#.into())),
    ] {
        assert_eq!(Address::parse(url), expected, "{url}");
    }
    assert_eq!(Address::parse("https://[fd00::1]").unwrap().authority(), "[fd00::1]:2379");
}

#[test]
fn a_status_is_read_from_headers() {
    assert!(refused(&trailers(&[])).is_ok());
    assert!(refused(&trailers(&[("grpc-status", "0")])).is_ok());
    let error = refused(&trailers(&[("grpc-status", "14"), ("grpc-message", "etcdserver:%20no leader")]));
    assert_eq!(error.unwrap_err().to_string(), "etcdserver: no leader");
}
