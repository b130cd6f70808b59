//! What is said of definitions, and what is made of them.

use super::*;

fn definition() -> Value {
    json!({
        "metadata": {"name": "wands.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "wands", "kind": "Wand"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}]},
    })
}

fn faults(change: impl Fn(&mut Value)) -> Vec<String> {
    let mut object = definition();
    change(&mut object);
    CustomResourceDefinition.default(&mut object);
    CustomResourceDefinition.prepare_for_create(&mut object);
    told(|errors| CustomResourceDefinition.validate(&object, errors))
}

fn told(validate: impl FnOnce(&mut Errors)) -> Vec<String> {
    let mut errors = Errors::new();
    validate(&mut errors);
    errors.into_vec().iter().map(|error| format!("{}: {}", error.field, error.body())).collect()
}

/// What is said of a change to a definition that is as it should be, but for a first change.
fn update_faults(first: impl Fn(&mut Value), change: impl Fn(&mut Value)) -> Vec<String> {
    let mut old = definition();
    CustomResourceDefinition.default(&mut old);
    CustomResourceDefinition.prepare_for_create(&mut old);
    first(&mut old);
    let mut new = old.clone();
    change(&mut new);
    told(|errors| CustomResourceDefinition.validate_update(&new, &old, errors))
}

#[test]
fn definitions_get_their_names_and_are_checked() {
    let mut object = definition();
    CustomResourceDefinition.default(&mut object);
    assert_eq!(object["spec"]["names"]["singular"], "wand");
    assert_eq!(object["spec"]["names"]["listKind"], "WandList");
    assert_eq!(object["spec"]["conversion"]["strategy"], "None");
    CustomResourceDefinition.prepare_for_create(&mut object);
    assert_eq!(object["status"]["storedVersions"], json!(["v1"]));
    assert_eq!(faults(|_| {}), [""; 0]);
    assert_eq!(
        faults(|object| object["metadata"]["name"] = "x".into()),
        [r#"metadata.name: Invalid value: "x": must be spec.names.plural+"."+spec.group"#]
    );
    assert_eq!(
        faults(|object| object["spec"]["scope"] = "World".into()),
        [r#"spec.scope: Unsupported value: "World": supported values: "Cluster", "Namespaced""#]
    );
    assert!(
        faults(|object| object["spec"]["versions"][0]["storage"] = false.into())[0]
            .ends_with("must have exactly one version marked as storage version")
    );
    assert_eq!(
        faults(|object| object["spec"]["versions"][0]["schema"] = json!({})),
        ["spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required"]
    );
    assert!(
        faults(|object| {
            object["metadata"]["name"] = "wands.x.k8s.io".into();
            object["spec"]["group"] = "x.k8s.io".into();
        })[0]
            .starts_with(
                "metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups"
            )
    );
}

#[test]
fn selectable_fields_hold_one_plain_value() {
    let with = |paths: &[&str]| {
        faults(|object| {
            let version = &mut object["spec"]["versions"][0];
            version["schema"]["openAPIV3Schema"] = json!({"type": "object", "properties": {
                "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
                "spec": {"type": "object", "properties": {"color": {"type": "string"}, "parts": {"type": "array", "items": {"type": "string"}}}}}});
            let fields = paths.iter().map(|path| json!({"jsonPath": path}));
            version["selectableFields"] = fields.collect();
        })
    };
    const AT: &str = "spec.selectableFields";
    assert_eq!(with(&[".spec.color"]), [""; 0]);
    assert_eq!(
        with(&[
            ".spec.size",
            ".spec.parts",
            ".metadata.name",
            ".spec.color",
            ".spec.color",
            ".metadata.labels"
        ]),
        [
            format!(
                "{AT}[0].jsonPath: Invalid value: \".spec.size\": is an invalid path: does not refer to a valid field"
            ),
            format!(
                "{AT}[1].jsonPath: Invalid value: \".spec.parts\": must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."
            ),
            format!(
                "{AT}[2].jsonPath: Invalid value: \".metadata.name\": must not point to fields in metadata"
            ),
            format!("{AT}[4].jsonPath: Duplicate value: \".spec.color\""),
            format!(
                "{AT}[5].jsonPath: Invalid value: \".metadata.labels\": is an invalid path: does not refer to a valid field"
            ),
        ]
    );
    assert_eq!(with(&[""]), [format!("{AT}[0].jsonPath: Required value")]);
    let many = |count: usize| {
        let names: Vec<String> = (0..count).map(|number| format!("f{number}")).collect();
        faults(|object| {
            let version = &mut object["spec"]["versions"][0];
            let properties: serde_json::Map<String, Value> =
                names.iter().map(|name| (name.clone(), json!({"type": "string"}))).collect();
            version["schema"]["openAPIV3Schema"] = json!({"type": "object", "properties": properties});
            version["selectableFields"] =
                names.iter().map(|name| json!({"jsonPath": format!(".{name}")})).collect();
        })
    };
    assert_eq!(many(8), [""; 0]);
    assert_eq!(many(9), [format!("{AT}: Too many: 9: must have at most 8 items")]);
}

#[test]
fn names_versions_and_columns_are_checked() {
    let label = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
    let mixed = format!("may have mixed case, but should otherwise match: {label}");
    let told = |change: &dyn Fn(&mut Value)| faults(change).join("\n");
    let spec = |field: &'static str, value: Value| told(&|object| object["spec"][field] = value.clone());
    let names = |field: &'static str, value: Value| {
        told(&|object| {
            object["spec"]["names"][field] = value.clone();
            if field == "plural" {
                object["metadata"]["name"] = format!("{}.example.com", value.as_str().unwrap()).into();
            }
        })
    };
    assert_eq!(names("plural", json!("")), "spec.names.plural: Required value");
    assert_eq!(names("plural", json!("A_b")), format!("spec.names.plural: Invalid value: \"A_b\": {label}"));
    assert_eq!(
        names("singular", json!("A_b")),
        format!("spec.names.singular: Invalid value: \"A_b\": {label}")
    );
    assert_eq!(
        names("kind", json!("")),
        "spec.names.singular: Required value\nspec.names.kind: Required value\nspec.names.listKind: Required value"
    );
    assert_eq!(
        names("kind", json!("A_")),
        format!(
            "spec.names.singular: Invalid value: \"a_\": {label}\nspec.names.kind: Invalid value: \"A_\": {mixed}\nspec.names.listKind: Invalid value: \"A_List\": {mixed}"
        )
    );
    assert_eq!(
        names("listKind", json!("Wand")),
        "spec.names.listKind: Invalid value: \"Wand\": kind and listKind may not be the same"
    );
    assert_eq!(
        names("shortNames", json!(["w", "W"])),
        format!("spec.names.shortNames[1]: Invalid value: \"W\": {label}")
    );
    assert_eq!(
        names("categories", json!(["all", "A"])),
        format!("spec.names.categories[1]: Invalid value: \"A\": {label}")
    );
    assert_eq!(spec("scope", json!("")), "spec.scope: Required value");
    assert!(
        spec("preserveUnknownFields", json!(true))
            .starts_with("spec.preserveUnknownFields: Invalid value: true: cannot set to true")
    );
    let group = |group: &'static str| {
        told(&|object| {
            object["spec"]["group"] = group.into();
            object["metadata"]["name"] = format!("wands.{group}").into();
        })
    };
    assert_eq!(group(""), "spec.group: Required value");
    assert_eq!(
        group("example"),
        "spec.group: Invalid value: \"example\": should be a domain with at least one dot"
    );
    assert!(
        group("Example.com")
            .starts_with("spec.group: Invalid value: \"Example.com\": a lowercase RFC 1123 subdomain")
    );

    let version = |field: &'static str, value: Value| {
        told(&|object| object["spec"]["versions"][0][field] = value.clone())
    };
    assert_eq!(
        version("name", json!("V1")),
        format!(
            "spec.versions[0].name: Invalid value: \"V1\": {label}\nspec.version: Invalid value: \"V1\": {label}"
        )
    );
    let doubled = told(&|object| {
        let mut again = object["spec"]["versions"][0].clone();
        again["storage"] = false.into();
        object["spec"]["versions"].as_array_mut().unwrap().push(again);
    });
    assert!(
        doubled.ends_with("must contain unique version names") && doubled.lines().count() == 1,
        "{doubled}"
    );
    let column = |column: Value| {
        version("additionalPrinterColumns", json!([column])).replace("spec.additionalPrinterColumns[0].", "")
    };
    assert_eq!(column(json!({"name": "C", "type": "integer", "format": "int32", "jsonPath": ".spec.c"})), "");
    assert_eq!(
        column(json!({})),
        "name: Required value\ntype: Required value: must be one of boolean,date,integer,number,string\nJSONPath: Required value"
    );
    assert_eq!(
        column(json!({"name": "C", "type": "text", "format": "int", "jsonPath": "spec.c"})),
        "type: Invalid value: \"text\": must be one of boolean,date,integer,number,string\n\
         format: Invalid value: \"int\": must be one of byte,date,date-time,double,float,int32,int64,password\n\
         JSONPath: Invalid value: \"spec.c\": must be a simple json path starting with ."
    );
    let scale = |replicas: &str, status: &str, selector: &str| {
        let scale = json!({"specReplicasPath": replicas, "statusReplicasPath": status, "labelSelectorPath": selector});
        version("subresources", json!({ "scale": scale })).replace("spec.subresources.scale.", "")
    };
    assert_eq!(scale(".spec.n", ".status.n", ""), "");
    assert_eq!(scale(".spec.n", ".status.n", ".spec.selector"), "");
    assert_eq!(scale(".spec.n", ".status.n", ".status.selector"), "");
    assert_eq!(scale("", "", ""), "specReplicasPath: Required value\nstatusReplicasPath: Required value");
    assert_eq!(
        scale(".status.n", ".spec.n", ".metadata.labels"),
        "specReplicasPath: Invalid value: \".status.n\": should be a json path under .spec\n\
         statusReplicasPath: Invalid value: \".spec.n\": should be a json path under .status\n\
         labelSelectorPath: Invalid value: \".metadata.labels\": should be a json path under either .spec or .status"
    );
    assert_eq!(
        scale("spec.n", ".status", "status"),
        "specReplicasPath: Invalid value: \"spec.n\": must be a simple json path starting with .\n\
         statusReplicasPath: Invalid value: \".status\": should be a json path under .status\n\
         labelSelectorPath: Invalid value: \"status\": must be a simple json path starting with ."
    );
}

