//! Charging quotas: the last step before an object is stored.
//!
//! As upstream, what was charged is not given back when the write fails after all: the quota controller counts
//! anew.

use std::collections::HashMap;
use std::sync::Arc;

use admission::{Operation, quota};
use apimachinery::{ObjectExt, Status};
use parking_lot::Mutex;
use serde_json::Value;
use storage::{Change, Consistency, Query};

use crate::handlers::call::Call;
use crate::handlers::write;
use crate::registry::Entry;

/// How often a charge that lost against another is made again.
const ATTEMPTS: usize = 10;

/// One lock for each namespace, so that concurrent writes do not charge the same rest.
pub struct Quotas {
    /// What may only be used where a quota covers it.
    limited: quota::Limited,
    locks: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Quotas {
    /// Charges quotas, and refuses what is limited and no quota covers.
    pub fn new(limited: quota::Limited) -> Self {
        Self { limited, locks: Mutex::default() }
    }

    /// Whether a write could be charged at all: it is in a namespace that has quotas, or what needs one is limited.
    pub fn concern(&self, call: &Call<'_>) -> bool {
        let namespace = call.namespace();
        if namespace.is_empty()
            || call.entry.plural() == "resourcequotas"
            || !call.server.admission.charges_quota()
        {
            return false;
        }
        if !self.limited.is_empty() {
            return true;
        }
        let Some(entry) = call.server.registry.stored("", "resourcequotas") else { return false };
        let mut any = false;
        let query = Query { namespace: namespace.to_owned(), ..Query::default() };
        entry.cache().visit(&query, |_| {
            any = true;
            false
        });
        any
    }

    /// Charges what an object uses more than before, or refuses.
    pub async fn charge(
        &self,
        call: &Call<'_>,
        operation: Operation,
        object: &Value,
        old: Option<&Value>,
        dry_run: bool,
    ) -> Result<(), Status> {
        if !self.concern(call) {
            return Ok(());
        }
        let entry = call.server.registry.stored("", "resourcequotas").ok_or_else(Status::no_such_resource)?;
        let lock = self.locks.lock().entry(call.namespace().to_owned()).or_default().clone();
        let _held = lock.lock().await;
        let mut charged: Vec<String> = Vec::new();
        let unlimited = quota::Limited::default();
        for _ in 0..ATTEMPTS {
            call.server.store.catch_up(Consistency::Latest).await.map_err(crate::refusal::of_collection)?;
            let mut quotas = quotas(&entry, call.namespace());
            // Those that are charged are not charged again because another was lost.
            quotas.retain(|quota| !charged.iter().any(|name| name == quota.name()));
            let limited = if charged.is_empty() { &self.limited } else { &unlimited };
            let attributes = write::attributes(call, operation, &call.entry.row.kind, object.name(), dry_run);
            let charges = quota::charges(&attributes, object, old, &quotas, limited)?;
            if charges.is_empty() || dry_run {
                return Ok(());
            }
            let mut lost = false;
            for charge in charges {
                let name = charge.quota.name().to_owned();
                match store(call, &entry, charge.quota).await? {
                    true => charged.push(name),
                    false => lost = true,
                }
            }
            if !lost {
                return Ok(());
            }
        }
        let why = "status of quotas changes too fast";
        Err(Status::conflict("", "resourcequotas", "", why))
    }

    /// Forgets the locks of namespaces that are gone.
    pub fn forget(&self, namespace: &str) {
        self.locks.lock().remove(namespace);
    }
}

fn quotas(entry: &Entry, namespace: &str) -> Vec<Value> {
    let mut quotas = Vec::new();
    let query = Query { namespace: namespace.to_owned(), ..Query::default() };
    entry.cache().visit(&query, |object| {
        quotas.extend(object.value().ok());
        true
    });
    quotas
}

/// Writes a charged quota unless somebody else changed it; says whether it was written.
async fn store(call: &Call<'_>, entry: &Entry, mut quota: Value) -> Result<bool, Status> {
    let version = quota.resource_version().to_owned();
    let key = entry.key(quota.namespace(), quota.name());
    let stored = write::stored_bytes(&mut quota);
    let mut written = false;
    let result = call
        .server
        .store
        .update::<storage::Error, _>(entry.cache(), &key, None, |current| {
            written = current.is_some_and(|current| current.revision().to_string() == version);
            Ok(if written { Change::Write(stored.clone()) } else { Change::Keep })
        })
        .await;
    match result {
        Ok(_) => Ok(written),
        Err(storage::Error::NotFound) => Ok(false),
        Err(error) => Err(crate::refusal::of_object(error, entry, &key)),
    }
}
