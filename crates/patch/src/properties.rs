//! What holds of any two objects of a kind: the patch made of their difference makes the second of the first.

use schema::{Element, Field, Kind, PatchStrategy, Type};
use serde_json::{Map, Value, json};
use testkit::Dice;

use crate::{create_merge_patch, create_two_way, json_patch, merge_patch, strategic_merge_patch};

/// A small generator of numbers, the same in every run.
struct Objects(Dice);

impl Objects {
    fn object(&mut self, ty: Type<'_>, depth: usize) -> Value {
        let mut object = Map::new();
        for field in ty.fields() {
            if matches!(field.name(), "apiVersion" | "kind") && depth == 0 || self.0.roll(2 + depth) != 0 {
                continue;
            }
            if let Some(value) = self.field(field, depth) {
                object.insert(field.name().to_owned(), value);
            }
        }
        Value::Object(object)
    }

    fn field(&mut self, field: Field<'_>, depth: usize) -> Option<Value> {
        let Kind::Array(element) = field.kind() else { return self.value(field.element(), depth) };
        let merges =
            matches!(field.merge().strategy(), Some(PatchStrategy::Merge | PatchStrategy::MergeRetainKeys));
        let mut items: Vec<Value> =
            (0..1 + self.0.roll(3)).filter_map(|_| self.value(element, depth + 1)).collect();
        if merges {
            // What merges is told apart by its key, or is a set.
            match field.merge().key() {
                Some(key) => {
                    for (at, item) in items.iter_mut().enumerate() {
                        let number = at * 7 + self.0.roll(3);
                        let named = element.object().and_then(|ty| ty.field(key));
                        item[key] = match named.map(|field| field.kind()) {
                            Some(Kind::Int32 | Kind::Int64) => number.into(),
                            _ => format!("key{number}").into(),
                        };
                    }
                }
                None => items.dedup(),
            }
            let mut seen = Vec::new();
            items.retain(|item| {
                let fresh = !seen.contains(item);
                seen.push(item.clone());
                fresh
            });
        }
        Some(items.into())
    }

    fn value(&mut self, element: Element<'_>, depth: usize) -> Option<Value> {
        if depth > 9 {
            return None;
        }
        Some(match element.kind() {
            Kind::Bool => (self.0.roll(2) == 0).into(),
            Kind::Int32 | Kind::Int64 => self.0.roll(5).into(),
            Kind::Double => 1.5.into(),
            Kind::Object(ty) => self.object(ty, depth + 1),
            Kind::SchemaOrArray(_) | Kind::SchemaOrBool(_) | Kind::SchemaOrStrings(_) => json!({"type": "x"}),
            Kind::RawExtension | Kind::FieldsV1 | Kind::Json => json!({"a": self.0.roll(3)}),
            Kind::Array(inner) => (0..self.0.roll(3)).filter_map(|_| self.value(inner, depth + 1)).collect(),
            Kind::Map(inner) => (0..self.0.roll(3))
                .filter_map(|at| Some((format!("k{at}"), self.value(inner, depth + 1)?)))
                .collect(),
            _ => format!("text{}", self.0.roll(3)).into(),
        })
    }
}

/// Pairs of objects of every kind.
fn pairs(mut check: impl FnMut(Type<'_>, &Value, &Value)) {
    let mut made = Objects(Dice::new(0xA076_1D64_78BD_642F));
    for row in schema::catalogue().all() {
        for _ in 0..6 {
            let (original, modified) = (made.object(row.ty(), 0), made.object(row.ty(), 0));
            check(row.ty(), &original, &modified);
        }
    }
}

#[test]
fn a_merge_patch_of_the_difference_makes_the_second_of_the_first() {
    pairs(|_, original, modified| {
        let patch = create_merge_patch(original, modified);
        let mut patched = original.clone();
        merge_patch(&mut patched, &patch);
        assert_eq!(&patched, modified, "{original}\n{patch}");
    });
}

#[test]
fn a_strategic_patch_of_the_difference_makes_the_second_of_the_first() {
    pairs(|ty, original, modified| {
        let patch = create_two_way(ty, original, modified).unwrap();
        let mut patched = original.clone();
        strategic_merge_patch(ty, &mut patched, patch.clone()).unwrap();
        assert_eq!(&patched, modified, "{}\nfrom {original}\nby {patch}", ty.name());
        // Nothing is left to do for it.
        let nothing = create_two_way(ty, modified, modified).unwrap();
        assert_eq!(nothing, json!({}));
    });
}

/// The operations that make the second of the first, one for each place where they differ.
fn operations(path: &str, from: &Value, to: &Value, out: &mut Vec<Value>) {
    let below = |key: &str| format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
    match (from, to) {
        (Value::Object(from), Value::Object(to)) => {
            for (key, value) in from {
                match to.get(key) {
                    Some(other) => operations(&below(key), value, other, out),
                    None => {
                        out.push(json!({"op": "test", "path": below(key), "value": value}));
                        out.push(json!({"op": "remove", "path": below(key)}));
                    }
                }
            }
            for (key, value) in to.iter().filter(|(key, _)| !from.contains_key(*key)) {
                out.push(json!({"op": "add", "path": below(key), "value": value}));
            }
        }
        (Value::Array(from), Value::Array(to)) => {
            for (at, (one, other)) in from.iter().zip(to).enumerate() {
                operations(&below(&at.to_string()), one, other, out);
            }
            // From the end, so that what is still to go keeps its place.
            for at in (to.len()..from.len()).rev() {
                out.push(json!({"op": "remove", "path": below(&at.to_string())}));
            }
            for (at, value) in to.iter().enumerate().skip(from.len()) {
                let place = if at % 2 == 0 { "-".to_owned() } else { at.to_string() };
                out.push(json!({"op": "add", "path": below(&place), "value": value}));
            }
        }
        _ if from != to => out.push(json!({"op": "replace", "path": path, "value": to})),
        _ => {}
    }
}

#[test]
fn a_json_patch_of_the_difference_makes_the_second_of_the_first() {
    pairs(|_, original, modified| {
        let mut patch = Vec::new();
        operations("", original, modified, &mut patch);
        let patch = Value::Array(patch);
        let mut patched = original.clone();
        json_patch(&mut patched, &patch).unwrap_or_else(|error| panic!("{error:?}: {patch}\nof {original}"));
        assert_eq!(&patched, modified, "{original}\n{patch}");
    });
}

#[test]
fn what_is_moved_and_copied_is_the_same_elsewhere() {
    let mut made = Objects(Dice::new(0x9E37_79B9_7F4A_7C15));
    for row in schema::catalogue().all() {
        let original = json!({"a/b": made.object(row.ty(), 0), "list": [1, 2]});
        let mut patched = original.clone();
        let patch = json!([
            {"op": "copy", "from": "/a~1b", "path": "/list/1"},
            {"op": "move", "from": "/a~1b", "path": "/c~0"},
            {"op": "test", "path": "/c~0", "value": original["a/b"]},
            {"op": "move", "from": "/list/1", "path": "/a~1b"},
            {"op": "remove", "path": "/c~0"},
        ]);
        json_patch(&mut patched, &patch).unwrap();
        assert_eq!(patched, original);
    }
}
