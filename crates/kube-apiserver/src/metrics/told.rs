//! Numbers that other parts keep anyway, put under upstream's names when the metrics are read.

use std::fmt::{Display, Write as _};
use std::sync::Arc;
use std::time::Duration;

use storage::{Cache, Lists, Source};

use crate::registry::Entry;
use crate::server::Server;

/// How long etcd may take to say how large it is.
const PATIENCE: Duration = Duration::from_secs(1);

/// Metrics in Prometheus' text format, on their way.
#[derive(Default)]
struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (index, (label, value)) in labels.iter().enumerate() {
            let opening = if index == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{opening}{label}=\"{}\"", escaped(value));
        }
        let closing = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{closing} {value}");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// All of them.
pub async fn text(server: &Server) -> String {
    let mut text = Text::default();
    let stored = Stored::of(server);
    objects(&mut text, &stored);
    caches(&mut text, &stored);
    lists(&mut text, &stored);
    watched(&mut text, server);
    database(&mut text, server).await;
    audit(&mut text, server);
    aggregation(&mut text, server);
    text.0
}

/// The kinds that are stored, each with the labels of its group and resource; not those that are stored as another.
struct Stored(Vec<Arc<Entry>>);

impl Stored {
    fn of(server: &Server) -> Self {
        let all = server.registry.all();
        Self(all.into_iter().filter(|entry| entry.is_stored() && entry.stored_as.is_none()).collect())
    }

    fn each(&self) -> impl Iterator<Item = ([(&str, &str); 2], &Cache)> {
        self.0
            .iter()
            .map(|entry| ([("group", entry.group()), ("resource", entry.plural())], &**entry.cache()))
    }

    /// Writes a number of each kind under a name, and leaves out the kinds that have none.
    fn write<N: Display>(
        &self,
        text: &mut Text,
        (name, kind, help): (&str, &str, &str),
        number: impl Fn(&Cache) -> Option<N>,
    ) {
        text.head(name, kind, help);
        for (labels, cache) in self.each() {
            if let Some(number) = number(cache) {
                text.line(name, &labels, number);
            }
        }
    }
}

const OBJECTS: &str = "Number of stored objects at the time of last check split by kind. In case of a fetching error, the value will be -1.";

fn objects(text: &mut Text, stored: &Stored) {
    stored.write(text, ("apiserver_resource_objects", "gauge", OBJECTS), |cache| Some(cache.len()));
    let name = "apiserver_storage_objects";
    text.head(name, "gauge", OBJECTS);
    for ([(_, group), (_, plural)], cache) in stored.each() {
        let resource = match group {
            "" => plural.to_owned(),
            group => format!("{plural}.{group}"),
        };
        text.line(name, &[("resource", &resource)], cache.len());
    }
}

fn caches(text: &mut Text, stored: &Stored) {
    let name = "apiserver_watch_cache_resource_version";
    let help = "Current resource version of watch cache broken by resource type.";
    stored.write(text, (name, "gauge", help), |cache| Some(cache.changed()));
    type Number = fn(storage::Counts) -> u64;
    let counters: [(&str, &str, Number); 5] = [
        (
            "apiserver_watch_cache_initializations_total",
            "Counter of watch cache initializations broken by resource type.",
            |counts| counts.loads,
        ),
        (
            "apiserver_watch_cache_events_received_total",
            "Counter of events received in watch cache broken by resource type.",
            |counts| counts.received,
        ),
        (
            "apiserver_watch_cache_events_dispatched_total",
            "Counter of events dispatched in watch cache broken by resource type.",
            |counts| counts.received,
        ),
        (
            "apiserver_init_events_total",
            "Counter of init events processed in watch cache broken by resource type.",
            |counts| counts.first,
        ),
        (
            "apiserver_terminated_watchers_total",
            "Counter of watchers closed due to unresponsiveness broken by resource type.",
            |counts| counts.ended,
        ),
    ];
    for (name, help, number) in counters {
        stored.write(text, (name, "counter", help), |cache| {
            Some(number(cache.counts())).filter(|number| *number > 0)
        });
    }
}

