//! EventRateLimit: so many events a second may be written, by anybody, in a namespace, by a user, or about an object.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use apimachinery::FieldError;
use apimachinery::status::Status;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;
use strategy::read::Read;

use crate::configuration::{self, Kinds};
use crate::{Attributes, Context, Operation, Plugin, Steps};

const KINDS: &Kinds = &[("eventratelimit.admission.k8s.io/v1alpha1", "Configuration")];
/// How many keys of a limit are remembered where its configuration does not say, as upstream.
const REMEMBERED: usize = 4096;
const TYPES: [&str; 4] = ["Namespace", "Server", "SourceAndObject", "User"];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Configuration {
    limits: Vec<Given>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Given {
    r#type: String,
    qps: i32,
    burst: i32,
    cache_size: i32,
}

/// The plugin.
#[derive(Debug, Default)]
pub(crate) struct EventRateLimit(Vec<Limit>);

#[derive(Debug)]
struct Limit {
    by: String,
    buckets: Mutex<Buckets>,
}

/// A bucket of tokens for each key; of too many keys the one goes that was used least recently.
#[derive(Debug)]
struct Buckets {
    per_second: f64,
    burst: f64,
    most: usize,
    uses: u64,
    buckets: HashMap<String, Bucket>,
    by_use: BTreeMap<u64, String>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
    used: u64,
}

impl Buckets {
    fn take(&mut self, key: &str, now: Instant) -> bool {
        self.uses += 1;
        if !self.buckets.contains_key(key) {
            if self.buckets.len() >= self.most
                && let Some((_, oldest)) = self.by_use.pop_first()
            {
                self.buckets.remove(&oldest);
            }
            self.buckets.insert(key.to_owned(), Bucket { tokens: self.burst, filled: now, used: self.uses });
        }
        let Some(bucket) = self.buckets.get_mut(key) else { return true };
        self.by_use.remove(&bucket.used);
        bucket.used = self.uses;
        self.by_use.insert(self.uses, key.to_owned());
        let since = now.saturating_duration_since(bucket.filled).as_secs_f64();
        bucket.tokens = (bucket.tokens + since * self.per_second).min(self.burst);
        bucket.filled = now;
        let is_there = bucket.tokens >= 1.0;
        if is_there {
            bucket.tokens -= 1.0;
        }
        is_there
    }
}

fn key(by: &str, attributes: &Attributes, event: &Value) -> String {
    match by {
        "Namespace" => attributes.namespace.to_owned(),
        "User" => attributes.user.name.to_owned(),
        "SourceAndObject" => {
            let (source, object) = (&event["source"], &event["involvedObject"]);
            let of_source = ["component", "host"].map(|key| source.text(key));
            let of_object = ["kind", "namespace", "name", "uid", "apiVersion"].map(|key| object.text(key));
            [&of_source[..], &of_object].concat().concat()
        }
        _ => String::new(),
    }
}

fn validate(limits: &[Given]) -> Vec<FieldError> {
    if limits.is_empty() {
        return vec![FieldError::invalid("limits", Value::Array(Vec::new()), "must not be empty")];
    }
    let mut errors = Vec::new();
    for (index, limit) in limits.iter().enumerate() {
        let field = |name: &str| format!("limits[{index}].{name}");
        if !TYPES.contains(&limit.r#type.as_str()) {
            errors.push(FieldError::not_supported(field("type"), limit.r#type.as_str(), &TYPES));
        }
        for (name, number) in [("burst", limit.burst), ("qps", limit.qps)] {
            if number <= 0 {
                errors.push(FieldError::invalid(field(name), number, "must be positive"));
            }
        }
        if limit.r#type != "Server" && limit.cache_size < 0 {
            errors.push(FieldError::invalid(field("cacheSize"), limit.cache_size, "must not be negative"));
        }
    }
    errors
}

impl EventRateLimit {
    fn judge(&self, attributes: &Attributes, event: &Value, now: Instant) -> Result<(), Status> {
        let mut reached = Vec::new();
        for Limit { by, buckets } in &self.0 {
            let key = key(by, attributes, event);
            if !buckets.lock().take(&key, now) {
                reached.push(format!("limit reached on type {by} for key {key}"));
            }
        }
        let Err(why) = configuration::joined(&reached) else { return Ok(()) };
        Err(Status::new(429, "TooManyRequests", format!("Too many requests: {why}")))
    }
}

impl Plugin for EventRateLimit {
    fn name(&self) -> &'static str {
        "EventRateLimit"
    }

    fn configure(&mut self, configuration: Option<&Value>) -> Result<(), String> {
        let read = configuration.map(|configuration| configuration::read(configuration, KINDS));
        let Configuration { limits } = read.transpose()?.unwrap_or_default();
        configuration::joined(&validate(&limits))?;
        let limit = |given: Given| Limit {
            by: given.r#type,
            buckets: Mutex::new(Buckets {
                per_second: given.qps.into(),
                burst: given.burst.into(),
                most: usize::try_from(given.cache_size).ok().filter(|size| *size > 0).unwrap_or(REMEMBERED),
                uses: 0,
                buckets: HashMap::new(),
                by_use: BTreeMap::new(),
            }),
        };
        self.0 = limits.into_iter().map(limit).collect();
        Ok(())
    }

    fn steps(&self) -> Steps {
        Steps::Validate
    }

    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn validate(&self, context: &mut Context, object: &Value) -> Result<(), Status> {
        // As upstream, events of the core group alone; of a dry run nothing is stored.
        if !context.attributes.is("", "events") || context.attributes.dry_run {
            return Ok(());
        }
        self.judge(context.attributes, object, Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::testing::{Cluster, Request};

    fn plugin(limits: Value) -> Result<EventRateLimit, String> {
        let mut plugin = EventRateLimit::default();
        let configuration = json!({"apiVersion": KINDS[0].0, "kind": KINDS[0].1, "limits": limits});
        plugin.configure(Some(&configuration)).map(|()| plugin)
    }

    #[test]
    fn a_limit_fills_again_and_each_key_has_its_own() {
        let plugin = plugin(json!([{"type": "Namespace", "qps": 2, "burst": 3, "cacheSize": 2}])).unwrap();
        let start = Instant::now();
        let judge = |namespace: &'static str, after: u64| {
            let request = Request::create("", "events").inside(namespace);
            let now = start + Duration::from_millis(after);
            let judged =
                request.run(&Cluster::new(), |context| plugin.judge(context.attributes, &json!({}), now));
            judged.0.map_err(|status| (status.code, status.message))
        };
        for _ in 0..3 {
            assert_eq!(judge("a", 0), Ok(()));
        }
        let reached = Err((429, "Too many requests: limit reached on type Namespace for key a".to_owned()));
        assert_eq!(judge("a", 100), reached);
        assert_eq!(judge("b", 100), Ok(()));
        assert_eq!(judge("a", 600), Ok(()));
        assert_eq!(judge("a", 600), reached);
        // Of three keys the one is forgotten that was asked for longest ago.
        assert_eq!(judge("c", 600), Ok(()));
        assert_eq!(judge("a", 600), reached);
        assert_eq!(plugin.0[0].buckets.lock().buckets.len(), 2);
        assert_eq!(plugin.0[0].buckets.lock().by_use.len(), 2);
    }

    #[test]
    fn configurations_are_checked() {
        let refused = |limits: Value| plugin(limits).err().unwrap_or_default();
        assert_eq!(refused(json!([])), "limits: Invalid value: []: must not be empty");
        assert_eq!(
            refused(json!([{"type": "Pod", "qps": 1, "burst": 0}])),
            "[limits[0].type: Unsupported value: \"Pod\": supported values: \"Namespace\", \"Server\", \"SourceAndObject\", \"User\", limits[0].burst: Invalid value: 0: must be positive]"
        );
        assert!(refused(json!([{"type": "Server", "qps": "x"}])).contains("invalid type"));
        assert!(EventRateLimit::default().configure(None).is_err(), "it cannot do without one");
    }
}
