//! Objects: read under their schemas, and validated as their kinds.

use schema::{Element, FieldValidation, Kind, Type};
use serde_json::{Map, Value, json};

use crate::Choices;

/// Objects of several kinds as JSON.
pub fn texts() -> Vec<Vec<u8>> {
    [
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": {"a": "b"}}, "spec": {
            "containers": [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "100m"}}, "env": [{"name": "E", "value": "v"}],
                "livenessProbe": {"httpGet": {"port": "http"}, "periodSeconds": 5}}],
            "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}], "tolerations": [{"operator": "Exists"}]}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "data": {"a": "aGVsbG8="}, "stringData": {"b": "c"}}),
        json!({"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"name": "r"}, "data": {"x": [1]}, "revision": 3}),
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"},
            "spec": {"renewTime": "2026-01-01T00:00:00.000001Z", "leaseDurationSeconds": 15}}),
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "a.b"},
            "spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"type": "object", "properties": {"a": {
                "items": {"enum": [1, null], "default": {"x": 1}}, "additionalProperties": true}}, "x-kubernetes-validations": [{"rule": "true"}]}}}]}}),
    ]
    .iter()
    .map(|object| object.to_string().into_bytes())
    .collect()
}

pub fn json(input: &[u8]) -> bool {
    let Ok(parsed) = schema::parse(input) else { return false };
    let kind = parsed.value["kind"].as_str().unwrap_or_default().to_owned();
    let row = schema::catalogue().all().find(|row| row.kind == kind);
    let ty = row.map(|row| row.ty()).or_else(|| Type::named("io.k8s.api.core.v1.Pod"));
    let Some(Ok((decoded, _))) = ty.map(|ty| parsed.decode(ty, FieldValidation::Ignore)) else {
        return false;
    };
    if let Some(row) = row {
        judge(&row.group, &row.kind, decoded);
    }
    true
}

/// Defaults and validates an object as one of its kind, and prints it.
pub fn judge(group: &str, kind: &str, mut object: Value) {
    let strategy = kinds::strategy(group, kind);
    strategy.default(&mut object);
    strategy.prepare_for_create(&mut object);
    let mut errors = strategy::field::Errors::new();
    strategy.validate(&object, &mut errors);
    drop(strategy.create_warnings(&object));
    drop(printing::cells(group, kind, &object, jiff::Timestamp::UNIX_EPOCH));
}

/// Inputs that are choices: which kind, which fields, which values.
pub fn choices() -> Vec<Vec<u8>> {
    (0..=255_u8)
        .map(|first| (0..64_u8).map(|at| first.wrapping_mul(31).wrapping_add(at.wrapping_mul(7))).collect())
        .collect()
}

/// An object under a schema, half right, half wrong.
fn object(choices: &mut Choices<'_>, ty: Type<'_>, depth: usize) -> Value {
    let mut object = Map::new();
    for field in ty.fields() {
        let often = if depth > 5 { 8 } else { 2 };
        if !field.required() && (!choices.are_left() || choices.number(often) != 0) {
            continue;
        }
        let values: Vec<&str> = field.enum_values().collect();
        let value = match values.is_empty() || choices.number(8) == 0 {
            true => value(choices, field.element(), depth),
            false => choices.one(&values).to_owned().into(),
        };
        object.insert(field.name().to_owned(), value);
    }
    Value::Object(object)
}

fn value(choices: &mut Choices<'_>, element: Element<'_>, depth: usize) -> Value {
    const TEXTS: &[&str] = &[
        "a",
        "",
        "web-1",
        "A_b",
        "10.0.0.1",
        "10.0.0.0/8",
        "::1",
        "fe80::/200",
        "example.com/x",
        "a=b",
        "*/5 * * * *",
        "@hourly",
        "-",
        "true",
        "99999999999999999999",
        "/a/../b",
        "http://x:1/y?z#f",
        "ü\u{1F980}",
        "50%",
        "1.2.3",
        "self.a == 1",
        "{{",
        "a,b",
        "TZ=UTC 0 0 1 1 0",
        "0-9223372036854775807/1 * * * *",
        "x{y}$(z)",
        "$(E)",
        "..",
        "kube-system",
        "\u{0}",
        "sha256:aa",
    ];
    if depth > 12 {
        return Value::Null;
    }
    match element.kind() {
        Kind::Bool => (choices.number(2) == 0).into(),
        Kind::Int32 => (*choices.one(&[0_i32, 1, -1, 80, 65_536, i32::MAX, i32::MIN, 3])).into(),
        Kind::Int64 => (*choices.one(&[0_i64, 1, -1, 1 << 40, i64::MAX, i64::MIN, 30])).into(),
        Kind::Double => (*choices.one(&[0.0_f64, -1.5, 1e300])).into(),
        Kind::String => (*choices.one(TEXTS)).into(),
        Kind::Bytes => (*choices.one(&["", "AA==", "LS0tLS1CRUdJTg=="])).into(),
        Kind::Time => {
            (*choices.one(&["2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])).into()
        }
        Kind::MicroTime => {
            (*choices.one(&["2026-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"])).into()
        }
        Kind::Quantity => {
            (*choices.one(&["1", "100m", "-1Gi", "9223372036854775807E", "0.1n", "1e9999"])).into()
        }
        Kind::IntOrString => {
            choices.one(&[json!(1), json!("50%"), json!("x"), json!(-1), json!("101%"), json!("")]).clone()
        }
        Kind::RawExtension | Kind::FieldsV1 => json!({"a": 1}),
        Kind::Json => choices.one(&[json!(1), json!(null), json!({"a": []}), json!("x")]).clone(),
        Kind::SchemaOrBool(_) if choices.number(2) == 0 => true.into(),
        Kind::SchemaOrStrings(_) if choices.number(2) == 0 => json!(["a"]),
        Kind::SchemaOrArray(ty) | Kind::SchemaOrBool(ty) | Kind::SchemaOrStrings(ty) => {
            object(choices, ty, depth + 3)
        }
        Kind::Object(ty) => object(choices, ty, depth + 1),
        Kind::Array(inner) => (0..choices.number(3)).map(|_| value(choices, inner, depth + 1)).collect(),
        Kind::Map(inner) => (0..choices.number(3))
            .map(|_| ((*choices.one(TEXTS)).to_owned(), value(choices, inner, depth + 1)))
            .collect(),
    }
}

/// Makes two objects of a kind, decodes, defaults and validates the first, and the change from it to the second.
pub fn validation(input: &[u8]) -> bool {
    let mut choices = Choices::of(input);
    let rows: Vec<_> = schema::catalogue().all().collect();
    // Two bytes: there are more kinds than a byte has values to choose them evenly by.
    let at = choices.number(256) * 256 + choices.number(256);
    let row = rows[at % rows.len()];
    let strategy = kinds::strategy(&row.group, &row.kind);
    let mut made = [object(&mut choices, row.ty(), 0), object(&mut choices, row.ty(), 0)];
    for object in &mut made {
        if schema::decode(row.ty(), object, FieldValidation::Ignore).is_err() {
            return false;
        }
        strategy.default(object);
    }
    let [old, mut new] = made;
    judge(&row.group, &row.kind, old.clone());
    let mut errors = strategy::field::Errors::new();
    strategy.prepare_for_update(&mut new, &old);
    strategy.validate_update(&new, &old, &mut errors);
    drop(strategy.update_warnings(&new, &old));
    strategy.prepare_status_update(&mut new, &old);
    strategy.validate_status_update(&new, &old, &mut errors);
    strategy.deletion_grace(&old, Some(5));
    true
}
