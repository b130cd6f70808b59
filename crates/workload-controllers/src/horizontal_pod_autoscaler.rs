//! HorizontalPodAutoscalers: as many pods as what they use asks for.
//!
//! Keeps true: a target's `scale` is what its metrics, its limits and its rules of change ask for.
//! Woken by: changes of an autoscaler's spec; time, every `--horizontal-pod-autoscaler-sync-period`.
//! Reads: autoscalers, pods, the target's `scale`, the metrics API. Writes: `scale`, the status, events.
//! Gives up when: the target has no pods by design (zero replicas); a failure is looked at again next time.

mod measured;
mod objects;
mod report;
mod rules;
mod usage;

use std::collections::HashMap;
use std::sync::Arc;

use apimachinery::{ObjectExt as _, labels};
use controller_runtime::Running;
use controller_runtime::api::Error;
use controller_runtime::api::path::collection_path;
use controller_runtime::context::{Context, now};
use controller_runtime::objects::Pod;
use informer::{Change, Key, Outcome, Store, WorkQueue, run_workers};
use jiff::SignedDuration;
use parking_lot::Mutex;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use objects::{HorizontalPodAutoscaler, Metric, Source, TargetRef};
use report::Report;
use rules::{Behavior, History};
use usage::{Proposal, Starting, Target};

/// Kinds whose plural is remembered at most; beyond it the memory starts anew.
const KINDS: usize = 256;

struct Shell {
    context: Context,
    autoscalers: Store<HorizontalPodAutoscaler>,
    pods: Store<Pod>,
    histories: Mutex<HashMap<Key, History>>,
    plurals: Mutex<HashMap<(String, String), String>>,
}

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let workers = context.options.concurrency.autoscalers;
    let autoscalers: Store<HorizontalPodAutoscaler> = context.stores.of();
    let queue = WorkQueue::new("horizontalpodautoscaler");
    context.stores.close_at_shutdown(&queue);
    let shell = Arc::new(Shell {
        pods: context.stores.of(),
        autoscalers: autoscalers.clone(),
        context,
        histories: Mutex::default(),
        plurals: Mutex::default(),
    });
    let (on_change, of) = (queue.clone(), Arc::clone(&shell));
    autoscalers.on_change(move |change| match change {
        // A written status is no reason to look before it is time. Autoscalers have no generation.
        Change::Applied { old: Some(old), new } if old.spec == new.spec => {}
        Change::Applied { new, .. } => on_change.add(informer::Object::key(&***new)),
        Change::Deleted(last) => {
            of.histories.lock().remove(&informer::Object::key(&***last));
        }
    });
    Some(Box::pin(async move {
        shell.autoscalers.ready().await;
        shell.pods.ready().await;
        run_workers("horizontal-pod-autoscaler", &queue, workers, |key| shell.reconcile(key)).await;
    }))
}

/// `scale` of a target.
struct Scale {
    path: String,
    object: Value,
    replicas: i32,
}

/// What all metrics together ask for.
struct Wanted {
    replicas: i32,
    metric: String,
    statuses: Vec<Value>,
}

/// One look at a target, as far as it got.
struct Look {
    current: i32,
    desired: i32,
    statuses: Vec<Value>,
    rescaled: bool,
}

impl Shell {
    async fn reconcile(&self, key: Key) -> Result<Outcome, Error> {
        let Some(autoscaler) = self.autoscalers.get(key.as_str()) else { return Ok(Outcome::Done) };
        let again = Outcome::After(self.context.options.horizontal_pod_autoscaler_sync_period);
        if autoscaler.metadata.is_deleting() {
            return Ok(Outcome::Done);
        }
        let mut report = Report::default();
        let look = self.look(&autoscaler, &key, &mut report).await;
        for (reason, message) in &report.warnings {
            self.context.warning(&*autoscaler, reason, message.clone());
        }
        let mut status = json!({"conditions": report.conditions(&autoscaler.status.conditions, now())});
        if let Some(look) = look {
            status["currentReplicas"] = look.current.into();
            status["desiredReplicas"] = look.desired.into();
            status["currentMetrics"] =
                if look.statuses.is_empty() { Value::Null } else { look.statuses.into() };
            if look.rescaled {
                status["lastScaleTime"] = apimachinery::time::rfc3339(now()).into();
            }
        }
        match self.context.api.update_status(&*autoscaler, &status).await {
            // Gone, or asked for something else: that is looked at by itself.
            Err(error) if !error.is_not_found() && !error.is_conflict() => Err(error),
            _ => Ok(again),
        }
    }

