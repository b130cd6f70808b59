//! The schema of a version as the tables that decoding of built-in kinds and server-side apply read.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use schema::tables::{FieldRow, MergeRow, Shape, Tables, Text, TypeRow};
use schema::{Element, Kind as BuiltIn, ListType, MapType, Merge, Schema, Type};

use crate::node::{Additional, Kind, Node};

/// Makes the tables of a version's objects; their metadata are those of all objects.
///
/// What does not fit into tables (a name of more than 255 bytes, more than 65,535 fields) is owned without a schema.
pub fn tables(node: &Node, name: &str) -> Schema {
    let mut made = Making::default();
    made.merge(None, None, &[]);
    let root = made.reserve(name);
    let metadata = Type::named("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");
    let mut fields = made.children(node);
    fields.retain(|field| !matches!(&*field.name, "apiVersion" | "kind" | "metadata"));
    for name in ["apiVersion", "kind"] {
        let shape = made.shape(Shape::String);
        fields.push(Made { name: name.into(), shape, merge: 0, flags: 0 });
    }
    if let Some(ty) = metadata {
        let id = made.copy(ty);
        let shape = made.shape(Shape::Object(id));
        fields.push(Made { name: "metadata".into(), shape, merge: 0, flags: 0 });
    }
    made.fill(root, fields, 0);
    made.list(name, root);
    Schema::Shared(Arc::new(made.finish()), root)
}

struct Made {
    name: Box<str>,
    shape: u16,
    merge: u16,
    flags: u8,
}

#[derive(Default)]
struct Making {
    text: String,
    texts: HashMap<Box<str>, Text>,
    types: Vec<(Text, Vec<Made>, u16)>,
    shapes: Vec<Shape>,
    merges: Vec<MergeRow>,
    copied: HashMap<Box<str>, u16>,
    fields: usize,
}

impl Making {
    fn text(&mut self, text: &str) -> Text {
        if let Some(known) = self.texts.get(text) {
            return *known;
        }
        let made = Text { at: self.text.len() as u32, len: text.len() as u16 };
        self.text.push_str(text);
        self.texts.insert(text.into(), made);
        made
    }

    fn shape(&mut self, shape: Shape) -> u16 {
        let known = self.shapes.iter().position(|known| *known == shape);
        known.unwrap_or_else(|| {
            self.shapes.push(shape);
            self.shapes.len() - 1
        }) as u16
    }

    fn merge(&mut self, list: Option<ListType>, map: Option<MapType>, keys: &[Box<str>]) -> u16 {
        let nothing = self.text("");
        let keys = self.text(&keys.join(","));
        let same = |row: &MergeRow| row.list == list && row.map == map && row.keys == keys;
        let known = self.merges.iter().position(same);
        known.unwrap_or_else(|| {
            self.merges.push(MergeRow { list, map, keys, strategy: None, key: nothing });
            self.merges.len() - 1
        }) as u16
    }

    fn reserve(&mut self, name: &str) -> u16 {
        let name = self.text(name);
        self.types.push((name, Vec::new(), 0));
        (self.types.len() - 1) as u16
    }

    fn fill(&mut self, id: u16, mut fields: Vec<Made>, merge: u16) {
        fields.sort_by(|left, right| left.name.cmp(&right.name));
        self.fields += fields.len();
        let (name, ..) = self.types[id as usize];
        self.types[id as usize] = (name, fields, merge);
    }

    /// The type of lists of objects.
    fn list(&mut self, name: &str, items: u16) {
        let id = self.reserve(&format!("{name}List"));
        let mut fields = Vec::new();
        let mut field = |name: &str, shape: u16, flags: u8| {
            fields.push(Made { name: name.into(), shape, merge: 0, flags });
        };
        let text = self.shape(Shape::String);
        field("apiVersion", text, 0);
        field("kind", text, 0);
        let object = self.shape(Shape::Object(items));
        field("items", self.shape(Shape::Array(object)), schema::tables::REQUIRED);
        if let Some(ty) = Type::named("io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta") {
            let copied = self.copy(ty);
            field("metadata", self.shape(Shape::Object(copied)), 0);
        }
        self.fill(id, fields, 0);
    }

    /// Whether so many rows more can be numbered.
    fn has_room(&self, fields: usize) -> bool {
        const MOST: usize = u16::MAX as usize;
        self.fields + fields < MOST && self.types.len() < MOST && self.shapes.len() < MOST
    }

    fn children(&mut self, node: &Node) -> Vec<Made> {
        let fields = node.properties.iter().filter(|(name, _)| name.len() <= u8::MAX as usize);
        let fields: Vec<_> = fields.collect();
        let mut made = Vec::with_capacity(fields.len());
        for (name, child) in fields {
            let shape = self.shape_of(child);
            let list = match child.kind {
                // Lists are replaced as a whole where nothing is said.
                Some(Kind::Array) => Some(child.list.unwrap_or(ListType::Atomic)),
                _ => None,
            };
            let merge = self.merge(list, child.map, &child.keys);
            made.push(Made { name: name.clone(), shape, merge, flags: 0 });
        }
        made
    }

