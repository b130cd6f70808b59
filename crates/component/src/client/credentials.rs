//! What a request shows beside the certificate of its connection: a token, a password, or what a program hands out.

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, Request, header::AUTHORIZATION};
use kube::{client::Body, config::AuthInfo};
use parking_lot::Mutex;
use secrecy::ExposeSecret as _;
use tower::{BoxError, filter::AsyncPredicate};

use super::exec::Exec;

/// How long a token that was read from a file is used before it is read again.
const FRESH: Duration = Duration::from_secs(60);

/// The source of a client's `Authorization` header.
#[derive(Clone)]
pub enum Credentials {
    /// Always the same.
    Fixed(HeaderValue),
    /// A file that somebody else keeps fresh, as the kubelet does in pods.
    File(Arc<TokenFile>),
    /// A program.
    Exec(Arc<Exec>),
}

/// A token in a file.
pub struct TokenFile {
    path: PathBuf,
    last: Mutex<(HeaderValue, Instant)>,
}

impl Credentials {
    /// What a user's entry asks for, in client-go's order; `None` where the certificate is all.
    pub fn of(user: &AuthInfo) -> anyhow::Result<Option<Self>> {
        if let Some(provider) = &user.auth_provider {
            anyhow::bail!("no Auth Provider found for name {:?}", provider.name);
        }
        if let Some(exec) = &user.exec {
            return Ok(Some(Self::Exec(Arc::new(Exec::new(exec.clone())?))));
        }
        if let Some(path) = user.token_file.as_ref().filter(|path| !path.is_empty()) {
            let token = read(path.as_ref())?;
            let last = Mutex::new((token, Instant::now()));
            return Ok(Some(Self::File(Arc::new(TokenFile { path: path.into(), last }))));
        }
        if let Some(token) = &user.token {
            return Ok(Some(Self::Fixed(bearer(token.expose_secret())?)));
        }
        if let (Some(name), Some(password)) = (&user.username, &user.password) {
            let pair = STANDARD.encode(format!("{name}:{}", password.expose_secret()));
            return Ok(Some(Self::Fixed(header("Basic", &pair)?)));
        }
        Ok(None)
    }
}

impl TokenFile {
    /// The token; a file that cannot be read leaves the last one in use.
    fn token(&self) -> HeaderValue {
        let mut last = self.last.lock();
        if last.1.elapsed() >= FRESH {
            last.1 = Instant::now();
            match read(&self.path) {
                Ok(token) => last.0 = token,
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "keeping the token that was read before")
                }
            }
        }
        last.0.clone()
    }
}

fn read(path: &std::path::Path) -> anyhow::Result<HeaderValue> {
    let text = fs::read_to_string(path).with_context(|| format!("reading token file {}", path.display()))?;
    bearer(text.trim()).with_context(|| format!("token file {}", path.display()))
}

/// A token as a header's value that is never printed.
pub fn bearer(token: &str) -> anyhow::Result<HeaderValue> {
    anyhow::ensure!(!token.is_empty(), "the token is empty");
    header("Bearer", token)
}

fn header(scheme: &str, credentials: &str) -> anyhow::Result<HeaderValue> {
    let mut value: HeaderValue =
        format!("{scheme} {credentials}").parse().context("credentials that no header can carry")?;
    value.set_sensitive(true);
    Ok(value)
}

impl AsyncPredicate<Request<Body>> for Credentials {
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Request<Body>, BoxError>> + Send>>;
    type Request = Request<Body>;

    fn check(&mut self, mut request: Request<Body>) -> Self::Future {
        // A request that brings its own is somebody else's.
        if request.headers().contains_key(AUTHORIZATION) {
            return Box::pin(std::future::ready(Ok(request)));
        }
        let ready = match self {
            Self::Fixed(value) => value.clone(),
            Self::File(file) => file.token(),
            Self::Exec(exec) => {
                let exec = Arc::clone(exec);
                return Box::pin(async move {
                    request.headers_mut().insert(AUTHORIZATION, exec.token().await?);
                    Ok(request)
                });
            }
        };
        request.headers_mut().insert(AUTHORIZATION, ready);
        Box::pin(std::future::ready(Ok(request)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    async fn shown(user: &AuthInfo) -> Option<String> {
        let mut credentials = Credentials::of(user).unwrap()?;
        let request = credentials.check(Request::new(Body::empty())).await.unwrap();
        let value = request.headers().get(AUTHORIZATION)?;
        assert!(value.is_sensitive(), "no log may show it");
        Some(value.to_str().unwrap().to_owned())
    }

    fn user(entry: serde_json::Value) -> AuthInfo {
        serde_json::from_value(entry).unwrap()
    }

    #[tokio::test]
    async fn a_user_shows_what_its_entry_holds() {
        let file = std::env::temp_dir().join(format!("token-{}", std::process::id()));
        fs::write(&file, "from-file\n").unwrap();
        let path = file.to_string_lossy();
        for (entry, expected) in [
            (serde_json::json!({}), None),
            (serde_json::json!({"token": "t"}), Some("Bearer t")),
            (serde_json::json!({"username": "u", "password": "p"}), Some("Basic dTpw")),
            (serde_json::json!({"token": "t", "tokenFile": path}), Some("Bearer from-file")),
            (serde_json::json!({"client-certificate": "c", "client-key": "k"}), None),
        ] {
            assert_eq!(shown(&user(entry.clone())).await.as_deref(), expected, "{entry}");
        }
        fs::remove_file(&file).unwrap();
        let gone = Credentials::of(&user(serde_json::json!({"tokenFile": path}))).err().unwrap();
        assert!(format!("{gone:#}").contains("reading token file"), "{gone:#}");
    }

    #[test]
    fn providers_that_clients_no_longer_have_are_refused() {
        let entry = user(serde_json::json!({"auth-provider": {"name": "gcp", "config": {}}}));
        let refused = Credentials::of(&entry).err().unwrap();
        assert_eq!(refused.to_string(), "no Auth Provider found for name \"gcp\"");
    }

    #[tokio::test]
    async fn a_request_keeps_what_it_brings() {
        let mut credentials = Credentials::Fixed(bearer("mine").unwrap());
        let mut request = Request::new(Body::empty());
        request.headers_mut().insert(AUTHORIZATION, "Bearer other".parse().unwrap());
        let request = credentials.check(request).await.unwrap();
        assert_eq!(request.headers()[AUTHORIZATION], "Bearer other");
    }
}
