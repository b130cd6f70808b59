//! Clients of the API server: each an HTTP/2 connection of its own over TLS.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A client with one connection.
#[derive(Clone)]
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
    authority: String,
}

impl Client {
    /// Connects.
    pub async fn connect(address: &str, tls: Arc<ClientConfig>) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        let stream = TlsConnector::from(tls).connect(ServerName::try_from("localhost")?, stream).await?;
        let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(8 << 20)
            .initial_connection_window_size(16 << 20)
            .handshake(TokioIo::new(stream))
            .await?;
        tokio::spawn(connection);
        Ok(Self { sender, authority: address.to_owned() })
    }

    /// Sends a request and reads the whole answer, which must be a success.
    pub async fn send(&mut self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Bytes> {
        let response = self.start(method.clone(), path, body).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            bail!("{method} {path}: {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(body)
    }

    /// Applies an object.
    pub async fn apply(&mut self, path: &str, body: Bytes) -> anyhow::Result<()> {
        let path = format!("{path}?fieldManager=bench&force=true");
        let headers = [("content-type", "application/apply-patch+yaml"), ("accept", "application/json")];
        let response = self.start_with(Method::PATCH, &path, body, &headers).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        anyhow::ensure!(status.is_success(), "apply {path}: {status}: {}", String::from_utf8_lossy(&body));
        Ok(())
    }

    /// Reads an answer in an encoding of its own.
    pub async fn get_as(&mut self, path: &str, accept: &str) -> anyhow::Result<Bytes> {
        self.get_with(path, &[("accept", accept)]).await
    }

    /// Reads an answer with these headers in the request.
    pub async fn get_with(&mut self, path: &str, headers: &[(&str, &str)]) -> anyhow::Result<Bytes> {
        let response = self.start_with(Method::GET, path, Bytes::new(), headers).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        anyhow::ensure!(status.is_success(), "GET {path} with {headers:?}: {status}");
        Ok(body)
    }

    /// Sends a request and returns the answer with its body still to come, as watches need.
    pub async fn start(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> anyhow::Result<http::Response<hyper::body::Incoming>> {
        let headers = [("content-type", "application/json"), ("accept", "application/json")];
        self.start_with(method, path, body, &headers).await
    }

    async fn start_with(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<http::Response<hyper::body::Incoming>> {
        let mut request = Request::builder().method(method).uri(format!("https://{}{path}", self.authority));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body))?;
        self.sender.ready().await?;
        Ok(self.sender.send_request(request).await?)
    }
}

/// Runs `total` operations over all clients, each doing one after another; gives the time all took.
pub async fn spread<C, F, Fut>(clients: &[C], total: usize, operation: F) -> anyhow::Result<Duration>
where
    C: Clone + Send + 'static,
    F: Fn(C, usize) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = anyhow::Result<()>> + Send,
{
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for (index, client) in clients.iter().enumerate() {
        let (client, operation, step) = (client.clone(), operation.clone(), clients.len());
        tasks.spawn(async move {
            for number in (index..total).step_by(step) {
                operation(client.clone(), number).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Ok(begun.elapsed())
}
