//! Which resources a configuration means, and what it says of them.

use std::sync::Arc;

use super::{
    configuration::{ConfigurationError, EncryptionConfiguration},
    kms::Kms,
    providers::{Providers, Writer},
};

/// What configurations say of resources.
#[derive(Debug)]
pub(super) struct Rules {
    rules: Vec<(Pattern, Providers)>,
    others: Providers,
    /// The key services, each once.
    pub(super) services: Vec<Arc<Kms>>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { rules: Vec::new(), others: Providers(vec![Writer::Identity]), services: Vec::new() }
    }
}

/// Resources as a configuration names them: `secrets`, `deployments.apps`, `*.apps`, `*.` and `*.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    /// One resource.
    Resource { group: String, plural: String },
    /// All of a group; the core group's name is empty.
    Group(String),
    /// All.
    Everything,
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Self {
        let (plural, group) = text.split_once('.').unwrap_or((text, ""));
        match (plural, group) {
            ("*", "*") => Self::Everything,
            ("*", group) => Self::Group(group.to_owned()),
            (plural, group) => Self::Resource { group: group.to_owned(), plural: plural.to_owned() },
        }
    }

    /// Whether every resource of the other is one of this.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Everything, _) => true,
            (Self::Group(own), Self::Group(group) | Self::Resource { group, .. }) => own == group,
            (own, other) => own == other,
        }
    }
}

impl Rules {
    /// Reads a configuration. Services that are known already stay, with what they gave.
    pub(super) fn new(
        configuration: &EncryptionConfiguration,
        known: &[Arc<Kms>],
    ) -> Result<Self, ConfigurationError> {
        let mut rules: Vec<(Pattern, Providers)> = Vec::new();
        let mut services: Vec<Arc<Kms>> = Vec::new();
        for (patterns, mut providers) in configuration.parsed()? {
            for writer in &mut providers.0 {
                let Writer::Kms(kms) = writer else { continue };
                let same = services.iter().chain(known).find(|other| other.is(kms)).cloned();
                let service = same.unwrap_or_else(|| kms.clone());
                if !services.iter().any(|other| Arc::ptr_eq(other, &service)) {
                    services.push(service.clone());
                }
                *kms = service;
            }
            for pattern in patterns {
                match rules.iter_mut().find(|(earlier, _)| earlier.covers(&pattern)) {
                    // Named again: what stands there reads, too.
                    Some((earlier, found)) if *earlier == pattern => {
                        found.0.extend(providers.0.iter().cloned());
                    }
                    // An earlier rule says what happens to all of these.
                    Some(_) => {}
                    None => rules.push((pattern, providers.clone())),
                }
            }
        }
        Ok(Self { rules, services, ..Self::default() })
    }

    /// What holds for a resource: the first rule that means it, or that it is stored as it is.
    pub(super) fn of(&self, group: &str, plural: &str) -> &Providers {
        let meant = |pattern: &Pattern| match pattern {
            Pattern::Resource { group: own, plural: name } => own == group && name == plural,
            Pattern::Group(own) => own == group,
            Pattern::Everything => true,
        };
        // What the server stores for itself, apart from the API, has no name.
        let found = self.rules.iter().filter(|_| !plural.is_empty()).find(|(pattern, _)| meant(pattern));
        found.map_or(&self.others, |(_, providers)| providers)
    }
}
