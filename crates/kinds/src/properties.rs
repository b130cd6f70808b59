//! What holds of any object of any kind, generated under its schema.

use schema::{Element, Kind, Type};
use serde_json::{Map, json};
use testkit::Dice;

use super::*;

/// Makes objects that fit a type.
struct Objects(Dice);

impl Objects {
    fn text(&mut self) -> &'static str {
        const TEXTS: [&str; 16] = [
            "",
            "web",
            "Always",
            "None",
            "ClusterIP",
            "a.example/b",
            "10.0.0.1",
            "fd00::/64",
            "/",
            "1",
            "100%",
            "Exact",
            "Local",
            "üñ",
            "*",
            "true",
        ];
        self.0.pick::<&str>(&TEXTS)
    }

    fn object(&mut self, ty: Type<'_>, depth: usize) -> Value {
        let mut object = Map::new();
        for field in ty.fields() {
            if self.0.roll(2 + depth / 2) != 0 {
                continue;
            }
            // Half of the time a value that means something there.
            let known: Vec<&str> = field.enum_values().collect();
            let value = match known.len() {
                0 => self.value(field.element(), depth),
                many if self.0.roll(2) == 0 => Some(known[self.0.roll(many)].into()),
                _ => self.value(field.element(), depth),
            };
            if let Some(value) = value {
                object.insert(field.name().to_owned(), value);
            }
        }
        Value::Object(object)
    }

    fn value(&mut self, element: Element<'_>, depth: usize) -> Option<Value> {
        if depth > 12 {
            return None;
        }
        Some(match element.kind() {
            Kind::Bool => (self.0.roll(2) == 0).into(),
            Kind::Int32 | Kind::Int64 => {
                [json!(0), json!(1), json!(-1), json!(80), json!(70000), json!(i64::MAX)][self.0.roll(6)]
                    .clone()
            }
            Kind::Double => 1.5.into(),
            Kind::Quantity => ["1", "100m", "1Gi", "-1", "0"][self.0.roll(5)].into(),
            Kind::IntOrString => [json!(80), json!("http"), json!("25%"), json!(-1)][self.0.roll(4)].clone(),
            Kind::Time | Kind::MicroTime => "2026-01-01T00:00:00Z".into(),
            Kind::Bytes => ["", "AA==", "aGVsbG8="][self.0.roll(3)].into(),
            Kind::Object(ty) => self.object(ty, depth + 1),
            Kind::Array(inner) => (0..self.0.roll(4)).filter_map(|_| self.value(inner, depth + 1)).collect(),
            Kind::Map(inner) => (0..self.0.roll(3))
                .filter_map(|_| Some((self.text().to_owned(), self.value(inner, depth + 1)?)))
                .collect(),
            Kind::SchemaOrArray(_) | Kind::SchemaOrBool(_) | Kind::SchemaOrStrings(_) => json!({"type": "x"}),
            Kind::RawExtension | Kind::FieldsV1 | Kind::Json => json!({"a": 1}),
            Kind::String => self.text().into(),
        })
    }
}

/// Objects of every kind in the version in which it is stored, with the rules of the kind.
fn objects(mut check: impl FnMut(&str, &'static dyn Strategy, Value, Value)) {
    let mut made = Objects(Dice::new(0xA076_1D64_78BD_642F));
    for row in schema::catalogue().all() {
        if (&row.group, &row.version) != (&row.storage_group, &row.storage_version) {
            continue;
        }
        let rules = strategy(&row.group, &row.kind);
        for _ in 0..12 {
            let mut pair = [made.object(row.ty(), 0), made.object(row.ty(), 0)];
            for object in &mut pair {
                object["apiVersion"] = row.api_version().into();
                object["kind"] = row.kind.as_ref().into();
            }
            let [one, other] = pair;
            check(&row.kind, rules, one, other);
        }
    }
}

#[test]
fn defaulting_twice_is_defaulting_once() {
    objects(|kind, strategy, mut object, _| {
        strategy.default(&mut object);
        let once = object.clone();
        strategy.default(&mut object);
        assert_eq!(object, once, "{kind}");
    });
}

#[test]
fn an_update_that_changes_nothing_changes_nothing() {
    objects(|kind, strategy, mut old, _| {
        strategy.default(&mut old);
        create(strategy, true, &mut old);
        strategy.default(&mut old);
        let mut new = old.clone();
        update(strategy, &mut new, &old);
        let once = new.clone();
        update(strategy, &mut new, &once);
        assert_eq!(new, once, "{kind}");
        assert_eq!(new["metadata"]["generation"], old["metadata"]["generation"], "{kind}");
    });
}

#[test]
fn any_object_is_judged() {
    objects(|_, strategy, mut old, mut new| {
        strategy.default(&mut old);
        strategy.default(&mut new);
        create(strategy, true, &mut new.clone());
        create(strategy, false, &mut old.clone());
        update(strategy, &mut new.clone(), &old);
        update_status(strategy, &mut new.clone(), &old);
        for name in ["approval", "finalize", "ephemeralcontainers", "resize"] {
            if let Some(strategy) = strategy.subresource(name) {
                update(strategy, &mut new.clone(), &old);
            }
        }
        strategy.create_warnings(&new);
        strategy.update_warnings(&new, &old);
        strategy.deletion_grace(&new, Some(-1));
        for field in strategy.selectable_fields() {
            assert!(strategy.selectable_field(&new, field).is_some(), "{field}");
        }
    });
}