#[test]
fn conversion_by_webhook_says_where_and_how() {
    let check = |conversion: Value| {
        faults(|object| object["spec"]["conversion"] = conversion.clone())
            .join("\n")
            .replace("spec.conversion.", "")
    };
    let webhook = |config: Value, versions: Value| {
        check(
            json!({"strategy": "Webhook", "webhook": {"clientConfig": config, "conversionReviewVersions": versions}}),
        )
    };
    let config = json!({"url": "https://a.example/convert"});
    assert_eq!(webhook(config.clone(), json!(["v1", "v1beta1"])), "");
    assert_eq!(
        webhook(json!({"service": {"name": "s", "namespace": "n"}}), json!(["v1beta1"])),
        "",
        "a port of its own is given"
    );
    assert_eq!(
        webhook(json!({}), json!([])),
        "webhookClientConfig: Required value: exactly one of url or service is required\nconversionReviewVersions: Required value"
    );
    assert_eq!(
        webhook(Value::Null, json!(["v1"])),
        "webhookClientConfig: Required value: required when strategy is set to Webhook"
    );
    assert_eq!(
        webhook(config.clone(), json!(["v1", "v1"])),
        "conversionReviewVersions[1]: Invalid value: \"v1\": duplicate version"
    );
    assert_eq!(
        webhook(config.clone(), json!(["v2"])),
        "conversionReviewVersions: Invalid value: [\"v2\"]: must include at least one of v1, v1beta1"
    );
    assert!(
        webhook(config.clone(), json!(["v1", "V"]))
            .starts_with("conversionReviewVersions[1]: Invalid value: \"V\": a DNS-1035 label")
    );
    assert_eq!(check(json!({"strategy": "None", "webhook": {}})), "");
    const ONLY: &str = "should not be set when strategy is not set to Webhook";
    let both = json!({"clientConfig": config, "conversionReviewVersions": ["v1"]});
    assert_eq!(
        check(json!({"strategy": "None", "webhook": both})),
        format!("webhookClientConfig: Forbidden: {ONLY}\nconversionReviewVersions: Forbidden: {ONLY}")
    );
    assert_eq!(
        check(json!({"strategy": "Some", "webhook": both})),
        format!(
            "strategy: Unsupported value: \"Some\": supported values: \"None\", \"Webhook\"\n\
             webhookClientConfig: Forbidden: {ONLY}\nconversionReviewVersions: Forbidden: {ONLY}"
        )
    );
    assert_eq!(check(json!({"strategy": ""})), "strategy: Required value");
    assert_eq!(
        check(json!({"strategy": "Some"})),
        "strategy: Unsupported value: \"Some\": supported values: \"None\", \"Webhook\""
    );
}

