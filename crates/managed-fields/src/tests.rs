//! Tables: what writers own, who conflicts, and what becomes of the object.

use expect_test::{Expect, expect};
use schema::Type;
use serde_json::{Value, json};
use testkit::Dice;

use crate::compare::compare;
use crate::entries::{self, Operation};
use crate::set::Set;
use crate::{Apply, ApplyError, AtVersion, Fields, Resets, Update, Writer, apply, update};

const STATUS: Resets = Resets::Only(&["status"]);

fn deployments() -> Type<'static> {
    Type::named("io.k8s.api.apps.v1.Deployment").unwrap()
}

fn pods() -> Type<'static> {
    Type::named("io.k8s.api.core.v1.Pod").unwrap()
}

fn maps() -> Type<'static> {
    Type::named("io.k8s.api.core.v1.ConfigMap").unwrap()
}

fn services() -> Type<'static> {
    Type::named("io.k8s.api.core.v1.Service").unwrap()
}

fn nowhere(_: &str, _: &Value, _: &Value) -> Option<AtVersion> {
    None
}

fn at_second(second: u32) -> String {
    format!("2026-11-21T10:00:{second:02}Z")
}

/// An object with its `managedFields` and the time.
struct Object {
    ty: Type<'static>,
    value: Option<Value>,
    fields: Option<String>,
    second: u32,
}

impl Object {
    fn new(ty: Type<'static>) -> Self {
        Self { ty, value: None, fields: None, second: 0 }
    }

    fn written(&mut self, manager: &str, new: Value) -> &mut Self {
        self.write(manager, "", new, None);
        self
    }

    fn write(&mut self, manager: &str, subresource: &str, new: Value, claimed: Option<&str>) -> Fields {
        self.second += 1;
        let now = at_second(self.second);
        let writer = Writer { manager, api_version: "v1", subresource, now: &now };
        let resets = if subresource == "status" { Resets::Only(&["spec"]) } else { STATUS };
        let fields = update(&Update {
            ty: self.ty,
            old: self.value.as_ref(),
            new: &new,
            fields: self.fields.as_deref(),
            claimed,
            resets,
            writer,
            versions: &nowhere,
        });
        match &fields {
            Fields::Unchanged => {}
            Fields::Touched(text) => self.fields = Some(text.clone()),
            Fields::Changed(text) => self.fields.clone_from(text),
        }
        self.value = Some(new);
        fields
    }

    fn applied(&mut self, manager: &str, config: Value) -> &mut Self {
        self.apply(manager, config, false).unwrap();
        self
    }

    fn apply(&mut self, manager: &str, config: Value, force: bool) -> Result<bool, ApplyError> {
        self.second += 1;
        let now = at_second(self.second);
        let writer = Writer { manager, api_version: "v1", subresource: "", now: &now };
        let applied = apply(&Apply {
            ty: self.ty,
            live: self.value.as_ref(),
            config: &config,
            fields: self.fields.as_deref(),
            force,
            resets: STATUS,
            writer,
            versions: &nowhere,
        })?;
        let mut object = applied.object;
        schema::decode(self.ty, &mut object, schema::FieldValidation::Strict).unwrap();
        self.value = Some(object);
        self.fields = applied.fields;
        Ok(applied.same)
    }

    /// Object and owners as text.
    fn shown(&self, expected: Expect) {
        let mut text = String::new();
        if let Some(value) = &self.value {
            text.push_str(&format!("{value}\n"));
        }
        text.push_str(&self.owners());
        expected.assert_eq(&text);
    }

    fn owners(&self) -> String {
        let mut text = String::new();
        for entry in entries::decode(self.fields.as_deref()).unwrap() {
            let operation = match entry.operation {
                Operation::Apply => "applied",
                Operation::Update => "updated",
            };
            let time = entry.time.as_deref().unwrap_or("-").trim_start_matches("2026-11-21T10:00:");
            text.push_str(&format!("{} {operation} {} {time}", entry.manager, entry.subresource));
            let mut set = String::new();
            entry.set.write(&mut set);
            text.push_str(&format!(" {set}\n"));
        }
        text
    }
}

