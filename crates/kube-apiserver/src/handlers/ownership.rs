//! Whose request comes to own which fields: `metadata.managedFields`, kept beside the object as text.

use std::borrow::Cow;

use apimachinery::{FieldError, ObjectExt, Status, time};
use http::header::USER_AGENT;
use managed_fields::{AtVersion, Fields, Update, Writer};
use serde_json::Value;

use super::call::{Call, options_kind};
use crate::convert::{into_version, to_served};

/// As upstream's `FieldManagerMaxLength`.
const LONGEST_MANAGER: usize = 128;

/// An object as a request wants it, in the stored version.
pub struct Wanted {
    /// The object, without `metadata.managedFields` where the owners are settled.
    pub object: Value,
    /// Who owns it then.
    pub owners: Owners,
}

/// Who owns the fields of an object after a request.
pub enum Owners {
    /// Whoever changes a field.
    Writer,
    /// It was found out while the object was made up.
    Settled(Fields),
}

impl From<Value> for Wanted {
    fn from(object: Value) -> Self {
        Self { object, owners: Owners::Writer }
    }
}

/// An object as it is stored, defaulted.
#[derive(Clone, Copy)]
pub struct Current<'a> {
    /// The object, without `metadata.managedFields`.
    pub object: &'a Value,
    /// These.
    pub fields: Option<&'a str>,
}

/// Who writes, and how.
pub struct Author {
    manager: String,
    now: String,
}

impl Author {
    /// Reads `fieldManager`; where the client names none, it is the first word of its user agent.
    pub fn of(call: &Call<'_>) -> Result<Self, Status> {
        let manager = match call.query.get("fieldManager") {
            Some(name) => {
                let errors = invalid_manager(name);
                if !errors.is_empty() {
                    return Err(Status::invalid("meta.k8s.io", options_kind(call.info.verb), "", errors));
                }
                name.to_owned()
            }
            None => {
                let agent = call
                    .headers
                    .get(USER_AGENT)
                    .map_or("".into(), |value| String::from_utf8_lossy(value.as_bytes()).into_owned());
                of_user_agent(&agent)
            }
        };
        Ok(Self { manager, now: time::now_rfc3339() })
    }

    /// As the engine wants it.
    pub fn writer<'a>(&'a self, call: &'a Call<'_>) -> Writer<'a> {
        Writer {
            manager: &self.manager,
            api_version: &call.entry.api_version,
            subresource: &call.info.subresource,
            now: &self.now,
        }
    }
}

fn invalid_manager(name: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if name.len() > LONGEST_MANAGER {
        errors.push(FieldError::too_long("fieldManager", LONGEST_MANAGER));
    }
    if let Some((at, odd)) = name.char_indices().find(|(_, letter)| letter.is_control()) {
        let why = format!("invalid character {odd:?} (at position {at})");
        errors.push(FieldError::invalid("fieldManager", name, why));
    }
    errors
}

fn of_user_agent(agent: &str) -> String {
    let word = agent.split('/').next().unwrap_or_default();
    let mut manager = String::new();
    for letter in word.chars().filter(|letter| !letter.is_control()) {
        if manager.len() + letter.len_utf8() > LONGEST_MANAGER {
            break;
        }
        manager.push(letter);
    }
    manager
}

/// Takes `metadata.managedFields` out of an object that a client sent; their text, where there are any.
pub fn claimed(object: &mut Value) -> Option<String> {
    let claimed = object.remove_at(&["metadata", "managedFields"])?;
    (!claimed.is_null()).then(|| claimed.to_string())
}

/// Puts `metadata.managedFields` into an object that is a tree.
pub fn attach(object: &mut Value, fields: Option<&str>) {
    if let Some(fields) = fields.and_then(|text| serde_json::from_str(text).ok()) {
        object.set_at(&["metadata", "managedFields"], fields);
    }
}

/// Who owns a new object; `object` is defaulted, and not yet admitted: what admission adds is nobody's.
pub fn of_new(call: &Call<'_>, object: &mut Value) -> Result<Option<String>, Status> {
    match of_write(call, None, object)? {
        Fields::Unchanged => Ok(None),
        Fields::Touched(text) => Ok(Some(text)),
        Fields::Changed(text) => Ok(text),
    }
}

/// Who owns an object after it is changed.
pub fn of_change(call: &Call<'_>, current: Current<'_>, object: &mut Value) -> Result<Fields, Status> {
    of_write(call, Some(current), object)
}

fn of_write(call: &Call<'_>, current: Option<Current<'_>>, object: &mut Value) -> Result<Fields, Status> {
    let author = Author::of(call)?;
    let claimed = claimed(object);
    let old = current.map(|current| served(call, current.object));
    let new = served(call, object);
    Ok(managed_fields::update(&Update {
        ty: call.entry.row.ty(),
        old: old.as_deref(),
        new: &new,
        fields: current.and_then(|current| current.fields),
        claimed: claimed.as_deref(),
        resets: call.entry.strategy.resets(&call.info.subresource),
        writer: author.writer(call),
        versions: &|version, old, new| at_version(call, version, old, new),
    }))
}

/// An object in the request's version.
pub fn served<'v>(call: &Call<'_>, object: &'v Value) -> Cow<'v, Value> {
    if call.entry.stored_as.is_none() || call.entry.custom().is_some() {
        return Cow::Borrowed(object);
    }
    let mut object = object.clone();
    to_served(&call.entry, &mut object);
    Cow::Owned(object)
}

/// The object before and after in another version of the resource, if that is served.
pub fn at_version(call: &Call<'_>, api_version: &str, old: &Value, new: &Value) -> Option<AtVersion> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let entry = call.server.registry.lookup(group, version, call.entry.plural())?;
    if entry.row.prefix != call.entry.row.prefix {
        return None;
    }
    let convert = |object: &Value| {
        let mut object = object.clone();
        into_version(&call.entry, &entry, &mut object).ok()?;
        Some(object)
    };
    Some(AtVersion { schema: entry.row.schema.clone(), old: convert(old)?, new: convert(new)? })
}

/// The text to store: the old one where nothing else changes but a time.
pub fn settled<'f>(
    fields: &'f Fields,
    current: Option<&'f str>,
    old: &mut Value,
    new: &mut Value,
) -> Option<&'f str> {
    match fields {
        Fields::Unchanged => current,
        Fields::Changed(text) => text.as_deref(),
        Fields::Touched(text) => {
            const VERSION: &[&str] = &["metadata", "resourceVersion"];
            let versions = [old.remove_at(VERSION), new.remove_at(VERSION)];
            let same = old == new;
            for (object, version) in [old, new].into_iter().zip(versions) {
                if let Some(version) = version {
                    object.set_at(VERSION, version);
                }
            }
            if same { current } else { Some(text) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_is_named_or_the_first_word_of_the_user_agent() {
        assert_eq!(of_user_agent("kubectl/v1.36.0 (linux/amd64)"), "kubectl");
        assert_eq!(of_user_agent("Mozilla\u{7} 5"), "Mozilla 5");
        assert_eq!(of_user_agent(&"ä".repeat(100)).len(), 128);
        assert_eq!(of_user_agent(""), "");
        assert!(invalid_manager("me@home").is_empty());
        assert_eq!(invalid_manager("a\nb").len(), 1);
        assert_eq!(invalid_manager(&"a".repeat(129)).len(), 1);
    }
}
