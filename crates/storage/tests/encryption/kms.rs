//! KMS v2 with a key service of the test's own: what lies in etcd is sealed, seeds are asked for once, keys rotate, and a
//! service that is away is noticed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;
use storage::kms::key_management_service_server::{KeyManagementService, KeyManagementServiceServer};
use storage::kms::{
    DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse, StatusRequest, StatusResponse,
};
use storage::{Consistency, Encryption, EncryptionConfiguration, Outcome};
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Request, Response, Status};

use crate::{STORED, configuration, raw, replace, store};

/// A key service whose keys are one byte each.
#[derive(Default)]
struct Plugin {
    key: AtomicUsize,
    is_ill: AtomicBool,
    encrypted: AtomicUsize,
    decrypted: AtomicUsize,
}

impl Plugin {
    fn key_id(&self) -> String {
        format!("key-{}", self.key.load(Ordering::SeqCst))
    }
}

fn mix(key_id: &str, bytes: &[u8]) -> Vec<u8> {
    let key = key_id.bytes().fold(7u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    bytes.iter().map(|byte| byte ^ key).collect()
}

struct Shared(Arc<Plugin>);

#[tonic::async_trait]
impl KeyManagementService for Shared {
    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        let healthz = if self.0.is_ill.load(Ordering::SeqCst) { "the vault is sealed" } else { "ok" };
        let answer =
            StatusResponse { version: "v2".into(), healthz: healthz.into(), key_id: self.0.key_id() };
        Ok(Response::new(answer))
    }

    async fn encrypt(&self, request: Request<EncryptRequest>) -> Result<Response<EncryptResponse>, Status> {
        self.0.encrypted.fetch_add(1, Ordering::SeqCst);
        let key_id = self.0.key_id();
        let ciphertext = mix(&key_id, &request.into_inner().plaintext);
        let annotations = BTreeMap::from([("kms.example.org/v".to_owned(), b"1".to_vec())]);
        Ok(Response::new(EncryptResponse { ciphertext, key_id, annotations }))
    }

    async fn decrypt(&self, request: Request<DecryptRequest>) -> Result<Response<DecryptResponse>, Status> {
        self.0.decrypted.fetch_add(1, Ordering::SeqCst);
        if self.0.is_ill.load(Ordering::SeqCst) {
            return Err(Status::unavailable("the vault is sealed"));
        }
        let request = request.into_inner();
        assert_eq!(request.annotations["kms.example.org/v"], b"1");
        Ok(Response::new(DecryptResponse { plaintext: mix(&request.key_id, &request.ciphertext) }))
    }
}

fn serve(socket: &Path) -> Arc<Plugin> {
    let plugin = Arc::new(Plugin::default());
    let listener = UnixListener::bind(socket).unwrap();
    let service = KeyManagementServiceServer::new(Shared(plugin.clone()));
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(UnixListenerStream::new(listener)),
    );
    plugin
}

fn by_service(socket: &Path) -> EncryptionConfiguration {
    let endpoint = format!("unix://{}", socket.display());
    configuration(json!([
        {"kms": {"apiVersion": "v2", "name": "vault", "endpoint": endpoint, "timeout": "2s"}},
        {"identity": {}},
    ]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_service_protects_what_lies_in_etcd() {
    let etcd = testkit::Etcd::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("kms.sock");
    let plugin = serve(&socket);
    let encryption = Arc::new(Encryption::new(&by_service(&socket)).unwrap());
    encryption.renew().await.unwrap();
    assert_eq!(encryption.health(), Some(Ok(())));
    let writer = store(&etcd, encryption.clone()).await;
    let cache = writer.cache("secrets").unwrap();
    for number in 0..20 {
        let key = format!("default/s{number}");
        let made = writer.create(&cache, &key, STORED.to_vec(), None).await.unwrap();
        assert_eq!(made.stored(), STORED);
    }
    assert_eq!(plugin.encrypted.load(Ordering::SeqCst), 1, "one seed for all values");
    assert_eq!(plugin.decrypted.load(Ordering::SeqCst), 0, "one's own seed is known");
    let lies = raw(&etcd, "/registry/secrets/default/s0").await;
    assert!(lies.starts_with(b"k8s:enc:kms:v2:vault:"));
    assert!(!lies.windows(8).any(|part| part == b"bXlkYXRh"), "the secret lies open");

    // Another server asks for the seed once, however many values there are.
    let other = Arc::new(Encryption::new(&by_service(&socket)).unwrap());
    other.renew().await.unwrap();
    let reader = store(&etcd, other.clone()).await;
    let cache_of_reader = reader.cache("secrets").unwrap();
    for number in 0..20 {
        let key = format!("default/s{number}");
        let read = reader.get(&cache_of_reader, &key, Consistency::Latest).await.unwrap();
        assert_eq!(read.stored(), STORED);
    }
    assert_eq!(plugin.decrypted.load(Ordering::SeqCst), 1);
    assert_eq!(
        replace(&reader, "default/s0").await.1,
        Outcome::Unchanged,
        "of the same key, by another seed"
    );

    // The service's key changes: what the old one protects is written anew when somebody writes it.
    plugin.key.store(1, Ordering::SeqCst);
    encryption.renew().await.unwrap();
    assert_eq!(plugin.encrypted.load(Ordering::SeqCst), 3);
    assert_eq!(replace(&writer, "default/s0").await.1, Outcome::Updated);
    assert_eq!(replace(&writer, "default/s0").await.1, Outcome::Unchanged);
    // The reader's watch brings a value of a seed that it has not seen.
    let read = reader.get(&cache_of_reader, "default/s0", Consistency::Latest).await.unwrap();
    assert_eq!(read.stored(), STORED);
    assert_eq!(plugin.decrypted.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_service_that_is_not_well_is_noticed() {
    let etcd = testkit::Etcd::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("kms.sock");
    let encryption = Arc::new(Encryption::new(&by_service(&socket)).unwrap());
    assert!(encryption.renew().await.is_err(), "nobody listens");
    assert!(matches!(encryption.health(), Some(Err(_))));
    let store = store(&etcd, encryption.clone()).await;
    let cache = store.cache("secrets").unwrap();
    let error = store.create(&cache, "default/x", STORED.to_vec(), None).await.unwrap_err();
    assert!(error.to_string().contains("has not given a key yet"), "{error}");

    let plugin = serve(&socket);
    encryption.renew().await.unwrap();
    store.create(&cache, "default/x", STORED.to_vec(), None).await.unwrap();
    plugin.is_ill.store(true, Ordering::SeqCst);
    let error = encryption.renew().await.unwrap_err();
    assert_eq!(error, "got unexpected healthz status: the vault is sealed");
    // What it gave holds for a while.
    store.create(&cache, "default/y", STORED.to_vec(), None).await.unwrap();
    assert_eq!(store.get_live(&cache, "default/x").await.unwrap().unwrap().stored(), STORED);

    // A configuration whose service is not there changes nothing.
    let elsewhere = by_service(&folder.path().join("nobody.sock"));
    assert!(encryption.replace_when_ready(&elsewhere).await.is_err());
    assert_eq!(store.get_live(&cache, "default/y").await.unwrap().unwrap().stored(), STORED);
    assert!(encryption.replace_when_ready(&by_service(&socket)).await.is_err(), "it is still ill");
    plugin.is_ill.store(false, Ordering::SeqCst);
    encryption.replace_when_ready(&by_service(&socket)).await.unwrap();
    assert_eq!(plugin.encrypted.load(Ordering::SeqCst), 1, "a service that stays keeps its seed");
}
