//! The resources that are served: each a row of the catalogue with its cache and its strategy.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use admission::rules::Served;
use arc_swap::ArcSwap;
use kinds::Strategy;
use printing::CustomColumns;
use schema::Resource;
use storage::{Cache, SelectableField, Store};

use crate::extension::Conversion;
use crate::metrics::Known;

/// A kind's own rules: written for a built-in kind, read from a definition for a custom one.
pub enum Rules {
    /// Of a built-in kind.
    BuiltIn(&'static dyn Strategy),
    /// Of a custom one.
    Custom(Arc<Custom>),
}

impl Deref for Rules {
    type Target = dyn Strategy;

    fn deref(&self) -> &(dyn Strategy + 'static) {
        match self {
            Rules::BuiltIn(strategy) => *strategy,
            Rules::Custom(custom) => &custom.rules,
        }
    }
}

/// What a definition says of one version of its resource.
pub struct Custom {
    /// How objects are pruned, defaulted and validated.
    pub rules: custom_resources::Rules,
    /// What `kubectl get` prints.
    pub columns: CustomColumns,
    /// Where the fields of a Scale are.
    pub scale: Option<custom_resources::Scale>,
    /// What a client is told that asks for this version.
    pub warning: Option<String>,
    /// Who converts objects between versions, where these differ in more than their name.
    pub conversion: Option<Arc<Conversion>>,
}

/// One resource under one version.
pub struct Entry {
    /// The row of the catalogue.
    pub row: Resource,
    /// `group/version` of requests and answers.
    pub api_version: String,
    /// `group/version` of what is stored, where that is another.
    pub stored_as: Option<String>,
    /// Its objects; none where nothing is stored.
    cache: Option<Arc<Cache>>,
    /// The kind's own rules.
    pub strategy: Rules,
    /// What its requests are counted by.
    pub counters: Known,
}

impl Entry {
    /// The cache of a stored resource.
    ///
    /// # Panics
    /// For resources that are not stored; the dispatcher answers those before any handler is called.
    pub fn cache(&self) -> &Arc<Cache> {
        self.cache.as_ref().expect("handlers of objects are called for stored resources only")
    }

    /// What its definition says, where it is a custom resource.
    pub fn custom(&self) -> Option<&Custom> {
        match &self.strategy {
            Rules::BuiltIn(_) => None,
            Rules::Custom(custom) => Some(custom),
        }
    }

    /// Who converts its objects between versions, where it is not the server itself.
    pub fn conversion(&self) -> Option<&Conversion> {
        self.custom()?.conversion.as_deref()
    }

    /// A version of a custom resource, whose objects are in this cache.
    pub fn of_definition(row: Resource, cache: Arc<Cache>, custom: Arc<Custom>) -> Self {
        let (api_version, stored) = (row.api_version(), row.storage_api_version());
        let stored_as = (stored != api_version).then_some(stored);
        let strategy = Rules::Custom(custom);
        Self { row, api_version, stored_as, cache: Some(cache), strategy, counters: Known::default() }
    }

    /// Whether objects are kept.
    pub fn is_stored(&self) -> bool {
        self.cache.is_some()
    }

    /// The store's key of an object.
    pub fn key(&self, namespace: &str, name: &str) -> String {
        if self.row.namespaced { format!("{namespace}/{name}") } else { name.to_owned() }
    }

    /// The group of the stored kind.
    pub fn group(&self) -> &str {
        &self.row.group
    }

    /// The plural name.
    pub fn plural(&self) -> &str {
        &self.row.plural
    }
}

/// All resources, found by the words of a path.
#[derive(Default)]
pub struct Registry {
    entries: ArcSwap<HashMap<String, Vec<Arc<Entry>>>>,
}

impl Registry {
    /// Serves these rows from the store's caches.
    pub fn new(rows: impl IntoIterator<Item = Resource>, store: &Store) -> Self {
        let mut entries: HashMap<String, Vec<Arc<Entry>>> = HashMap::new();
        for row in rows {
            let cache = row.stored().then(|| store.cache(&row.prefix)).flatten();
            let (api_version, stored) = (row.api_version(), row.storage_api_version());
            let strategy = Rules::BuiltIn(kinds::strategy(&row.group, &row.kind));
            let stored_as = (stored != api_version).then_some(stored);
            let list = entries.entry(row.plural.to_string()).or_default();
            let counters = Known::default();
            list.push(Arc::new(Entry { row, api_version, stored_as, cache, strategy, counters }));
        }
        Self { entries: ArcSwap::from_pointee(entries) }
    }

