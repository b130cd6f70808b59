use super::*;
use crate::catalogue;

fn rows() -> Vec<Resource> {
    catalogue().resources().cloned().collect()
}

fn parsed(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap()
}

/// Every `$ref` of a document must lead somewhere.
fn check_references(value: &Value, root: &Value) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref") {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(root.pointer(pointer).is_some(), "{reference} leads nowhere");
            }
            map.values().for_each(|value| check_references(value, root));
        }
        Value::Array(items) => items.iter().for_each(|value| check_references(value, root)),
        _ => {}
    }
}

#[test]
fn describes_every_group_version() {
    let rows = rows();
    let mut size = 0;
    for group in groups(&rows) {
        for version in group.versions {
            let text = v3(&rows, group.name, version);
            size += text.len();
            let document = parsed(&text);
            // JSONSchemaProps has properties named `$ref`, whose values are no references.
            if group.name != "apiextensions.k8s.io" {
                check_references(&document, &document);
            }
            assert!(document["paths"].as_object().unwrap().len() > 1, "{}", group.name);
        }
    }
    println!("all version 3 documents together: {size} bytes");
}

#[test]
fn says_how_fields_merge() {
    let document = parsed(&v3(&rows(), "apps", "v1"));
    let schemas = &document["components"]["schemas"];
    let containers = &schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
    assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    assert_eq!(containers["x-kubernetes-patch-strategy"], "merge");
    assert_eq!(containers["x-kubernetes-list-type"], "map");
    assert_eq!(containers["x-kubernetes-list-map-keys"], json!(["name"]));
    assert_eq!(containers["items"], json!({"$ref": "#/components/schemas/io.k8s.api.core.v1.Container"}));
    let port = &schemas["io.k8s.api.core.v1.ContainerPort"]["properties"]["protocol"];
    assert_eq!(port["default"], "TCP");
    assert_eq!(port["enum"], json!(["SCTP", "TCP", "UDP"]));
    let template = &schemas["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["template"];
    assert_eq!(
        template["allOf"],
        json!([{"$ref": "#/components/schemas/io.k8s.api.core.v1.PodTemplateSpec"}])
    );
    assert_eq!(
        schemas["io.k8s.api.apps.v1.Deployment"]["x-kubernetes-group-version-kind"],
        json!([{"group": "apps", "version": "v1", "kind": "Deployment"}])
    );
    assert_eq!(schemas["io.k8s.api.apps.v1.DeploymentSpec"]["required"], json!(["selector", "template"]));
}

#[test]
fn says_what_can_be_done_where() {
    let document = parsed(&v3(&rows(), "", "v1"));
    let paths = &document["paths"];
    let pod = &paths["/api/v1/namespaces/{namespace}/pods/{name}"];
    let patch = &pod["patch"];
    assert_eq!(patch["operationId"], "patchCoreV1NamespacedPod");
    assert_eq!(patch["x-kubernetes-action"], "patch");
    assert_eq!(
        patch["x-kubernetes-group-version-kind"],
        json!({"group": "", "version": "v1", "kind": "Pod"})
    );
    let names: Vec<&str> = patch["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|parameter| parameter["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["dryRun", "fieldManager", "fieldValidation", "force"]);
    assert_eq!(paths["/api/v1/pods"]["get"]["operationId"], "listCoreV1PodForAllNamespaces");
    let eviction = &paths["/api/v1/namespaces/{namespace}/pods/{name}/eviction"]["post"];
    assert_eq!(eviction["x-kubernetes-group-version-kind"]["group"], "policy");
    assert!(paths["/api/v1/namespaces"]["delete"].is_null());
}

#[test]
fn version_2_tells_of_no_defaults() {
    let document = parsed(&v2(&rows(), &[]));
    let port = &document["definitions"]["io.k8s.api.core.v1.ContainerPort"]["properties"]["protocol"];
    assert_eq!((&port["type"], &port["default"]), (&json!("string"), &Value::Null));
}

#[test]
fn version_2_refers_only_to_its_definitions() {
    let text = v2(&rows(), &[]);
    let document = parsed(&text);
    let mut checked = document.clone();
    checked["definitions"]
        .as_object_mut()
        .unwrap()
        .remove("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps");
    check_references(&checked, &document);
    let quantity = &document["definitions"]["io.k8s.apimachinery.pkg.api.resource.Quantity"];
    assert_eq!(quantity["type"], "string");
    println!("version 2: {} bytes", text.len());
}

#[test]
fn indexes_documents_by_hash() {
    let index = v3_index(&rows());
    let url = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap();
    assert!(url.starts_with("/openapi/v3/apis/apps/v1?hash="), "{url}");
    assert_eq!(url.len(), "/openapi/v3/apis/apps/v1?hash=".len() + 64);
}

/// Reads a field of a protobuf message: number and, for length-delimited ones, the bytes.
fn fields(mut text: &[u8]) -> Vec<(u64, &[u8])> {
    fn varint(text: &mut &[u8]) -> u64 {
        let mut number = 0;
        for shift in 0.. {
            let byte = text[0];
            *text = &text[1..];
            number |= u64::from(byte & 0x7f) << (7 * shift);
            if byte < 0x80 {
                break;
            }
        }
        number
    }
    let mut found = Vec::new();
    while !text.is_empty() {
        let tag = varint(&mut text);
        if tag & 7 == 0 {
            varint(&mut text);
            continue;
        }
        assert_eq!(tag & 7, 2, "only varints and bytes are written");
        let length = varint(&mut text) as usize;
        found.push((tag >> 3, &text[..length]));
        text = &text[length..];
    }
    found
}

#[test]
fn the_protobuf_form_holds_the_same_definitions() {
    let text = v2_protobuf(&rows());
    let document = fields(&text);
    let (_, definitions) = document.iter().find(|(number, _)| *number == 9).unwrap();
    let names: Vec<String> = fields(definitions)
        .iter()
        .map(|(_, named)| String::from_utf8(fields(named)[0].1.to_vec()).unwrap())
        .collect();
    let json = parsed(&v2(&rows(), &[]));
    let expected: Vec<&String> = json["definitions"].as_object().unwrap().keys().collect();
    assert_eq!(names.iter().collect::<Vec<_>>(), expected);
}
