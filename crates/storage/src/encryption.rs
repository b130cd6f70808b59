//! Values encrypted at rest: which resources, by which keys, in upstream's formats, so that either server reads what the
//! other wrote.
//!
//! The first provider of a resource's rule writes; every one of them reads. What its first key did not write is stale:
//! an update that would change nothing writes it anew.

mod ciphers;
mod configuration;
mod providers;
mod rules;

use std::{borrow::Cow, fmt::Display, sync::Arc};

use parking_lot::RwLock;

pub use self::configuration::{ConfigurationError, EncryptionConfiguration};
use self::rules::Rules;
use crate::Resource;

/// How values are encrypted, shared by all who read and write them; it can be replaced while they do.
#[derive(Debug, Default)]
pub struct Encryption {
    rules: RwLock<Arc<Rules>>,
}

/// A value as it was before it was encrypted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Opened<'a> {
    /// The value.
    pub(crate) value: Cow<'a, [u8]>,
    /// Another key than the present one wrote it.
    pub(crate) stale: bool,
}

impl Encryption {
    /// Encrypts as a configuration says.
    pub fn new(configuration: &EncryptionConfiguration) -> Result<Self, ConfigurationError> {
        Ok(Self { rules: RwLock::new(Arc::new(Rules::new(configuration)?)) })
    }

    /// Encrypts as another configuration says from now on. One that is wrong changes nothing.
    pub fn replace(&self, configuration: &EncryptionConfiguration) -> Result<(), ConfigurationError> {
        let rules = Arc::new(Rules::new(configuration)?);
        *self.rules.write() = rules;
        Ok(())
    }

    /// Encrypts a value that is to be written under a key of etcd, which is the context; it is written out only for a
    /// cipher that binds the value to it.
    pub(crate) fn seal<'a>(
        &self,
        resource: &Resource,
        context: impl Display,
        value: &'a [u8],
    ) -> Result<Cow<'a, [u8]>, &'static str> {
        let rules = self.rules.read().clone();
        rules.of(&resource.group, &resource.plural).seal(&context, value)
    }

    /// Decrypts a value that was read under a key of etcd.
    pub(crate) fn open<'a>(
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
