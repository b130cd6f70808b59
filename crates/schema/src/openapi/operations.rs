//! The paths of a resource and what can be done there.

use serde_json::{Map, Value, json};

use super::Form;
use super::parameters::{
    CHANGE, DELETE, DELETE_COLLECTION, LIST, NAME, NAMESPACE, PATH, PRETTY, Parameter, WRITE,
};
use crate::kinds;
use crate::resource::{Body, Resource, Subresource, Verbs};
use crate::types::Type;

/// A path and its operations.
pub(super) struct PathItem<'a> {
    pub(super) path: String,
    pub(super) parameters: Vec<&'static Parameter>,
    pub(super) operations: Vec<Operation<'a>>,
}

/// One method on a path.
pub(super) struct Operation<'a> {
    /// HTTP method in lower case.
    pub(super) method: &'static str,
    /// `x-kubernetes-action`
    pub(super) action: &'static str,
    pub(super) id: String,
    pub(super) tag: String,
    pub(super) description: String,
    pub(super) parameters: &'static [&'static Parameter],
    pub(super) body: Option<Type<'a>>,
    /// Without one, the answer is text.
    pub(super) answer: Option<Type<'a>>,
    pub(super) created: bool,
    pub(super) kind: (&'a str, &'a str, &'a str),
}

const PATCH_TYPES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];
/// Of custom resources the server knows no strategic merge, and no protobuf.
const CUSTOM_PATCH_TYPES: [&str; 3] =
    ["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"];
const OBJECT_TYPES: [&str; 3] =
    ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
const CUSTOM_OBJECT_TYPES: [&str; 2] = ["application/json", "application/yaml"];

/// Lists the paths of a resource.
pub(super) fn paths<'a>(resource: &'a Resource) -> Vec<PathItem<'a>> {
    let base = match &*resource.group {
        "" => format!("/api/{}", resource.version),
        group => format!("/apis/{group}/{}", resource.version),
    };
    let plural = &resource.plural;
    let (collection, mut place) = match resource.namespaced {
        true => (format!("{base}/namespaces/{{namespace}}/{plural}"), vec![&NAMESPACE]),
        false => (format!("{base}/{plural}"), Vec::new()),
    };
    let own = (&*resource.group, &*resource.version, &*resource.kind);
    let object = Some(resource.ty());
    let status = Some(kinds::META_V1_STATUS.ty());
    let options = Some(kinds::META_V1_DELETEOPTIONS.ty());
    let has = |verb| resource.verbs.contains(verb);
    let make = |method, action, body, answer, parameters| {
        operation(resource, None, own, method, action, body, answer, parameters)
    };

    let mut items = Vec::new();
    let mut push = |path: String, parameters: &[&'static Parameter], operations: Vec<Operation<'a>>| {
        if !operations.is_empty() {
            let parameters = parameters.iter().copied().chain([&PRETTY]).collect();
            items.push(PathItem { path, parameters, operations });
        }
    };

    if resource.namespaced && has(Verbs::LIST) {
        let mut list = make("get", "list", None, resource.list_type(), LIST);
        list.id = list.id.replace("Namespaced", "") + "ForAllNamespaces";
        push(format!("{base}/{plural}"), &[], vec![list]);
    }
    let mut on_collection = Vec::new();
    if has(Verbs::LIST) {
        on_collection.push(make("get", "list", None, resource.list_type(), LIST));
    }
    if has(Verbs::CREATE) {
        on_collection.push(make("post", "post", object, object, WRITE));
    }
    if has(Verbs::DELETECOLLECTION) {
        on_collection.push(make("delete", "deletecollection", options, status, DELETE_COLLECTION));
    }
    push(collection.clone(), &place, on_collection);

    place.push(&NAME);
    let mut on_object = Vec::new();
    if has(Verbs::GET) {
        on_object.push(make("get", "get", None, object, &[]));
    }
    if has(Verbs::UPDATE) {
        on_object.push(make("put", "put", object, object, WRITE));
    }
    if has(Verbs::PATCH) {
        on_object.push(make("patch", "patch", Some(kinds::META_V1_PATCH.ty()), object, CHANGE));
    }
    if has(Verbs::DELETE) {
        let answer = if resource.returns_deleted() { object } else { status };
        on_object.push(make("delete", "delete", options, answer, DELETE));
    }
    push(format!("{collection}/{{name}}"), &place, on_object);

    for subresource in resource.subresources.iter() {
        let path = format!("{collection}/{{name}}/{}", subresource.name);
        push(path.clone(), &place, on_subresource(resource, subresource));
        if subresource.name == "proxy" {
            let mut place = place.clone();
            place.push(&PATH);
            let mut operations = on_subresource(resource, subresource);
            operations.iter_mut().for_each(|operation| operation.id.push_str("WithPath"));
            push(format!("{path}/{{path}}"), &place, operations);
        }
    }
    items
}

