//! What all writes share: reading the object from the body, admission, and the bytes that are stored.

use admission::{Attributes, Operation, User};
use apimachinery::go::{kind_of, misfit};
use apimachinery::{FieldError, ObjectExt, Status, json};
use http::StatusCode;
use schema::{DecodeError, FieldValidation, Type, Warnings};
use serde_json::{Map, Value};

use super::call::{Call, options_kind};
use super::output;
use crate::admitting::{self, Admitting};
use crate::http::input::{self, Encoding};
use crate::http::repeated;
use crate::registry::{Custom, Entry};

/// What a body must be.
pub struct Expected<'a> {
    /// Group of the kind.
    pub group: &'a str,
    /// Version of the kind.
    pub version: &'a str,
    /// The kind.
    pub kind: &'a str,
    /// The schema.
    pub ty: Type<'a>,
    /// What its definition says, where it is a custom resource.
    pub custom: Option<&'a Custom>,
}

impl<'a> Expected<'a> {
    /// An object of the resource itself.
    pub fn own(call: &'a Call<'_>) -> Self {
        Self::of(&call.entry)
    }

    /// An object of a resource under one version.
    pub fn of(entry: &'a Entry) -> Self {
        let row = &entry.row;
        Self {
            group: &row.group,
            version: &row.version,
            kind: &row.kind,
            ty: row.ty(),
            custom: entry.custom(),
        }
    }

    /// What a subresource takes.
    pub fn sub(call: &'a Call<'_>) -> Result<Self, Status> {
        let row = &call.entry.row;
        let sub = row.subresource(&call.info.subresource).ok_or_else(Status::no_such_resource)?;
        let (group, version, kind) = row.subresource_kind(sub);
        let ty = row.subresource_type(sub).ok_or_else(Status::no_such_resource)?;
        let custom = call.entry.custom().filter(|_| kind == row.kind);
        Ok(Self { group, version, kind, ty, custom })
    }

    fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Brings an object into the form that the schema declares, and names what it does not know.
    pub fn decode(
        &self,
        object: &mut Value,
        duplicates: Vec<String>,
        validation: FieldValidation,
    ) -> Result<Warnings, DecodeError> {
        match self.custom {
            None => schema::decode_parsed(self.ty, object, duplicates, validation),
            Some(custom) => decode_custom(&custom.rules, object, duplicates, validation),
        }
    }

    fn refuse(&self, found_kind: &str, found_version: &str, why: impl std::fmt::Display) -> Status {
        Status::bad_request(format!(
            "{found_kind} in version \"{found_version}\" cannot be handled as a {}: {why}",
            self.kind
        ))
    }
}

/// Reads `fieldValidation`.
pub fn field_validation(call: &Call<'_>) -> Result<FieldValidation, Status> {
    let text = call.query.get("fieldValidation").unwrap_or_default();
    FieldValidation::from_query(text).ok_or_else(|| {
        let error = FieldError::not_supported("fieldValidation", text, &["", "Ignore", "Strict", "Warn"]);
        Status::invalid("meta.k8s.io", options_kind(call.info.verb), "", vec![error])
    })
}

/// Reads an object from a body: its kind must be the expected one, its fields those of the schema.
pub fn decode(
    call: &Call<'_>,
    body: &[u8],
    encoding: Encoding,
    expected: &Expected<'_>,
) -> Result<Value, Status> {
    let parsed = match encoding {
        Encoding::Json => schema::parse(body).map_err(|error| input::malformed(&error.to_string()))?,
        Encoding::Yaml | Encoding::Protobuf => {
            schema::Parsed { value: input::parse(body, encoding)?, duplicates: Vec::new() }
        }
    };
    judge_type_meta(&parsed.value).map_err(|why| input::malformed(&why))?;
    check_kind(&parsed.value, expected)?;
    let validation = field_validation(call)?;
    let mut parsed = parsed;
    if encoding == Encoding::Yaml && validation != FieldValidation::Ignore {
        parsed.duplicates.extend(repeated::keys(body));
    }
    let schema::Parsed { value: mut object, duplicates } = parsed;
    let warnings = expected
        .decode(&mut object, duplicates, validation)
        .map_err(|error| expected.refuse(expected.kind, expected.version, error))?;
    call.warn(warnings);
    stamp(&mut object, expected);
    audit::request_object(&object);
    Ok(object)
}

