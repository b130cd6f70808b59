//! The plugins in upstream's order: first all that change the object, later all that judge the result.

use std::fmt;
use std::time::{Duration, Instant};

use apimachinery::status::Status;
use serde_json::Value;

use crate::always_admit::AlwaysAdmit;
use crate::always_deny::AlwaysDeny;
use crate::always_pull_images::AlwaysPullImages;
use crate::attributes::{Attributes, Operation};
use crate::certificates::{CertificateApproval, CertificateSigning, CertificateSubjectRestriction};
use crate::cluster_trust_bundle_attest::ClusterTrustBundleAttest;
use crate::configuration::Configurations;
use crate::default_ingress_class::DefaultIngressClass;
use crate::default_storage_class::DefaultStorageClass;
use crate::default_toleration_seconds::DefaultTolerationSeconds;
use crate::deny_service_external_ips::DenyServiceExternalIPs;
use crate::event_rate_limit::EventRateLimit;
use crate::extended_resource_toleration::ExtendedResourceToleration;
use crate::limit_pod_hard_anti_affinity_topology::LimitPodHardAntiAffinityTopology;
use crate::limit_ranger::LimitRanger;
use crate::namespace_exists::NamespaceExists;
use crate::namespace_lifecycle::NamespaceLifecycle;
use crate::node_declared_features::NodeDeclaredFeatures;
use crate::node_restriction::NodeRestriction;
use crate::owner_references_permission_enforcement::OwnerReferencesPermissionEnforcement;
use crate::persistent_volume_claim_resize::PersistentVolumeClaimResize;
use crate::plugin::{Awaited, Context, Plugin, Steps, View};
use crate::pod_node_selector::PodNodeSelector;
use crate::pod_security::PodSecurity;
use crate::pod_toleration_restriction::PodTolerationRestriction;
use crate::pod_topology_labels::PodTopologyLabels;
use crate::policy::{MutatingAdmissionPolicy, ValidatingAdmissionPolicy};
use crate::priority::Priority;
use crate::review::{Asker, Step};
use crate::runtime_class::RuntimeClass;
use crate::service_account::ServiceAccount;
use crate::storage_object_in_use_protection::StorageObjectInUseProtection;
use crate::taint_nodes_by_condition::TaintNodesByCondition;

/// The plugins that are switched on, in order.
pub struct Chain {
    plugins: Vec<Box<dyn Plugin>>,
}

/// Stands in the flags and in the list of names for what the server does itself because it waits for others: the
/// quota charges, last of all, when [`Chain::charges_quota`] says so, the calls of webhooks ([`crate::hooks`],
/// [`crate::image_policy`]), and the making of namespaces.
struct ByServer(&'static str);

impl Plugin for ByServer {
    fn name(&self) -> &'static str {
        self.0
    }

    fn steps(&self) -> Steps {
        Steps::Neither
    }

    fn handles(&self, _operation: Operation) -> bool {
        false
    }
}

/// Why there is no chain as it was asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Unusable {
    /// A plugin that upstream does not have or that is not part of this server.
    Unknown(String),
    /// A plugin's configuration is wrong, or it cannot do without one.
    Configuration {
        /// The plugin.
        plugin: &'static str,
        /// What is wrong.
        why: String,
    },
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::Unknown(plugin) => write!(f, "admission plugin {plugin:?} is unknown"),
            Unusable::Configuration { plugin, why } => {
                write!(f, "couldn't init admission plugin {plugin:?}: {why}")
            }
        }
    }
}

impl std::error::Error for Unusable {}

/// Every plugin in the order in which it runs, and whether upstream switches it on by default.
fn all() -> Vec<(bool, Box<dyn Plugin>)> {
    vec![
        (false, Box::new(AlwaysAdmit)),
        (false, Box::new(ByServer("NamespaceAutoProvision"))),
        (true, Box::new(NamespaceLifecycle)),
        (false, Box::new(NamespaceExists)),
        (false, Box::new(LimitPodHardAntiAffinityTopology)),
        (true, Box::new(LimitRanger)),
        (true, Box::new(ServiceAccount)),
        (false, Box::new(NodeRestriction)),
        (true, Box::new(TaintNodesByCondition)),
        (false, Box::new(AlwaysPullImages)),
        (false, Box::new(ByServer("ImagePolicyWebhook"))),
        (true, Box::new(PodSecurity::default())),
        (false, Box::new(PodNodeSelector::default())),
        (true, Box::new(Priority)),
        (true, Box::new(DefaultTolerationSeconds::default())),
        (false, Box::new(PodTolerationRestriction::default())),
        (false, Box::new(EventRateLimit::default())),
        (false, Box::new(ExtendedResourceToleration)),
        (true, Box::new(DefaultStorageClass)),
        (true, Box::new(StorageObjectInUseProtection)),
        (false, Box::new(OwnerReferencesPermissionEnforcement)),
        (true, Box::new(PersistentVolumeClaimResize)),
        (true, Box::new(RuntimeClass)),
        (true, Box::new(CertificateApproval)),
        (true, Box::new(CertificateSigning)),
        (true, Box::new(ClusterTrustBundleAttest)),
        (true, Box::new(CertificateSubjectRestriction)),
        (true, Box::new(DefaultIngressClass)),
        (false, Box::new(DenyServiceExternalIPs)),
        (true, Box::new(PodTopologyLabels)),
        (true, Box::new(NodeDeclaredFeatures)),
        (true, Box::new(MutatingAdmissionPolicy::default())),
        (true, Box::new(ByServer("MutatingAdmissionWebhook"))),
        (true, Box::new(ValidatingAdmissionPolicy::default())),
        (true, Box::new(ByServer("ValidatingAdmissionWebhook"))),
        (true, Box::new(ByServer("ResourceQuota"))),
        (false, Box::new(AlwaysDeny)),
    ]
}

