//! The used part of `KubeSchedulerConfiguration`, and the profiles it leads to.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use component::leader::LeaderElectionFlags;
use k8s_openapi::api::core::v1::{NodeAffinity, TopologySpreadConstraint};
use serde::Deserialize;

use crate::framework::Plugin;
use crate::plugins::{self, DefaultConstraints, PluginArgs, Scoring, Strategy};
use crate::schedule::Profile;
use crate::term::SpreadConstraint;

/// How long a pod's claims may take to be bound (upstream's default).
const BIND_TIMEOUT: Duration = Duration::from_secs(600);

/// The file; fields that mean nothing here are read over.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct File {
    pub client_connection: ClientConnection,
    pub leader_election: LeaderElection,
    pub pod_initial_backoff_seconds: Option<u64>,
    pub pod_max_backoff_seconds: Option<u64>,
    percentage_of_nodes_to_score: Option<usize>,
    profiles: Vec<FileProfile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ClientConnection {
    pub kubeconfig: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LeaderElection {
    leader_elect: Option<bool>,
    lease_duration: Option<String>,
    renew_deadline: Option<String>,
    retry_period: Option<String>,
    resource_name: Option<String>,
    resource_namespace: Option<String>,
}

impl LeaderElection {
    /// Puts what the file says into the flags.
    pub fn apply(&self, flags: &mut LeaderElectionFlags) -> anyhow::Result<()> {
        let set = |text: &Option<String>, into: &mut std::time::Duration| {
            if let Some(text) = text {
                *into = component::flags::duration(text).map_err(anyhow::Error::msg)?;
            }
            anyhow::Ok(())
        };
        set(&self.lease_duration, &mut flags.leader_elect_lease_duration)?;
        set(&self.renew_deadline, &mut flags.leader_elect_renew_deadline)?;
        set(&self.retry_period, &mut flags.leader_elect_retry_period)?;
        if let Some(leader_elect) = self.leader_elect {
            flags.leader_elect = leader_elect;
        }
        if let Some(name) = &self.resource_name {
            flags.leader_elect_resource_name = Some(name.clone());
        }
        if let Some(namespace) = &self.resource_namespace {
            flags.leader_elect_resource_namespace.clone_from(namespace);
        }
        Ok(())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct FileProfile {
    scheduler_name: Option<String>,
    percentage_of_nodes_to_score: Option<usize>,
    plugins: Plugins,
    plugin_config: Vec<PluginConfig>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Plugins {
    multi_point: PluginSet,
    pre_enqueue: PluginSet,
    pre_filter: PluginSet,
    filter: PluginSet,
    post_filter: PluginSet,
    pre_score: PluginSet,
    score: PluginSet,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PluginSet {
    enabled: Vec<PluginChoice>,
    disabled: Vec<PluginChoice>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PluginChoice {
    name: String,
    weight: i64,
}

impl PluginSet {
    fn disables(&self, name: &str) -> bool {
        self.disabled.iter().any(|plugin| plugin.name == name || plugin.name == "*")
    }

    fn enables(&self, name: &str) -> Option<&PluginChoice> {
        self.enabled.iter().find(|plugin| plugin.name == name)
    }
}

#[derive(Debug, Deserialize)]
struct PluginConfig {
    name: String,
    #[serde(default)]
    args: serde_json::Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct FitArgs {
    scoring_strategy: Option<ScoringStrategy>,
}

#[derive(Debug, Deserialize)]
struct ScoringStrategy {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    resources: Vec<PluginChoice>,
    #[serde(default, rename = "requestedToCapacityRatio")]
    ratio: Ratio,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Ratio {
    shape: Vec<Point>,
}

#[derive(Debug, Deserialize)]
struct Point {
    utilization: i64,
    score: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SpreadArgs {
    default_constraints: Vec<TopologySpreadConstraint>,
    defaulting_type: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct BindingArgs {
    bind_timeout_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct AffinityArgs {
    hard_pod_affinity_weight: Option<i64>,
    ignore_preferred_terms_of_existing_pods: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NodeAffinityArgs {
    added_affinity: Option<NodeAffinity>,
}

impl File {
    /// Makes the profiles; one with upstream's defaults when the file has none.
    pub fn profiles(&self) -> anyhow::Result<Vec<Profile>> {
        let default = [FileProfile::default()];
        let given = if self.profiles.is_empty() { &default[..] } else { &self.profiles };
        let mut profiles: Vec<Profile> = Vec::with_capacity(given.len());
        for profile in given {
            let percentage =
                profile.percentage_of_nodes_to_score.or(self.percentage_of_nodes_to_score).unwrap_or(0);
            ensure!(
                percentage <= 100,
                "percentageOfNodesToScore: Invalid value: {percentage}: not in valid range [0-100]"
            );
            let made = profile.make(percentage)?;
            ensure!(
                profiles.iter().all(|known| known.scheduler_name != made.scheduler_name),
                "profiles: Duplicate value: {:?}",
                made.scheduler_name
            );
            profiles.push(made);
        }
        Ok(profiles)
    }
}

impl FileProfile {
    fn make(&self, percentage: usize) -> anyhow::Result<Profile> {
        let arguments = self.arguments()?;
        let all = plugins::all(&arguments);
        self.refuse_unknown(&all)?;
        let Plugins { multi_point, pre_enqueue, pre_filter, filter, post_filter, pre_score, score } =
            &self.plugins;
        // A point's own list wins over multiPoint, which wins over the defaults.
        let on = |name: &str, points: &[&PluginSet]| {
            if points.iter().any(|point| point.enables(name).is_some()) {
                true
            } else if points.iter().any(|point| point.disables(name)) {
                false
            } else {
                multi_point.enables(name).is_some() || !multi_point.disables(name)
            }
        };
        let mut profile = Profile {
            scheduler_name: self.scheduler_name.clone().unwrap_or_else(|| "default-scheduler".into()),
            gates: Vec::new(),
            filters: Vec::new(),
            scores: Vec::new(),
            preempts: on("DefaultPreemption", &[post_filter]),
            percentage_of_nodes_to_score: percentage,
            bind_timeout: None,
        };
        for (plugin, default_weight) in all {
            let name = plugin.name();
            if on(name, &[pre_enqueue]) {
                profile.gates.push(plugin.clone());
            }
            if on(name, &[pre_filter, filter]) {
                if name == plugins::volume_binding::NAME {
                    profile.bind_timeout = Some(arguments.bind_timeout.unwrap_or(BIND_TIMEOUT));
                }
                profile.filters.push(plugin.clone());
            }
            let chosen = score.enables(name).or(multi_point.enables(name)).map(|plugin| plugin.weight);
            let weight = chosen.filter(|weight| *weight > 0).unwrap_or(default_weight);
            if weight > 0 && on(name, &[pre_score, score]) {
                profile.scores.push((plugin, weight));
            }
        }
        Ok(profile)
    }

    fn arguments(&self) -> anyhow::Result<PluginArgs> {
        let mut arguments = PluginArgs::default();
        for PluginConfig { name, args } in &self.plugin_config {
            let args = if args.is_null() { serde_json::json!({}) } else { args.clone() };
            let context = || format!("pluginConfig of {name}");
            match name.as_str() {
                "NodeResourcesFit" => {
                    let fit: FitArgs = serde_json::from_value(args).with_context(context)?;
                    if let Some(strategy) = fit.scoring_strategy {
                        arguments.fit = fit_strategy(strategy)?;
                    }
                }
                "PodTopologySpread" => {
                    let spread: SpreadArgs = serde_json::from_value(args).with_context(context)?;
                    if spread.defaulting_type == "List" {
                        let none = std::collections::BTreeMap::new();
                        let constraints = spread.default_constraints.iter();
                        let read =
                            constraints.map(|constraint| SpreadConstraint::from_api(constraint, &none));
                        arguments.spread = DefaultConstraints::List(read.collect());
                    }
                }
                "VolumeBinding" => {
                    let binding: BindingArgs = serde_json::from_value(args).with_context(context)?;
                    arguments.bind_timeout = binding.bind_timeout_seconds.map(Duration::from_secs);
                }
                "InterPodAffinity" => {
                    let affinity: AffinityArgs = serde_json::from_value(args).with_context(context)?;
                    arguments.hard_pod_affinity_weight = affinity.hard_pod_affinity_weight;
                    arguments.ignore_preferred_terms_of_existing_pods =
                        affinity.ignore_preferred_terms_of_existing_pods;
                }
                "NodeAffinity" => {
                    let affinity: NodeAffinityArgs = serde_json::from_value(args).with_context(context)?;
                    arguments.node_affinity = affinity.added_affinity.unwrap_or_default().into();
                }
                _ => tracing::warn!(
                    plugin = name,
                    "this plugin's configuration has no meaning here and is ignored"
                ),
            }
        }
        Ok(arguments)
    }

    fn refuse_unknown(&self, all: &[(Arc<dyn Plugin>, i64)]) -> anyhow::Result<()> {
        let Plugins { multi_point, pre_enqueue, pre_filter, filter, post_filter, pre_score, score } =
            &self.plugins;
        for set in [multi_point, pre_enqueue, pre_filter, filter, post_filter, pre_score, score] {
            for PluginChoice { name, .. } in &set.enabled {
                let known = all.iter().any(|(plugin, _)| plugin.name() == name)
                    || plugins::ELSEWHERE.contains(&name.as_str());
                if !known {
                    bail!("plugin {name:?} does not exist");
                }
            }
        }
        Ok(())
    }
}

fn fit_strategy(given: ScoringStrategy) -> anyhow::Result<Strategy> {
    let scoring = match given.kind.as_str() {
        "LeastAllocated" => Scoring::LeastAllocated,
        "MostAllocated" => Scoring::MostAllocated,
        "RequestedToCapacityRatio" => Scoring::RequestedToCapacityRatio(shape(&given.ratio.shape)?),
        other => bail!(
            "scoringStrategy.type: Unsupported value: {other:?}: supported values: \"LeastAllocated\", \"MostAllocated\", \"RequestedToCapacityRatio\""
        ),
    };
    let resources: Vec<(String, i64)> =
        given.resources.into_iter().map(|resource| (resource.name, resource.weight.max(1))).collect();
    Ok(if resources.is_empty() {
        Strategy { scoring, ..Strategy::default() }
    } else {
        Strategy { scoring, resources }
    })
}

/// Reads a shape; scores of 0 to 10 become those of plugins.
fn shape(points: &[Point]) -> anyhow::Result<Vec<(i64, i64)>> {
    ensure!(
        !points.is_empty(),
        "requestedToCapacityRatio.shape: Required value: at least one point must be specified"
    );
    let rises = points.windows(2).all(|pair| pair[0].utilization < pair[1].utilization);
    ensure!(
        rises,
        "requestedToCapacityRatio.shape: Invalid value: utilization values must be sorted in increasing order"
    );
    points
        .iter()
        .map(|Point { utilization, score }| {
            ensure!(
                (0..=100).contains(utilization),
                "requestedToCapacityRatio.shape.utilization: Invalid value: {utilization}: not in valid range [0-100]"
            );
            ensure!(
                (0..=10).contains(score),
                "requestedToCapacityRatio.shape.score: Invalid value: {score}: not in valid range [0-10]"
            );
            Ok((*utilization, score * 10))
        })
        .collect()
}
