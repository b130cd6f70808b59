//! Custom resources: follows their definitions and serves what these declare.
//!
//! Keeps true: every established definition is served in its versions, and no other; its status says what it is called
//! and whether it is served; the objects of a definition that goes are deleted before it.
//! Woken by: changes of definitions. Reads: them. Writes: their status; deletes objects of those that go.
//! Gives up when: the server stops.

mod cleanup;
mod conversion;
mod entries;
mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use apimachinery::ObjectExt as _;
use custom_resources::Definition;
use custom_resources::approval::{self, Approval};
use kinds::custom_resource_definition::CLEANUP;
use serde_json::Value;
use storage::{Filter, Query, WatchStart};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::aggregation::registration;
use crate::bootstrap::change;
use crate::registry::Entry;
use crate::server::Server;
pub use conversion::Conversion;
use status::Standing;

/// The group of definitions.
const GROUP: &str = "apiextensions.k8s.io";
/// The resource of definitions.
const PLURAL: &str = "customresourcedefinitions";

/// A definition as it was last looked at.
struct Known {
    /// The revision of the object.
    revision: i64,
    definition: Arc<Definition>,
    /// Whether it was approved, where its group is protected.
    approval: Option<Approval>,
    standing: Standing,
    is_deleting: bool,
    /// Whether its conversion webhook has a bundle of authorities that holds none.
    lacks_authorities: bool,
    /// Whether it waits for its objects to be deleted.
    waits_for_cleanup: bool,
    /// What is served of it, and from which definition that was made.
    served: Option<(Arc<Definition>, Vec<Arc<Entry>>)>,
}

#[derive(Default)]
struct Extensions {
    known: BTreeMap<String, Known>,
    /// Those whose objects are being deleted.
    cleaning: JoinSet<String>,
    cleaned: Vec<String>,
    /// Whether APIServices are missing.
    must_register: bool,
}