#[test]
fn a_served_definition_keeps_a_bundle_that_is_one() {
    let bundled = |bundle: &str| {
        json!({"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"],
            "clientConfig": {"url": "https://a.example/convert", "caBundle": bundle}}})
    };
    let check = |served: &str, before: &str, after: &str| {
        let first = |object: &mut Value| {
            object["spec"]["conversion"] = bundled(before);
            object["status"]["conditions"] = json!([{"type": "Established", "status": served}]);
        };
        update_faults(first, |object| object["spec"]["conversion"] = bundled(after))
    };
    let refused = "spec.conversion.webhookClientConfig.caBundle: Invalid value: \"Yg==\": unable to load root certificates: unable to parse bytes as PEM block";
    assert_eq!(check("True", "", "Yg=="), [refused]);
    for (served, before, after) in [("False", "", "Yg=="), ("True", "YQ==", "Yg=="), ("True", "Yg==", "")] {
        assert!(check(served, before, after).is_empty(), "{served} {before} {after}");
    }
    assert_eq!(faults(|object| object["spec"]["conversion"] = bundled("Yg==")), [""; 0]);
}

#[test]
fn versions_that_were_stored_are_kept_in_mind() {
    let mut old = definition();
    CustomResourceDefinition.default(&mut old);
    CustomResourceDefinition.prepare_for_create(&mut old);
    let mut new = old.clone();
    let mut second = new["spec"]["versions"][0].clone();
    second["name"] = "v2".into();
    new["spec"]["versions"][0]["storage"] = false.into();
    new["spec"]["versions"].as_array_mut().unwrap().push(second);
    CustomResourceDefinition.prepare_for_update(&mut new, &old);
    assert_eq!(new["status"]["storedVersions"], json!(["v1", "v2"]));
    assert_eq!(new["metadata"]["generation"].as_i64(), Some(2));
    let again = new.clone();
    CustomResourceDefinition.prepare_for_update(&mut new, &again);
    assert_eq!(new["status"]["storedVersions"], json!(["v1", "v2"]), "each once");

    let stored = |stored: Value| {
        let mut changed = new.clone();
        changed["status"]["storedVersions"] = stored;
        told(|errors| CustomResourceDefinition.validate_update(&changed, &new, errors)).join("\n")
    };
    const PATH: &str = "status.storedVersions";
    assert_eq!(stored(json!(["v2"])), "");
    assert_eq!(
        stored(json!(["v1"])),
        format!("{PATH}: Invalid value: [\"v1\"]: must have the storage version v2")
    );
    assert_eq!(
        stored(json!([])),
        format!("{PATH}: Invalid value: []: must have at least one stored version")
    );
    assert_eq!(
        stored(json!(["v0", "v2"])),
        format!(
            "{PATH}[0]: Invalid value: \"v0\": missing from spec.versions; v0 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v0 and removes v0 from status.storedVersions"
        )
    );
}

