//! How requests came to be known and allowed, under upstream's names.

use std::time::Duration;

use authz::Decision;
use component::metrics::{
    Histogram, HistogramVec, IntCounter, IntCounterVec, exponential_buckets, histogram_opts, opts,
    register_histogram_vec, register_int_counter_vec,
};

/// How often, and how long it took.
type Counted = (IntCounter, Histogram);

/// The registered metrics of the process.
pub struct Shared {
    known: Counted,
    unknown: Counted,
    /// The users that upstream tells apart, and all others.
    users: Vec<(&'static str, IntCounter)>,
    allowed: Counted,
    denied: Counted,
    no_opinion: Counted,
    failed: Counted,
}

/// As whom requests are counted: a name of every user would grow without end.
const USERS: [&str; 5] =
    ["admin", "client", "kube_proxy", "kubelet", "system:serviceaccount:kube-system:default"];
const OTHER: &str = "other";

impl Shared {
    pub(super) fn register() -> Result<Self, component::metrics::Error> {
        let pair = |counter: IntCounterVec, histogram: HistogramVec| {
            move |result: &str| (counter.with_label_values(&[result]), histogram.with_label_values(&[result]))
        };
        let buckets = exponential_buckets(0.001, 2.0, 15)?;
        let authentication = pair(
            register_int_counter_vec!(
                opts!("authentication_attempts", "Counter of authenticated attempts."),
                &["result"]
            )?,
            register_histogram_vec!(
                histogram_opts!(
                    "authentication_duration_seconds",
                    "Authentication duration in seconds broken out by result.",
                    buckets.clone()
                ),
                &["result"]
            )?,
        );
        let authorization = pair(
            register_int_counter_vec!(
                opts!(
                    "authorization_attempts_total",
                    "Counter of authorization attempts broken down by result. It can be either 'allowed', 'denied', 'no-opinion' or 'error'."
                ),
                &["result"]
            )?,
            register_histogram_vec!(
                histogram_opts!(
                    "authorization_duration_seconds",
                    "Authorization duration in seconds broken out by result.",
                    buckets
                ),
                &["result"]
            )?,
        );
        let users = register_int_counter_vec!(
            opts!("authenticated_user_requests", "Counter of authenticated requests broken out by username."),
            &["username"]
        )?;
        Ok(Self {
            known: authentication("success"),
            unknown: authentication("error"),
            users: USERS
                .into_iter()
                .chain([OTHER])
                .map(|user| (user, users.with_label_values(&[user])))
                .collect(),
            allowed: authorization("allowed"),
            denied: authorization("denied"),
            no_opinion: authorization("no-opinion"),
            failed: authorization("error"),
        })
    }

    pub(super) fn authenticated(&self, user: Option<&str>, took: Duration) {
        let counted = if user.is_some() { &self.known } else { &self.unknown };
        counted.0.inc();
        counted.1.observe(took.as_secs_f64());
        let Some(user) = user else { return };
        let of = |name: &str| self.users.iter().find(|(known, _)| *known == name);
        if let Some((_, counter)) = of(user).or_else(|| of(OTHER)) {
            counter.inc();
        }
    }

    pub(super) fn authorized(&self, decision: &Decision, took: Duration) {
        let counted = match decision {
            Decision::Allow(_) => &self.allowed,
            Decision::Deny(_) => &self.denied,
            Decision::NoOpinion(_) if decision.failure().is_some() => &self.failed,
            Decision::NoOpinion(_) => &self.no_opinion,
        };
        counted.0.inc();
        counted.1.observe(took.as_secs_f64());
    }
}
