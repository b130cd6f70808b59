//! The list of controllers, and which of them run.

use controller_runtime::Controller;

mod bootstrap_signer;
mod certificates;
mod cluster_role_aggregation;
mod endpoint_slice;
mod endpoints;
mod garbage;
mod legacy_token_cleaner;
mod namespace;
mod node_ipam;
mod node_lifecycle;
mod pod_garbage;
mod policy_status;
mod resource_quota;
mod root_ca;
mod service_account;
mod service_cidr;
mod service_pods;
mod taint_eviction;
mod token_secret;
mod trigger_time;

/// The controllers of this crate.
const OWN: &[Controller] = &[
    Controller {
        name: "namespace-controller",
        alias: "namespace",
        account: "namespace-controller",
        event_source: "namespace-controller",
        by_default: true,
        start: namespace::start,
    },
    Controller {
        name: "garbage-collector-controller",
        alias: "garbagecollector",
        account: "generic-garbage-collector",
        event_source: "garbage-collector-controller",
        by_default: true,
        start: garbage::start,
    },
    Controller {
        name: "endpoints-controller",
        alias: "endpoint",
        account: "endpoint-controller",
        event_source: "endpoint-controller",
        by_default: true,
        start: endpoints::start,
    },
    Controller {
        name: "endpointslice-controller",
        alias: "endpointslice",
        account: "endpointslice-controller",
        event_source: "endpoint-slice-controller",
        by_default: true,
        start: endpoint_slice::start,
    },
    Controller {
        name: "serviceaccount-controller",
        alias: "serviceaccount",
        account: "service-account-controller",
        event_source: "service-account-controller",
        by_default: true,
        start: service_account::start,
    },
    Controller {
        name: "serviceaccount-token-controller",
        alias: "serviceaccount-token",
        account: "",
        event_source: "serviceaccount-token-controller",
        by_default: true,
        start: token_secret::start,
    },
    Controller {
        name: "legacy-serviceaccount-token-cleaner-controller",
        alias: "legacy-service-account-token-cleaner",
        account: "legacy-service-account-token-cleaner",
        event_source: "legacy-service-account-token-cleaner",
        by_default: true,
        start: legacy_token_cleaner::start,
    },
    Controller {
        name: "resourcequota-controller",
        alias: "resourcequota",
        account: "resourcequota-controller",
        event_source: "resourcequota-controller",
        by_default: true,
        start: resource_quota::start,
    },
    Controller {
        name: "root-ca-certificate-publisher-controller",
        alias: "root-ca-cert-publisher",
        account: "root-ca-cert-publisher",
        event_source: "root-ca-certificate-publisher",
        by_default: true,
        start: root_ca::start,
    },
    Controller {
        name: "service-cidr-controller",
        alias: "service-cidr",
        account: "service-cidrs-controller",
        event_source: "service-cidr-controller",
        by_default: true,
        start: service_cidr::start,
    },
    Controller {
        name: "node-ipam-controller",
        alias: "nodeipam",
        account: "node-controller",
        event_source: "cidrAllocator",
        by_default: true,
        start: node_ipam::start,
    },
    Controller {
        name: "node-lifecycle-controller",
        alias: "nodelifecycle",
        account: "node-controller",
        event_source: "node-controller",
        by_default: true,
        start: node_lifecycle::start,
    },
    Controller {
        name: "taint-eviction-controller",
        alias: "taint-eviction",
        account: "node-controller",
        event_source: "taint-eviction-controller",
        by_default: true,
        start: taint_eviction::start,
    },
    Controller {
        name: "pod-garbage-collector-controller",
        alias: "podgc",
        account: "pod-garbage-collector",
        event_source: "pod-garbage-collector",
        by_default: true,
        start: pod_garbage::start,
    },
    Controller {
        name: "certificatesigningrequest-signing-controller",
        alias: "csrsigning",
        account: "certificate-controller",
        event_source: "certificate-controller",
        by_default: true,
        start: certificates::signer::start,
    },
    Controller {
        name: "certificatesigningrequest-approving-controller",
        alias: "csrapproving",
        account: "certificate-controller",
        event_source: "certificate-controller",
        by_default: true,
        start: certificates::approver::start,
    },
    Controller {
        name: "certificatesigningrequest-cleaner-controller",
        alias: "csrcleaner",
        account: "certificate-controller",
        event_source: "certificate-controller",
        by_default: true,
        start: certificates::cleaner::start,
    },
    Controller {
        name: "clusterrole-aggregation-controller",
        alias: "clusterrole-aggregation",
        account: "clusterrole-aggregation-controller",
        event_source: "clusterrole-aggregation-controller",
        by_default: true,
        start: cluster_role_aggregation::start,
    },
    Controller {
        name: "validatingadmissionpolicy-status-controller",
        alias: "validatingadmissionpolicy-status",
        account: "validatingadmissionpolicy-status-controller",
        event_source: "validatingadmissionpolicy-status-controller",
        by_default: true,
        start: policy_status::start,
    },
    Controller {
        name: "bootstrap-signer-controller",
        alias: "bootstrapsigner",
        account: "bootstrap-signer",
        event_source: "bootstrap-signer",
        by_default: false,
        start: bootstrap_signer::start,
    },
    Controller {
        name: "token-cleaner-controller",
        alias: "tokencleaner",
        account: "token-cleaner",
        event_source: "token-cleaner",
        by_default: false,
        start: bootstrap_signer::start_cleaner,
    },
];

