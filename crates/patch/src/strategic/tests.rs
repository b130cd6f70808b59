use schema::{Field, Kind, Type, kinds};
use serde_json::{Map, Value, json};
use testkit::Dice;

use super::*;

fn check(ty: Type<'_>, object: Value, patch: Value, expected: Value) {
    let mut patched = object;
    strategic_merge_patch(ty, &mut patched, patch.clone()).unwrap();
    assert_eq!(patched, expected, "{patch}");
}

fn refuse(object: Value, patch: Value) -> String {
    let mut patched = object;
    strategic_merge_patch(kinds::APPS_V1_DEPLOYMENT.ty(), &mut patched, patch).unwrap_err().to_string()
}

fn pod_spec(spec: Value) -> Value {
    json!({"spec": {"template": {"spec": spec}}})
}

#[test]
fn merges_lists_of_objects_by_key() {
    check(
        kinds::APPS_V1_DEPLOYMENT.ty(),
        pod_spec(json!({"containers": [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}]})),
        pod_spec(json!({"containers": [{"name": "b", "image": "b:2"}, {"name": "c", "image": "c:1"}]})),
        pod_spec(json!({"containers": [
            {"name": "a", "image": "a:1"}, {"name": "b", "image": "b:2"}, {"name": "c", "image": "c:1"},
        ]})),
    );
}

#[test]
fn merges_lists_of_scalars_as_sets_and_replaces_atomic_ones() {
    let ty = kinds::CORE_V1_POD.ty();
    check(
        ty,
        json!({"metadata": {"finalizers": ["a", "b"]}, "spec": {"tolerations": [{"key": "x"}]}}),
        json!({"metadata": {"finalizers": ["b", "c"]}, "spec": {"tolerations": [{"key": "y"}]}}),
        json!({"metadata": {"finalizers": ["a", "b", "c"]}, "spec": {"tolerations": [{"key": "y"}]}}),
    );
    check(
        ty,
        json!({"metadata": {"finalizers": ["a", "b", "c"]}}),
        json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a", "c"]}}),
        json!({"metadata": {"finalizers": ["b"]}}),
    );
}

#[test]
fn directives_hold_wherever_they_stand() {
    let ty = kinds::APPS_V1_DEPLOYMENT.ty();
    let object =
        || pod_spec(json!({"containers": [{"name": "a", "image": "a:1"}], "nodeSelector": {"a": "b"}}));
    let patched = |patch: Value, expected: Value| check(ty, object(), pod_spec(patch), pod_spec(expected));
    let containers = json!([{"name": "a", "image": "a:1"}]);
    // A map is emptied, or put in place of what was there.
    patched(
        json!({"nodeSelector": {"$patch": "delete"}}),
        json!({"containers": containers, "nodeSelector": {}}),
    );
    patched(
        json!({"nodeSelector": {"$patch": "replace", "c": "d"}}),
        json!({"containers": containers, "nodeSelector": {"c": "d"}}),
    );
    // What is not there yet is made without nulls and without directives.
    patched(
        json!({"securityContext": {"$patch": "delete"}, "dnsConfig": {"$patch": "replace", "searches": ["a"], "options": null},
            "affinity": {"$retainKeys": ["podAffinity"], "podAffinity": {}},
            "volumes": [{"name": "v", "$patch": "delete"}, {"$patch": "merge", "name": "w", "emptyDir": {"$patch": "delete"}}],
            "$deleteFromPrimitiveList/none": ["a"], "tolerations": [{"key": "k", "value": null}]}),
        json!({"containers": containers, "nodeSelector": {"a": "b"}, "dnsConfig": {"searches": ["a"]},
            "affinity": {"podAffinity": {}}, "volumes": [{"name": "w"}], "tolerations": [{"key": "k"}]}),
    );
    // A value of another type takes the place of what was there.
    patched(json!({"nodeSelector": "none"}), json!({"containers": containers, "nodeSelector": "none"}));
    patched(
        json!({"$deleteFromPrimitiveList/nodeSelector": ["a"]}),
        json!({"containers": containers, "nodeSelector": {"a": "b"}}),
    );
    assert_eq!(
        refuse(object(), pod_spec(json!({"nodeSelector": {"$patch": "some"}}))),
        "unknown patch type: some in map: map[$patch:some]"
    );
}

#[test]
fn removes_by_null_and_by_directive() {
    check(
        kinds::APPS_V1_DEPLOYMENT.ty(),
        pod_spec(json!({"nodeName": "x", "containers": [{"name": "a"}, {"name": "b"}]})),
        pod_spec(
            json!({"nodeName": null, "hostname": null, "containers": [{"name": "a", "$patch": "delete"}]}),
        ),
        pod_spec(json!({"containers": [{"name": "b"}]})),
    );
    check(
        kinds::APPS_V1_DEPLOYMENT.ty(),
        pod_spec(json!({"securityContext": {"runAsUser": 1}, "containers": [{"name": "a"}]})),
        pod_spec(json!({
            "securityContext": {"$patch": "replace", "fsGroup": 2},
            "containers": [{"$patch": "replace"}, {"name": "c", "image": null}],
        })),
        pod_spec(json!({"securityContext": {"fsGroup": 2}, "containers": [{"name": "c"}]})),
    );
    check(
        kinds::APPS_V1_DEPLOYMENT.ty(),
        json!({"spec": {"strategy": {"type": "RollingUpdate"}}}),
        json!({"spec": {"strategy": {"$patch": "delete"}}}),
        json!({"spec": {"strategy": {}}}),
    );
}