/// Checks an object that a patch made, as if it had been sent; `refuse` says what of it cannot be read.
pub fn decode_patched(
    call: &Call<'_>,
    object: &mut Value,
    duplicates: &[String],
    expected: &Expected<'_>,
    refuse: impl FnOnce(DecodeError) -> Status,
) -> Result<(), Status> {
    check_kind(object, expected)?;
    let validation = field_validation(call)?;
    let warnings = expected.decode(object, duplicates.to_vec(), validation).map_err(refuse)?;
    call.warn(warnings);
    stamp(object, expected);
    Ok(())
}

/// A custom object: metadata are those of any object, all else is what the definition declares.
fn decode_custom(
    rules: &custom_resources::Rules,
    object: &mut Value,
    duplicates: Vec<String>,
    validation: FieldValidation,
) -> Result<Warnings, DecodeError> {
    if !object.is_object() {
        return Err(DecodeError::of(misfit(object, "map[string]interface {}")));
    }
    let mut found = duplicates;
    let of_metadata = Type::named("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");
    if let (Some(ty), Some(metadata)) = (of_metadata, object.get_mut("metadata")) {
        const UNKNOWN: &str = "unknown field \"";
        let warnings = schema::decode(ty, metadata, FieldValidation::Warn)?;
        found.extend(warnings.into_iter().map(|text| match text.strip_prefix(UNKNOWN) {
            Some(field) => format!("{UNKNOWN}metadata.{field}"),
            None => text,
        }));
    }
    found.extend(rules.prune(object).into_iter().map(|field| format!("unknown field {field:?}")));
    match validation {
        FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Strict if !found.is_empty() => Err(DecodeError::Strict(found)),
        FieldValidation::Warn | FieldValidation::Strict => Ok(found),
    }
}

/// Whether a body says what it is, or may say it, in Go's words.
fn judge_type_meta(body: &Value) -> Result<(), String> {
    const TYPE_META: &str = r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;
    let Value::Object(fields) = body else { return Err(misfit(body, TYPE_META)) };
    let is_other = |(name, value): &(&str, &Value)| {
        ["apiVersion", "kind"].contains(name) && !value.is_string() && !value.is_null()
    };
    match fields.iter().map(|(name, value)| (name.as_str(), value)).find(is_other) {
        None => Ok(()),
        Some((name, value)) => Err(format!(
            "json: cannot unmarshal {} into Go struct field .{name} of type string",
            kind_of(value)
        )),
    }
}

fn check_kind(object: &Value, expected: &Expected<'_>) -> Result<(), Status> {
    let (kind, api_version) = (object.kind(), object.api_version());
    let wanted = expected.api_version();
    // What is left out is taken for granted, as upstream.
    if (kind.is_empty() || kind == expected.kind) && (api_version.is_empty() || api_version == wanted) {
        return Ok(());
    }
    let (group, version) = match api_version {
        "" => (expected.group, expected.version),
        _ => api_version.split_once('/').unwrap_or(("", api_version)),
    };
    let kind = if kind.is_empty() { expected.kind } else { kind };
    if schema::catalogue().by_kind(group, version, kind).is_none() {
        let scheme = "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30";
        let why = format!("no kind {kind:?} is registered for version {api_version:?} in scheme {scheme:?}");
        return Err(expected.refuse(kind, version, why));
    }
    if group != expected.group || version != expected.version {
        return Err(Status::bad_request(format!(
            "the API version in the data ({api_version}) does not match the expected API version ({wanted})"
        )));
    }
    let why = format!("converting ({version}.{kind}) to ({version}.{}): unknown conversion", expected.kind);
    Err(expected.refuse(kind, version, why))
}

