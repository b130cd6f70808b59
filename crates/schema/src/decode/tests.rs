use serde_json::json;

use super::*;
use crate::kinds;

fn pod() -> Type<'static> {
    kinds::CORE_V1_POD.ty()
}

fn error(ty: Type<'_>, mut object: Value) -> String {
    decode(ty, &mut object, FieldValidation::Ignore).unwrap_err().to_string()
}

#[test]
fn words_what_does_not_fit_into_a_tree_as_go_does() {
    let deployment = kinds::APPS_V1_DEPLOYMENT.ty();
    let container = |fields: Value| json!({"spec": {"template": {"spec": {"containers": [fields]}}}});
    for (ty, mut object, expected) in [
        (deployment, json!({"spec": {"replicas": "3"}}), "unrecognized type: int32"),
        (deployment, json!({"spec": {"replicas": 1.5}}), "cannot convert float64 to int32"),
        (deployment, json!({"spec": {"paused": "yes"}}), "unrecognized type: bool"),
        (deployment, json!({"spec": []}), "cannot restore struct from: slice"),
        (deployment, json!({"metadata": {"labels": {"a": 1}}}), "cannot convert int64 to string"),
        (deployment, json!({"metadata": {"labels": {"a": true}}}), "unrecognized type: string"),
        (deployment, json!({"metadata": {"labels": "x"}}), "cannot restore map from string"),
        (deployment, container(json!({"imagePullPolicy": 1})), "cannot convert int64 to v1.PullPolicy"),
        (deployment, container(json!({"imagePullPolicy": true})), "unrecognized type: string"),
        (deployment, container(json!({"env": "a=b"})), "cannot restore slice from string"),
        (
            deployment,
            container(json!({"livenessProbe": {"tcpSocket": {"port": true}}})),
            "json: cannot unmarshal bool into Go value of type int32",
        ),
        (
            kinds::CORE_V1_SECRET.ty(),
            json!({"data": {"a": "!"}}),
            "error decoding from json: illegal base64 data at input byte 0",
        ),
    ] {
        let found = decode(ty, &mut object, FieldValidation::Ignore).unwrap_err();
        let DecodeError::Type(found) = found else { panic!("{found}") };
        assert_eq!(found.converting, expected, "{object}");
    }
}

