//! Custom resources: defined, served, changed, deleted.

mod conversion;
mod registered;
mod rules;
mod stored;

use serde_json::{Value, json};
use testkit::eventually;

use crate::cluster::{Client, Cluster};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const WANDS: &str = "/apis/example.com/v1/namespaces/default/wands";

fn definition() -> Value {
    let ports = json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port"],
        "items": {"type": "object", "required": ["port"], "properties": {
            "port": {"type": "integer"}, "name": {"type": "string"}}}});
    let schema = json!({"type": "object", "required": ["spec"], "properties": {
        "spec": {"type": "object",
            "x-kubernetes-validations": [{"rule": "!has(oldSelf.core) || self.core == oldSelf.core",
                "message": "a wand keeps its core"}],
            "properties": {
            "core": {"type": "string", "enum": ["phoenix", "dragon"]},
            "length": {"type": "integer", "default": 11, "minimum": 1},
            "ports": ports,
            "selector": {"type": "string"},
            "replicas": {"type": "integer"}}},
        "status": {"type": "object", "properties": {
            "phase": {"type": "string"}, "replicas": {"type": "integer"}}}}});
    let version = |name: &str, storage: bool| {
        json!({"name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema": schema},
            "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".spec.selector"}},
            "selectableFields": [{"jsonPath": ".spec.core"}],
            "additionalPrinterColumns": [{"name": "Core", "type": "string", "jsonPath": ".spec.core"}]})
    };
    json!({"metadata": {"name": "wands.example.com"}, "spec": {"group": "example.com", "scope": "Namespaced",
        "names": {"plural": "wands", "kind": "Wand", "shortNames": ["wd"], "categories": ["all"]},
        "versions": [version("v1", true), version("v1beta1", false)]}})
}

fn wand(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Wand", "metadata": {"name": name}, "spec": spec})
}

async fn defined(client: &Client) {
    client.post(DEFINITIONS, &definition()).await.ok();
    established(client).await;
}

