//! Keys that a service keeps (KMS v2): values are encrypted by keys made from a seed, and the seed lies beside them, encrypted
//! by the service. The service is asked when its key changes and when a seed is read that is not known yet, and never for a
//! value.

mod client;
mod envelope;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use ring::digest;

use self::client::Client;
pub use self::client::{check_encrypted, check_status};
use self::envelope::Seed;
use super::Opened;
use crate::kms::{EncryptedDekSourceType, EncryptedObject};

/// How long a service that does not answer may still be written for, as upstream.
const LIFE: Duration = Duration::from_secs(3 * 60);
/// How many seeds are known at a time; there is one for each start of each server and each of the service's keys.
const SEEDS: usize = 1000;
/// How long a seed that the service did not decrypt is not asked for again.
const PAUSE: Duration = Duration::from_millis(200);

type SeedId = [u8; digest::SHA256_OUTPUT_LEN];

/// A service and the seeds that it has decrypted.
pub(super) struct Kms {
    name: String,
    endpoint: String,
    prefix: Box<[u8]>,
    client: Client,
    current: RwLock<Option<Arc<Current>>>,
    seeds: Mutex<HashMap<SeedId, Seed>>,
    refused: Mutex<HashMap<SeedId, Instant>>,
    health: RwLock<Result<(), String>>,
}

/// What values are encrypted by now.
struct Current {
    key_id: String,
    seed: Seed,
    source: Vec<u8>,
    annotations: std::collections::BTreeMap<String, Vec<u8>>,
    until: Instant,
}

impl fmt::Debug for Kms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kms")
            .field("name", &self.name)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

fn id(key_id: &str, source: &[u8], annotations: &std::collections::BTreeMap<String, Vec<u8>>) -> SeedId {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut part = |bytes: &[u8]| {
        context.update(&(bytes.len() as u64).to_be_bytes());
        context.update(bytes);
    };
    part(key_id.as_bytes());
    part(source);
    for (key, value) in annotations {
        part(key.as_bytes());
        part(value);
    }
    let mut id = SeedId::default();
    id.copy_from_slice(context.finish().as_ref());
    id
}