    /// Looks at a target once and scales it. `None` if it could not be looked at.
    async fn look(
        &self,
        autoscaler: &HorizontalPodAutoscaler,
        key: &Key,
        report: &mut Report,
    ) -> Option<Look> {
        let spec = &autoscaler.spec;
        let scale = match self.scale(&autoscaler.metadata.namespace, &spec.scale_target_ref).await {
            Ok(scale) => scale,
            Err(error) => {
                let message =
                    format!("the HPA controller was unable to get the target's current scale: {error}");
                report.warn("FailedGetScale", error);
                report.set("AbleToScale", false, "FailedGetScale", message);
                return None;
            }
        };
        let message = "the HPA controller was able to get the target's current scale";
        report.set("AbleToScale", true, "SucceededGetScale", message);
        let (current, least) = (scale.replicas, spec.min_replicas.unwrap_or(1));
        self.histories.lock().entry(key.clone()).or_default().begin(current, now());
        let mut statuses = Vec::new();
        let (desired, reason) = if current == 0 && least != 0 {
            let message = "scaling is disabled since the replica count of the target is zero";
            report.set("ScalingActive", false, "ScalingDisabled", message);
            (0, String::new())
        } else if current > spec.max_replicas {
            (spec.max_replicas, "Current number of replicas above Spec.MaxReplicas".to_owned())
        } else if current < least {
            (least, "Current number of replicas below Spec.MinReplicas".to_owned())
        } else {
            let wanted = match self.wanted(autoscaler, &scale, report).await {
                Ok(wanted) => wanted,
                Err(error) => {
                    report.warn("FailedComputeMetricsReplicas", error);
                    return Some(Look { current, desired: current, statuses, rescaled: false });
                }
            };
            statuses = wanted.statuses;
            let behavior = spec.behavior();
            let desired = self.decide(
                key,
                current,
                wanted.replicas,
                (least, spec.max_replicas),
                behavior.as_ref(),
                report,
            );
            let reason = match desired > current {
                true => format!("{} above target", wanted.metric),
                false => "All metrics below target".to_owned(),
            };
            (desired, reason)
        };
        let rescaled =
            desired != current && self.rescale(autoscaler, key, scale, desired, &reason, report).await;
        let desired = if rescaled { desired } else { current };
        Some(Look { current, desired, statuses, rescaled })
    }

    fn decide(
        &self,
        key: &Key,
        current: i32,
        wanted: i32,
        limits: (i32, i32),
        behavior: Option<&Behavior>,
        report: &mut Report,
    ) -> i32 {
        let calm = signed(self.context.options.horizontal_pod_autoscaler_downscale_stabilization);
        let mut histories = self.histories.lock();
        let history = histories.entry(key.clone()).or_default();
        let decision = rules::decide(current, wanted, limits, (behavior, calm), history, now());
        report.set("AbleToScale", true, decision.able.0, decision.able.1);
        report.set("ScalingLimited", decision.limited, decision.limit.0, decision.limit.1);
        decision.replicas
    }

