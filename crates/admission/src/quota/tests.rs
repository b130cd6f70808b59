//! Quotas over requests of one namespace.

use apimachinery::time;

use super::*;
use crate::testing::{Cluster, Request};

fn quota(hard: Value, used: Value) -> Value {
    json!({"metadata": {"name": "q"}, "spec": {"hard": hard.clone()}, "status": {"hard": hard, "used": used}})
}

fn create(resource: &'static str, object: Value, quota: &Value) -> Result<Vec<Charge>, String> {
    let request = Request::create("", resource).inside("x").named("web");
    let (result, _) = request.run(&Cluster::new(), |context| {
        charges(context.attributes, &object, None, &[quota], &Limited::default())
    });
    result.map_err(|status| status.message)
}

fn pod(requests: Value) -> Value {
    json!({"spec": {"containers": [{"name": "c", "resources": {"requests": requests}}]}})
}

#[test]
fn a_pod_is_charged_until_the_quota_is_used_up() {
    let full = quota(json!({"pods": "2", "requests.cpu": "1"}), json!({"pods": "1", "requests.cpu": "500m"}));
    let charged = create("pods", pod(json!({"cpu": "500m"})), &full).unwrap();
    assert_eq!(charged[0].quota["status"]["used"], json!({"pods": "2", "requests.cpu": "1"}));
    assert_eq!(
        create("pods", pod(json!({"cpu": "600m"})), &full).unwrap_err(),
        "pods \"web\" is forbidden: exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=500m, limited: requests.cpu=1"
    );
    assert_eq!(
        create("pods", pod(json!({})), &full).unwrap_err(),
        "pods \"web\" is forbidden: failed quota: q: must specify requests.cpu for: c"
    );
}

#[test]
fn objects_are_counted() {
    let counts = quota(
        json!({"configmaps": "1", "count/configmaps": "5"}),
        json!({"configmaps": "1", "count/configmaps": "1"}),
    );
    assert!(
        create("configmaps", json!({}), &counts).unwrap_err().contains(
            "exceeded quota: q, requested: configmaps=1, used: configmaps=1, limited: configmaps=1"
        )
    );
    assert_eq!(create("secrets", json!({}), &counts), Ok(vec![]));
}

#[test]
fn services_count_by_their_type() {
    let counts = quota(json!({"services.nodeports": "1"}), json!({"services.nodeports": "0"}));
    let service = |kind: &str| json!({"spec": {"type": kind, "ports": [{"port": 1}, {"port": 2}]}});
    assert_eq!(create("services", service("ClusterIP"), &counts), Ok(vec![]));
    assert!(
        create("services", service("NodePort"), &counts)
            .unwrap_err()
            .contains("requested: services.nodeports=2")
    );
}

#[test]
fn an_update_is_charged_with_the_difference() {
    let full = quota(json!({"services.nodeports": "1"}), json!({"services.nodeports": "1"}));
    let service = json!({"spec": {"type": "NodePort", "ports": [{"port": 1}]}});
    let request = Request::update("", "services", service.clone()).inside("x");
    let work = |context: &mut crate::Context| {
        charges(context.attributes, &service, context.old, &[&full], &Limited::default())
    };
    let (result, _) = request.run(&Cluster::new(), work);
    assert_eq!(result.unwrap(), []);
}

#[test]
fn a_quota_holds_from_when_the_controller_has_seen_it() {
    let mut new = json!({"metadata": {"name": "q"}, "spec": {"hard": {"pods": "0"}}});
    assert_eq!(create("pods", pod(json!({})), &new), Ok(vec![]));
    new["status"] = json!({"hard": {"pods": "0"}});
    assert_eq!(
        create("pods", pod(json!({})), &new).unwrap_err(),
        "pods \"web\" is forbidden: status unknown for quota: q, resources: pods"
    );
}

#[test]
fn what_is_there_is_counted_anew() {
    let hard = json!({"pods": "9", "requests.memory": "1Gi", "count/deployments.apps": "3", "secrets": "1"});
    let quota = quota(hard, json!({"pods": "7"}));
    let (one, mut ended) = (pod(json!({"memory": "100Mi"})), pod(json!({"memory": "1Gi"})));
    ended["status"] = json!({"phase": "Succeeded"});
    let (deployment, map) = (json!({}), json!({}));
    let objects = [
        ("", "pods", &one),
        ("", "pods", &one),
        ("", "pods", &ended),
        ("apps", "deployments", &deployment),
        ("", "configmaps", &map),
    ];
    assert_eq!(
        count(&quota, objects.into_iter(), jiff::Timestamp::UNIX_EPOCH),
        json!({"pods": "2", "requests.memory": "200Mi", "count/deployments.apps": "1", "secrets": "0"})
    );
    assert!(concerns(&quota, "apps", "deployments") && !concerns(&quota, "", "configmaps"));
}

