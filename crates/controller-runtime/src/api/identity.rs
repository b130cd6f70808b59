//! A controller's service account in `kube-system`, created when needed, and a short-lived token of it.

use std::time::{Duration, Instant};

use http::{Method, Request, header};
use kube::Client;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Mutex as AsyncMutex;

use super::{Api, Error};

/// The seconds a token is asked for; the server may give it less or more.
const LIFETIME: u64 = 3600;

/// Makes the APIs of a process's controllers: under service accounts of their own, or all with the process's credentials.
pub struct Identities {
    client: Client,
    /// Without the process's own credentials, which would outweigh a service account's token.
    anonymous: Option<Client>,
}

impl Identities {
    /// Makes them from the process's client and what that was made from.
    pub fn new(
        client: Client,
        config: kube::Config,
        use_service_accounts: bool,
    ) -> anyhow::Result<Identities> {
        let mut anonymous = config;
        anonymous.auth_info = kube::config::AuthInfo::default();
        let anonymous =
            use_service_accounts.then(|| component::client::from_config(anonymous)).transpose()?;
        Ok(Identities { client, anonymous })
    }

    /// Returns the API for a controller; one without an account acts with the process's credentials.
    pub fn api(&self, account: &'static str) -> Api {
        match &self.anonymous {
            Some(anonymous) if !account.is_empty() => {
                Api::with_identity(anonymous.clone(), Identity::new(self.client.clone(), account))
            }
            _ => Api::new(self.client.clone()),
        }
    }
}

/// Who a controller is: upstream's `--use-service-account-credentials`.
pub struct Identity {
    /// The manager's own client, which may create service accounts and ask for tokens.
    client: Client,
    account: &'static str,
    token: Mutex<Option<Token>>,
    /// Lets one request at a time ask for a token.
    asking: AsyncMutex<()>,
}

struct Token {
    text: String,
    /// When four fifths of its life are over.
    renew_at: Instant,
}

impl Identity {
    /// Makes the identity of a service account; nothing is asked of the server before the first request.
    pub fn new(client: Client, account: &'static str) -> Identity {
        Identity { client, account, token: Mutex::new(None), asking: AsyncMutex::new(()) }
    }

    /// Returns a token that is good for a while.
    pub async fn token(&self) -> Result<String, Error> {
        if let Some(token) = self.present() {
            return Ok(token);
        }
        let _asking = self.asking.lock().await;
        if let Some(token) = self.present() {
            return Ok(token);
        }
        let token = match self.ask().await {
            Err(error) if error.is_not_found() => {
                self.create().await?;
                self.ask().await?
            }
            other => other?,
        };
        let text = token.text.clone();
        *self.token.lock() = Some(token);
        Ok(text)
    }

    /// Drops the token, after the server no longer took it.
    pub fn forget(&self) {
        *self.token.lock() = None;
    }

    fn present(&self) -> Option<String> {
        let token = self.token.lock();
        token.as_ref().filter(|token| Instant::now() < token.renew_at).map(|token| token.text.clone())
    }

    async fn ask(&self) -> Result<Token, Error> {
        let path = format!("/api/v1/namespaces/kube-system/serviceaccounts/{}/token", self.account);
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"expirationSeconds": LIFETIME}});
        let answer = self.post(&path, &request).await?;
        let text = answer["status"]["token"].as_str();
        let text = text.ok_or_else(|| Error::Malformed("a TokenRequest without a token".to_owned()))?;
        Ok(Token { text: text.to_owned(), renew_at: Instant::now() + Duration::from_secs(LIFETIME * 4 / 5) })
    }

    async fn create(&self) -> Result<(), Error> {
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": self.account, "namespace": "kube-system"}});
        match self.post("/api/v1/namespaces/kube-system/serviceaccounts", &account).await {
            Err(error) if error.is_already_exists() => Ok(()),
            other => other.map(drop),
        }
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        let malformed = |error: &dyn std::fmt::Display| Error::Malformed(error.to_string());
        let body = serde_json::to_vec(body).map_err(|error| malformed(&error))?;
        let request = Request::builder().method(Method::POST).uri(path);
        let request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        let request = request.map_err(|error| malformed(&error))?;
        match tokio::time::timeout(super::TIMEOUT, self.client.request(request)).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Error::TimedOut(super::TIMEOUT)),
        }
    }
}