fn on_subresource<'a>(resource: &'a Resource, subresource: &'a Subresource) -> Vec<Operation<'a>> {
    let ty = resource.subresource_type(subresource);
    let kind = resource.subresource_kind(subresource);
    let streams = matches!(subresource.body, Body::Stream(_)) && subresource.name != "log";
    let patch = Some(kinds::META_V1_PATCH.ty());
    [
        (Verbs::GET, "get", "get", None, &[] as &'static [&'static Parameter]),
        (Verbs::UPDATE, "put", "put", ty, WRITE),
        (Verbs::CREATE, "post", "post", ty, WRITE),
        (Verbs::PATCH, "patch", "patch", patch, CHANGE),
        (Verbs::DELETE, "delete", "connect", None, &[]),
    ]
    .into_iter()
    .filter(|(verb, ..)| subresource.verbs.contains(*verb))
    .map(|(_, method, action, body, parameters)| match streams {
        true => operation(resource, Some(subresource), kind, method, "connect", None, None, &[]),
        false => operation(resource, Some(subresource), kind, method, action, body, ty, parameters),
    })
    .collect()
}

#[expect(clippy::too_many_arguments, reason = "one row of the tables above")]
fn operation<'a>(
    resource: &'a Resource,
    subresource: Option<&Subresource>,
    kind: (&'a str, &'a str, &'a str),
    method: &'static str,
    action: &'static str,
    body: Option<Type<'a>>,
    answer: Option<Type<'a>>,
    parameters: &'static [&'static Parameter],
) -> Operation<'a> {
    let (verb, words) = match (action, method) {
        ("list", _) => ("list".to_owned(), "list or watch objects of kind"),
        ("post", _) => ("create".to_owned(), "create"),
        ("put", _) => ("replace".to_owned(), "replace the specified"),
        ("patch", _) => ("patch".to_owned(), "partially update the specified"),
        ("delete", _) => ("delete".to_owned(), "delete"),
        ("deletecollection", _) => ("deleteCollection".to_owned(), "delete collection of"),
        ("connect", method) => (format!("connect{}", capital(method)), "connect requests to"),
        _ => ("read".to_owned(), "read the specified"),
    };
    let group = match &*resource.group {
        "" => "core",
        group => group.strip_suffix(".k8s.io").unwrap_or(group),
    };
    let group_words: String = group.split('.').map(capital).collect();
    let version = capital(&resource.version);
    let scope = if resource.namespaced { "Namespaced" } else { "" };
    let part = subresource.map_or(String::new(), |subresource| capital(subresource.name));
    let of = subresource.map_or(String::new(), |subresource| format!("{} of ", subresource.name));
    Operation {
        method,
        action,
        id: format!("{verb}{group_words}{version}{scope}{}{part}", resource.kind),
        tag: format!("{}_{}", camel(&group_words), resource.version),
        description: format!("{words} {of}{}", resource.kind),
        parameters,
        body,
        answer,
        created: action == "post",
        kind,
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

fn camel(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect())
}