/// What lists cost, by where they were read.
fn lists(text: &mut Text, stored: &Stored) {
    type Number = fn(&Lists) -> u64;
    let from_storage: [(&str, &str, Number); 4] = [
        ("apiserver_storage_list_total", "Number of LIST requests served from storage", |lists| lists.lists),
        (
            "apiserver_storage_list_fetched_objects_total",
            "Number of objects read from storage in the course of serving a LIST request",
            |lists| lists.fetched,
        ),
        (
            "apiserver_storage_list_evaluated_objects_total",
            "Number of objects tested in the course of serving a LIST request from storage",
            |lists| lists.evaluated,
        ),
        (
            "apiserver_storage_list_returned_objects_total",
            "Number of objects returned for a LIST request from storage",
            |lists| lists.returned,
        ),
    ];
    for (name, help, number) in from_storage {
        stored.write(text, (name, "counter", help), |cache| {
            let lists = cache.lists(Source::Storage);
            (lists.lists > 0).then(|| number(&lists))
        });
    }
    let from_cache: [(&str, &str, Number); 2] = [
        ("apiserver_cache_list_total", "Number of LIST requests served from watch cache", |lists| {
            lists.lists
        }),
        (
            "apiserver_cache_list_fetched_objects_total",
            "Number of objects read from watch cache in the course of serving a LIST request",
            |lists| lists.fetched,
        ),
    ];
    for (name, help, number) in from_cache {
        text.head(name, "counter", help);
        for ([group, resource], cache) in stored.each() {
            for (source, index) in [(Source::Cache, String::new()), (Source::Index, index(cache))] {
                let lists = cache.lists(source);
                if lists.lists > 0 {
                    text.line(name, &[group, ("index", &index), resource], number(&lists));
                }
            }
        }
    }
    let name = "apiserver_cache_list_returned_objects_total";
    let help = "Number of objects returned for a LIST request from watch cache";
    stored.write(text, (name, "counter", help), |cache| {
        let [all, indexed] = [Source::Cache, Source::Index].map(|source| cache.lists(source));
        (all.lists + indexed.lists > 0).then_some(all.returned + indexed.returned)
    });
}

/// The name of a cache's index, as upstream names it.
fn index(cache: &Cache) -> String {
    let field = cache.resource.indexed.and_then(|field| cache.resource.fields.get(field));
    field.map_or_else(String::new, |field| format!("f:{}", field.name))
}

/// The events that watchers were sent.
fn watched(text: &mut Text, server: &Server) {
    let watched = server.metrics.watched();
    let name = "apiserver_watch_events_total";
    text.head(name, "counter", "Number of events sent in watch clients");
    for ([group, version, resource], sizes) in &watched {
        text.line(name, &[("group", group), ("resource", resource), ("version", version)], sizes.count);
    }
    text.head("apiserver_watch_events_sizes", "histogram", "Watch event size distribution in bytes");
    for ([group, version, resource], sizes) in &watched {
        let labels: [(&str, &str); 3] = [("group", group), ("resource", resource), ("version", version)];
        let [group, resource, version] = labels;
        let bounds = sizes.up_to.iter().map(|(bound, count)| (bound.to_string(), *count));
        for (bound, count) in bounds.chain([("+Inf".to_owned(), sizes.count)]) {
            let labels = [group, ("le", &*bound), resource, version];
            text.line("apiserver_watch_events_sizes_bucket", &labels, count);
        }
        text.line("apiserver_watch_events_sizes_sum", &labels, sizes.bytes);
        text.line("apiserver_watch_events_sizes_count", &labels, sizes.count);
    }
}

async fn database(text: &mut Text, server: &Server) {
    // What cannot be found out is left out.
    let Ok(Ok(size)) = tokio::time::timeout(PATIENCE, server.store.etcd().database_size()).await else {
        return;
    };
    let name = "apiserver_storage_size_bytes";
    text.head(name, "gauge", "Size of the storage database file physically allocated in bytes.");
    text.line(name, &[("storage_cluster_id", "etcd-0")], size);
}

fn audit(text: &mut Text, server: &Server) {
    let Some(auditor) = &server.auditor else { return };
    let counts = auditor.counts();
    let name = "apiserver_audit_event_total";
    text.head(name, "counter", "Counter of audit events generated and sent to the audit backend.");
    text.line(name, &[], counts.events);
    let name = "apiserver_audit_level_total";
    text.head(name, "counter", "Counter of policy levels for audit events (1 per request).");
    for (level, count) in counts.requests {
        text.line(name, &[("level", level.name())], count);
    }
    let name = "apiserver_audit_error_total";
    text.head(name, "counter", "Counter of audit events that failed to be audited properly. Plugin identifies the plugin affected by the error.");
    for (plugin, count) in counts.lost {
        text.line(name, &[("plugin", plugin)], count);
    }
}

fn aggregation(text: &mut Text, server: &Server) {
    let backends = server.aggregation.availability();
    if backends.is_empty() {
        return;
    }
    let name = "aggregator_unavailable_apiservice";
    text.head(
        name,
        "gauge",
        "Gauge of APIServices which are marked as unavailable broken down by APIService name.",
    );
    for (backend, found) in &backends {
        text.line(name, &[("name", backend)], u8::from(!found.available));
    }
    let name = "aggregator_unavailable_apiservice_total";
    text.head(
        name,
        "counter",
        "Counter of APIServices which are marked as unavailable broken down by APIService name and reason.",
    );
    for (backend, found) in &backends {
        for (reason, count) in &found.refusals {
            text.line(name, &[("name", backend), ("reason", reason)], count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_prometheus_reads_them() {
        let mut text = Text::default();
        text.line("a_total", &[], 3);
        text.line("b", &[("name", "v1.x"), ("why", "said \"no\"\\")], -1);
        assert_eq!(text.0, "a_total 3\nb{name=\"v1.x\",why=\"said \\\"no\\\"\\\\\"} -1\n");
    }
}