    /// Serves these custom resources beside the built-in ones, and no others.
    pub fn set_custom(&self, custom: impl IntoIterator<Item = Arc<Entry>>) {
        let mut entries: HashMap<String, Vec<Arc<Entry>>> = (**self.entries.load()).clone();
        entries.values_mut().for_each(|list| list.retain(|entry| entry.custom().is_none()));
        for entry in custom {
            entries.entry(entry.row.plural.to_string()).or_default().push(entry);
        }
        entries.retain(|_, list| !list.is_empty());
        self.entries.store(Arc::new(entries));
    }

    /// Finds a resource by the words of its path.
    pub fn lookup(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Entry>> {
        let entries = self.entries.load();
        entries
            .get(plural)?
            .iter()
            .find(|entry| entry.row.group == group && entry.row.version == version)
            .cloned()
    }

    /// Finds any version of a resource whose own form is the stored one.
    pub fn stored(&self, group: &str, plural: &str) -> Option<Arc<Entry>> {
        let entries = self.entries.load();
        let list = entries.get(plural)?;
        let of_group = || list.iter().filter(|entry| entry.row.group == group);
        of_group().find(|entry| entry.stored_as.is_none()).or_else(|| of_group().next()).cloned()
    }

    /// Finds a resource by the kind of its objects.
    pub fn of_kind(&self, group: &str, version: &str, kind: &str) -> Option<Arc<Entry>> {
        let entries = self.entries.load();
        let mut all = entries.values().flatten();
        all.find(|entry| {
            let row = &entry.row;
            row.kind == kind && row.group == group && row.version == version && entry.is_stored()
        })
        .cloned()
    }

    /// The other groups and versions under which a resource's objects are served.
    pub fn versions(&self, group: &str, version: &str, plural: &str) -> Vec<Served> {
        let Some(own) = self.lookup(group, version, plural) else { return Vec::new() };
        let entries = self.entries.load();
        let others = entries.get(plural).into_iter().flatten().filter(|entry| {
            let same = !own.row.prefix.is_empty() && entry.row.prefix == own.row.prefix;
            same && (entry.row.group != group || entry.row.version != version)
        });
        let served = |entry: &Arc<Entry>| Served {
            group: entry.row.group.to_string(),
            version: entry.row.version.to_string(),
            resource: entry.row.plural.to_string(),
            kind: entry.row.kind.to_string(),
        };
        others.map(served).collect()
    }

    /// Whether any resource has this group and version.
    pub fn serves(&self, group: &str, version: &str) -> bool {
        self.entries
            .load()
            .values()
            .flatten()
            .any(|entry| entry.row.group == group && entry.row.version == version)
    }

    /// All resources.
    pub fn all(&self) -> Vec<Arc<Entry>> {
        self.entries.load().values().flatten().cloned().collect()
    }
}

/// What the store must cache for these rows.
pub fn stored_resources<'a>(rows: impl IntoIterator<Item = &'a Resource>) -> Vec<storage::Resource> {
    let mut resources: Vec<storage::Resource> = Vec::new();
    for row in rows {
        let is_storage_form = row.storage_group == row.group && row.storage_version == row.version;
        if !row.stored() || !is_storage_form {
            continue;
        }
        if resources.iter().any(|known| known.prefix == row.prefix) {
            continue;
        }
        let fields = row.selectable_fields.iter().map(selectable).collect();
        let resource =
            storage::Resource::new(&row.prefix, row.namespaced, fields).named(&row.group, &row.plural);
        // The kubelets' watches and the node controllers' look-ups.
        resources.push(resource.indexed_by("spec.nodeName"));
    }
    resources
}

/// Where a selectable field is, and what it compares as when it is absent.
fn selectable(name: &str) -> SelectableField {
    let field = SelectableField::new(name);
    match name {
        "spec.hostNetwork" | "spec.unschedulable" => field.absent("false"),
        "status.replicas" => field.absent("0"),
        "status.successful" => field.at(&["status.succeeded"]).absent("0"),
        // Events: who reported, in the old and the new form.
        "source" => field.at(&["source.component", "reportingComponent"]),
        "reportingComponent" => field.at(&["reportingComponent", "source.component"]),
        _ => field,
    }
}
