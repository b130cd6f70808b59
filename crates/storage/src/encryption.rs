//! Values encrypted at rest: which resources, by which keys, in upstream's formats, so that either server reads what the
//! other wrote.
//!
//! The first provider of a resource's rule writes; every one of them reads. What its first key did not write is stale:
//! an update that would change nothing writes it anew.

mod ciphers;
mod configuration;
mod kms;
mod providers;
mod rules;

use std::{borrow::Cow, fmt::Display, sync::Arc};

use parking_lot::RwLock;

pub use self::configuration::{ConfigurationError, EncryptionConfiguration};
pub use self::kms::{check_encrypted, check_status};
use self::rules::Rules;
use crate::Resource;

/// What values begin with that a key service protects.
const SERVICE: &[u8] = b"k8s:enc:kms:v2:";

/// How values are encrypted, shared by all who read and write them; it can be replaced while they do.
#[derive(Debug, Default)]
pub struct Encryption {
    rules: RwLock<Arc<Rules>>,
}

/// A value as it was before it was encrypted.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened<'a> {
    /// The value.
    pub value: Cow<'a, [u8]>,
    /// Another key than the present one wrote it.
    pub stale: bool,
}

impl Encryption {
    /// Encrypts as a configuration says.
    pub fn new(configuration: &EncryptionConfiguration) -> Result<Self, ConfigurationError> {
        Ok(Self { rules: RwLock::new(Arc::new(Rules::new(configuration, &[])?)) })
    }

    /// Encrypts as another configuration says from now on. One that is wrong changes nothing.
    pub fn replace(&self, configuration: &EncryptionConfiguration) -> Result<(), ConfigurationError> {
        let rules = Arc::new(Rules::new(configuration, &self.rules.read().services)?);
        *self.rules.write() = rules;
        Ok(())
    }

    /// The same, once every key service that the configuration names has given a key; one that does not changes nothing.
    pub async fn replace_when_ready(&self, configuration: &EncryptionConfiguration) -> Result<(), String> {
        let services = self.rules.read().services.clone();
        let rules = Rules::new(configuration, &services).map_err(|error| error.to_string())?;
        for service in &rules.services {
            service.renew().await?;
        }
        *self.rules.write() = Arc::new(rules);
        Ok(())
    }

    /// Asks every key service how it is, and for a key where it has another one.
    pub async fn renew(&self) -> Result<(), String> {
        let services = self.rules.read().services.clone();
        let asked = futures::future::join_all(services.iter().map(|service| service.renew())).await;
        asked.into_iter().collect()
    }

    /// How the key services are; `None` where there are none.
    pub fn health(&self) -> Option<Result<(), String>> {
        let services = self.rules.read().services.clone();
        if services.is_empty() {
            return None;
        }
        Some(services.iter().try_for_each(|service| service.health()))
    }

    /// Makes sure that what is needed to decrypt values is at hand: a seed that is not known is asked for once.
    pub(crate) async fn unlock<'a>(&self, values: impl Iterator<Item = &'a [u8]>) -> Result<(), String> {
        let services = self.rules.read().services.clone();
        if services.is_empty() {
            return Ok(());
        }
        let mut result = Ok(());
        for value in values.filter(|value| value.starts_with(SERVICE)) {
            for service in &services {
                if let Some(sealed) = value.strip_prefix(service.prefix()) {
                    result = service.unlock(sealed).await.and(result);
                }
            }
        }
        result
    }

    /// Encrypts a value that is to be written under a key of etcd, which is the context; it is written out only for a
    /// cipher that binds the value to it.
    pub fn seal<'a>(
        &self,
        resource: &Resource,
        context: impl Display,
        value: &'a [u8],
    ) -> Result<Cow<'a, [u8]>, &'static str> {
        let rules = self.rules.read().clone();
        rules.of(&resource.group, &resource.plural).seal(&context, value)
    }

    /// Decrypts a value that was read under a key of etcd.
    pub fn open<'a>(
        &self,
        resource: &Resource,
        context: impl Display,
        value: &'a [u8],
    ) -> Result<Opened<'a>, &'static str> {
        let rules = self.rules.read().clone();
        rules.of(&resource.group, &resource.plural).open(&context, value)
    }
}

#[cfg(test)]
mod tests;