#[test]
fn what_objects_are_stored_under_stays() {
    let check = |established: bool, change: fn(&mut Value)| {
        let mut old = definition();
        CustomResourceDefinition.default(&mut old);
        let status = if established { "True" } else { "False" };
        old["status"] =
            json!({"storedVersions": ["v1"], "conditions": [{"type": "Established", "status": status}]});
        let mut new = old.clone();
        change(&mut new);
        CustomResourceDefinition.prepare_for_update(&mut new, &old);
        let mut errors = Errors::new();
        CustomResourceDefinition.validate_update(&new, &old, &mut errors);
        errors.into_vec().into_iter().map(|error| error.field).collect::<Vec<_>>()
    };
    assert_eq!(check(true, |new| new["spec"]["scope"] = "Cluster".into()), ["spec.scope"]);
    assert_eq!(check(false, |new| new["spec"]["scope"] = "Cluster".into()), [""; 0]);
    let all = |new: &mut Value| {
        let spec = &mut new["spec"];
        spec["group"] = "b.example".into();
        spec["scope"] = "Cluster".into();
        spec["names"]["kind"] = "Staff".into();
        spec["names"]["plural"] = "staffs".into();
    };
    assert_eq!(check(true, all), ["spec.scope", "spec.names.kind", "spec.group", "spec.names.plural"]);
    assert_eq!(check(false, all), ["spec.group", "spec.names.plural"]);
    let renamed = check(true, |new| new["spec"]["versions"][0]["name"] = "v2".into());
    assert_eq!(renamed, ["status.storedVersions[0]"]);
}