#[test]
fn less_of_anything_is_lower() {
    let lower = |used: Value, than: Value| is_lower(&used, &than);
    assert!(lower(json!({"pods": "1", "requests.cpu": "2"}), json!({"pods": "2", "requests.cpu": "1"})));
    assert!(lower(json!({}), json!({"pods": "1"})));
    assert!(!lower(json!({"requests.cpu": "1000m"}), json!({"requests.cpu": "1"})));
    assert!(!lower(json!({"pods": "0"}), Value::Null));
}

#[test]
fn scopes_choose_pods() {
    let mut scoped = quota(json!({"pods": "0"}), json!({"pods": "0"}));
    scoped["spec"]["scopes"] = json!(["BestEffort"]);
    assert_eq!(create("pods", pod(json!({"cpu": "1"})), &scoped), Ok(vec![]));
    assert!(create("pods", pod(json!({})), &scoped).is_err());
}

fn chosen(requirement: Value, resource: &'static str, object: &Value) -> bool {
    let mut scoped = quota(
        json!({"count/pods": "0", "count/persistentvolumeclaims": "0", "services": "0"}),
        json!({"count/pods": "0", "count/persistentvolumeclaims": "0", "services": "0"}),
    );
    for (key, value) in requirement.as_object().unwrap() {
        scoped["spec"][key] = value.clone();
    }
    create(resource, object.clone(), &scoped).is_err()
}

