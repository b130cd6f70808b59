//! Reads an issuer's documents over HTTPS.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::header::{ACCEPT, HOST, LOCATION, USER_AGENT};
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use pki::Trust;
use rustls::ClientConfig;
use webhooks::{Target, dial};

/// How long an issuer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest document that is read.
const LARGEST: usize = 1 << 20;
/// How often a document may be elsewhere.
const REDIRECTIONS: usize = 5;

/// Fetches documents from one issuer.
pub(super) struct Fetcher {
    tls: Arc<ClientConfig>,
}

impl Fetcher {
    /// Trusts these authorities, or the system's if none is given.
    pub(super) fn new(authorities: &str) -> anyhow::Result<Self> {
        let trust = match authorities {
            "" => webhooks::system_trust()?,
            bundle => Trust::pem(bundle.as_bytes())?,
        };
        Ok(Self { tls: Arc::new(pki::client_config(trust, None)?) })
    }

    /// The document at a URL.
    pub(super) async fn get(&self, url: &str) -> anyhow::Result<Bytes> {
        let fetch = async {
            let mut url = url.to_owned();
            for _ in 0..REDIRECTIONS {
                match self.once(&url).await? {
                    Answer::Document(document) => return Ok(document),
                    Answer::Elsewhere(other) => url = other,
                }
            }
            anyhow::bail!("stopped after {REDIRECTIONS} redirects")
        };
        let answer: anyhow::Result<Bytes> = match tokio::time::timeout(PATIENCE, fetch).await {
            Ok(answer) => answer,
            Err(_) => Err(anyhow::anyhow!("context deadline exceeded")),
        };
        answer.with_context(|| format!("Get {url:?}"))
    }

    async fn once(&self, url: &str) -> anyhow::Result<Answer> {
        let uri: Uri = url.parse()?;
        anyhow::ensure!(uri.scheme_str() == Some("https"), "the scheme of {url:?} is not https");
        let authority = uri.authority().context("the URL has no host")?;
        let target = Target {
            host: authority.host().trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: authority.port_u16().unwrap_or(443),
            tls: Some(self.tls.clone()),
            server_name: None,
        };
        let stream = dial::connect(&target).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let request = Request::get(path)
            .header(HOST, authority.as_str())
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("kube-apiserver/v", env!("CARGO_PKG_VERSION")))
            .body(Empty::<Bytes>::new())?;
        let exchange = async {
            let answer = sender.send_request(request).await?;
            let code = answer.status();
            if code.is_redirection()
                && let Some(location) = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok())
            {
                return Ok(Answer::Elsewhere(resolve(&uri, location)));
            }
            let body = Limited::new(answer.into_body(), LARGEST).collect().await;
            let body =
                body.map_err(|error| anyhow::anyhow!("unable to read response body: {error}"))?.to_bytes();
            let told = || String::from_utf8_lossy(&body[..body.len().min(512)]).into_owned();
            anyhow::ensure!(code.is_success(), "{code}: {}", told());
            Ok(Answer::Document(body))
        };
        // The connection is driven by whoever waits for its answer, and ends with it.
        tokio::select! {
            answer = exchange => answer,
            Err(error) = connection => Err(error.into()),
        }
    }
}

enum Answer {
    Document(Bytes),
    Elsewhere(String),
}

fn resolve(from: &Uri, location: &str) -> String {
    match location.strip_prefix('/') {
        Some(_) => {
            format!("https://{}{location}", from.authority().map_or("", |authority| authority.as_str()))
        }
        None => location.to_owned(),
    }
}
