//! Answers that are made before a request's body is read, over HTTP/1.1.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::cluster::{Cluster, MAPS};

/// Reads one answer with its body.
async fn answer(stream: &mut TlsStream<TcpStream>) -> String {
    let read = async {
        let mut text = String::new();
        let mut buffer = [0; 4096];
        loop {
            let length = stream.read(&mut buffer).await.unwrap();
            assert!(length > 0, "the connection ended after {text:?}");
            text.push_str(&String::from_utf8_lossy(&buffer[..length]));
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let declared = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if declared.is_none_or(|declared: usize| body.len() >= declared) {
                return text;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), read).await.expect("an answer within 20 s")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_leaves_the_connection_to_the_next_request() {
    let cluster = Cluster::start().await;
    let other = cluster.admin().await;
    let mut stream = cluster.connection("admin", &["system:masters"], "http/1.1").await;
    for (method, path, kind, code) in [
        // No kind of patch, a method that is not there, a path that is not there.
        ("PATCH", format!("{MAPS}/a"), "application/yaml", "415"),
        ("PUT", MAPS.to_owned(), "application/json", "405"),
        ("POST", "/apis/none.example.com/v1/things".to_owned(), "application/json", "404"),
    ] {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: 70000\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        // Meanwhile the server could have answered, and the body is still on its way.
        assert_eq!(other.get("/version").await.code, 200);
        stream.write_all(&[b' '; 70000]).await.unwrap();
        stream.flush().await.unwrap();
        let refused = answer(&mut stream).await;
        assert!(refused.starts_with(&format!("HTTP/1.1 {code} ")), "{refused}");
        assert!(!refused.to_ascii_lowercase().contains("connection: close"), "{refused}");
        stream.write_all(b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let next = answer(&mut stream).await;
        assert!(next.starts_with("HTTP/1.1 200 "), "{next}");
    }
    // A body that is too long to be thrown away ends the connection, and the answer says so.
    let head = format!(
        "PATCH {MAPS}/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/yaml\r\nContent-Length: 1000000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let refused = answer(&mut stream).await.to_ascii_lowercase();
    assert!(refused.starts_with("http/1.1 415 ") && refused.contains("connection: close"), "{refused}");
}