impl Kms {
    pub(super) fn new(name: &str, endpoint: &str, timeout: Duration) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            endpoint: endpoint.to_owned(),
            prefix: format!("k8s:enc:kms:v2:{name}:").into_bytes().into(),
            client: Client::new(endpoint, timeout),
            current: RwLock::default(),
            seeds: Mutex::default(),
            refused: Mutex::default(),
            health: RwLock::new(Err("the plugin has not been asked yet".to_owned())),
        })
    }

    /// Whether it is the service that another configuration means, too.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.name == other.name
            && self.endpoint == other.endpoint
            && self.client.timeout() == other.client.timeout()
    }

    pub(super) fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// How the service is, since it was asked last.
    pub(super) fn health(&self) -> Result<(), String> {
        self.health.read().clone()
    }

    /// Asks the service how it is, and for a seed where its key is another one than before.
    pub(super) async fn renew(&self) -> Result<(), String> {
        let result = self.try_renew().await;
        if let Err(error) = &result {
            tracing::error!(provider = self.name, error, "the KMS plugin is not well");
        }
        *self.health.write() = result.clone();
        result
    }

    async fn try_renew(&self) -> Result<(), String> {
        let key_id = self.client.status().await?;
        let until = Instant::now() + LIFE;
        let known = self.current.read().clone().filter(|current| current.key_id == key_id);
        let next = match known {
            Some(known) => Current {
                key_id,
                seed: known.seed.clone(),
                source: known.source.clone(),
                annotations: known.annotations.clone(),
                until,
            },
            None => {
                let seed = Seed::random();
                let made = self.client.encrypt(seed.bytes()).await?;
                if made.key_id != key_id {
                    return Err(format!(
                        "the plugin names its key {key_id:?} and encrypts with {:?}",
                        made.key_id
                    ));
                }
                tracing::info!(provider = self.name, key_id, "values are encrypted by a new seed");
                self.know(id(&key_id, &made.ciphertext, &made.annotations), seed.clone());
                Current { key_id, seed, source: made.ciphertext, annotations: made.annotations, until }
            }
        };
        *self.current.write() = Some(Arc::new(next));
        Ok(())
    }

    fn know(&self, id: SeedId, seed: Seed) {
        let mut seeds = self.seeds.lock();
        if seeds.len() >= SEEDS {
            // They are asked for again as they are needed.
            seeds.clear();
        }
        seeds.insert(id, seed);
    }

    /// Makes sure that the seed of a value is known, as far as the service gives it.
    pub(super) async fn unlock(&self, sealed: &[u8]) -> Result<(), String> {
        let Ok(object) = envelope::read(sealed) else { return Ok(()) };
        let id = id(&object.key_id, &object.encrypted_dek_source, &object.annotations);
        if self.seeds.lock().contains_key(&id) {
            return Ok(());
        }
        if self.refused.lock().get(&id).is_some_and(|at| at.elapsed() < PAUSE) {
            return Err("the KMS plugin did not decrypt the seed of a value".to_owned());
        }
        match self.decrypt(&object).await {
            Ok(seed) => {
                self.know(id, seed);
                Ok(())
            }
            Err(error) => {
                let mut refused = self.refused.lock();
                refused.retain(|_, at| at.elapsed() < PAUSE);
                if refused.len() < SEEDS {
                    refused.insert(id, Instant::now());
                }
                Err(error)
            }
        }
    }

    async fn decrypt(&self, object: &EncryptedObject) -> Result<Seed, String> {
        let plain = self
            .client
            .decrypt(&object.key_id, object.encrypted_dek_source.clone(), object.annotations.clone())
            .await?;
        let seed = Seed::of(plain).ok_or("the KMS plugin decrypted a seed of a wrong length")?;
        Ok(seed)
    }

    pub(super) fn seal(&self, context: &str, value: &[u8]) -> Result<Vec<u8>, &'static str> {
        let current = self.current.read().clone();
        let Some(current) = current else { return Err("the KMS plugin has not given a key yet") };
        if current.until < Instant::now() {
            return Err("the KMS plugin has not answered for three minutes, and what it gave has expired");
        }
        let object = EncryptedObject {
            encrypted_data: current.seed.seal(context, value)?,
            key_id: current.key_id.clone(),
            encrypted_dek_source: current.source.clone(),
            annotations: current.annotations.clone(),
            encrypted_dek_source_type: EncryptedDekSourceType::HkdfSha256XnonceAesGcmSeed.into(),
        };
        Ok(envelope::write(&self.prefix, &object))
    }

    /// Decrypts what stands behind the prefix. What another key of the service protects is stale.
    pub(super) fn open<'a>(&self, context: &str, sealed: &[u8]) -> Result<Opened<'a>, &'static str> {
        let object = envelope::read(sealed)?;
        let id = id(&object.key_id, &object.encrypted_dek_source, &object.annotations);
        let seed = self.seeds.lock().get(&id).cloned();
        let seed = seed.ok_or("the KMS plugin has not decrypted the seed of this value")?;
        let value = match EncryptedDekSourceType::try_from(object.encrypted_dek_source_type) {
            Ok(EncryptedDekSourceType::HkdfSha256XnonceAesGcmSeed) => {
                seed.open(context, &object.encrypted_data)?
            }
            Ok(EncryptedDekSourceType::AesGcmKey) => seed.open_as_key(context, &object.encrypted_data)?,
            Err(_) => return Err("the value's key is of a kind that is not known"),
        };
        let is_seed =
            object.encrypted_dek_source_type == i32::from(EncryptedDekSourceType::HkdfSha256XnonceAesGcmSeed);
        let is_current = self.current.read().as_ref().is_some_and(|current| current.key_id == object.key_id);
        Ok(Opened { value: value.into(), stale: !(is_seed && is_current) })
    }
}
