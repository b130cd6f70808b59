//! The version 2 document in gnostic's protobuf form (`openapi.v2.Document`), which kubectl reads.
//!
//! Field numbers are those of gnostic's `OpenAPIv2.proto`.

use serde_json::{Value, json};

use super::Document;
use super::definitions::{Schema, definition};
use super::operations::{Operation, PathItem};
use super::parameters::Parameter;

/// Encodes the document.
pub(super) fn document(document: &Document<'_>, version: &str) -> Vec<u8> {
    let mut out = Message::default();
    out.text(1, "2.0");
    let mut info = Message::default();
    info.text(1, "Kubernetes");
    info.text(2, version);
    out.message(2, info);
    let mut paths = Message::default();
    for item in &document.paths {
        paths.message(2, named(&item.path, path_item(item)));
    }
    out.message(8, paths);
    let mut definitions = Message::default();
    for (name, ty) in &document.types {
        definitions.message(1, named(name, schema(&definition(*ty, &document.kinds))));
    }
    out.message(9, definitions);
    out.0
}

/// A message under way.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, field: u64, text: &str) {
        if !text.is_empty() {
            self.bytes(field, text.as_bytes());
        }
    }

    fn texts<'t>(&mut self, field: u64, texts: impl IntoIterator<Item = &'t str>) {
        texts.into_iter().for_each(|text| self.text(field, text));
    }

    fn truth(&mut self, field: u64, value: bool) {
        if value {
            self.varint(field << 3);
            self.varint(1);
        }
    }

    fn message(&mut self, field: u64, message: Message) {
        self.bytes(field, &message.0);
    }
}

fn named(name: &str, value: Message) -> Message {
    let mut out = Message::default();
    out.text(1, name);
    out.message(2, value);
    out
}

/// `Any`, whose YAML is what readers look at.
fn any(yaml: &str) -> Message {
    let mut out = Message::default();
    out.text(2, yaml);
    out
}

fn extension(name: &str, value: &Value) -> Message {
    named(name, any(&value.to_string()))
}

fn reference(name: &str) -> String {
    format!("#/definitions/{name}")
}

fn schema(schema_of: &Schema<'_>) -> Message {
    let mut out = Message::default();
    if let Some(name) = schema_of.reference {
        out.text(1, &reference(name));
    }
    out.text(2, schema_of.format.unwrap_or_default());
    out.text(4, schema_of.description);
    out.texts(19, schema_of.required.iter().copied());
    for value in &schema_of.values {
        out.message(20, any(value));
    }
    if let Some(entries) = &schema_of.entries {
        let mut item = Message::default();
        item.message(1, schema(entries));
        out.message(21, item);
    }
    if let Some(ty) = schema_of.ty {
        let mut item = Message::default();
        item.text(1, ty);
        out.message(22, item);
    }
    if let Some(items) = &schema_of.items {
        let mut item = Message::default();
        item.message(1, schema(items));
        out.message(23, item);
    }
    if !schema_of.properties.is_empty() {
        let mut properties = Message::default();
        for (name, property) in &schema_of.properties {
            properties.message(1, named(name, schema(property)));
        }
        out.message(25, properties);
    }
    for (name, value) in &schema_of.extensions {
        out.message(31, extension(name, value));
    }
    out
}

fn path_item(item: &PathItem<'_>) -> Message {
    let mut out = Message::default();
    for operation in &item.operations {
        let field = match operation.method {
            "get" => 2,
            "put" => 3,
            "post" => 4,
            "delete" => 5,
            _ => 8,
        };
        out.message(field, self::operation(operation));
    }
    for parameter in &item.parameters {
        out.message(9, parameters_item(2, non_body(parameter)));
    }
    out
}

fn operation(operation: &Operation<'_>) -> Message {
    let mut out = Message::default();
    out.text(1, &operation.tag);
    out.text(3, &operation.description);
    out.text(5, &operation.id);
    out.texts(6, operation.produces().iter().copied());
    out.texts(7, operation.consumes().iter().copied());
    for parameter in operation.parameters {
        out.message(8, parameters_item(2, non_body(parameter)));
    }
    if let Some(ty) = operation.body {
        let mut body = Message::default();
        body.text(2, "body");
        body.text(3, "body");
        body.truth(4, operation.action != "delete" && operation.action != "deletecollection");
        body.message(5, to_type(ty.name()));
        out.message(8, parameters_item(1, body));
    }
    let mut responses = Message::default();
    for (code, text) in operation.codes() {
        let mut response = Message::default();
        response.text(1, text);
        if let Some(ty) = operation.answer {
            let mut item = Message::default();
            item.message(1, to_type(ty.name()));
            response.message(2, item);
        }
        let mut value = Message::default();
        value.message(1, response);
        responses.message(1, named(code, value));
    }
    out.message(9, responses);
    out.text(10, "https");
    let (group, version, kind) = operation.kind;
    out.message(13, extension("x-kubernetes-action", &operation.action.into()));
    let kind = json!({"group": group, "version": version, "kind": kind});
    out.message(13, extension("x-kubernetes-group-version-kind", &kind));
    out
}

fn to_type(name: &str) -> Message {
    let mut out = Message::default();
    out.text(1, &reference(name));
    out
}

/// `ParametersItem` holding a `Parameter` that is a body (1) or not (2).
fn parameters_item(which: u64, inner: Message) -> Message {
    let mut parameter = Message::default();
    parameter.message(which, inner);
    let mut out = Message::default();
    out.message(1, parameter);
    out
}

/// `NonBodyParameter` holding a query (3) or path (4) parameter.
fn non_body(parameter: &Parameter) -> Message {
    let mut inner = Message::default();
    let which = if parameter.in_path {
        inner.truth(1, true);
        inner.text(2, "path");
        inner.text(3, parameter.description);
        inner.text(4, parameter.name);
        inner.text(5, parameter.ty);
        4
    } else {
        inner.text(2, "query");
        inner.text(3, parameter.description);
        inner.text(4, parameter.name);
        inner.text(6, parameter.ty);
        3
    };
    let mut out = Message::default();
    out.message(which, inner);
    out
}
