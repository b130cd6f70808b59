//! OpenAPI documents of the rows that are served: version 2 as JSON and as protobuf, version 3 by group version.
//!
//! They are written straight to text, one definition or path at a time, because as one tree they would take
//! tens of megabytes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::catalogue::groups;
use crate::resource::Resource;
use crate::types::Type;

mod added;
mod custom;
mod definitions;
mod gnostic;
mod json;
mod operations;
mod parameters;

pub use added::Added;
use definitions::Kinds;
use operations::PathItem;

/// Which version of OpenAPI is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    V2,
    V3,
}

/// The content type of [`v2_protobuf`].
pub const V2_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// What clients ask for it by: `@` is what they say, though a media type may have none.
pub const V2_PROTOBUF_ASKED: [&str; 2] =
    ["application/com.github.proto-openapi.spec.v2@v1.0+protobuf", V2_PROTOBUF];

const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// Writes `/openapi/v2` as JSON, with what other servers add to it behind what is this server's own.
pub fn v2(rows: &[Resource], others: &[&Added]) -> Vec<u8> {
    let document = Document::of(rows, None);
    let mut out = json::Writer::open();
    out.member("swagger", &json!("2.0"));
    out.member("info", &info());
    out.begin("paths");
    for item in &document.paths {
        out.member(&item.path, &item.json(Form::V2));
    }
    others.iter().flat_map(|other| other.paths()).for_each(|(path, item)| out.member(path, item));
    out.end();
    out.begin("definitions");
    for (name, ty) in &document.types {
        out.member(name, &document.definition(*ty, Form::V2));
    }
    let mut written = BTreeSet::new();
    for (name, definition) in others.iter().flat_map(|other| other.definitions()) {
        // What several have, such as ObjectMeta, is the same in all.
        if !document.types.contains_key(name) && written.insert(name) {
            out.member(name, definition);
        }
    }
    out.end();
    out.member("securityDefinitions", &security());
    out.member("security", &json!([{"BearerToken": []}]));
    out.close()
}

/// Writes `/openapi/v2` as gnostic's protobuf, which kubectl asks for.
pub fn v2_protobuf(rows: &[Resource]) -> Vec<u8> {
    gnostic::document(&Document::of(rows, None), VERSION)
}

/// Writes `/openapi/v3/<api/v1 or apis/group/version>` as JSON.
pub fn v3(rows: &[Resource], group: &str, version: &str) -> Vec<u8> {
    let document = Document::of(rows, Some((group, version)));
    let mut out = json::Writer::open();
    out.member("openapi", &json!("3.0.0"));
    out.member("info", &info());
    out.begin("paths");
    for item in &document.paths {
        out.member(&item.path, &item.json(Form::V3));
    }
    out.end();
    out.begin("components");
    out.begin("schemas");
    for (name, ty) in &document.types {
        out.member(name, &document.definition(*ty, Form::V3));
    }
    out.end();
    out.member("securitySchemes", &security());
    out.end();
    out.close()
}

/// Makes `/openapi/v3`: where each group version's document is. The hash in a URL changes when the document
/// does, so that clients may keep what they have read under it.
pub fn v3_index(rows: &[Resource]) -> Value {
    let mut paths = serde_json::Map::new();
    for group in groups(rows) {
        for version in group.versions {
            let path = match group.name {
                "" => format!("api/{version}"),
                name => format!("apis/{name}/{version}"),
            };
            let hash = v3_hash(rows, group.name, version);
            let url = format!("/openapi/v3/{path}?hash={hash}");
            paths.insert(path, json!({"serverRelativeURL": url}));
        }
    }
    json!({"paths": paths})
}

/// What a group version's document is told apart by, without making it.
pub fn v3_hash(rows: &[Resource], group: &str, version: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(VERSION);
    hash.update(group);
    hash.update("/");
    hash.update(version);
    for row in rows.iter().filter(|row| row.group == group && row.version == version) {
        hash.update(format!("{row:?}"));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02X}")).collect()
}

fn info() -> Value {
    json!({"title": "Kubernetes", "version": VERSION})
}

fn security() -> Value {
    json!({"BearerToken": {
        "description": "Bearer Token authentication",
        "in": "header",
        "name": "authorization",
        "type": "apiKey",
    }})
}

/// What a document is written from.
struct Document<'a> {
    paths: Vec<PathItem<'a>>,
    /// Everything that the paths refer to.
    types: BTreeMap<&'a str, Type<'a>>,
    kinds: Kinds<'a>,
    /// The schemas of custom resources by the names of their types.
    published: BTreeMap<&'a str, &'a Value>,
}

impl<'a> Document<'a> {
    /// Collects paths and types of all rows, or of those of one group version.
    fn of(rows: &'a [Resource], only: Option<(&str, &str)>) -> Document<'a> {
        let wanted = |row: &&Resource| only.is_none_or(|only| (&*row.group, &*row.version) == only);
        let mut paths: Vec<PathItem<'a>> = rows.iter().filter(wanted).flat_map(operations::paths).collect();
        paths.sort_by(|a, b| a.path.cmp(&b.path));
        let mut types = BTreeMap::new();
        for item in &paths {
            for operation in &item.operations {
                for ty in [operation.body, operation.answer].into_iter().flatten() {
                    definitions::reach(ty, &mut types);
                }
            }
        }
        let published =
            rows.iter().filter_map(|row| Some((row.ty().name(), row.published.as_deref()?))).collect();
        Document { paths, types, kinds: Kinds::of(rows), published }
    }

    fn definition(&self, ty: Type<'a>, form: Form) -> Value {
        match (self.published.get(ty.name()), form) {
            (Some(schema), Form::V3) => (*schema).clone(),
            (Some(schema), Form::V2) => custom::v2((*schema).clone()),
            (None, form) => definitions::definition(ty, &self.kinds).json(form),
        }
    }
}

#[cfg(test)]
mod tests;