#[test]
fn every_scope_chooses_what_upstreams_does() {
    let pod = |spec: Value| json!({"spec": spec});
    let class = |name: &str| pod(json!({"priorityClassName": name}));
    let burstable = pod(json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]}));
    let best = pod(json!({"containers": [{"name": "c"}]}));
    let term = |term: Value| {
        pod(
            json!({"affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"podAffinityTerm": term}]}}}),
        )
    };
    let scope = |name: &str| json!({"scopes": [name]});
    let by = |name: &str, operator: &str, values: Value| json!({"scopeSelector": {"matchExpressions": [{"scopeName": name, "operator": operator, "values": values}]}});
    for (requirement, object, expected) in [
        (scope("Terminating"), pod(json!({"activeDeadlineSeconds": 0})), true),
        (scope("Terminating"), pod(json!({})), false),
        (scope("NotTerminating"), pod(json!({})), true),
        (scope("NotTerminating"), pod(json!({"activeDeadlineSeconds": 5})), false),
        (scope("BestEffort"), best.clone(), true),
        (scope("BestEffort"), burstable.clone(), false),
        (scope("NotBestEffort"), burstable, true),
        (scope("NotBestEffort"), best, false),
        (scope("PriorityClass"), class("high"), true),
        (scope("PriorityClass"), class(""), false),
        (by("PriorityClass", "In", json!(["high", "low"])), class("low"), true),
        (by("PriorityClass", "In", json!(["high"])), class("low"), false),
        (by("PriorityClass", "NotIn", json!(["high"])), class("low"), true),
        (by("PriorityClass", "NotIn", json!(["high"])), class(""), true),
        (by("PriorityClass", "NotIn", json!(["high"])), class("high"), false),
        (by("PriorityClass", "DoesNotExist", json!([])), class(""), true),
        (by("PriorityClass", "DoesNotExist", json!([])), class("low"), false),
        (scope("CrossNamespacePodAffinity"), term(json!({"namespaces": ["x"]})), true),
        (scope("CrossNamespacePodAffinity"), term(json!({"namespaceSelector": {}})), true),
        (scope("CrossNamespacePodAffinity"), term(json!({})), false),
        (scope("VolumeAttributesClass"), pod(json!({})), false),
        (json!({"scopes": ["NotTerminating", "PriorityClass"]}), class("high"), true),
        (json!({"scopes": ["Terminating", "PriorityClass"]}), class("high"), false),
    ] {
        assert_eq!(chosen(requirement.clone(), "pods", &object), expected, "{requirement} {object}");
    }
    let claim = |spec: &str, now: &str| json!({"spec": {"volumeAttributesClassName": spec}, "status": {"currentVolumeAttributesClassName": now}});
    for (requirement, object, expected) in [
        (scope("VolumeAttributesClass"), claim("", ""), false),
        (scope("VolumeAttributesClass"), claim("gold", ""), true),
        (by("VolumeAttributesClass", "In", json!(["gold"])), claim("silver", "gold"), true),
        (by("VolumeAttributesClass", "NotIn", json!(["gold"])), claim("gold", ""), false),
        (scope("NotTerminating"), claim("", ""), false),
    ] {
        assert_eq!(
            chosen(requirement.clone(), "persistentvolumeclaims", &object),
            expected,
            "{requirement} {object}"
        );
    }
    assert!(!chosen(scope("NotTerminating"), "services", &json!({})), "a scope chooses no other kind");
    assert!(chosen(json!({}), "services", &json!({})));
}

#[test]
fn amounts_are_upstreams() {
    let used = |group: &str, resource: &str, object: Value| -> Value {
        let used = usage(group, resource, &object, None);
        used.iter().map(|(name, amount)| (name.clone(), json!(amount.to_string()))).collect()
    };
    let claim = json!({"metadata": {"annotations": {"volume.beta.kubernetes.io/storage-class": "old"}},
        "spec": {"storageClassName": "new", "resources": {"requests": {"storage": "1500m"}}}});
    assert_eq!(
        used("", "persistentvolumeclaims", claim),
        json!({"count/persistentvolumeclaims": "1", "persistentvolumeclaims": "1", "requests.storage": "2",
            "old.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
            "old.storageclass.storage.k8s.io/requests.storage": "2"})
    );
    let shrunk = json!({"spec": {"resources": {"requests": {"storage": "1Gi"}}},
        "status": {"allocatedResources": {"storage": "2Gi"}}});
    assert_eq!(used("", "persistentvolumeclaims", shrunk)["requests.storage"], "2Gi");
    let balancer = |more: Value| {
        let mut spec =
            json!({"type": "LoadBalancer", "ports": [{"port": 1, "nodePort": 30000}, {"port": 2}]});
        for (key, value) in more.as_object().unwrap() {
            spec[key] = value.clone();
        }
        let used = used("", "services", json!({ "spec": spec }));
        ["services.loadbalancers", "services.nodeports"].map(|name| used[name].clone())
    };
    assert_eq!(balancer(json!({})), ["1", "2"]);
    assert_eq!(balancer(json!({"allocateLoadBalancerNodePorts": false})), ["1", "1"]);
    assert_eq!(balancer(json!({"type": "NodePort"})), ["0", "2"]);
    assert_eq!(balancer(json!({"type": "ExternalName"})), ["0", "0"]);
    let pod = json!({"spec": {"containers": [{"resources": {
        "requests": {"cpu": "1", "hugepages-2Mi": "4Mi", "example.com/gpu": "2", "ephemeral-storage": "1Gi"},
        "limits": {"memory": "1Gi"}}}]}});
    let used = used("", "pods", pod);
    for (name, amount) in [
        ("pods", "1"),
        ("count/pods", "1"),
        ("cpu", "1"),
        ("requests.cpu", "1"),
        ("hugepages-2Mi", "4Mi"),
        ("requests.hugepages-2Mi", "4Mi"),
        ("requests.example.com/gpu", "2"),
        ("requests.ephemeral-storage", "1Gi"),
        ("limits.memory", "1Gi"),
    ] {
        assert_eq!(used[name], amount, "{name}");
    }
    assert_eq!(used.get("memory"), None, "a limit is no request before defaults are set");
}

#[test]
fn devices_are_counted_by_their_class() {
    let claim = json!({"spec": {"devices": {"requests": [
        {"exactly": {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 2}},
        {"exactly": {"deviceClassName": "gpu", "count": 1}},
        {"firstAvailable": [{"deviceClassName": "gpu", "count": 3}, {"deviceClassName": "nic", "allocationMode": "All"}]},
    ]}}});
    let used = usage("resource.k8s.io", "resourceclaims", &claim, None);
    let amount = |name: &str| used[name].value();
    assert_eq!(amount("gpu.deviceclass.resource.k8s.io/devices"), 6);
    assert_eq!(amount("nic.deviceclass.resource.k8s.io/devices"), 32);
    assert_eq!(amount("count/resourceclaims.resource.k8s.io"), 1);
}

#[test]
fn a_pod_that_should_have_gone_takes_no_room() {
    let quota = quota(json!({"pods": "9", "count/pods": "9"}), json!({}));
    let mut pod = pod(json!({}));
    pod["metadata"] = json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 30});
    let at = |text: &str| time::parse(text).unwrap();
    let used = |now: &str| count(&quota, std::iter::once(("", "pods", &pod)), at(now));
    assert_eq!(used("2026-01-01T00:00:30Z"), json!({"pods": "1", "count/pods": "1"}));
    assert_eq!(used("2026-01-01T00:00:31Z"), json!({"pods": "0", "count/pods": "1"}));
    let again = |now: &str| count_again(std::iter::once(&pod), at(now));
    assert_eq!(again("2026-01-01T00:00:01Z"), Some(at("2026-01-01T00:00:30Z")));
    assert_eq!(again("2026-01-01T00:00:31Z"), None);
}