#[test]
fn retains_only_the_listed_keys() {
    check(
        kinds::APPS_V1_DEPLOYMENT.ty(),
        json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}),
        json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}),
        json!({"spec": {"strategy": {"type": "Recreate"}}}),
    );
    assert_eq!(
        refuse(
            json!({"spec": {"strategy": {"type": "RollingUpdate"}}}),
            json!({"spec": {"strategy": {"$retainKeys": ["rollingUpdate"], "type": "Recreate"}}}),
        ),
        "invalid patch format of retainKeys"
    );
}

#[test]
fn orders_elements_as_asked() {
    let names = |names: &[&str]| -> Vec<Value> { names.iter().map(|name| json!({"name": name})).collect() };
    for (server, order, expected) in [
        (vec!["a", "b", "c"], vec!["c", "a"], vec!["b", "c", "a"]),
        (vec!["x", "a", "y", "b"], vec!["b", "a"], vec!["x", "y", "b", "a"]),
        (vec!["a", "b"], vec!["b", "a"], vec!["b", "a"]),
    ] {
        let mut patched = pod_spec(json!({"containers": names(&server)}));
        let patch = pod_spec(json!({"$setElementOrder/containers": names(&order)}));
        strategic_merge_patch(kinds::APPS_V1_DEPLOYMENT.ty(), &mut patched, patch).unwrap();
        let merged = &patched["spec"]["template"]["spec"]["containers"];
        assert_eq!(*merged, Value::from(names(&expected)));
    }
    check(
        kinds::APPS_V1_DEPLOYMENT.ty(),
        pod_spec(json!({"containers": names(&["a", "b"])})),
        pod_spec(json!({
            "$setElementOrder/containers": names(&["c", "b", "a"]),
            "containers": [{"name": "c"}, {"name": "a", "image": "x"}],
        })),
        pod_spec(json!({"containers": [{"name": "c"}, {"name": "b"}, {"name": "a", "image": "x"}]})),
    );
}

#[test]
fn words_errors_as_upstream_does() {
    let object = || pod_spec(json!({"containers": [{"name": "a"}]}));
    assert_eq!(
        refuse(object(), pod_spec(json!({"containers": [{"image": "x"}]}))),
        "map: map[image:x] does not contain declared merge key: name"
    );
    assert_eq!(
        refuse(object(), pod_spec(json!({"$patch": "jump", "a": 1}))),
        "unknown patch type: jump in map: map[$patch:jump a:1]"
    );
    assert_eq!(
        refuse(json!({"spec": {"nope": {"a": 1}}}), json!({"spec": {"nope": {"a": 2}}})),
        "unable to find api field in struct DeploymentSpec for the json field \"nope\""
    );
    assert_eq!(
        refuse(
            object(),
            pod_spec(json!({
                "$setElementOrder/containers": [{"name": "a"}],
                "containers": [{"name": "b"}],
            }))
        ),
        "The order in patch list:\n[map[name:b]]\n doesn't match $setElementOrder list:\n[map[name:a]]\n"
    );
}

#[test]
fn makes_the_patch_that_kubectl_apply_sends() {
    let original =
        pod_spec(json!({"containers": [{"name": "a", "image": "a:1", "args": ["x"]}, {"name": "old"}]}));
    let modified = pod_spec(json!({"containers": [{"name": "a", "image": "a:2"}]}));
    let current = pod_spec(json!({
        "containers": [
            {"name": "a", "image": "a:1", "args": ["x"], "imagePullPolicy": "Always"},
            {"name": "old"},
            {"name": "injected"},
        ],
        "dnsPolicy": "ClusterFirst",
    }));
    let patch = create_three_way(kinds::APPS_V1_DEPLOYMENT.ty(), &original, &modified, &current).unwrap();
    assert_eq!(
        patch,
        pod_spec(json!({
            "$setElementOrder/containers": [{"name": "a"}],
            "containers": [
                {"name": "a", "image": "a:2", "args": null},
                {"name": "old", "$patch": "delete"},
            ],
        }))
    );
    check(
        kinds::APPS_V1_DEPLOYMENT.ty(),
        current,
        patch,
        pod_spec(json!({
            "containers": [
                {"name": "a", "image": "a:2", "imagePullPolicy": "Always"},
                {"name": "injected"},
            ],
            "dnsPolicy": "ClusterFirst",
        })),
    );
}

#[test]
fn makes_an_empty_patch_where_nothing_changed() {
    let applied =
        json!({"metadata": {"name": "a"}, "spec": {"replicas": 3, "strategy": {"type": "Recreate"}}});
    let mut current = applied.clone();
    current["status"] = json!({"replicas": 3});
    current["spec"]["progressDeadlineSeconds"] = json!(600);
    let patch = create_three_way(kinds::APPS_V1_DEPLOYMENT.ty(), &applied, &applied, &current).unwrap();
    assert_eq!(patch, json!({}));
}

