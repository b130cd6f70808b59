//! What admission takes: plugins, steps, webhooks and policies, under upstream's names.

use std::sync::OnceLock;
use std::time::Duration;

use admission::Operation;
use admission::review::{Check, Step};
use component::metrics::{
    Histogram, HistogramVec, IntCounterVec, histogram_opts, opts, register_histogram_vec,
    register_int_counter_vec,
};

/// The registered metrics of the process.
pub struct Shared {
    plugins: HistogramVec,
    steps: HistogramVec,
    webhooks: HistogramVec,
    requests: IntCounterVec,
    rejections: IntCounterVec,
    fail_open: IntCounterVec,
    checks: IntCounterVec,
    check_durations: HistogramVec,
}

/// Upstream's buckets of plugins and steps.
const SHORT: [f64; 6] = [0.005, 0.025, 0.1, 0.5, 1.0, 2.5];
/// Upstream's buckets of webhooks.
const LONG: [f64; 8] = [0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 25.0];
/// Upstream's buckets of policies.
const CHECKS: [f64; 6] = [0.000_000_5, 0.001, 0.01, 0.1, 1.0, 10.0];

const OPERATIONS: usize = 4;

impl Shared {
    pub(super) fn register() -> Result<Self, component::metrics::Error> {
        let named = ["name", "operation", "rejected", "type"];
        Ok(Self {
            plugins: register_histogram_vec!(
                histogram_opts!(
                    "apiserver_admission_controller_admission_duration_seconds",
                    "Admission controller latency histogram in seconds, identified by name and broken out for each operation and API resource and type (validate or admit).",
                    SHORT.to_vec()
                ),
                &named
            )?,
            steps: register_histogram_vec!(
                histogram_opts!(
                    "apiserver_admission_step_admission_duration_seconds",
                    "Admission sub-step latency histogram in seconds, broken out for each operation and API resource and step type (validate or admit).",
                    SHORT.to_vec()
                ),
                &["operation", "rejected", "type"]
            )?,
            webhooks: register_histogram_vec!(
                histogram_opts!(
                    "apiserver_admission_webhook_admission_duration_seconds",
                    "Admission webhook latency histogram in seconds, identified by name and broken out for each operation and API resource and type (validate or admit).",
                    LONG.to_vec()
                ),
                &named
            )?,
            requests: register_int_counter_vec!(
                opts!(
                    "apiserver_admission_webhook_request_total",
                    "Admission webhook request total, identified by name and broken out for each admission type (validating or mutating) and operation. Additional labels specify whether the request was rejected or not and an HTTP status code. Codes greater than 600 are truncated to 600, to keep the metrics cardinality bounded."
                ),
                &["code", "name", "operation", "rejected", "type"]
            )?,
            rejections: register_int_counter_vec!(
                opts!(
                    "apiserver_admission_webhook_rejection_count",
                    "Admission webhook rejection count, identified by name and broken out for each admission type (validating or admit) and operation. Additional labels specify an error type (calling_webhook_error or apiserver_internal_error if an error occurred; no_error otherwise) and optionally a non-zero rejection code if the webhook rejects the request with an HTTP status code (honored by the apiserver when the code is greater or equal to 400). Codes greater than 600 are truncated to 600, to keep the metrics cardinality bounded."
                ),
                &["error_type", "name", "operation", "rejection_code", "type"]
            )?,
            fail_open: register_int_counter_vec!(
                opts!(
                    "apiserver_admission_webhook_fail_open_count",
                    "Admission webhook fail open count, identified by name and broken out for each admission type (validating or mutating)."
                ),
                &["name", "type"]
            )?,
            checks: register_int_counter_vec!(
                opts!(
                    "apiserver_validating_admission_policy_check_total",
                    "Validation admission policy check total, labeled by policy and further identified by binding and enforcement action taken."
                ),
                &["enforcement_action", "error_type", "policy", "policy_binding"]
            )?,
            check_durations: register_histogram_vec!(
                histogram_opts!(
                    "apiserver_validating_admission_policy_check_duration_seconds",
                    "Validation admission latency for individual validation expressions in seconds, labeled by policy and further including binding and enforcement action taken.",
                    CHECKS.to_vec()
                ),
                &["enforcement_action", "error_type", "policy", "policy_binding"]
            )?,
        })
    }
}

