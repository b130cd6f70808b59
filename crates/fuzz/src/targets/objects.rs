//! Objects: read under their schemas, and validated as their kinds.

use schema::{Element, FieldValidation, Kind, Type};
use serde_json::{Map, Value, json};

use super::{outcome, said};
use crate::Dice;

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

pub fn json(input: &[u8]) -> u64 {
    let parsed = match schema::parse(input) {
        Ok(parsed) => parsed,
        Err(error) => return said(&error.to_string()),
    };
    let kind = parsed.value["kind"].as_str().unwrap_or_default().to_owned();
    let row = schema::catalogue().all().find(|row| row.kind == kind);
    let ty = row.map(|row| row.ty()).or_else(|| Type::named("io.k8s.api.core.v1.Pod"));
    ty.map_or(0, |ty| outcome(parsed.decode(ty, FieldValidation::Strict)))
}

/// Inputs that are choices: which kind, which fields, which values.
pub fn choices() -> Vec<Vec<u8>> {
    (0..=255_u8)
        .map(|first| (0..64_u8).map(|at| first.wrapping_mul(31).wrapping_add(at.wrapping_mul(7))).collect())
        .collect()
}

/// An object under a schema, half right, half wrong.
fn object(dice: &mut Dice<'_>, ty: Type<'_>, depth: usize) -> Value {
    let mut object = Map::new();
    for field in ty.fields() {
        let often = if depth > 5 { 8 } else { 2 };
        if !field.required() && dice.roll(often) != 0 {
            continue;
        }
        let values: Vec<&str> = field.enum_values().collect();
        let value = match values.is_empty() || dice.roll(8) == 0 {
            true => value(dice, field.element(), depth),
            false => dice.one(&values).to_owned().into(),
        };
        object.insert(field.name().to_owned(), value);
    }
    Value::Object(object)
}

fn value(dice: &mut Dice<'_>, element: Element<'_>, depth: usize) -> Value {
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
        Kind::Bool => (dice.roll(2) == 0).into(),
        Kind::Int32 => (*dice.one(&[0_i32, 1, -1, 80, 65_536, i32::MAX, i32::MIN, 3])).into(),
        Kind::Int64 => (*dice.one(&[0_i64, 1, -1, 1 << 40, i64::MAX, i64::MIN, 30])).into(),
        Kind::Double => (*dice.one(&[0.0_f64, -1.5, 1e300])).into(),
        Kind::String => (*dice.one(TEXTS)).into(),
        Kind::Bytes => (*dice.one(&["", "AA==", "LS0tLS1CRUdJTg=="])).into(),
        Kind::Time => {
            (*dice.one(&["2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])).into()
        }
        Kind::MicroTime => {
            (*dice.one(&["2026-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"])).into()
        }
        Kind::Quantity => {
            (*dice.one(&["1", "100m", "-1Gi", "9223372036854775807E", "0.1n", "1e9999"])).into()
        }
        Kind::IntOrString => {
            dice.one(&[json!(1), json!("50%"), json!("x"), json!(-1), json!("101%"), json!("")]).clone()
        }
        Kind::RawExtension | Kind::FieldsV1 => json!({"a": 1}),
        Kind::Json => dice.one(&[json!(1), json!(null), json!({"a": []}), json!("x")]).clone(),
        Kind::SchemaOrBool(_) if dice.roll(2) == 0 => true.into(),
        Kind::SchemaOrStrings(_) if dice.roll(2) == 0 => json!(["a"]),
        Kind::SchemaOrArray(ty) | Kind::SchemaOrBool(ty) | Kind::SchemaOrStrings(ty) => {
            object(dice, ty, depth + 3)
        }
        Kind::Object(ty) => object(dice, ty, depth + 1),
        Kind::Array(inner) => (0..dice.roll(3)).map(|_| value(dice, inner, depth + 1)).collect(),
        Kind::Map(inner) => (0..dice.roll(3))
            .map(|_| ((*dice.one(TEXTS)).to_owned(), value(dice, inner, depth + 1)))
            .collect(),
    }
}

/// Makes two objects of a kind, decodes, defaults and validates the first, and the change from it to the second.
pub fn validation(input: &[u8]) -> u64 {
    let mut dice = Dice::of(input);
    let rows: Vec<_> = schema::catalogue().all().collect();
    // Two bytes: there are more kinds than a byte has values to choose them evenly by.
    let at = dice.roll(256) * 256 + dice.roll(256);
    let row = rows[at % rows.len()];
    let strategy = kinds::strategy(&row.group, &row.kind);
    let mut made = [object(&mut dice, row.ty(), 0), object(&mut dice, row.ty(), 0)];
    for object in &mut made {
        if let Err(error) = schema::decode(row.ty(), object, FieldValidation::Ignore) {
            return said(&error.to_string());
        }
        strategy.default(object);
    }
    let [mut old, mut new] = made;
    strategy.prepare_for_create(&mut old);
    let mut errors = strategy::field::Errors::new();
    strategy.validate(&old, &mut errors);
    drop(strategy.create_warnings(&old));
    strategy.prepare_for_update(&mut new, &old);
    strategy.validate_update(&new, &old, &mut errors);
    drop(strategy.update_warnings(&new, &old));
    strategy.prepare_status_update(&mut new, &old);
    strategy.validate_status_update(&new, &old, &mut errors);
    strategy.deletion_grace(&old, Some(5));
    drop(printing::cells(&row.group, &row.kind, &old, jiff::Timestamp::UNIX_EPOCH));
    said(&row.kind) ^ errors.len() as u64
}
