//! A key service behind a unix socket.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};

use crate::kms::key_management_service_client::KeyManagementServiceClient;
use crate::kms::{DecryptRequest, EncryptRequest, EncryptResponse, StatusRequest, StatusResponse};

/// The bounds of what a service may give, as upstream.
const LONGEST_KEY_ID: usize = 1024;
const LONGEST_SOURCE: usize = 1024;
const LARGEST_ANNOTATIONS: usize = 32 * 1024;

pub(super) struct Client {
    service: KeyManagementServiceClient<Channel>,
    timeout: Duration,
}

impl Client {
    /// A client of `unix:///path`, or of `unix:///@name` for an abstract socket. It connects with the first call, and
    /// again after the service was restarted.
    pub(super) fn new(endpoint: &str, timeout: Duration) -> Self {
        let path = endpoint.strip_prefix("unix://").unwrap_or(endpoint).to_owned();
        let path = match path.strip_prefix("/@") {
            Some(name) => format!("\0{name}"),
            None => path,
        };
        // The authority is never looked up: the connector goes to the socket.
        let channel = Endpoint::from_static("http://localhost").connect_with_connector_lazy(
            tower::service_fn(move |_: tonic::codegen::http::Uri| {
                let path = path.clone();
                async move { Ok::<_, std::io::Error>(TokioIo::new(UnixStream::connect(path).await?)) }
            }),
        );
        Self { service: KeyManagementServiceClient::new(channel), timeout }
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    async fn bounded<T>(
        &self,
        call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    ) -> Result<T, String> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => {
                Err(format!("rpc error: code = {:?} desc = {}", status.code(), status.message()))
            }
            Err(_) => Err("rpc error: code = DeadlineExceeded desc = context deadline exceeded".to_owned()),
        }
    }

    /// The present key's id, where the service is well.
    pub(super) async fn status(&self) -> Result<String, String> {
        let mut service = self.service.clone();
        let status = self.bounded(service.status(StatusRequest {})).await?;
        check_status(&status)?;
        Ok(status.key_id)
    }

    pub(super) async fn encrypt(&self, plaintext: &[u8]) -> Result<EncryptResponse, String> {
        let mut service = self.service.clone();
        let request = EncryptRequest { plaintext: plaintext.to_vec(), uid: uid() };
        let answer = self.bounded(service.encrypt(request)).await?;
        check_encrypted(&answer)?;
        Ok(answer)
    }

    pub(super) async fn decrypt(
        &self,
        key_id: &str,
        ciphertext: Vec<u8>,
        annotations: BTreeMap<String, Vec<u8>>,
    ) -> Result<Vec<u8>, String> {
        let mut service = self.service.clone();
        let request = DecryptRequest { ciphertext, uid: uid(), key_id: key_id.to_owned(), annotations };
        Ok(self.bounded(service.decrypt(request)).await?.plaintext)
    }
}

/// Whether a service is well, speaks this version and names its key.
pub fn check_status(status: &StatusResponse) -> Result<(), String> {
    if status.healthz != "ok" {
        return Err(format!("got unexpected healthz status: {}", status.healthz));
    }
    if status.version != "v2" {
        return Err(format!("expected KMSv2 API version v2, got {}", status.version));
    }
    check_key_id(&status.key_id)
}

/// Whether what a service encrypted may be kept beside each value.
pub fn check_encrypted(answer: &EncryptResponse) -> Result<(), String> {
    check_key_id(&answer.key_id)?;
    match answer.ciphertext.len() {
        0 => return Err("encrypted DEK source is empty".to_owned()),
        length if length > LONGEST_SOURCE => {
            return Err(format!(
                "encrypted DEK source is {length} bytes, which exceeds the max size of {LONGEST_SOURCE}"
            ));
        }
        _ => {}
    }
    let size: usize = answer.annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    if size > LARGEST_ANNOTATIONS {
        return Err(format!(
            "total size of annotations is {size}, which exceeds the max size of {LARGEST_ANNOTATIONS}"
        ));
    }
    if let Some(key) = answer.annotations.keys().find(|key| !key.contains('.')) {
        return Err(format!(
            "annotation key {key:?} should be a domain with at least two segments separated by dots"
        ));
    }
    Ok(())
}

fn check_key_id(id: &str) -> Result<(), String> {
    match id.len() {
        0 => Err("keyID is empty".to_owned()),
        length if length > LONGEST_KEY_ID => {
            Err(format!("keyID is {length} bytes, which exceeds the max size of {LONGEST_KEY_ID}"))
        }
        _ => Ok(()),
    }
}

/// Names a request in the logs of both sides.
fn uid() -> String {
    let bytes: [u8; 16] = rand::random();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
