//! Ranges of Services' addresses.
//!
//! Keeps true: a ServiceCIDR holds itself by a finalizer, and says whether addresses are given from it; one that is
//! deleted goes when no address of it is left that no other range has.
//! Woken by: changes of ServiceCIDRs and IPAddresses, time.
//! Reads: both. Writes: finalizers and the condition `Ready` of ServiceCIDRs.
//! Gives up when: the ServiceCIDR is gone.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use controller_runtime::Running;
use controller_runtime::api::{Api, Error, merge};
use controller_runtime::context::{Context, now};
use controller_runtime::objects::resource;
use informer::{Key, Metadata, Object, Outcome, Store, WorkQueue, run_workers};
use ipnet::IpNet;
use serde::Deserialize;
use serde_json::{Value, json};

const FINALIZER: &str = "networking.k8s.io/service-cidr-finalizer";
/// How long a range that is deleted is kept at least, as upstream: servers stop giving addresses from it meanwhile.
const GRACE: Duration = Duration::from_secs(10);
const READY: &str = "Kubernetes Service CIDR is ready";
const IN_USE: &str =
    "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR";

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ServiceCidr {
    metadata: Metadata,
    spec: Spec,
    status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Spec {
    cidrs: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    conditions: Vec<Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct IpAddress {
    metadata: Metadata,
}

resource!(ServiceCidr, "networking.k8s.io", "v1", "ServiceCIDR", "servicecidrs");
resource!(IpAddress, "networking.k8s.io", "v1", "IPAddress", "ipaddresses");

impl ServiceCidr {
    fn ranges(&self) -> impl Iterator<Item = IpNet> {
        self.spec.cidrs.iter().filter_map(|text| text.parse().ok())
    }

    fn contains(&self, address: &IpAddr) -> bool {
        self.ranges().any(|range| range.contains(address))
    }
}

/// What to do with a range.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    /// It holds itself and says so.
    Nothing,
    /// It must hold itself first.
    Hold,
    /// It must say that it is ready.
    SayReady,
    /// It must say that it goes as soon as its addresses have.
    SayInUse,
    /// It may go, after this long.
    LetGo(Duration),
}

/// Decides on a range; `in_use` says whether an address is in it and in no other, `deleted` for how long it is to go.
fn decide(range: &ServiceCidr, in_use: bool, deleted: Option<Duration>) -> Decision {
    let holds = range.metadata.finalizers.iter().any(|finalizer| finalizer == FINALIZER);
    let says = |status: &str| {
        range.status.conditions.iter().any(|found| found["type"] == "Ready" && found["status"] == status)
    };
    match deleted {
        None if !holds => Decision::Hold,
        None if says("True") => Decision::Nothing,
        None => Decision::SayReady,
        Some(_) if !holds => Decision::Nothing,
        Some(_) if in_use && says("False") => Decision::Nothing,
        Some(_) if in_use => Decision::SayInUse,
        Some(since) => Decision::LetGo(GRACE.saturating_sub(since)),
    }
}

fn is_deleted(range: &ServiceCidr) -> bool {
    range.metadata.deletion_timestamp.is_some()
}

/// Whether an address is in this range and in no other that stays.
fn is_in_use(range: &ServiceCidr, others: &[Arc<ServiceCidr>], addresses: &[IpAddr]) -> bool {
    let has = |other: &ServiceCidr, address| {
        other.metadata.uid != range.metadata.uid && !is_deleted(other) && other.contains(address)
    };
    addresses.iter().any(|address| range.contains(address) && !others.iter().any(|other| has(other, address)))
}

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let shell = Arc::new(Shell {
        ranges: context.stores.of(),
        addresses: context.stores.of(),
        queue: WorkQueue::new("servicecidrs"),
        api: context.api.clone(),
    });
    context.stores.close_at_shutdown(&shell.queue);
    let on_range = Arc::clone(&shell);
    // Another range may hold what one that is to go still has.
    shell.ranges.on_change(move |change| {
        on_range.queue.add(change.object().key());
        on_range.wake(|_| true);
    });
    let on_address = Arc::clone(&shell);
    shell.addresses.on_change(move |change| {
        if let informer::Change::Deleted(address) = change
            && let Ok(address) = address.metadata.name.parse()
        {
            on_address.wake(|range| range.contains(&address));
        }
    });
    Some(Box::pin(async move {
        shell.ranges.ready().await;
        shell.addresses.ready().await;
        run_workers("service-cidr-controller", &shell.queue, 1, |key| shell.reconcile(key)).await;
    }))
}

struct Shell {
    ranges: Store<ServiceCidr>,
    addresses: Store<IpAddress>,
    queue: WorkQueue<Key>,
    api: Api,
}