fn deployment(replicas: u32) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "nginx", "ports": [{"containerPort": 80, "protocol": "TCP"}]}]},
            },
        },
    })
}

#[test]
fn who_creates_owns_what_it_writes() {
    let mut object = Object::new(deployments());
    object.written("kubectl-create", deployment(1));
    object.shown(expect![[r#"
        {"apiVersion":"v1","kind":"Deployment","metadata":{"labels":{"app":"web"},"name":"web","namespace":"default"},"spec":{"replicas":1,"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"image":"nginx","name":"web","ports":[{"containerPort":80,"protocol":"TCP"}]}]}}}}
        kubectl-create updated  01Z {"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:replicas":{},"f:selector":{},"f:template":{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:image":{},"f:name":{},"f:ports":{".":{},"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{},"f:protocol":{}}},"f:resources":{}}}}}}}
    "#]]);
    let mut map = Object::new(maps());
    map.written("me", json!({"metadata": {"name": "a"}, "data": {"key": "value", "odd\"key": ""}}));
    map.shown(expect![[r#"
        {"data":{"key":"value","odd\"key":""},"metadata":{"name":"a"}}
        me updated  01Z {"f:data":{".":{},"f:key":{},"f:odd\"key":{}}}
    "#]]);
}

#[test]
fn who_changes_a_field_takes_it() {
    let mut object = Object::new(deployments());
    object.written("kubectl-create", deployment(1));
    object.written("kubectl-scale", deployment(3));
    let mut with_status = deployment(3);
    with_status["status"] = json!({"replicas": 3, "conditions": [{"type": "Available", "status": "True"}]});
    with_status["spec"]["replicas"] = 9.into();
    object.write("controller", "status", with_status.clone(), None);
    with_status["metadata"]["labels"] = json!({"tier": "front"});
    with_status["spec"]["replicas"] = 3.into();
    object.value.as_mut().unwrap()["spec"]["replicas"] = 3.into();
    object.written("kubectl-label", with_status);
    object.shown(expect![[r#"
        {"apiVersion":"v1","kind":"Deployment","metadata":{"labels":{"tier":"front"},"name":"web","namespace":"default"},"spec":{"replicas":3,"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"image":"nginx","name":"web","ports":[{"containerPort":80,"protocol":"TCP"}]}]}}},"status":{"conditions":[{"status":"True","type":"Available"}],"replicas":3}}
        kubectl-create updated  01Z {"f:metadata":{"f:labels":{}},"f:spec":{"f:selector":{},"f:template":{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:image":{},"f:name":{},"f:ports":{".":{},"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{},"f:protocol":{}}},"f:resources":{}}}}}}}
        kubectl-scale updated  02Z {"f:spec":{"f:replicas":{}}}
        controller updated status 03Z {"f:status":{"f:conditions":{".":{},"k:{\"type\":\"Available\"}":{".":{},"f:status":{},"f:type":{}}},"f:replicas":{}}}
        kubectl-label updated  04Z {"f:metadata":{"f:labels":{"f:tier":{}}}}
    "#]]);
}

#[test]
fn writing_the_same_again_changes_nothing() {
    let mut object = Object::new(maps());
    let one = json!({"metadata": {"name": "a"}, "data": {"key": "1"}});
    let two = json!({"metadata": {"name": "a"}, "data": {"key": "2"}});
    object.written("me", one.clone());
    assert_eq!(object.write("me", "", one.clone(), None), Fields::Unchanged);
    assert_eq!(object.write("you", "", one, None), Fields::Unchanged);
    assert!(matches!(object.write("me", "", two, None), Fields::Touched(text) if text.contains("10:00:04Z")));
}

#[test]
fn objects_without_recorded_owners_stay_without() {
    let mut object = Object::new(maps());
    object.value = Some(json!({"metadata": {"name": "a"}, "data": {"key": "1"}}));
    object.written("me", json!({"metadata": {"name": "a"}, "data": {"key": "2"}}));
    assert_eq!(object.fields, None);
    object.applied(
        "applier",
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"other": "3"}}),
    );
    object.shown(expect![[r#"
        {"apiVersion":"v1","data":{"key":"2","other":"3"},"kind":"ConfigMap","metadata":{"name":"a"}}
        applier applied  02Z {"f:data":{"f:other":{}}}
        before-first-apply updated  02Z {"f:data":{".":{},"f:key":{}}}
    "#]]);
}

#[test]
fn owners_can_be_set_and_cleared_but_not_through_a_subresource_and_not_by_an_empty_list() {
    let one = json!({"metadata": {"name": "a"}, "data": {"key": "1"}});
    let claimed = r#"[{"apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:data":{"f:key":{}}},"manager":"b","operation":"Apply","time":"2026-01-01T00:00:00Z"}]"#;
    let mut object = Object::new(maps());
    object.written("me", one.clone());
    let stored = object.fields.clone();
    assert_eq!(object.write("you", "status", one.clone(), Some(claimed)), Fields::Unchanged);
    assert_eq!(object.write("you", "", one.clone(), Some("[]")), Fields::Unchanged);
    assert_eq!(object.write("you", "", one.clone(), Some(r#"[{"manager":"x"}]"#)), Fields::Unchanged);
    assert_eq!(object.write("you", "", one.clone(), stored.as_deref()), Fields::Unchanged);
    assert_eq!(object.write("you", "", one.clone(), Some(claimed)), Fields::Changed(Some(claimed.into())));
    assert_eq!(object.write("you", "", one.clone(), Some("[{}]")), Fields::Changed(None));
    assert_eq!(object.write("you", "", one, Some("[{}]")), Fields::Unchanged);
}

#[test]
fn the_oldest_updaters_become_one() {
    let mut object = Object::new(maps());
    let mut value = json!({"metadata": {"name": "a"}, "data": {}});
    for number in 1..=12 {
        value["data"][format!("k{number:02}")] = "v".into();
        object.written(&format!("m{number:02}"), value.clone());
    }
    object.shown(expect![[r#"
        {"data":{"k01":"v","k02":"v","k03":"v","k04":"v","k05":"v","k06":"v","k07":"v","k08":"v","k09":"v","k10":"v","k11":"v","k12":"v"},"metadata":{"name":"a"}}
        ancient-changes updated  03Z {"f:data":{".":{},"f:k01":{},"f:k02":{},"f:k03":{}}}
        m04 updated  04Z {"f:data":{"f:k04":{}}}
        m05 updated  05Z {"f:data":{"f:k05":{}}}
        m06 updated  06Z {"f:data":{"f:k06":{}}}
        m07 updated  07Z {"f:data":{"f:k07":{}}}
        m08 updated  08Z {"f:data":{"f:k08":{}}}
        m09 updated  09Z {"f:data":{"f:k09":{}}}
        m10 updated  10Z {"f:data":{"f:k10":{}}}
        m11 updated  11Z {"f:data":{"f:k11":{}}}
        m12 updated  12Z {"f:data":{"f:k12":{}}}
    "#]]);
}

fn config(spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})
}

#[test]
fn an_applier_conflicts_with_other_owners_of_other_values() {
    let mut object = Object::new(deployments());
    object.written("kubectl-client-side-apply", deployment(1));
    let refused =
        |object: &mut Object, config: Value| object.apply("me", config, false).unwrap_err().to_string();
    assert_eq!(
        refused(&mut object, config(json!({"replicas": 5}))),
        "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using v1: .spec.replicas"
    );
    let containers =
        json!([{"name": "web", "image": "httpd", "ports": [{"containerPort": 80, "name": "http"}]}]);
    let two = config(json!({"replicas": 5, "template": {"spec": {"containers": containers}}}));
    expect![[r#"
        Apply failed with 2 conflicts: conflicts with "kubectl-client-side-apply" using v1:
        - .spec.replicas
        - .spec.template.spec.containers[name="web"].image"#]]
    .assert_eq(&refused(&mut object, two.clone()));
    let mut status = object.value.clone().unwrap();
    status["status"] = json!({"replicas": 1});
    object.write("controller", "status", status, None);
    // The same value is shared; a forced one is taken; the status is not applied here.
    object.applied("you", config(json!({"replicas": 1})));
    let mut forced = two;
    forced["status"] = json!({"replicas": 7});
    object.apply("me", forced, true).unwrap();
    object.value.as_mut().unwrap()["status"] = json!({"replicas": 1});
    object.shown(expect![[r#"
        {"apiVersion":"v1","kind":"Deployment","metadata":{"labels":{"app":"web"},"name":"web","namespace":"default"},"spec":{"replicas":5,"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"image":"httpd","name":"web","ports":[{"containerPort":80,"name":"http","protocol":"TCP"}]}]}}},"status":{"replicas":1}}
        me applied  06Z {"f:spec":{"f:replicas":{},"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:image":{},"f:name":{},"f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{},"f:name":{}}}}}}}}}
        kubectl-client-side-apply updated  01Z {"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:selector":{},"f:template":{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:name":{},"f:ports":{".":{},"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{},"f:protocol":{}}},"f:resources":{}}}}}}}
        controller updated status 04Z {"f:status":{"f:replicas":{}}}
    "#]]);
}

#[test]
fn what_an_applier_no_longer_names_goes_unless_others_own_it() {
    let mut object = Object::new(pods());
    let pod = |labels: Value, containers: Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": labels}, "spec": {"containers": containers}});
    let probe = json!({"tcpSocket": {"port": 80}});
    object.applied(
        "me",
        pod(
            json!({"a": "1", "b": "2"}),
            json!([{"name": "x", "image": "i", "livenessProbe": probe}, {"name": "y", "image": "i"}]),
        ),
    );
    // Defaults are nobody's, and go with the struct that they were for.
    object.value.as_mut().unwrap()["spec"]["containers"][0]["livenessProbe"]["periodSeconds"] = 10.into();
    object.applied("you", pod(json!({"b": "2"}), json!([{"name": "x"}])));
    object.applied("me", pod(json!({}), json!([{"name": "x", "image": "i"}])));
    object.shown(expect![[r#"
        {"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"b":"2"},"name":"a"},"spec":{"containers":[{"image":"i","name":"x"}]}}
        you applied  02Z {"f:metadata":{"f:labels":{"f:b":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"x\"}":{".":{},"f:name":{}}}}}
        me applied  03Z {"f:metadata":{"f:labels":{}},"f:spec":{"f:containers":{"k:{\"name\":\"x\"}":{".":{},"f:image":{},"f:name":{}}}}}
    "#]]);
    object.applied("you", json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}));
    object.shown(expect![[r#"
        {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"image":"i","name":"x"}]}}
        me applied  03Z {"f:spec":{"f:containers":{"k:{\"name\":\"x\"}":{".":{},"f:image":{},"f:name":{}}}}}
    "#]]);
}

#[test]
fn applying_the_same_again_changes_nothing() {
    let mut object = Object::new(deployments());
    let first = config(
        json!({"replicas": 2, "template": {"spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": "1000m"}}}]}}}),
    );
    object.applied("me", first.clone());
    let (value, fields) = (object.value.clone(), object.fields.clone());
    assert!(object.apply("me", first.clone(), false).unwrap());
    assert_eq!((&object.value, &object.fields), (&value, &fields));
    // Who shares is a new owner, whatever the object looks like.
    assert!(!object.apply("you", first, false).unwrap());
    assert_eq!(object.value, value);
    assert!(object.fields.as_ref().unwrap().contains("10:00:03Z"));
}

#[test]
fn items_are_known_by_their_keys_with_defaults_and_keep_their_order() {
    let service = |ports: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": ports}});
    let mut object = Object::new(services());
    object.written(
        "me",
        service(json!([
            {"port": 80, "protocol": "TCP", "targetPort": 80, "nodePort": 30080},
            {"port": 53, "protocol": "UDP"}, {"port": 443, "protocol": "TCP"},
        ])),
    );
    object.applied(
        "you",
        service(json!([{"port": 8080, "name": "new"}, {"port": 443}, {"port": 80, "name": "http"}])),
    );
    object.shown(expect![[r#"
        {"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"ports":[{"port":53,"protocol":"UDP"},{"name":"new","port":8080},{"port":443,"protocol":"TCP"},{"name":"http","nodePort":30080,"port":80,"protocol":"TCP","targetPort":80}]}}
        you applied  02Z {"f:spec":{"f:ports":{"k:{\"port\":443,\"protocol\":\"TCP\"}":{".":{},"f:port":{}},"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:name":{},"f:port":{}},"k:{\"port\":8080,\"protocol\":\"TCP\"}":{".":{},"f:name":{},"f:port":{}}}}}
        me updated  01Z {"f:spec":{"f:ports":{".":{},"k:{\"port\":443,\"protocol\":\"TCP\"}":{".":{},"f:port":{},"f:protocol":{}},"k:{\"port\":53,\"protocol\":\"UDP\"}":{".":{},"f:port":{},"f:protocol":{}},"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:nodePort":{},"f:port":{},"f:protocol":{},"f:targetPort":{}}}}}
    "#]]);
}

#[test]
fn a_configuration_must_fit_the_schema() {
    let refused = |ty, config: Value| {
        let mut object = Object::new(ty);
        object.apply("me", config, false).unwrap_err().to_string()
    };
    let spec =
        |spec: Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec});
    let cases = [
        (spec(json!({"nodeNam": "x"})), ".spec.nodeNam: field not declared in schema"),
        (
            spec(json!({"containers": [{"image": "x"}]})),
            ".spec.containers: element 0: associative list with keys has an element that omits key field \"name\" (and doesn't have default value)",
        ),
        (
            spec(json!({"containers": [{"name": "a"}, {"name": "a"}]})),
            ".spec.containers: duplicate entries for key [name=\"a\"]",
        ),
        (
            spec(
                json!({"containers": [{"name": "a", "ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "TCP"}]}]}),
            ),
            ".spec.containers[name=\"a\"].ports: duplicate entries for key [containerPort=80,protocol=\"TCP\"]",
        ),
        (
            spec(json!({"hostname": 3, "priority": "high"})),
            "errors:\n  .spec.hostname: expected string, got &value.valueUnstructured{Value:3}\n  .spec.priority: expected numeric (int or float), got string",
        ),
        (
            spec(json!({"containers": {"name": "a"}})),
            ".spec.containers: expected list, got &{map[name:\"a\"]}",
        ),
        (
            json!({"metadata": {"name": "a", "finalizers": ["x/y", "x/y"]}}),
            ".metadata.finalizers: duplicate entries for key [=\"x/y\"]",
        ),
    ];
    for (config, expected) in cases {
        assert_eq!(refused(pods(), config), expected);
    }
}

#[test]
fn kubectl_takes_over_what_it_applied_itself() {
    let mut object = Object::new(maps());
    let config = |key: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"key": key}});
    let mut first = config("1");
    first["metadata"]["annotations"] = json!({crate::LAST_APPLIED: format!("{}\n", config("1"))});
    object.written("kubectl-client-side-apply", first);
    assert!(object.apply("other", config("2"), false).is_err());
    object.applied("kubectl", config("2"));
    object.shown(expect![[r#"
        {"apiVersion":"v1","data":{"key":"2"},"kind":"ConfigMap","metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"apiVersion\":\"v1\",\"data\":{\"key\":\"2\"},\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"}}\n"},"name":"a"}}
        kubectl applied  03Z {"f:data":{"f:key":{}}}
        kubectl-client-side-apply updated  01Z {"f:data":{},"f:metadata":{"f:annotations":{".":{},"f:kubectl.kubernetes.io/last-applied-configuration":{}}}}
    "#]]);
    object.written(
        "editor",
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"key": "3"}}),
    );
    assert!(object.apply("kubectl", config("4"), false).is_err());
}

#[test]
fn sets_are_read_as_they_are_written() {
    let text = r#"{"f:metadata":{"f:finalizers":{".":{},"v:\"a/b\"":{}},"f:odd\"key":{}},"f:spec":{"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:port":{}}},"i:3":{}}}"#;
    let set = Set::read(text).unwrap();
    let mut written = String::new();
    set.write(&mut written);
    // What stands for itself alone needs no dot.
    assert_eq!(written, text);
    expect![[r#"
        .metadata.finalizers
        .metadata.odd"key
        .metadata.finalizers[="a/b"]
        .spec[3]
        .spec.ports[port=80,protocol="TCP"]
        .spec.ports[port=80,protocol="TCP"].port"#]]
    .assert_eq(&set.paths().join("\n"));
    let unknown = Set::read(r#"{"x:new":{"f:a":{}},"k:{ \"b\": \"\u0063\" }":{}}"#).unwrap();
    assert_eq!(unknown.paths(), ["[b=\"c\"]"]);
    assert!(Set::read("[]").is_err() && Set::read(r#"{"i:x":{}}"#).is_err());
}

#[test]
fn sets_are_united_intersected_and_subtracted_path_by_path() {
    let set = |text: &'static str| Set::read(text).unwrap();
    let a = set(r#"{"f:a":{".":{},"f:b":{},"f:c":{}},"f:d":{}}"#);
    let b = set(r#"{"f:a":{"f:c":{},"f:e":{}},"f:d":{"f:x":{}}}"#);
    let shown = |set: &Set<'_>| {
        let mut text = String::new();
        set.write(&mut text);
        text
    };
    let mut united = a.clone();
    united.unite(b.clone());
    assert_eq!(shown(&united), r#"{"f:a":{".":{},"f:b":{},"f:c":{},"f:e":{}},"f:d":{".":{},"f:x":{}}}"#);
    assert_eq!(shown(&a.intersection(&b)), r#"{"f:a":{"f:c":{}}}"#);
    assert!(united.covers(&a) && united.covers(&b) && !a.covers(&b));
    let mut rest = a.clone();
    assert!(rest.subtract(&b));
    assert_eq!(shown(&rest), r#"{"f:a":{".":{},"f:b":{}},"f:d":{}}"#);
    assert!(!rest.subtract(&b));
}

#[test]
fn only_what_a_write_can_change_is_compared() {
    let old = json!({"spec": {"nodeName": "a"}, "status": {"phase": "Running"}, "metadata": {"labels": {"a": "b"}}});
    let new = json!({"spec": {"ephemeralContainers": [{"name": "e"}], "nodeName": "b"}, "status": {"phase": "Failed"}, "metadata": {"uid": "u"}});
    let paths = |resets| {
        let difference = compare(pods(), &old, &new, resets);
        (difference.changed.paths().join(" "), difference.removed.paths().join(" "))
    };
    let (changed, removed) = paths(STATUS);
    assert_eq!(
        changed,
        ".spec.ephemeralContainers .spec.nodeName .spec.ephemeralContainers[name=\"e\"] .spec.ephemeralContainers[name=\"e\"].name .spec.ephemeralContainers[name=\"e\"].resources"
    );
    assert_eq!(removed, ".metadata.labels .metadata.labels.a");
    let (changed, removed) = paths(Resets::AllBut(&["spec.ephemeralContainers.*.name"]));
    assert_eq!((&*changed, &*removed), (".spec.ephemeralContainers[name=\"e\"].name", ""));
    let (changed, removed) = paths(Resets::Only(&["spec", "metadata.labels"]));
    assert_eq!((&*changed, &*removed), (".status.phase", ""));
}

#[test]
fn what_kubectl_wrote_becomes_what_it_applied() {
    let mut object = Object::new(maps());
    let config = |key: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {key: "1"}});
    let mut first = config("old");
    first["metadata"]["annotations"] = json!({crate::LAST_APPLIED: "{}"});
    object.written("kubectl-client-side-apply", first);
    object.apply("kubectl", config("new"), true).unwrap();
    let fields = object.fields.clone().unwrap();
    let updaters = crate::csa::owners_of_annotation(&fields, crate::LAST_APPLIED, false).unwrap();
    assert_eq!(updaters.iter().collect::<Vec<_>>(), ["kubectl-client-side-apply"]);
    assert!(crate::csa::owners_of_annotation(&fields, crate::LAST_APPLIED, true).unwrap().is_empty());
    object.fields = crate::csa::upgraded(&fields, &updaters, "kubectl").unwrap();
    assert_eq!(crate::csa::upgraded(object.fields.as_ref().unwrap(), &updaters, "kubectl").unwrap(), None);
    object.applied("kubectl", config("new"));
    object.shown(expect![[r#"
        {"apiVersion":"v1","data":{"new":"1"},"kind":"ConfigMap","metadata":{"name":"a"}}
        kubectl applied  03Z {"f:data":{"f:new":{}}}
    "#]]);
}

/// Makes pods.
struct Pods(Dice);

impl Pods {
    fn pod(&mut self) -> Value {
        let mut spec = json!({"hostname": "always"});
        let mut containers = Vec::new();
        for name in ["a", "b", "c"] {
            if self.0.roll(2) == 0 {
                let mut container = json!({"name": name, "image": format!("image-{}", self.0.roll(3))});
                let ports: Vec<Value> = (80..83)
                    .filter(|_| self.0.roll(2) == 0)
                    .map(|port| json!({"containerPort": port}))
                    .collect();
                if !ports.is_empty() {
                    container["ports"] = ports.into();
                }
                if self.0.roll(3) == 0 {
                    container["resources"] = json!({"limits": {"cpu": format!("{}", 1 + self.0.roll(3))}});
                }
                containers.push(container);
            }
        }
        if self.0.roll(2) == 0 {
            containers.reverse();
        }
        if !containers.is_empty() {
            spec["containers"] = containers.into();
        }
        if self.0.roll(2) == 0 {
            spec["nodeSelector"] = json!({format!("k{}", self.0.roll(2)): "v"});
        }
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec});
        for label in ["x", "y"] {
            if self.0.roll(2) == 0 {
                pod["metadata"]["labels"][label] = self.0.roll(2).to_string().into();
            }
        }
        pod
    }
}

#[test]
fn whatever_is_applied_is_there_is_owned_and_is_the_same_the_second_time() {
    let mut made = Pods(Dice::new(0x9E37_79B9_7F4A_7C15));
    for _ in 0..60 {
        let mut object = Object::new(pods());
        for _ in 0..8 {
            let manager = *made.0.pick(&["a", "b", "c"]);
            let mut pod = made.pod();
            if made.0.roll(4) == 0 && object.value.is_some() {
                // As every decoded pod has it.
                for container in pod["spec"]["containers"].as_array_mut().into_iter().flatten() {
                    container.as_object_mut().unwrap().entry("resources").or_insert(json!({}));
                }
                object.written("updater", pod);
                continue;
            }
            object.apply(manager, pod.clone(), true).unwrap();
            let value = object.value.clone().unwrap();
            let named = crate::ownership::named(pods(), &pod);
            let there = crate::ownership::named(pods(), &value);
            assert!(there.covers(&named), "{value} lacks what {pod} names");
            let difference = compare(pods(), &pod, &value, STATUS);
            assert!(difference.changed.intersection(&named).is_empty(), "{value} is not as {pod} says");
            let entries = entries::decode(object.fields.as_deref()).unwrap();
            let nothing = json!({});
            let mut everything = compare(pods(), &nothing, &value, STATUS).changed;
            everything.unite(there.clone());
            assert!(
                entries.iter().all(|entry| everything.covers(&entry.set)),
                "{} owned in {value}",
                object.owners()
            );
            assert!(object.apply(manager, pod, true).unwrap());
            assert_eq!(object.value.as_ref(), Some(&value));
        }
    }
}