/// Runs until the server stops; says when all that was defined before is served.
pub async fn run(server: Arc<Server>, settled: oneshot::Sender<()>) {
    let mut settled = Some(settled);
    let Some(entry) = server.registry.stored(GROUP, PLURAL) else {
        // Turned off by --runtime-config.
        drop(settled);
        return std::future::pending().await;
    };
    let mut extensions = Extensions::default();
    loop {
        let Ok((mut watch, _)) = entry.cache().watch(WatchStart::Objects, Filter::default()) else {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        while watch.next_first().is_some() {}
        loop {
            extensions.look(&server, &entry).await;
            if let Some(settled) = settled.take() {
                let _ = settled.send(());
            }
            tokio::select! {
                event = watch.next() => if event.is_none() { break },
                Some(ended) = extensions.cleaning.join_next() => extensions.ended(ended),
            }
            // What came meanwhile is looked at with it.
            while watch.try_next().is_some() {}
        }
    }
}

impl Extensions {
    /// Looks at what has changed.
    async fn look(&mut self, server: &Arc<Server>, entry: &Entry) {
        let mut present = Vec::new();
        entry.cache().visit(&Query::default(), |object| {
            present.push(object.clone());
            true
        });
        let gone: Vec<String> = self
            .known
            .keys()
            .filter(|name| !present.iter().any(|object| object.name() == **name))
            .cloned()
            .collect();
        let mut changed = !gone.is_empty();
        // A definition concerns those of its group alone, whose names are not given twice.
        let mut groups = BTreeSet::new();
        for name in &gone {
            let Some(known) = self.known.remove(name) else { continue };
            groups.insert(known.definition.group.clone());
            if let Some((definition, _)) = known.served {
                server.store.remove(&entries::prefix(&definition)).await;
            }
        }
        let mut writes = Vec::new();
        for object in &present {
            let name = object.name().to_owned();
            if self.known.get(&name).is_some_and(|known| known.revision == object.revision()) {
                continue;
            }
            let Ok(value) = object.value() else { continue };
            match self.read(&name, object.revision(), &value) {
                Ok(group) => {
                    groups.insert(group);
                    changed = true;
                }
                Err(error) => tracing::error!(%error, definition = name, "unreadable definition"),
            }
        }
        // Who has a name keeps it; of those who want the same, the first in this order gets it.
        let concerned = |(_, known): &(&String, &Known)| groups.contains(&known.definition.group);
        let names: Vec<String> = self.known.iter().filter(concerned).map(|(name, _)| name.clone()).collect();
        for name in &names {
            if let Some(wanted) = self.stand(name) {
                writes.push((name.clone(), wanted));
            }
        }
        for name in &names {
            changed |= self.serve(server, name).await;
            self.clean(server, name);
        }
        if changed {
            self.publish(server);
        }
        for (name, standing) in writes {
            let written = change(server, GROUP, PLURAL, &name, |old| standing.apply(old)).await;
            if let Err(status) = written
                && status.code != 404
            {
                tracing::warn!(definition = name, %status, "cannot write the status of a definition");
            }
        }
        if changed || self.must_register {
            let registered = registration::register_custom(server, &self.served_versions()).await;
            self.must_register = registered.is_err();
            if let Err(status) = registered {
                tracing::warn!(%status, "cannot register the APIServices of custom resources");
            }
        }
    }

    /// Takes note of a definition; gives its group.
    fn read(&mut self, name: &str, revision: i64, object: &Value) -> Result<String, serde_json::Error> {
        let definition = Definition::read(object)?;
        let served = self.known.remove(name).and_then(|known| known.served);
        // The same definition in other words of its status is still the same.
        let definition = match &served {
            Some((of, _)) if **of == definition => of.clone(),
            _ => Arc::new(definition),
        };
        let is_deleting = object.deletion_timestamp().is_some();
        let group = definition.group.clone();
        let annotation = object["metadata"]["annotations"][approval::ANNOTATION].as_str();
        let known = Known {
            revision,
            approval: Approval::of(&definition.group, annotation),
            standing: Standing::read(object),
            is_deleting,
            lacks_authorities: kinds::custom_resource_definition::lacks_authorities(object),
            waits_for_cleanup: is_deleting && object.finalizers().any(|name| name == CLEANUP),
            definition,
            served,
        };
        self.known.insert(name.to_owned(), known);
        Ok(group)
    }

    /// Decides what a definition's status should say; gives it where it does not say that yet.
    fn stand(&mut self, name: &str) -> Option<Standing> {
        let known = self.known.get(name)?;
        let mut taken = custom_resources::Taken::default();
        for (other, of) in &self.known {
            if other != name && of.definition.group == known.definition.group {
                taken.add(&of.standing.accepted);
            }
        }
        let mut wanted =
            known.standing.next(&known.definition, known.approval.as_ref(), known.is_deleting, &taken);
        if known.lacks_authorities {
            wanted = wanted.without_authorities(&known.standing);
        }
        if wanted == known.standing {
            return None;
        }
        self.known.get_mut(name)?.standing = wanted.clone();
        Some(wanted)
    }

    /// Makes what is served of a definition anew where it has changed; says whether it has.
    async fn serve(&mut self, server: &Server, name: &str) -> bool {
        let Some(known) = self.known.get_mut(name) else { return false };
        if !known.standing.established {
            return false;
        }
        if known.served.as_ref().is_some_and(|(of, _)| Arc::ptr_eq(of, &known.definition)) {
            return false;
        }
        match entries::make(server, &known.definition, known.served.as_ref().map(|(of, _)| &**of)).await {
            Ok(made) => {
                known.served = Some((known.definition.clone(), made));
                true
            }
            Err(error) => {
                tracing::warn!(%error, definition = name, "cannot serve a custom resource");
                // It is looked at again with the next change.
                known.revision = 0;
                false
            }
        }
    }

    /// Begins to delete the objects of a definition that goes.
    fn clean(&mut self, server: &Arc<Server>, name: &str) {
        let Some(known) = self.known.get(name) else { return };
        if !known.waits_for_cleanup || self.cleaned.iter().any(|cleaned| cleaned == name) {
            return;
        }
        self.cleaned.push(name.to_owned());
        let entry = known.served.as_ref().and_then(|(_, entries)| entries.first().cloned());
        let (server, name) = (server.clone(), name.to_owned());
        self.cleaning.spawn(async move {
            cleanup::clean(&server, &name, entry.as_deref()).await;
            name
        });
    }

    fn ended(&mut self, ended: Result<String, tokio::task::JoinError>) {
        match ended {
            Ok(name) => self.cleaned.retain(|cleaned| *cleaned != name),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => {}
        }
    }

    /// The groups and versions that are served.
    fn served_versions(&self) -> BTreeSet<(String, String)> {
        let entries =
            self.known.values().filter_map(|known| known.served.as_ref()).flat_map(|(_, entries)| entries);
        entries.map(|entry| (entry.row.group.to_string(), entry.row.version.to_string())).collect()
    }

    fn publish(&self, server: &Server) {
        let served =
            || self.known.values().filter_map(|known| known.served.as_ref()).flat_map(|(_, entries)| entries);
        server.registry.set_custom(served().cloned());
        server.documents.set_custom(served().map(|entry| entry.row.clone()));
    }
}