fn stamp(object: &mut Value, expected: &Expected<'_>) {
    if let Some(object) = object.as_object_mut() {
        object.insert("kind".to_owned(), expected.kind.into());
        object.insert("apiVersion".to_owned(), expected.api_version().into());
    }
}

/// Makes the object's namespace that of the path, or refuses.
pub fn adopt_namespace(call: &Call<'_>, object: &mut Value) -> Result<(), Status> {
    let wanted = call.namespace();
    if !call.entry.row.namespaced {
        // A namespace on an object that has none is dropped for what the path cannot name.
        if !object.namespace().is_empty() {
            object.remove_at(&["metadata", "namespace"]);
        }
        return Ok(());
    }
    match object.namespace() {
        found if found == wanted => Ok(()),
        "" => {
            object.set_at(&["metadata", "namespace"], wanted.into());
            Ok(())
        }
        _ => Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        )),
    }
}

/// Makes the object's name that of the path, or refuses.
pub fn adopt_name(call: &Call<'_>, object: &mut Value) -> Result<(), Status> {
    match object.name() {
        found if found == call.info.name => Ok(()),
        "" => {
            object.set_at(&["metadata", "name"], call.info.name.as_str().into());
            Ok(())
        }
        found => Err(Status::bad_request(format!(
            "the name of the object ({found}) does not match the name on the URL ({})",
            call.info.name
        ))),
    }
}

/// The request as admission sees it. A namespace is in itself.
pub fn attributes<'a>(
    call: &'a Call<'_>,
    operation: Operation,
    kind: &'a str,
    name: &'a str,
    dry_run: bool,
) -> Attributes<'a> {
    let row = &call.entry.row;
    let namespace = if call.info.namespace.is_empty() && row.group.is_empty() && row.plural == "namespaces" {
        name
    } else {
        &call.info.namespace
    };
    Attributes {
        operation,
        group: &row.group,
        version: &row.version,
        resource: &row.plural,
        subresource: &call.info.subresource,
        kind,
        namespace,
        name,
        user: User { name: &call.user.name, groups: &call.user.groups },
        dry_run,
        random: rand::random(),
    }
}

/// The request on its way through admission.
pub fn admitting<'a>(
    call: &'a Call<'_>,
    attributes: Attributes<'a>,
    deletion: Option<&'a Value>,
    warn: &'a (dyn Fn(Vec<String>) + Sync),
) -> Admitting<'a> {
    let operation = attributes.operation;
    let request = admitting::Request {
        user: call.user,
        query: call.query,
        deletion,
        operation,
        metrics: &call.server.metrics,
    };
    Admitting { server: call.server, entry: &call.entry, attributes, request, warn }
}

/// The bytes that are stored: the stored version's kind and no resourceVersion.
pub fn stored_bytes(object: &mut Value) -> Vec<u8> {
    object.remove_at(&["metadata", "resourceVersion"]);
    object.remove_at(&["metadata", "selfLink"]);
    json::to_vec(object)
}

/// As [`stored_bytes`], with `metadata.managedFields` put in as the text that they are.
pub fn stored_bytes_with(object: &mut Value, managed_fields: Option<&str>) -> Vec<u8> {
    object.remove_at(&["metadata", "managedFields"]);
    let (Some(fields), Value::Object(top)) = (managed_fields, &mut *object) else {
        return stored_bytes(object);
    };
    if let Some(Value::Object(metadata)) = top.get_mut("metadata") {
        metadata.remove("resourceVersion");
        metadata.remove("selfLink");
    }
    let mut out = Vec::with_capacity(2048 + fields.len());
    json::write_members(top, &mut out, |out, key, value| match value {
        Value::Object(metadata) if key == "metadata" => metadata_with(out, metadata, fields),
        value => json::write(value, out),
    });
    out
}