impl Chain {
    /// The plugins that upstream switches on by default, with some switched on or off by name; those that are on are given
    /// their configurations.
    pub fn new(
        enable: &[&str],
        disable: &[&str],
        configurations: &Configurations,
    ) -> Result<Chain, Unusable> {
        let all = all();
        for name in enable.iter().chain(disable) {
            if !all.iter().any(|(_, plugin)| plugin.name() == *name) {
                return Err(Unusable::Unknown((*name).to_owned()));
            }
        }
        let mut plugins = Vec::with_capacity(all.len());
        for (default, mut plugin) in all {
            let name = plugin.name();
            if disable.contains(&name) || !(default || enable.contains(&name)) {
                continue;
            }
            plugin
                .configure(configurations.of(name))
                .map_err(|why| Unusable::Configuration { plugin: name, why })?;
            plugins.push(plugin);
        }
        Ok(Chain { plugins })
    }

    /// Names of the plugins that are switched on, in order.
    pub fn names(&self) -> Vec<&'static str> {
        self.plugins.iter().map(|plugin| plugin.name()).collect()
    }

    /// Whether a plugin is switched on.
    pub fn has(&self, plugin: &str) -> bool {
        self.plugins.iter().any(|own| own.name() == plugin)
    }

    /// Whether the server has to charge quotas (see [`crate::quota`]).
    pub fn charges_quota(&self) -> bool {
        self.has("ResourceQuota")
    }

    /// Something that would be refused now and not a moment later.
    pub fn awaits(&self, attributes: &Attributes, object: &Value, view: &dyn View) -> Option<Awaited> {
        let mut plugins = self.plugins.iter().filter(|plugin| plugin.handles(attributes.operation));
        plugins.find_map(|plugin| plugin.awaits(attributes, object, view))
    }

    /// The plugins of a step that look at requests of an operation, with their places among all.
    fn of(&self, step: Step, operation: Operation) -> impl Iterator<Item = (usize, &dyn Plugin)> {
        let plugins = self.plugins.iter().map(|plugin| &**plugin).enumerate();
        plugins.filter(move |(_, plugin)| plugin.steps().include(step) && plugin.handles(operation))
    }

    /// Lets each plugin change the object; gives the warnings for the client.
    pub fn admit(
        &self,
        attributes: &Attributes,
        object: &mut Value,
        old: Option<&Value>,
        view: &dyn View,
        asker: &dyn Asker,
    ) -> Result<Vec<String>, Status> {
        let mut context = Context { attributes, old, view, asker, warnings: Vec::new() };
        let mut clock = Instant::now();
        for (place, plugin) in self.of(Step::Admit, attributes.operation) {
            let admitted = plugin.admit(&mut context, object);
            asker.ran(place, Step::Admit, lap(&mut clock), admitted.is_err());
            admitted?;
        }
        Ok(context.warnings)
    }

    /// Lets each plugin judge the object in the form in which it will be stored.
    pub fn validate(
        &self,
        attributes: &Attributes,
        object: &Value,
        old: Option<&Value>,
        view: &dyn View,
        asker: &dyn Asker,
    ) -> Result<Vec<String>, Status> {
        let mut context = Context { attributes, old, view, asker, warnings: Vec::new() };
        let mut clock = Instant::now();
        for (place, plugin) in self.of(Step::Validate, attributes.operation) {
            let judged = plugin.validate(&mut context, object);
            asker.ran(place, Step::Validate, lap(&mut clock), judged.is_err());
            judged?;
        }
        Ok(context.warnings)
    }
}

/// The time since the clock was last looked at.
fn lap(clock: &mut Instant) -> Duration {
    let now = Instant::now();
    now - std::mem::replace(clock, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(enable: &[&str], disable: &[&str]) -> Chain {
        Chain::new(enable, disable, &Configurations::default()).unwrap()
    }

    #[test]
    fn plugins_are_switched_by_name() {
        let usual = chain(&[], &[]);
        assert!(usual.names().starts_with(&["NamespaceLifecycle", "LimitRanger", "ServiceAccount"]));
        assert!(!usual.has("NodeRestriction") && usual.charges_quota());
        assert!(usual.names().ends_with(&[
            "MutatingAdmissionPolicy",
            "MutatingAdmissionWebhook",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionWebhook",
            "ResourceQuota",
        ]));
        let other = chain(&["NodeRestriction"], &["ResourceQuota", "Priority"]);
        assert!(other.has("NodeRestriction") && !other.charges_quota() && !other.has("Priority"));
        let none = Configurations::default();
        assert_eq!(Chain::new(&["Nothing"], &[], &none).err(), Some(Unusable::Unknown("Nothing".into())));
    }

    #[test]
    fn only_plugins_that_are_on_are_given_their_configurations() {
        let mut configurations = Configurations::default();
        configurations.insert("PodTolerationRestriction".into(), serde_json::json!({"kind": "Pod"}));
        assert!(Chain::new(&[], &[], &configurations).is_ok());
        let refused = Chain::new(&["PodTolerationRestriction"], &[], &configurations).err().unwrap();
        assert_eq!(
            refused.to_string(),
            "couldn't init admission plugin \"PodTolerationRestriction\": Object 'apiVersion' is missing in '{\"kind\":\"Pod\"}'"
        );
    }
}