impl Shell {
    /// Looks again at the ranges that wait to go.
    fn wake(&self, which: impl Fn(&ServiceCidr) -> bool) {
        for range in self.ranges.list() {
            if is_deleted(&range) && which(&range) {
                self.queue.add(range.key());
            }
        }
    }

    async fn reconcile(&self, key: Key) -> Result<Outcome, Error> {
        let Some(range) = self.ranges.get(key.as_str()) else { return Ok(Outcome::Done) };
        let deleted = range.metadata.deletion_timestamp.as_ref().map(|at| {
            let since = now().duration_since(at.0);
            Duration::try_from(since).unwrap_or_default()
        });
        let in_use = deleted.is_some() && {
            let addresses: Vec<IpAddr> = self
                .addresses
                .list()
                .iter()
                .filter_map(|address| address.metadata.name.parse().ok())
                .collect();
            is_in_use(&range, &self.ranges.list(), &addresses)
        };
        let written = match decide(&range, in_use, deleted) {
            Decision::Nothing => return Ok(Outcome::Done),
            Decision::LetGo(after) if !after.is_zero() => return Ok(Outcome::After(after)),
            Decision::Hold => self.api.modify(&*range, "", |live| hold(live, true)).await,
            Decision::LetGo(_) => self.api.modify(&*range, "", |live| hold(live, false)).await,
            Decision::SayReady => self.say(&range, "True", "", READY).await,
            Decision::SayInUse => self.say(&range, "False", "Terminating", IN_USE).await,
        };
        match written {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(Outcome::Done),
        }
    }

    async fn say(&self, range: &ServiceCidr, status: &str, reason: &str, message: &str) -> Result<(), Error> {
        let mut conditions = range.status.conditions.clone();
        conditions.retain(|condition| condition["type"] != "Ready");
        conditions.push(json!({
            "type": "Ready", "status": status, "reason": reason, "message": message,
            "lastTransitionTime": apimachinery::time::rfc3339(now()),
        }));
        let status = json!({ "conditions": conditions });
        self.api.modify(range, "status", |live| merge(&mut live["status"], &status)).await
    }
}

/// Puts the finalizer on an object or takes it off; says whether that changes anything.
fn hold(object: &mut Value, holds: bool) -> bool {
    let mut finalizers = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    let before = finalizers.len();
    finalizers.retain(|finalizer| finalizer != FINALIZER);
    if holds {
        finalizers.push(FINALIZER.into());
    }
    let changes = finalizers.len() != before;
    object["metadata"]["finalizers"] = finalizers.into();
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(name: &str, cidr: &str, rest: Value) -> ServiceCidr {
        let mut object = json!({"metadata": {"name": name, "uid": name}, "spec": {"cidrs": [cidr]}});
        merge(&mut object, &rest);
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_range_holds_itself_until_its_addresses_are_gone() {
        let held = json!({"metadata": {"finalizers": [FINALIZER]}});
        let says = |status: &str| json!({"metadata": {"finalizers": [FINALIZER]}, "status": {"conditions": [{"type": "Ready", "status": status}]}});
        let seconds = |count| Some(Duration::from_secs(count));
        for (rest, in_use, deleted, expected) in [
            (json!({}), false, None, Decision::Hold),
            (held.clone(), false, None, Decision::SayReady),
            (says("True"), false, None, Decision::Nothing),
            (says("False"), false, None, Decision::SayReady),
            (says("True"), true, seconds(1), Decision::SayInUse),
            (says("False"), true, seconds(60), Decision::Nothing),
            (says("True"), false, seconds(4), Decision::LetGo(Duration::from_secs(6))),
            (says("False"), false, seconds(60), Decision::LetGo(Duration::ZERO)),
            (json!({}), true, seconds(1), Decision::Nothing),
        ] {
            assert_eq!(decide(&range("a", "10.0.0.0/24", rest), in_use, deleted), expected);
        }
    }

    #[test]
    fn an_address_that_another_range_has_holds_nobody() {
        let small = range("small", "10.0.0.0/28", json!({}));
        let large = Arc::new(range("large", "10.0.0.0/24", json!({})));
        let all = [Arc::new(small.clone()), large.clone()];
        let addresses = ["10.0.0.5".parse().unwrap(), "10.0.0.77".parse().unwrap()];
        assert!(!is_in_use(&small, &all, &addresses));
        assert!(is_in_use(&large, &all, &addresses));
        assert!(!is_in_use(&large, &all, &addresses[..1]));
        assert!(is_in_use(&small, &all[..1], &addresses));
    }

    #[test]
    fn the_finalizer_is_put_on_once() {
        let mut object = json!({"metadata": {"finalizers": ["other"]}});
        assert!(hold(&mut object, true));
        assert!(!hold(&mut object, true));
        assert!(hold(&mut object, false));
        assert_eq!(object["metadata"]["finalizers"], json!(["other"]));
    }
}