#[test]
fn elements_of_one_key_are_compared_in_their_order() {
    let ty = kinds::CORE_V1_SERVICE.ty();
    let ports = |tcp: &str| {
        json!({"spec": {"ports": [
            {"name": "dns", "port": 53, "protocol": "UDP"}, {"name": tcp, "port": 53, "protocol": "TCP"},
        ]}})
    };
    let unchanged = create_three_way(ty, &ports("dns-tcp"), &ports("dns-tcp"), &ports("dns-tcp"));
    assert_eq!(unchanged.unwrap(), json!({}));
    let renamed = create_two_way(ty, &ports("dns-tcp"), &ports("tcp")).unwrap();
    assert_eq!(renamed["spec"]["ports"], json!([{"name": "tcp", "port": 53}]));
}

#[test]
fn changes_a_strategy_by_its_retained_keys() {
    let ty = kinds::APPS_V1_DEPLOYMENT.ty();
    let original = json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
    let modified = json!({"spec": {"strategy": {"type": "Recreate"}}});
    let patch = create_three_way(ty, &original, &modified, &original).unwrap();
    assert_eq!(
        patch,
        json!({"spec": {"strategy": {"$retainKeys": ["type"], "rollingUpdate": null, "type": "Recreate"}}})
    );
    check(ty, original, patch, modified);
}

/// A small generator of objects that fit a type.
struct Objects(Dice);

impl Objects {
    fn object(&mut self, ty: Type<'_>, depth: u32) -> Value {
        let mut map = Map::new();
        let fields: Vec<Field<'_>> = ty.fields().collect();
        for field in fields {
            let deep = field.element().object().is_some();
            if depth > 5 || self.0.roll(if deep { 3 } else { 6 }) != 0 {
                continue;
            }
            map.insert(field.name().to_owned(), self.value(field.kind(), field, depth + 1));
        }
        Value::Object(map)
    }

    fn value(&mut self, kind: Kind<'_>, field: Field<'_>, depth: u32) -> Value {
        match kind {
            Kind::Bool => Value::from(self.0.roll(2) == 0),
            Kind::Int32 | Kind::Int64 | Kind::Double | Kind::IntOrString => Value::from(self.0.roll(4)),
            Kind::Object(ty) => self.object(ty, depth),
            Kind::Map(element) => {
                let mut map = Map::new();
                for _ in 0..self.0.roll(3) {
                    let key = format!("k{}", self.0.roll(3));
                    let value = self.value(element.kind(), field, depth);
                    map.insert(key, value);
                }
                Value::Object(map)
            }
            Kind::Array(element) => {
                let mut items: Vec<Value> = Vec::new();
                for _ in 0..self.0.roll(4) {
                    let mut item = self.value(element.kind(), field, depth);
                    match (field.merge().strategy(), field.merge().key()) {
                        (Some(_), Some(key)) => {
                            let value = Value::from(format!("e{}", self.0.roll(4)));
                            if items.iter().any(|other| other[key] == value) {
                                continue;
                            }
                            item[key] = value;
                        }
                        (Some(_), None) if items.contains(&item) => continue,
                        _ => {}
                    }
                    items.push(item);
                }
                Value::Array(items)
            }
            _ => Value::from(format!("s{}", self.0.roll(4))),
        }
    }
}

#[test]
fn applying_a_difference_gives_the_other_object() {
    let types = [
        kinds::CORE_V1_POD.ty(),
        kinds::APPS_V1_DEPLOYMENT.ty(),
        kinds::CORE_V1_SERVICE.ty(),
        kinds::CORE_V1_NODE.ty(),
        kinds::BATCH_V1_JOB.ty(),
        kinds::POLICY_V1_PODDISRUPTIONBUDGET.ty(),
        kinds::STORAGE_V1_CSINODE.ty(),
        kinds::ADMISSIONREGISTRATION_V1_MUTATINGWEBHOOKCONFIGURATION.ty(),
    ];
    for seed in 1..400_u64 {
        let mut random = Objects(Dice::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let ty = types[seed as usize % types.len()];
        let (a, b) = (random.object(ty, 0), random.object(ty, 0));

        let patch = create_two_way(ty, &a, &b).unwrap();
        let mut patched = a.clone();
        strategic_merge_patch(ty, &mut patched, patch.clone()).unwrap();
        assert_eq!(patched, b, "seed {seed}, two-way patch {patch}");

        let patch = create_three_way(ty, &a, &b, &a).unwrap();
        let mut patched = a.clone();
        strategic_merge_patch(ty, &mut patched, patch.clone()).unwrap();
        assert_eq!(patched, b, "seed {seed}, three-way patch {patch}");

        let patch = crate::create_merge_patch(&a, &b);
        let mut patched = a.clone();
        crate::merge_patch(&mut patched, &patch);
        assert_eq!(patched, b, "seed {seed}, merge patch {patch}");
        assert_eq!(create_two_way(ty, &a, &a).unwrap(), json!({}), "seed {seed}");
    }
}