#[test]
fn faults_are_told_in_upstreams_order() {
    let found = faults(|object| {
        object["metadata"]["name"] = "x".into();
        let spec = &mut object["spec"];
        spec["group"] = "example".into();
        spec["scope"] = "".into();
        spec["names"] = json!({"plural": "", "singular": "A", "kind": "W", "listKind": "W",
            "shortNames": ["B"], "categories": ["C"]});
        spec["preserveUnknownFields"] = true.into();
        spec["conversion"] = json!({"strategy": "Some"});
        let version = &mut spec["versions"][0];
        version["name"] = "V1".into();
        version["storage"] = false.into();
        version["schema"] = Value::Null;
        version["subresources"] =
            json!({"scale": {"specReplicasPath": "", "statusReplicasPath": ".status.n"}});
        version["additionalPrinterColumns"] = json!([{"name": "", "type": "date", "jsonPath": ".a"}]);
    });
    let paths: Vec<&str> = found.iter().map(|fault| fault.split(": ").next().unwrap_or_default()).collect();
    assert_eq!(
        paths,
        [
            "metadata.name",
            "spec.group",
            "spec.scope",
            "spec.versions[0].name",
            "spec.versions",
            "spec.version",
            "spec.names.plural",
            "spec.names.singular",
            "spec.names.shortNames[0]",
            "spec.names.listKind",
            "spec.names.categories[0]",
            "spec.versions[0].schema.openAPIV3Schema",
            "spec.subresources.scale.specReplicasPath",
            "spec.additionalPrinterColumns[0].name",
            "spec.conversion.strategy",
            "status.storedVersions",
            "spec.preserveUnknownFields",
        ]
    );
}