    /// Writes the number of pods. Says whether it was written.
    async fn rescale(
        &self,
        autoscaler: &HorizontalPodAutoscaler,
        key: &Key,
        scale: Scale,
        desired: i32,
        reason: &str,
        report: &mut Report,
    ) -> bool {
        let mut object = scale.object;
        object["spec"]["replicas"] = desired.into();
        if let Err(error) = self.context.api.update(&scale.path, &object).await {
            report.warn("FailedRescale", format!("New size: {desired}; reason: {reason}; error: {error}"));
            let message = format!("the HPA controller was unable to update the target scale: {error}");
            report.set("AbleToScale", false, "FailedUpdateScale", message);
            return false;
        }
        let message = format!("the HPA controller was able to update the target scale to {desired}");
        report.set("AbleToScale", true, "SucceededRescale", message);
        let message = format!("New size: {desired}; reason: {reason}");
        self.context.normal(autoscaler, "SuccessfulRescale", message);
        self.histories.lock().entry(key.clone()).or_default().changed(now(), desired - scale.replicas);
        true
    }

    async fn scale(&self, namespace: &str, target: &TargetRef) -> Result<Scale, String> {
        let plural = self.plural(target).await?;
        let (group, version) = target.api_version.split_once('/').unwrap_or(("", &target.api_version));
        let collection = collection_path(group, version, &plural, namespace);
        let path = format!("{collection}/{}/scale", target.name);
        let object = self.context.api.get(&path).await.map_err(|error| error.to_string())?;
        let replicas = object.i64_at(&["spec", "replicas"]).unwrap_or(0);
        Ok(Scale { path, object, replicas: i32::try_from(replicas).unwrap_or(i32::MAX) })
    }

    /// The plural name of a kind, as discovery tells it.
    async fn plural(&self, target: &TargetRef) -> Result<String, String> {
        let key = (target.api_version.clone(), target.kind.clone());
        if let Some(plural) = self.plurals.lock().get(&key) {
            return Ok(plural.clone());
        }
        let root = if target.api_version.contains('/') { "apis" } else { "api" };
        let list = self.context.api.get(&format!("/{root}/{}", target.api_version)).await;
        let list = list.map_err(|error| error.to_string())?;
        let found = list.list_at(&["resources"]).iter().find_map(|entry| {
            let name = entry.str_at(&["name"])?;
            (entry.str_at(&["kind"]) == Some(&target.kind) && !name.contains('/')).then(|| name.to_owned())
        });
        let plural = found.ok_or_else(|| {
            format!("no matches for kind {:?} in version {:?}", target.kind, target.api_version)
        })?;
        let mut plurals = self.plurals.lock();
        if plurals.len() >= KINDS {
            plurals.clear();
        }
        plurals.insert(key, plural.clone());
        Ok(plural)
    }