/// Every controller there is.
fn all() -> impl Iterator<Item = &'static Controller> {
    OWN.iter().chain(volume_controllers::ALL).chain(workload_controllers::ALL)
}

/// Upstream controllers that may be named in `--controllers` but have nothing to do here.
const ABSENT: &[&str] = &[
    "cloud-node-lifecycle-controller",
    "device-taint-eviction-controller",
    "endpointslice-mirroring-controller",
    "endpointslicemirroring",
    "kube-apiserver-serving-clustertrustbundle-publisher-controller",
    "legacy-serviceaccount-token-cleaner-controller",
    "node-route-controller",
    "podcertificaterequest-cleaner-controller",
    "resource-claim-controller",
    "resourceclaim-controller",
    "selinux-warning-controller",
    "service-cidr-controller",
    "service-lb-controller",
    "storage-version-garbage-collector",
    "storage-version-migrator-controller",
    "storageversion-garbage-collector-controller",
    "ttl",
    "ttl-controller",
    "volumeattributesclass-protection-controller",
];

/// Reads `--controllers`.
pub fn choose(names: &[String]) -> anyhow::Result<Vec<&'static Controller>> {
    let named = |controller: &Controller, name: &str| name == controller.name || name == controller.alias;
    for name in names.iter().map(|name| name.strip_prefix('-').unwrap_or(name)) {
        let known = name == "*" || ABSENT.contains(&name) || all().any(|one| named(one, name));
        anyhow::ensure!(known, "--controllers: {name:?} is not in the list of known controllers");
    }
    let is_on = |controller: &&Controller| {
        let without = |name: &String| name.strip_prefix('-').is_some_and(|name| named(controller, name));
        if names.iter().any(without) {
            return false;
        }
        names.iter().any(|name| named(controller, name) || (name == "*" && controller.by_default))
    };
    Ok(all().filter(is_on).collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn chooses_by_star_name_and_minus() {
        let choose = |names: &[&str]| -> Vec<&str> {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            super::choose(&names).unwrap().iter().map(|controller| controller.name).collect()
        };
        assert_eq!(choose(&["deployment-controller"]), ["deployment-controller"]);
        assert_eq!(choose(&["replicaset"]), ["replicaset-controller"]);
        let all = choose(&["*"]);
        assert!(all.contains(&"deployment-controller"));
        assert_eq!(choose(&["*", "-deployment"]).len(), all.len() - 1);
        assert!(super::choose(&["nonsense".to_owned()]).is_err());
    }
}