fn metadata_with(out: &mut Vec<u8>, metadata: &Map<String, Value>, fields: &str) {
    const KEY: &str = "managedFields";
    let put = |out: &mut Vec<u8>| {
        out.extend_from_slice(b"\"managedFields\":");
        out.extend_from_slice(fields.as_bytes());
    };
    // Where a tree of the object would write it.
    let last = metadata.keys().rev().find(|key| key.as_str() < KEY);
    if last.is_none() {
        out.push(b'{');
        put(out);
        let rest = out.len();
        json::write_members(metadata, out, |out, _, value| json::write(value, out));
        out[rest] = if metadata.is_empty() { b' ' } else { b',' };
        return;
    }
    json::write_members(metadata, out, |out, key, value| {
        json::write(value, out);
        if last.is_some_and(|last| last == key) {
            out.push(b',');
            put(out);
        }
    });
}

/// The refusal of an object that is not valid.
pub fn invalid(call: &Call<'_>, name: &str, errors: Vec<FieldError>) -> Status {
    Status::invalid(&call.entry.row.group, &call.entry.row.kind, name, errors)
}

/// Who may not give what: RBAC objects may not hold more than their author.
pub fn check_escalation(call: &Call<'_>, object: &Value, old: Option<&Value>) -> Result<(), Status> {
    let row = &call.entry.row;
    if row.group != "rbac.authorization.k8s.io" || !call.server.authorizer.has(authz::Mode::Rbac) {
        return Ok(());
    }
    let user = authz::User { name: &call.user.name, groups: &call.user.groups };
    authz::escalation::check(&call.server.authorizer, user, object, old)
}

/// Whoever answers a request for the certificate of a pod must be allowed to sign for its signer.
pub fn check_signing(call: &Call<'_>, new: &Value, old: &Value) -> Result<(), Status> {
    let row = &call.entry.row;
    let is_request = row.group == "certificates.k8s.io" && row.plural == "podcertificaterequests";
    let status = |object: &Value| object.get("status").cloned().unwrap_or_else(|| Value::Object(Map::new()));
    if !is_request || status(new) == status(old) {
        return Ok(());
    }
    let signer = old.str_at(&["spec", "signerName"]).unwrap_or_default();
    let user = User { name: &call.user.name, groups: &call.user.groups };
    if admission::allows_for_signer(&call.server.view(), &user, "sign", signer) {
        return Ok(());
    }
    let why = format!("User {:?} is not permitted to \"sign\" for signer {signer:?}", call.user.name);
    Err(invalid(call, &call.info.name, vec![FieldError::forbidden("spec.signerName", why)]))
}

/// Answers with an object that was not stored, in the served version.
pub fn unstored(
    call: &Call<'_>,
    code: StatusCode,
    mut object: Value,
) -> Result<crate::http::Response, Status> {
    output::to_served(&call.entry, &mut object);
    output::tree(code, &call.entry, &object, &call.form, call.query)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_fields_of_managers_are_stored_where_a_tree_would_write_them() {
        let fields = r#"[{"manager":"m"}]"#;
        for metadata in
            [json!({"name": "a", "labels": {"b": "c"}}), json!({"name": "a"}), json!({"labels": {}})]
        {
            let mut object = json!({"kind": "A", "metadata": metadata, "spec": {}});
            let stored = stored_bytes_with(&mut object, Some(fields));
            object["metadata"]["managedFields"] = serde_json::from_str(fields).unwrap();
            assert_eq!(String::from_utf8(stored).unwrap(), object.to_string());
            let stored = stored_bytes_with(&mut object, None);
            assert!(!String::from_utf8(stored).unwrap().contains("managedFields"));
        }
    }
}