#[test]
fn what_versions_do_not_share_is_told_of_each() {
    let found = faults(|object| {
        let mut second = object["spec"]["versions"][0].clone();
        second["name"] = "v2".into();
        second["storage"] = false.into();
        second["additionalPrinterColumns"] = json!([{"name": "", "type": "date", "jsonPath": ".a"}]);
        second["subresources"] =
            json!({"scale": {"specReplicasPath": "", "statusReplicasPath": ".status.n"}});
        second["selectableFields"] = json!([{"jsonPath": ""}]);
        object["spec"]["versions"].as_array_mut().unwrap().push(second);
    });
    assert_eq!(
        found,
        [
            "spec.versions[1].subresources.scale.specReplicasPath: Required value",
            "spec.versions[1].additionalPrinterColumns[0].name: Required value",
            "spec.versions[1].selectableFields[0].jsonPath: Required value",
        ]
    );
}

#[test]
fn warnings_of_versions_that_will_go_can_be_read() {
    const PATH: &str = "spec.versions[0].deprecationWarning";
    let warned = |deprecated: bool, warning: &str| {
        let found = faults(|object| {
            object["spec"]["versions"][0]["deprecated"] = deprecated.into();
            object["spec"]["versions"][0]["deprecationWarning"] = warning.into();
        });
        found.join("\n").replace(&format!("{PATH}: Invalid value: {warning:?}: "), "")
    };
    assert_eq!(warned(true, "use v2 \u{e9}"), "");
    assert_eq!(warned(true, &"a".repeat(256)), "");
    assert_eq!(warned(false, ""), "can only be set for deprecated versions");
    assert_eq!(warned(true, ""), "must not be an empty string");
    assert_eq!(warned(true, &"a".repeat(257)), "must be <= 256 characters long");
    assert_eq!(
        warned(true, "ab\tc"),
        "must only contain printable UTF-8 characters; non-printable character found at index 2"
    );
}

#[test]
fn what_was_let_be_stays_let_be() {
    let spec =
        |field: &'static str, value: Value| move |object: &mut Value| object["spec"][field] = value.clone();
    let same = |_: &mut Value| {};
    let keep = spec("preserveUnknownFields", json!(true));
    assert_eq!(update_faults(&keep, same), [""; 0]);
    assert_eq!(update_faults(same, &keep).len(), 1);

    let own = |object: &mut Value| {
        object["metadata"]["name"] = "wands.x.k8s.io".into();
        object["spec"]["group"] = "x.k8s.io".into();
    };
    let says = |approval: &'static str| {
        move |object: &mut Value| {
            object["metadata"]["annotations"] = json!({"api-approved.kubernetes.io": approval});
        }
    };
    assert_eq!(update_faults(own, same), [""; 0]);
    assert_eq!(update_faults(own, says("unapproved")), [""; 0]);
    let bad = update_faults(own, says("yes"));
    assert!(
        bad.len() == 1 && bad[0].starts_with("metadata.annotations[api-approved.kubernetes.io]"),
        "{bad:?}"
    );

    let reviews = |versions: Value| {
        let webhook =
            json!({"clientConfig": {"url": "https://a.example/c"}, "conversionReviewVersions": versions});
        spec("conversion", json!({"strategy": "Webhook", "webhook": webhook}))
    };
    assert_eq!(update_faults(reviews(json!(["v8"])), reviews(json!(["v9"]))), [""; 0]);
    assert_eq!(update_faults(reviews(json!(["v1"])), reviews(json!(["v9"]))).len(), 1);
    assert_eq!(update_faults(same, reviews(json!(["v9"]))).len(), 1);
}

#[test]
fn accepted_names_are_names() {
    let accept = |object: &mut Value| object["status"]["acceptedNames"] = json!({"plural": "A", "kind": ""});
    let update = update_faults(|_| {}, accept);
    assert!(
        update.len() == 1 && update[0].starts_with("status.acceptedNames.plural: Invalid value"),
        "{update:?}"
    );
    let old = definition();
    let mut new = definition();
    accept(&mut new);
    let status = told(|errors| CustomResourceDefinition.validate_status_update(&new, &old, errors));
    assert_eq!(status, update);
}