/// How a webhook answered.
#[derive(Debug, Clone, Copy)]
pub struct Called<'a> {
    /// The webhook.
    pub name: &'a str,
    /// In which step.
    pub step: Step,
    /// For what.
    pub operation: Operation,
    /// What came of it.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// What came of calling a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It lets the request pass.
    Allowed,
    /// It does not, with this code.
    Refused(i32),
    /// It gave no answer that counts; whether the request is refused for that.
    Failed {
        /// `failurePolicy: Fail`
        closed: bool,
    },
}

/// The histograms of one step, by operation and whether the request was refused: those that were used.
#[derive(Default)]
struct Slots([OnceLock<Histogram>; 2 * OPERATIONS * 2]);

impl Slots {
    fn of(&self, step: Step, operation: Operation, refused: bool) -> &OnceLock<Histogram> {
        &self.0[(step as usize * OPERATIONS + operation as usize) * 2 + usize::from(refused)]
    }
}

/// The counters of a server, found without their labels: a write passes twenty plugins.
pub struct Admissions {
    plugins: Vec<(&'static str, Slots)>,
    steps: Slots,
}

fn labels(step: Step, operation: Operation, refused: bool) -> (&'static str, &'static str, &'static str) {
    let operation = match operation {
        Operation::Create => "CREATE",
        Operation::Update => "UPDATE",
        Operation::Delete => "DELETE",
        Operation::Connect => "CONNECT",
    };
    (operation, if refused { "true" } else { "false" }, name(step))
}

fn name(step: Step) -> &'static str {
    match step {
        Step::Admit => "admit",
        Step::Validate => "validate",
    }
}

/// Webhooks are counted under other names of the steps.
fn hooks(step: Step) -> &'static str {
    match step {
        Step::Admit => "admit",
        Step::Validate => "validating",
    }
}

impl Admissions {
    /// The plugins that are on, in the chain's order.
    pub fn new(plugins: &[&'static str]) -> Self {
        let plugins = plugins.iter().map(|plugin| (*plugin, Slots::default())).collect();
        Self { plugins, steps: Slots::default() }
    }

    pub(super) fn ran(
        &self,
        shared: &Shared,
        place: usize,
        step: Step,
        operation: Operation,
        took: Duration,
        refused: bool,
    ) {
        let Some((plugin, slots)) = self.plugins.get(place) else { return };
        let histogram = slots.of(step, operation, refused).get_or_init(|| {
            let (operation, refused, step) = labels(step, operation, refused);
            shared.plugins.with_label_values(&[*plugin, operation, refused, step])
        });
        histogram.observe(took.as_secs_f64());
    }

    pub(super) fn stepped(
        &self,
        shared: &Shared,
        step: Step,
        operation: Operation,
        took: Duration,
        refused: bool,
    ) {
        let histogram = self.steps.of(step, operation, refused).get_or_init(|| {
            let (operation, refused, step) = labels(step, operation, refused);
            shared.steps.with_label_values(&[operation, refused, step])
        });
        histogram.observe(took.as_secs_f64());
    }
}

impl Shared {
    pub(super) fn called(&self, called: Called<'_>) {
        let Called { name, step, operation, outcome, took } = called;
        let kind = hooks(step);
        let rejected = !matches!(outcome, Outcome::Allowed | Outcome::Failed { closed: false });
        let (operation, rejected, _) = labels(step, operation, rejected);
        self.webhooks.with_label_values(&[name, operation, rejected, kind]).observe(took.as_secs_f64());
        let code = match outcome {
            Outcome::Allowed => 200,
            Outcome::Refused(code) => code.clamp(0, 600),
            Outcome::Failed { .. } => 0,
        };
        let code = code.to_string();
        self.requests.with_label_values(&[&code, name, operation, rejected, kind]).inc();
        let error = match outcome {
            Outcome::Allowed => return,
            Outcome::Refused(_) => "no_error",
            Outcome::Failed { closed: true } => "calling_webhook_error",
            Outcome::Failed { closed: false } => {
                self.fail_open.with_label_values(&[name, kind]).inc();
                return;
            }
        };
        self.rejections.with_label_values(&[error, name, operation, &code, kind]).inc();
    }

    pub(super) fn checked(&self, check: Check<'_>, took: Duration) {
        let labels = [check.action, check.error, check.policy, check.binding];
        self.checks.with_label_values(&labels).inc();
        self.check_durations.with_label_values(&labels).observe(took.as_secs_f64());
    }
}