impl PathItem<'_> {
    pub(super) fn json(&self, form: Form) -> Value {
        let mut map = Map::new();
        map.insert(
            "parameters".to_owned(),
            self.parameters.iter().map(|parameter| parameter.json(form)).collect(),
        );
        for operation in &self.operations {
            map.insert(operation.method.to_owned(), operation.json(form));
        }
        Value::Object(map)
    }
}

impl Operation<'_> {
    /// Lists the media types that a body may have.
    pub(super) fn consumes(&self) -> &'static [&'static str] {
        match self.action {
            "patch" if self.is_custom() => &CUSTOM_PATCH_TYPES,
            "patch" => &PATCH_TYPES,
            _ => &["*/*"],
        }
    }

    /// Lists the media types that an answer may have.
    pub(super) fn produces(&self) -> &'static [&'static str] {
        match self.answer {
            Some(_) if self.is_custom() => &CUSTOM_OBJECT_TYPES,
            Some(_) => &OBJECT_TYPES,
            None => &["*/*"],
        }
    }

    fn is_custom(&self) -> bool {
        self.answer.is_some_and(|ty| !ty.is_built_in())
    }

    /// Lists the status codes of success with their texts.
    pub(super) fn codes(&self) -> &'static [(&'static str, &'static str)] {
        match (self.action, self.created) {
            ("put" | "patch", _) => &[("200", "OK"), ("201", "Created")],
            ("delete", _) => &[("200", "OK"), ("202", "Accepted")],
            (_, true) => &[("200", "OK"), ("201", "Created"), ("202", "Accepted")],
            _ => &[("200", "OK")],
        }
    }

    fn json(&self, form: Form) -> Value {
        let (group, version, kind) = self.kind;
        let mut map = json!({
            "description": self.description,
            "operationId": self.id,
            "tags": [self.tag],
            "x-kubernetes-action": self.action,
            "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
        });
        let mut parameters: Vec<Value> =
            self.parameters.iter().map(|parameter| parameter.json(form)).collect();
        let reference = |ty: Option<Type<'_>>| match (ty, form) {
            (None, _) => json!({"type": "string"}),
            (Some(ty), Form::V2) => json!({"$ref": format!("#/definitions/{}", ty.name())}),
            (Some(ty), Form::V3) => json!({"$ref": format!("#/components/schemas/{}", ty.name())}),
        };
        let content = |types: &[&str], ty: Option<Type<'_>>| -> Map<String, Value> {
            types.iter().map(|media| ((*media).to_owned(), json!({"schema": reference(ty)}))).collect()
        };
        let responses: Map<String, Value> = self
            .codes()
            .iter()
            .map(|(code, text)| {
                let response = match form {
                    Form::V2 => json!({"description": text, "schema": reference(self.answer)}),
                    Form::V3 => {
                        json!({"description": text, "content": content(self.produces(), self.answer)})
                    }
                };
                ((*code).to_owned(), response)
            })
            .collect();
        map["responses"] = responses.into();
        let required = self.action != "delete" && self.action != "deletecollection";
        match form {
            Form::V2 => {
                map["consumes"] = self.consumes().iter().copied().collect();
                map["produces"] = self.produces().iter().copied().collect();
                map["schemes"] = json!(["https"]);
                if self.body.is_some() {
                    let mut body = json!({"name": "body", "in": "body", "schema": reference(self.body)});
                    if required {
                        body["required"] = true.into();
                    }
                    parameters.push(body);
                }
            }
            Form::V3 => {
                if self.body.is_some() {
                    let mut body = json!({"content": content(self.consumes(), self.body)});
                    if required {
                        body["required"] = true.into();
                    }
                    map["requestBody"] = body;
                }
            }
        }
        if !parameters.is_empty() {
            map["parameters"] = parameters.into();
        }
        map
    }
}
