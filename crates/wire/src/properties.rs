//! What holds of any object of any kind: generated under its schema, it comes back from the wire as it went.

use schema::{Element, Kind as Shape, Type};
use serde_json::{Map, Value, json};
use testkit::Dice;

use crate::{decode, encode};

/// A small generator of numbers, the same in every run.
struct Objects(Dice);

impl Objects {
    fn text(&mut self) -> String {
        const TEXTS: &[&str] =
            &["a", "web-1", "", "ünï\u{1F980}", "line\nbreak \"quoted\" \\ back", "/a/b", "\u{1}", "x y"];
        match self.0.roll(10) {
            at @ 0..8 => TEXTS[at].to_owned(),
            _ => "long ".repeat(self.0.roll(60)),
        }
    }

    fn object(&mut self, ty: Type<'_>, depth: usize) -> Value {
        let mut object = Map::new();
        for field in ty.fields() {
            let scarce = if depth > 6 { 12 } else { 2 };
            // An object inside an object has no type of its own on the wire.
            let of_kind = matches!(field.name(), "apiVersion" | "kind") && ty.field("metadata").is_some();
            if of_kind || self.0.roll(scarce) != 0 {
                continue;
            }
            if let Some(value) = self.value(field.element(), depth) {
                object.insert(field.name().to_owned(), value);
            }
        }
        Value::Object(object)
    }

    fn value(&mut self, element: Element<'_>, depth: usize) -> Option<Value> {
        if depth > 14 {
            return None;
        }
        Some(match element.kind() {
            Shape::Bool => (self.0.roll(2) == 0).into(),
            Shape::Int32 => (self.0.roll(1 << 32) as u32 as i32).into(),
            Shape::Int64 => (self.0.roll(usize::MAX) as i64).into(),
            Shape::Double => (self.0.roll(1000) as f64 / 8.0).into(),
            Shape::String => self.text().into(),
            Shape::Bytes => ["", "AA==", "aGVsbG8=", "/+8="][self.0.roll(4)].into(),
            Shape::Time => {
                format!("20{:02}-0{}-28T23:59:5{}Z", self.0.roll(100), 1 + self.0.roll(9), self.0.roll(10))
                    .into()
            }
            Shape::MicroTime => {
                format!("19{:02}-12-31T00:00:00.{:06}Z", self.0.roll(100), self.0.roll(1_000_000)).into()
            }
            Shape::Quantity => ["100m", "1Gi", "0", "1500"][self.0.roll(4)].into(),
            Shape::IntOrString => [json!(80), json!("http"), json!(-1), json!("")][self.0.roll(4)].clone(),
            Shape::RawExtension | Shape::FieldsV1 => json!({"f:a": {"b": [1, null, "x\"y"]}}),
            Shape::Json => {
                [json!(1.5), json!("d"), json!([1, {}]), json!({"a": null})][self.0.roll(4)].clone()
            }
            Shape::SchemaOrBool(ty) => match self.0.roll(3) {
                0 => true.into(),
                1 => false.into(),
                _ => self.object(ty, depth + 3),
            },
            Shape::SchemaOrArray(ty) => match self.0.roll(2) {
                0 => vec![self.object(ty, depth + 3), json!({})].into(),
                _ => self.object(ty, depth + 3),
            },
            Shape::SchemaOrStrings(ty) => match self.0.roll(2) {
                0 => json!(["a", "b"]),
                _ => self.object(ty, depth + 3),
            },
            Shape::Object(ty) => self.object(ty, depth + 1),
            // What is empty has no form on the wire: it is as absent.
            Shape::Array(inner) => {
                let items: Vec<Value> =
                    (0..1 + self.0.roll(3)).filter_map(|_| self.value(inner, depth + 1)).collect();
                (!items.is_empty()).then(|| items.into())?
            }
            Shape::Map(inner) => {
                let entries: Map<String, Value> = (0..1 + self.0.roll(3))
                    .filter_map(|at| Some((format!("k{at}{}", self.text()), self.value(inner, depth + 1)?)))
                    .collect();
                (!entries.is_empty()).then(|| entries.into())?
            }
        })
    }
}

#[test]
fn objects_of_every_kind_come_back_as_they_went() {
    let mut made = Objects(Dice::new(0x9E37_79B9_7F4A_7C15));
    let mut kinds = 0;
    for row in schema::catalogue().all() {
        kinds += 1;
        for _ in 0..12 {
            let mut object = made.object(row.ty(), 0);
            object["apiVersion"] = row.api_version().into();
            object["kind"] = row.kind.as_ref().into();
            let text = object.to_string();
            let written = encode(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
            let read = decode(&written).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert!(read == object, "{} {}:\n{text}\n{read}", row.api_version(), row.kind);
            // The text is as good with white space in it.
            let spaced = serde_json::to_string_pretty(&object).expect("a tree has a text");
            let respaced = decode(&encode(spaced.as_bytes()).unwrap()).unwrap();
            assert!(respaced == object, "{}", row.kind);
        }
    }
    assert!(kinds > 80, "{kinds}");
}

#[test]
fn a_body_that_is_cut_or_changed_is_read_or_refused() {
    let mut made = Objects(Dice::new(0xD1B5_4A32_D192_ED03));
    for row in schema::catalogue().all() {
        let mut object = made.object(row.ty(), 0);
        object["apiVersion"] = row.api_version().into();
        object["kind"] = row.kind.as_ref().into();
        let written = encode(object.to_string().as_bytes()).unwrap();
        for _ in 0..40 {
            let mut changed = written.clone();
            let at = made.0.roll(changed.len());
            match made.0.roll(3) {
                0 => changed.truncate(at),
                1 => changed[at] = made.0.roll(256) as u8,
                _ => drop(changed.remove(at)),
            }
            let _ = decode(&changed);
        }
    }
}
