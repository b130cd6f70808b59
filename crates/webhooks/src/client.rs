//! One place that is called again and again.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use parking_lot::Mutex;
use rustls::ClientConfig;
use serde_json::Value;

use crate::client_config::{self, Service, Services};
use crate::dial::Target;
use crate::error::{CallError, ConfigError};
use crate::kubeconfig;
use crate::pool::{Connection, Pool, Sent};
use crate::url::Url;
use crate::users::Users;

/// The largest answer that is read: the largest object (3 MiB, as upstream), as base64 within JSON.
const LARGEST: usize = 8 << 20;
/// How much of a refusal's body is told.
const TOLD: usize = 2048;
/// How often a call that found nobody is made at most, as upstream.
const ATTEMPTS: u32 = 5;
/// How long a token is used before its file is read again.
const TOKEN_AGE: Duration = Duration::from_secs(10);

/// Who is called.
pub(crate) struct Peer {
    pub(crate) url: Url,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// The name that the certificate must have, where it is not the host.
    pub(crate) server_name: Option<String>,
    /// Namespace and name, where it is a Service, and who knows its places.
    pub(crate) service: Option<(String, String, Arc<dyn Services>)>,
}

/// As whom the server calls, beside its certificate.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Credentials {
    #[default]
    None,
    /// The header `Authorization`.
    Header(String),
    /// A file with a bearer token that may change.
    TokenFile(PathBuf),
}

/// Calls one place, over connections that are kept.
pub struct Client {
    peer: Peer,
    credentials: Credentials,
    token: Mutex<Option<(Instant, HeaderValue)>>,
    pool: Pool,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.peer.url.text_with(""))
    }
}

impl Client {
    /// A client of what a `clientConfig` names (`url` or `service`, `caBundle`).
    pub fn of_client_config(config: &Value, services: Arc<dyn Services>) -> Result<Self, ConfigError> {
        client_config::peer(config, services, None).map(Self::new)
    }

    /// As [`Client::of_client_config`], calling as the user among these that is for the server.
    pub fn of_client_config_as(
        config: &Value,
        services: Arc<dyn Services>,
        users: Option<&Users>,
    ) -> Result<Self, ConfigError> {
        client_config::peer(config, services, users).map(Self::new)
    }

    /// A client of what the current context of a kubeconfig file names.
    pub fn of_kubeconfig(path: &Path) -> Result<Self, ConfigError> {
        kubeconfig::peer(path).map(Self::new)
    }

    fn new((peer, credentials): (Peer, Credentials)) -> Self {
        Self { peer, credentials, token: Mutex::default(), pool: Pool::default() }
    }

    /// Posts JSON; gives the body of an answer with a code of success. `query` is added to the URL's.
    pub async fn post(&self, query: &str, body: Bytes, timeout: Duration) -> Result<Bytes, CallError> {
        match tokio::time::timeout(timeout, self.call(query, body)).await {
            Ok(answer) => answer,
            Err(_) => Err(CallError::Timeout { url: self.peer.url.text_with(query), after: timeout }),
        }
    }

    /// As [`Client::post`], again where nobody was found: after a pause, each longer by half than the one before.
    pub async fn post_again(
        &self,
        body: &Bytes,
        timeout: Duration,
        mut pause: Duration,
    ) -> Result<Bytes, CallError> {
        for _ in 1..ATTEMPTS {
            match self.post("", body.clone(), timeout).await {
                Err(error) if error.may_pass() => tokio::time::sleep(pause).await,
                answer => return answer,
            }
            pause = pause * 3 / 2;
        }
        self.post("", body.clone(), timeout).await
    }

    async fn call(&self, query: &str, body: Bytes) -> Result<Bytes, CallError> {
        let broken = |why: String| CallError::Transport { url: self.peer.url.text_with(query), why };
        let mut kept = self.pool.take();
        loop {
            let waited = kept.is_some();
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => {
                    let target = self.target().map_err(broken)?;
                    Connection::open(&target).await.map_err(|error| broken(error.to_string()))?
                }
            };
            let request = self.request(query, body.clone()).map_err(broken)?;
            let answer = match connection.send(request, waited).await {
                Sent::Answer(answer) => answer,
                // The next one that waited may be as stale: a new connection it is.
                Sent::Stale => continue,
                Sent::Broken(why) => return Err(broken(why)),
            };
            let code = answer.status();
            let collected = Limited::new(answer.into_body(), LARGEST).collect().await;
            let body = match collected {
                Ok(body) => body.to_bytes(),
                Err(error) if error.is::<LengthLimitError>() => {
                    return Err(CallError::TooLarge { url: self.peer.url.text_with(query) });
                }
                Err(error) => return Err(broken(format!("unexpected EOF: {error}"))),
            };
            self.pool.keep(connection);
            if code.is_success() {
                return Ok(body);
            }
            let told = String::from_utf8_lossy(&body[..body.len().min(TOLD)]).into_owned();
            return Err(CallError::Code { code: code.as_u16(), body: told });
        }
    }

    fn target(&self) -> Result<Target, String> {
        let Peer { url, tls, server_name, service } = &self.peer;
        let (host, port) = match service {
            None => (url.host.clone(), url.port),
            Some((namespace, name, services)) => {
                let place = services.place(Service { namespace, name, port: url.port })?;
                (place.host, place.port)
            }
        };
        Ok(Target { host, port, tls: tls.clone(), server_name: server_name.clone() })
    }

    fn request(&self, query: &str, body: Bytes) -> Result<Request<Full<Bytes>>, String> {
        let url = &self.peer.url;
        let uri: Uri = url.path_with(query).parse().map_err(|error| format!("{error}"))?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_str(&url.authority).map_err(|error| error.to_string())?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, */*"));
        headers.insert(USER_AGENT, HeaderValue::from_static("kube-apiserver-admission"));
        if let Some(authorization) = self.authorization()? {
            headers.insert(AUTHORIZATION, authorization);
        }
        Ok(request)
    }

    fn authorization(&self) -> Result<Option<HeaderValue>, String> {
        let value = |text: &str| {
            let mut value = HeaderValue::from_str(text).map_err(|error| error.to_string())?;
            value.set_sensitive(true);
            Ok::<_, String>(value)
        };
        match &self.credentials {
            Credentials::None => Ok(None),
            Credentials::Header(text) => value(text).map(Some),
            Credentials::TokenFile(path) => {
                let mut token = self.token.lock();
                if let Some((read, header)) = &*token
                    && read.elapsed() < TOKEN_AGE
                {
                    return Ok(Some(header.clone()));
                }
                let text = std::fs::read_to_string(path)
                    .map_err(|error| format!("failed to read token file {:?}: {error}", path.display()))?;
                let header = value(&format!("Bearer {}", text.trim()))?;
                *token = Some((Instant::now(), header.clone()));
                Ok(Some(header))
            }
        }
    }
}