#[test]
fn a_pod_that_asks_as_a_whole_need_not_ask_for_each_container() {
    let counts = quota(
        json!({"requests.cpu": "2", "limits.memory": "1Gi"}),
        json!({"requests.cpu": "0", "limits.memory": "0"}),
    );
    let pod = json!({"spec": {"resources": {"requests": {"cpu": "1"}}, "containers": [{"name": "b"}, {"name": "a"}]}});
    assert_eq!(create("pods", pod, &counts).unwrap().len(), 1);
    let open = json!({"spec": {"containers": [{"name": "b"}, {"name": "a"}]}});
    assert_eq!(
        create("pods", open, &counts).unwrap_err(),
        "pods \"web\" is forbidden: failed quota: q: must specify limits.memory for: a,b; requests.cpu for: a,b"
    );
}

#[test]
fn a_claim_that_changes_its_class_is_charged_where_it_comes_to() {
    let mut gold = quota(json!({"requests.storage": "1Gi"}), json!({"requests.storage": "0"}));
    gold["spec"]["scopeSelector"] = json!({"matchExpressions": [
        {"scopeName": "VolumeAttributesClass", "operator": "In", "values": ["gold"]}]});
    let claim = |class: &str| json!({"spec": {"volumeAttributesClassName": class, "resources": {"requests": {"storage": "1Gi"}}}});
    let change = |from: &str, to: &str| {
        let request = Request::update("", "persistentvolumeclaims", claim(from)).inside("x");
        let work = |context: &mut crate::Context| {
            charges(context.attributes, &claim(to), context.old, &[&gold], &Limited::default())
        };
        request.run(&Cluster::new(), work).0.unwrap().len()
    };
    assert_eq!([change("silver", "gold"), change("gold", "gold"), change("gold", "silver")], [1, 0, 0]);
}

#[test]
fn what_is_limited_needs_a_quota() {
    let limited = |resources: Value| {
        Limited::parse(Some(
            &json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "ResourceQuotaConfiguration",
            "limitedResources": resources}),
        ))
    };
    let gold = limited(json!([{"resource": "persistentvolumeclaims", "matchContains": ["gold.storageclass"]},
        {"resource": "pods", "matchScopes": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high", "top"]}]}]))
    .unwrap();
    let judge = |resource: &'static str, object: Value, quotas: &[&Value]| {
        let request = Request::create("", resource).inside("x").named("web");
        let work = |context: &mut crate::Context| charges(context.attributes, &object, None, quotas, &gold);
        request
            .run(&Cluster::new(), work)
            .0
            .map(|charges| charges.len())
            .map_err(|status| (status.code, status.message))
    };
    let claim = |class: &str| json!({"spec": {"storageClassName": class}});
    assert_eq!(judge("persistentvolumeclaims", claim("tin"), &[]), Ok(0));
    let uncovered = "persistentvolumeclaims \"web\" is forbidden: insufficient quota to consume: gold.storageclass.storage.k8s.io/persistentvolumeclaims";
    assert_eq!(judge("persistentvolumeclaims", claim("gold"), &[]), Err((403, uncovered.to_owned())));
    let name = "gold.storageclass.storage.k8s.io/persistentvolumeclaims";
    let covering = quota(json!({name: "1"}), json!({name: "0"}));
    assert_eq!(judge("persistentvolumeclaims", claim("gold"), &[&covering]), Ok(1));
    let pod = |class: &str| json!({"spec": {"priorityClassName": class, "containers": []}});
    assert_eq!(judge("pods", pod("low"), &[]), Ok(0));
    let uncovered = "insufficient quota to match these scopes: [{PriorityClass In [high top]}]";
    assert_eq!(judge("pods", pod("high"), &[]), Err((500, uncovered.to_owned())));
    let mut covering = quota(json!({"pods": "1"}), json!({"pods": "0"}));
    covering["spec"]["scopeSelector"] =
        json!({"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]});
    assert_eq!(judge("pods", pod("high"), &[&covering]), Ok(1));
    assert!(judge("pods", pod("top"), &[&covering]).is_err());
    assert_eq!(limited(json!([{}])).unwrap_err(), "limitedResources[0].resource: Required value");
}