#[test]
fn words_type_mismatches_as_go_does() {
    let deployment = kinds::APPS_V1_DEPLOYMENT.ty();
    let container = |fields: Value| json!({"spec": {"template": {"spec": {"containers": [fields]}}}});
    for (object, expected) in [
        (
            json!({"spec": {"replicas": "3"}}),
            "string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            json!({"spec": {"replicas": 1.5}}),
            "number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            json!({"spec": {"replicas": 3_000_000_000_i64}}),
            "number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (json!({"spec": []}), "array into Go struct field Deployment.spec of type v1.DeploymentSpec"),
        (
            json!({"metadata": {"labels": {"a": 1}}}),
            "number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            json!({"metadata": {"labels": "x"}}),
            "string into Go struct field ObjectMeta.metadata.labels of type map[string]string",
        ),
        (
            container(json!({"image": 1})),
            "number into Go struct field Container.spec.template.spec.containers.image of type string",
        ),
        (
            container(json!({"imagePullPolicy": true})),
            "bool into Go struct field Container.spec.template.spec.containers.imagePullPolicy of type v1.PullPolicy",
        ),
        (
            container(json!({"ports": {}})),
            "object into Go struct field Container.spec.template.spec.containers.ports of type []v1.ContainerPort",
        ),
        (
            container(json!({"resources": {"limits": "1"}})),
            "string into Go struct field ResourceRequirements.spec.template.spec.containers.resources.limits of type v1.ResourceList",
        ),
        (
            container(json!({"livenessProbe": {"tcpSocket": {"port": true}}})),
            "bool into Go struct field TCPSocketAction.spec.template.spec.containers.livenessProbe.tcpSocket.port of type int32",
        ),
        (
            json!({"metadata": {"creationTimestamp": 5}}),
            "number into Go struct field ObjectMeta.metadata.creationTimestamp of type string",
        ),
    ] {
        assert_eq!(error(deployment, object), format!("json: cannot unmarshal {expected}"));
    }
    assert_eq!(
        error(deployment, json!([])),
        "json: cannot unmarshal array into Go value of type v1.Deployment"
    );
}

#[test]
fn words_scalar_errors_as_upstream_does() {
    let quantity = json!({"spec": {"containers": [{"resources": {"limits": {"cpu": "much"}}}]}});
    assert!(error(pod(), quantity).starts_with("quantities must match the regular expression"));
    let secret = json!({"data": {"password": "p@ss"}});
    assert_eq!(error(kinds::CORE_V1_SECRET.ty(), secret), "illegal base64 data at input byte 1");
}

#[test]
fn reports_unknown_fields_with_their_paths() {
    let given = json!({
        "metadata": {"labels": {"any": "thing"}, "nmae": "x"},
        "spec": {"containers": [{"name": "a"}, {"name": "b", "imagePullPoliccy": "Always"}]},
    });
    let expected = json!({
        "metadata": {"labels": {"any": "thing"}},
        "spec": {"containers": [{"name": "a"}, {"name": "b"}]},
    });
    let mut object = given.clone();
    let warnings = decode(pod(), &mut object, FieldValidation::Warn).unwrap();
    assert_eq!(object, expected);
    assert_eq!(
        warnings,
        ["unknown field \"metadata.nmae\"", "unknown field \"spec.containers[1].imagePullPoliccy\""]
    );
    let error = decode(pod(), &mut given.clone(), FieldValidation::Strict).unwrap_err();
    assert_eq!(
        error.to_string(),
        "strict decoding error: unknown field \"metadata.nmae\", \
         unknown field \"spec.containers[1].imagePullPoliccy\""
    );
    assert!(decode(pod(), &mut given.clone(), FieldValidation::Ignore).unwrap().is_empty());
}

#[test]
fn reports_fields_written_twice_and_keeps_the_last() {
    let text = br#"{"metadata": {"name": "a", "name": "b"}, "spec": {"containers": [{}, {"image": "x", "image": "y"}]}}"#;
    let parsed = parse(text).unwrap();
    assert_eq!(
        parsed.duplicates,
        ["duplicate field \"metadata.name\"", "duplicate field \"spec.containers[1].image\""]
    );
    assert_eq!(parsed.value["metadata"]["name"], "b");
    let error = parsed.clone().decode(pod(), FieldValidation::Strict).unwrap_err();
    assert!(error.to_string().starts_with("strict decoding error: duplicate field \"metadata.name\", "));
    assert!(parsed.decode(pod(), FieldValidation::Ignore).is_ok());
}

#[test]
fn drops_nulls_and_what_go_leaves_out() {
    let mut object = json!({
        "metadata": {"creationTimestamp": null, "labels": {"empty": null}, "annotations": {}, "deletionGracePeriodSeconds": 0},
        "spec": {
            "hostNetwork": false,
            "nodeName": "",
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 0,
            "volumes": [{"name": "tmp", "emptyDir": {}}],
            "containers": [{"name": "a", "args": null, "env": [], "command": ["", null]}],
        },
    });
    decode(pod(), &mut object, FieldValidation::Strict).unwrap();
    assert_eq!(
        object,
        json!({
            "metadata": {"labels": {"empty": ""}, "deletionGracePeriodSeconds": 0},
            "spec": {
                "automountServiceAccountToken": false,
                "terminationGracePeriodSeconds": 0,
                "volumes": [{"name": "tmp", "emptyDir": {}}],
                "containers": [{"name": "a", "command": ["", ""]}],
            },
        })
    );
}

#[test]
fn writes_quantities_canonically() {
    for (given, expected) in [
        (json!("1000m"), "1"),
        (json!("0.5"), "500m"),
        (json!(2), "2"),
        (json!(0.25), "250m"),
        (json!("1024Mi"), "1Gi"),
        (json!("100m"), "100m"),
        (json!("1000"), "1k"),
        (json!(" 64Mi "), "64Mi"),
    ] {
        let mut object = json!({"spec": {"containers": [{"resources": {"limits": {"x": given}}}]}});
        decode(pod(), &mut object, FieldValidation::Ignore).unwrap();
        assert_eq!(object["spec"]["containers"][0]["resources"]["limits"]["x"], expected);
    }
}

#[test]
fn keeps_what_has_no_schema() {
    let mut object = json!({
        "metadata": {"managedFields": [{"fieldsV1": {"f:spec": {"f:replicas": {}}}}]},
        "data": {"anything": [1, null, {"at": "all"}]},
        "revision": 1,
    });
    let expected = object.clone();
    decode(kinds::APPS_V1_CONTROLLERREVISION.ty(), &mut object, FieldValidation::Strict).unwrap();
    assert_eq!(object, expected);
}

#[test]
fn reads_schemas_of_custom_resources() {
    let mut object = json!({"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": {
        "type": "object",
        "properties": {
            "spec": {"type": "object", "additionalProperties": true},
            "list": {"type": "array", "items": {"type": "string", "default": {"any": null}}},
        },
    }}}]}});
    let expected = object.clone();
    decode(kinds::APIEXTENSIONS_V1_CUSTOMRESOURCEDEFINITION.ty(), &mut object, FieldValidation::Strict)
        .unwrap();
    assert_eq!(object, expected);
}

#[test]
fn words_syntax_errors_as_go_does() {
    for (text, expected) in [
        ("", "unexpected end of JSON input"),
        ("{", "unexpected end of JSON input"),
        ("x", "invalid character 'x' looking for beginning of value"),
        ("{a}", "invalid character 'a' looking for beginning of object key string"),
        (r#"{"a" 1}"#, "invalid character '1' after object key"),
        (r#"{"a":1 "b"}"#, "invalid character '\"' after object key:value pair"),
        ("[1 2]", "invalid character '2' after array element"),
        ("{} {}", "invalid character '{' after top-level value"),
        (r#"{"a": tru}"#, "invalid character '}' in literal true (expecting 'e')"),
    ] {
        assert_eq!(parse(text.as_bytes()).unwrap_err().to_string(), expected, "{text}");
    }
}

#[test]
fn prints_how_long_a_pod_takes() {
    let text = serde_json::to_vec(&json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web"}},
        "spec": {"containers": [{
            "name": "web", "image": "nginx", "imagePullPolicy": "Always",
            "ports": [{"containerPort": 80, "protocol": "TCP"}],
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
            "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
        }], "restartPolicy": "Always", "dnsPolicy": "ClusterFirst"},
    }))
    .unwrap();
    let rounds = 2000;
    let started = std::time::Instant::now();
    let parsed: Vec<Parsed> = (0..rounds).map(|_| parse(&text).unwrap()).collect();
    let parsing = started.elapsed();
    let started = std::time::Instant::now();
    let decoded: Vec<(Value, Warnings)> =
        parsed.into_iter().map(|parsed| parsed.decode(pod(), FieldValidation::Strict).unwrap()).collect();
    let decoding = started.elapsed();
    assert!(decoded.iter().all(|(value, warnings)| warnings.is_empty() && value.is_object()));
    println!("a pod of {} bytes: parse {:?}, decode {:?}", text.len(), parsing / rounds, decoding / rounds);
}