/// Waits until the definition says that it is served.
async fn established(client: &Client) {
    eventually(|| async {
        let found = client.get(&format!("{DEFINITIONS}/wands.example.com")).await.ok();
        let conditions = found["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let holds = |own: &Value| own["type"] == "Established" && own["status"] == "True";
        let code = client.get(WANDS).await.code;
        if conditions.iter().any(holds) && code == 200 { Ok(()) } else { Err((code, conditions)) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_defined_is_served_under_its_schema() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    defined(&client).await;
    let standing = client.get(&format!("{DEFINITIONS}/wands.example.com")).await.ok();
    assert_eq!(standing["status"]["acceptedNames"]["singular"], "wand");
    assert_eq!(standing["status"]["conditions"][1]["type"], "Established");
    assert_eq!(standing["status"]["storedVersions"], json!(["v1"]));

    let made = client.post(WANDS, &wand("elder", json!({"core": "phoenix"}))).await.ok();
    assert_eq!(made["spec"], json!({"core": "phoenix", "length": 11}));
    assert_eq!(made["metadata"]["generation"], 1);
    let refused = client.post(WANDS, &wand("bad", json!({"core": "unicorn", "length": 0}))).await.refusal();
    assert_eq!(refused.0, 422);
    assert!(
        refused
            .1
            .contains(r#"spec.core: Unsupported value: "unicorn": supported values: "phoenix", "dragon""#),
        "{}",
        refused.1
    );
    assert!(refused.1.contains("spec.length in body should be greater than or equal to 1"), "{}", refused.1);
    let strict = client
        .post(&format!("{WANDS}?fieldValidation=Strict"), &wand("odd", json!({"colour": 1})))
        .await
        .refusal();
    assert_eq!(strict.0, 400);
    assert!(strict.1.contains("strict decoding error: unknown field \"spec.colour\""), "{}", strict.1);
    let pruned = client.post(WANDS, &wand("odd", json!({"colour": 1}))).await.ok();
    assert_eq!(pruned["spec"], json!({"length": 11}));

    let changed =
        client.patch(&format!("{WANDS}/elder"), "merge-patch", &json!({"spec": {"core": "dragon"}})).await;
    let refused = changed.refusal();
    assert_eq!(refused.0, 422);
    assert!(refused.1.contains(r#"spec: Invalid value: "object": a wand keeps its core"#), "{}", refused.1);
    let other = client.get("/apis/example.com/v1beta1/namespaces/default/wands/elder").await.ok();
    assert_eq!(
        (&other["apiVersion"], &other["spec"]["core"]),
        (&json!("example.com/v1beta1"), &json!("phoenix"))
    );
    let list = client.get(&format!("{WANDS}?fieldSelector=spec.core=phoenix")).await.ok();
    assert_eq!((&list["kind"], list["items"].as_array().unwrap().len()), (&json!("WandList"), 1));

    let accept = ("accept", "application/json;as=Table;v=v1;g=meta.k8s.io");
    let table = client.ask(http::Method::GET, &format!("{WANDS}/elder"), &[accept], "").await.ok();
    assert_eq!(table["rows"][0]["cells"], json!(["elder", "phoenix"]));

    // Who applies hears of what is twice, and may hold an object by any name.
    let apply = async |spec: &str| {
        let yaml = format!(
            "\napiVersion: example.com/v1\nkind: Wand\nmetadata:\n  name: held\n  finalizers:\n  - test-finalizer\nspec:\n  core: dragon\n{spec}"
        );
        let path = format!("{WANDS}/held?fieldManager=walker&fieldValidation=Strict");
        client
            .ask(http::Method::PATCH, &path, &[("content-type", "application/apply-patch+yaml")], yaml)
            .await
    };
    let twice = apply("  length: 3\n  length: 4\n").await.refusal();
    assert!(twice.0 == 400 && twice.1.contains("line 11: key \"length\" already set in map"), "{}", twice.1);
    let unknown = apply("unknownField: unknown\n").await.refusal();
    assert!(unknown.1.contains(".unknownField: field not declared in schema"), "{}", unknown.1);
    let held = apply("").await;
    let warning = held.headers["warning"].to_str().unwrap().to_owned();
    assert!(warning.contains("prefer a domain-qualified finalizer name including a path (/)"), "{warning}");
    assert_eq!(held.ok()["metadata"]["finalizers"], json!(["test-finalizer"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scales_are_judged_in_the_object_they_are_of() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    defined(&client).await;
    let negative = wand("less", json!({"core": "phoenix", "replicas": -1}));
    let why = "Wand.example.com \"less\" is invalid: .spec.replicas: Invalid value: -1: should be a non-negative integer";
    assert_eq!(client.post(WANDS, &negative).await.refusal(), (422, why.to_owned()));
    client.post(WANDS, &wand("less", json!({"core": "phoenix"}))).await.ok();

    let path = format!("{WANDS}/less/scale");
    let unsaid = "the spec replicas field \".spec.replicas\"";
    assert_eq!(
        client.get(&path).await.refusal(),
        (500, format!("Internal error occurred: {unsaid} does not exist"))
    );
    let patched = |patch: Value| {
        let (client, path) = (&client, path.as_str());
        async move { client.patch(path, "merge-patch", &patch).await }
    };
    let nothing = patched(json!({"metadata": {"labels": {"a": "b"}}})).await.refusal();
    assert_eq!(nothing, (400, format!("{unsaid} cannot be empty")));
    assert_eq!(patched(json!({"spec": {"replicas": -1}})).await.refusal(), (422, why.to_owned()));
    let scaled = patched(json!({"metadata": {"uid": "other"}, "spec": {"replicas": 2}})).await.ok();
    assert_eq!(scaled["spec"]["replicas"], 2);
    let mut other = client.get(&path).await.ok();
    other["metadata"]["uid"] = "other".into();
    assert_eq!(client.put(&path, &other).await.refusal().0, 409);

    let status = json!({"status": {"replicas": -3}});
    let told = client.patch(&format!("{WANDS}/less/status"), "merge-patch", &status).await.refusal();
    let why = "Wand.example.com \"less\" is invalid: .status.replicas: Invalid value: -3: should be a non-negative integer";
    assert_eq!(told, (422, why.to_owned()));
    assert_eq!(
        client.get(&format!("{WANDS}/none/scale")).await.refusal().1,
        "wands.example.com \"none\" not found"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subresources_and_patches_change_their_part() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    defined(&client).await;
    client
        .post(WANDS, &wand("elder", json!({"core": "phoenix", "replicas": 2, "selector": "a=b"})))
        .await
        .ok();
    let path = format!("{WANDS}/elder");
    let status = client
        .patch(
            &format!("{path}/status"),
            "merge-patch",
            &json!({"spec": {"core": "dragon"}, "status": {"phase": "Ready", "replicas": 1}}),
        )
        .await
        .ok();
    assert_eq!((&status["spec"]["core"], &status["status"]["phase"]), (&json!("phoenix"), &json!("Ready")));
    assert_eq!(status["metadata"]["generation"], 1);
    let scale = client.get(&format!("{path}/scale")).await.ok();
    assert_eq!(scale["spec"]["replicas"], 2);
    assert_eq!(scale["status"], json!({"replicas": 1, "selector": "a=b"}));
    client.patch(&format!("{path}/scale"), "merge-patch", &json!({"spec": {"replicas": 5}})).await.ok();
    let scaled = client.get(&path).await.ok();
    assert_eq!((&scaled["spec"]["replicas"], &scaled["metadata"]["generation"]), (&json!(5), &json!(2)));
    let strategic = client.patch(&path, "strategic-merge-patch", &json!({})).await.refusal();
    assert_eq!(strategic.0, 415);

    // Two appliers own an item of the list each.
    let apply = |manager: &'static str, port: i64| {
        let body = wand("elder", json!({"ports": [{"port": port, "name": manager}]})).to_string();
        let path = format!("{path}?fieldManager={manager}");
        let client = &client;
        async move {
            let kind = [("content-type", "application/apply-patch+yaml")];
            client.ask(http::Method::PATCH, &path, &kind, body).await.ok()
        }
    };
    apply("one", 1).await;
    let both = apply("two", 2).await;
    assert_eq!(both["spec"]["ports"], json!([{"port": 1, "name": "one"}, {"port": 2, "name": "two"}]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_defined_is_described_and_goes_with_its_definition() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    defined(&client).await;
    let resources = client.get("/apis/example.com/v1").await.ok();
    let names: Vec<&str> =
        resources["resources"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["wands", "wands/scale", "wands/status"]);
    assert_eq!(resources["resources"][0]["shortNames"], json!(["wd"]));
    let groups = client.get("/apis").await.ok();
    let group = groups["groups"].as_array().unwrap().iter().find(|group| group["name"] == "example.com");
    assert_eq!(group.unwrap()["preferredVersion"]["version"], "v1");
    let document = client.get("/openapi/v3/apis/example.com/v1").await.ok();
    let schema = &document["components"]["schemas"]["com.example.v1.Wand"];
    assert_eq!(schema["properties"]["spec"]["properties"]["length"]["default"], 11);
    assert_eq!(schema["x-kubernetes-selectable-fields"], json!([{"fieldPath": "spec.core"}]));
    assert!(document["components"]["schemas"]["com.example.v1.WandList"]["properties"]["items"].is_object());
    assert!(document["paths"]["/apis/example.com/v1/namespaces/{namespace}/wands/{name}/status"].is_object());
    // By this clients choose how they patch.
    let patch = &document["paths"]["/apis/example.com/v1/namespaces/{namespace}/wands/{name}"]["patch"];
    let types: Vec<&String> = patch["requestBody"]["content"].as_object().unwrap().keys().collect();
    assert_eq!(
        types,
        ["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"]
    );
    let document = client.get("/openapi/v2").await.ok();
    let schema = &document["definitions"]["com.example.v1.Wand"];
    assert_eq!(schema["x-kubernetes-selectable-fields"], json!([{"fieldPath": "spec.core"}]));
    let length = &schema["properties"]["spec"]["properties"]["length"];
    assert_eq!(*length, json!({"type": "integer", "minimum": 1}));

    client.post(WANDS, &wand("elder", json!({}))).await.ok();
    let mut held = wand("held", json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    client.post(WANDS, &held).await.ok();
    let path = format!("{DEFINITIONS}/wands.example.com");
    client.delete(&path).await.ok();
    eventually(|| async {
        let answer = client.get(&format!("{WANDS}/elder")).await;
        if answer.code == 404 { Ok(()) } else { Err(answer.code) }
    })
    .await;
    let going = client.get(&path).await.ok();
    assert_eq!(going["metadata"]["finalizers"], json!(["customresourcecleanup.apiextensions.k8s.io"]));
    let release = json!({"metadata": {"finalizers": null}});
    client.patch(&format!("{WANDS}/held"), "merge-patch", &release).await.ok();
    eventually(|| async {
        let (definition, objects) = (client.get(&path).await, client.get(WANDS).await);
        if (definition.code, objects.code) == (404, 404) {
            Ok(())
        } else {
            Err((definition.code, objects.code))
        }
    })
    .await;
    let groups = client.get("/apis").await.ok();
    assert!(groups["groups"].as_array().unwrap().iter().all(|group| group["name"] != "example.com"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_are_taken_are_not_given_twice() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    defined(&client).await;
    let mut other = definition();
    other["metadata"]["name"] = "whips.example.com".into();
    other["spec"]["names"] = json!({"plural": "whips", "kind": "Whip", "shortNames": ["wd"]});
    client.post(DEFINITIONS, &other).await.ok();
    let conflict = eventually(|| async {
        let found = client.get(&format!("{DEFINITIONS}/whips.example.com")).await.ok();
        let condition = found["status"]["conditions"][0].clone();
        if condition.is_null() { Err(found.to_string()) } else { Ok(condition) }
    })
    .await;
    assert_eq!(conflict["reason"], "ShortNamesConflict");
    assert_eq!(conflict["message"], "\"wd\" is already in use");
    let unstructured = {
        let mut object = definition();
        object["metadata"]["name"] = "rods.example.com".into();
        object["spec"]["names"] = json!({"plural": "rods", "kind": "Rod"});
        object["spec"]["versions"] = json!([{"name": "v1", "served": true, "storage": true,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {}}}}}]);
        object
    };
    let refused = client.post(DEFINITIONS, &unstructured).await.refusal();
    assert!(refused.1.contains("must not be empty for specified object fields"), "{}", refused.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_that_others_hold_waits_for_them() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let mut held = definition();
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    client.post(DEFINITIONS, &held).await.ok();
    let path = format!("{DEFINITIONS}/wands.example.com");
    client.delete(&path).await.ok();
    let waiting = eventually(|| async {
        let found = client.get(&path).await.ok();
        let done = found["metadata"]["finalizers"] == json!(["example.com/hold"]);
        if done { Ok(found) } else { Err(found.to_string()) }
    })
    .await;
    assert!(waiting["metadata"]["deletionTimestamp"].is_string());
    client.patch(&path, "merge-patch", &json!({"metadata": {"finalizers": null}})).await.ok();
    assert_eq!(client.get(&path).await.code, 404);
}