    /// Asks every metric; the highest proposal counts.
    async fn wanted(
        &self,
        autoscaler: &HorizontalPodAutoscaler,
        scale: &Scale,
        report: &mut Report,
    ) -> Result<Wanted, String> {
        let selector = scale.object.str_at(&["status", "selector"]).unwrap_or_default();
        if selector.is_empty() {
            report.warn("SelectorRequired", "selector is required");
            let message = "the HPA target's scale is missing a selector";
            report.set("ScalingActive", false, "InvalidSelector", message);
            return Err("selector is required".to_owned());
        }
        let matching = labels::parse(selector).map_err(|error| {
            format!("couldn't convert selector into a corresponding internal selector object: {error}")
        })?;
        let pods: Vec<Arc<Pod>> = self
            .pods
            .in_namespace(&autoscaler.metadata.namespace)
            .into_iter()
            .filter(|pod| matching.matches_map(Some(&pod.metadata.labels)))
            .collect();
        let mut wanted: Option<Wanted> = None;
        let mut failed: Vec<(&'static str, String)> = Vec::new();
        let mut statuses = Vec::new();
        for metric in &autoscaler.spec.metrics {
            match self.propose(autoscaler, metric, selector, &pods, scale.replicas).await {
                Ok((proposal, name, status)) => {
                    statuses.push(status);
                    if wanted.as_ref().is_none_or(|known| proposal.replicas > known.replicas) {
                        wanted =
                            Some(Wanted { replicas: proposal.replicas, metric: name, statuses: Vec::new() });
                    }
                }
                Err((reason, error)) => {
                    report.warn(reason, error.clone());
                    failed.push((reason, error));
                }
            }
        }
        // With a metric that is not known, only more pods can be asked for.
        let usable = wanted.filter(|wanted| failed.is_empty() || wanted.replicas >= scale.replicas);
        match (usable, failed.first()) {
            (Some(mut wanted), _) => {
                let message = format!(
                    "the HPA was able to successfully calculate a replica count from {}",
                    wanted.metric
                );
                report.set("ScalingActive", true, "ValidMetricFound", message);
                wanted.statuses = statuses;
                Ok(wanted)
            }
            (None, Some((reason, error))) => {
                let message = format!("the HPA was unable to compute the replica count: {error}");
                report.set("ScalingActive", false, reason, message);
                Err(format!(
                    "invalid metrics ({} invalid out of {}), first error is: {error}",
                    failed.len(),
                    autoscaler.spec.metrics.len()
                ))
            }
            (None, None) => Err("no metrics".to_owned()),
        }
    }

    /// Asks one metric: what it proposes, its name in messages, and its status.
    async fn propose(
        &self,
        autoscaler: &HorizontalPodAutoscaler,
        metric: &Metric,
        selector: &str,
        pods: &[Arc<Pod>],
        current: i32,
    ) -> Result<(Proposal, String, Value), (&'static str, String)> {
        let Some((source, target)) = metric.source().and_then(|source| Some((source, source.target()?)))
        else {
            let error = format!("unknown metric source type {:?}", metric.kind);
            return Err(("InvalidMetricSourceType", error));
        };
        let of_container = !source.container.is_empty();
        let (reason, kind) = match of_container {
            true => ("FailedGetContainerResourceMetric", "container resource"),
            false => ("FailedGetResourceMetric", "resource"),
        };
        let resource = source.name.as_str();
        let fail = |error: String| {
            let what = if matches!(target, Target::Utilization(_)) { "utilization" } else { "usage" };
            let error = format!(
                "failed to get {resource} {kind} metric value: failed to get {resource} {what}: {error}"
            );
            (reason, error)
        };
        let measured = self.measure(&autoscaler.metadata.namespace, selector, source).await;
        let measured = measured
            .map_err(|error| fail(format!("unable to get metrics for resource {resource}: {error}")))?;
        let seen: Vec<usage::Pod> =
            pods.iter().map(|pod| measured::pod(pod, &measured, resource, &source.container)).collect();
        let options = &self.context.options;
        let starting = (resource == "cpu").then(|| Starting {
            initialization: signed(options.horizontal_pod_autoscaler_cpu_initialization_period),
            initial_readiness: signed(options.horizontal_pod_autoscaler_initial_readiness_delay),
        });
        let tolerance = autoscaler.spec.tolerance(options.horizontal_pod_autoscaler_tolerance);
        let proposal = usage::propose(&seen, target, current, starting, tolerance, now()).map_err(fail)?;
        let name = match target {
            Target::Utilization(_) => format!("{resource} {kind} utilization (percentage of request)"),
            Target::AverageValue(_) => format!("{resource} {kind}"),
        };
        let mut shown = json!({"averageValue": proposal.average_value()});
        if let Some(utilization) = proposal.utilization {
            shown["averageUtilization"] = utilization.into();
        }
        let status = match of_container {
            true => json!({"type": metric.kind, "containerResource": {
                "name": resource, "container": source.container, "current": shown}}),
            false => json!({"type": metric.kind, "resource": {"name": resource, "current": shown}}),
        };
        Ok((proposal, name, status))
    }

    async fn measure(
        &self,
        namespace: &str,
        selector: &str,
        source: &Source,
    ) -> Result<HashMap<String, usage::Measured>, String> {
        let path = format!(
            "/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods?labelSelector={}",
            utf8_percent_encode(selector, NON_ALPHANUMERIC)
        );
        let list = self
            .context
            .api
            .get(&path)
            .await
            .map_err(|error| format!("unable to fetch metrics from resource metrics API: {error}"))?;
        if list.list_at(&["items"]).is_empty() {
            return Err("no metrics returned from resource metrics API".to_owned());
        }
        Ok(measured::read(&list, &source.name, &source.container))
    }
}

fn signed(duration: std::time::Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