    fn shape_of(&mut self, node: &Node) -> u16 {
        if node.int_or_string {
            return self.shape(Shape::IntOrString);
        }
        let shape = match node.kind {
            Some(Kind::String) => Shape::String,
            Some(Kind::Integer) => Shape::Int64,
            Some(Kind::Number) => Shape::Double,
            Some(Kind::Boolean) => Shape::Bool,
            Some(Kind::Array) => match &node.items {
                Some(items) => Shape::Array(self.shape_of(items)),
                None => Shape::Json,
            },
            Some(Kind::Object) if !node.properties.is_empty() && self.has_room(node.properties.len()) => {
                let id = self.reserve("");
                let fields = self.children(node);
                self.fill(id, fields, 0);
                Shape::Object(id)
            }
            Some(Kind::Object) => match &node.additional {
                Additional::Of(values) => Shape::Map(self.shape_of(values)),
                _ => Shape::Json,
            },
            None => Shape::Json,
        };
        self.shape(shape)
    }

    /// Copies a built-in type with all that it holds.
    fn copy(&mut self, ty: Type<'_>) -> u16 {
        if let Some(known) = self.copied.get(ty.name()) {
            return *known;
        }
        let id = self.reserve(ty.name());
        self.copied.insert(ty.name().into(), id);
        let mut fields = Vec::new();
        for field in ty.fields() {
            let shape = self.copy_shape(field.element());
            let merge = self.copy_merge(field.merge());
            let flags = [
                (field.required(), schema::tables::REQUIRED),
                (field.omit_zero(), schema::tables::OMIT_ZERO),
                (field.embedded(), schema::tables::EMBEDDED),
            ];
            let flags = flags.into_iter().filter(|(is_set, _)| *is_set).fold(0, |all, (_, flag)| all | flag);
            fields.push(Made { name: field.name().into(), shape, merge, flags });
        }
        let merge = self.merge(None, ty.map_type(), &[]);
        self.fill(id, fields, merge);
        id
    }

    fn copy_merge(&mut self, merge: Merge<'_>) -> u16 {
        let keys: Vec<Box<str>> = merge.map_keys().map(Into::into).collect();
        self.merge(merge.list_type(), merge.map_type(), &keys)
    }

    fn copy_shape(&mut self, element: Element<'_>) -> u16 {
        let shape = match element.kind() {
            BuiltIn::Object(ty) => Shape::Object(self.copy(ty)),
            BuiltIn::Array(inner) => Shape::Array(self.copy_shape(inner)),
            BuiltIn::Map(inner) => Shape::Map(self.copy_shape(inner)),
            BuiltIn::Bool => Shape::Bool,
            BuiltIn::Int32 => Shape::Int32,
            BuiltIn::Int64 => Shape::Int64,
            BuiltIn::Double => Shape::Double,
            BuiltIn::Time => Shape::Time,
            BuiltIn::MicroTime => Shape::MicroTime,
            BuiltIn::FieldsV1 => Shape::FieldsV1,
            BuiltIn::String => Shape::String,
            _ => Shape::Json,
        };
        self.shape(shape)
    }

    fn finish(mut self) -> Tables {
        let (mut types, mut rows) = (Vec::new(), Vec::new());
        for (name, fields, merge) in std::mem::take(&mut self.types) {
            let first = rows.len() as u16;
            let count = fields.len() as u16;
            for field in fields {
                let name = self.text(&field.name);
                rows.push(FieldRow {
                    name_at: name.at,
                    name_len: name.len as u8,
                    flags: field.flags,
                    shape: field.shape,
                    merge: field.merge,
                    named: 0,
                    default: 0,
                });
            }
            types.push(TypeRow { name, first, count, merge, union: 0 });
        }
        Tables {
            text: Cow::Owned(self.text),
            types: Cow::Owned(types),
            fields: Cow::Owned(rows),
            shapes: Cow::Owned(self.shapes),
            merges: Cow::Owned(self.merges),
            enums: Cow::Borrowed(&[]),
            unions: Cow::Borrowed(&[]),
            defaults: Cow::Borrowed(&[]),
            descriptions: Cow::Borrowed(""),
            type_descriptions: Cow::Borrowed(&[]),
            field_descriptions: Cow::Borrowed(&[]),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn server_side_apply_finds_what_a_definition_declares() {
        let node = Node::read(
            &json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
                "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
                    "items": {"type": "object", "properties": {"port": {"type": "integer"}, "protocol": {"type": "string"}}}},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "anything": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            }}}}),
        );
        let schema = tables(&node, "example.com/v1.Wand");
        let root = schema.ty();
        let names: Vec<&str> = root.fields().map(|field| field.name()).collect();
        assert_eq!(names, ["apiVersion", "kind", "metadata", "spec"]);
        let BuiltIn::Object(metadata) = root.field("metadata").unwrap().kind() else { panic!("an object") };
        let owners = metadata.field("ownerReferences").unwrap();
        assert_eq!(owners.merge().map_keys().collect::<Vec<_>>(), ["uid"]);
        let BuiltIn::Object(spec) = root.field("spec").unwrap().kind() else { panic!("an object") };
        let ports = spec.field("ports").unwrap();
        assert_eq!(ports.merge().list_type(), Some(ListType::Map));
        assert_eq!(ports.merge().map_keys().collect::<Vec<_>>(), ["port", "protocol"]);
        assert!(matches!(spec.field("labels").unwrap().kind(), BuiltIn::Map(_)));
        assert!(matches!(spec.field("anything").unwrap().kind(), BuiltIn::Json));
    }
}
