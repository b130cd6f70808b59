//! `metadata.managedFields`: who owns what, read and written.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::set::Set;

/// Why `managedFields` cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It is no list of entries, or one's fields are no set.
    #[error("{0}")]
    Malformed(#[from] serde_json::Error),
    /// An entry's operation is neither of the two.
    #[error("operation must be `Apply` or `Update`, not {0:?}")]
    Operation(String),
    /// An entry's fields are of an unknown form.
    #[error("fieldsType must be `FieldsV1`, not {0:?}")]
    FieldsType(String),
}

/// How an owner came to own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// By applying a configuration.
    Apply,
    /// In any other way.
    Update,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// One owner and its fields.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    pub manager: Cow<'a, str>,
    pub operation: Operation,
    pub api_version: Cow<'a, str>,
    pub subresource: Cow<'a, str>,
    pub time: Option<Cow<'a, str>>,
    pub set: Set<'a>,
    /// The text that the set was read from, as long as it has not changed.
    pub text: Option<&'a str>,
}

impl Entry<'_> {
    /// Whether two entries are of one owner. An applier is the same whichever version it applies in.
    pub fn is_same_owner(&self, other: &Entry<'_>) -> bool {
        self.manager == other.manager
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    /// Takes fields away; says whether there were any.
    pub fn take(&mut self, fields: &Set<'_>) -> bool {
        let taken = self.set.subtract(fields);
        if taken {
            self.text = None;
        }
        taken
    }

    /// The owner as messages name it.
    pub fn owner(&self) -> String {
        let mut text = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            text.push_str(&format!(" with subresource {:?}", self.subresource));
        }
        if self.operation == Operation::Update {
            text.push_str(&format!(" using {}", self.api_version));
        }
        text
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    #[serde(borrow, default)]
    manager: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    operation: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    api_version: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    time: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    fields_type: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "fieldsV1")]
    fields: Option<&'a RawValue>,
    #[serde(borrow, default)]
    subresource: Option<Cow<'a, str>>,
}

/// Reads entries; none where there is no text.
pub fn decode(text: Option<&str>) -> Result<Vec<Entry<'_>>, DecodeError> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let rows: Vec<Row<'_>> = serde_json::from_str(text)?;
    rows.into_iter().map(entry).collect()
}

fn entry(row: Row<'_>) -> Result<Entry<'_>, DecodeError> {
    let operation = match row.operation.as_deref() {
        Some("Apply") => Operation::Apply,
        Some("Update") => Operation::Update,
        other => return Err(DecodeError::Operation(other.unwrap_or_default().to_owned())),
    };
    match row.fields_type.as_deref() {
        Some("FieldsV1") => {}
        other => return Err(DecodeError::FieldsType(other.unwrap_or_default().to_owned())),
    }
    let set = row.fields.map_or(Ok(Set::default()), |fields| Set::read(fields.get()))?;
    Ok(Entry {
        manager: row.manager.unwrap_or_default(),
        operation,
        api_version: row.api_version.unwrap_or_default(),
        subresource: row.subresource.unwrap_or_default(),
        time: row.time,
        set,
        text: row.fields.map(RawValue::get),
    })
}

/// Says whether a text can be read as `managedFields`.
pub fn check(text: &str) -> Result<(), DecodeError> {
    decode(Some(text)).map(|_| ())
}

/// Writes entries in upstream's order: appliers first, then by time, then by name. None where none is left.
pub fn encode(mut entries: Vec<Entry<'_>>) -> Option<String> {
    entries.retain(|entry| !entry.set.is_empty());
    if entries.is_empty() {
        return None;
    }
    entries.sort_by(|a, b| order(a).cmp(&order(b)));
    let mut out = String::with_capacity(160 * entries.len());
    out.push('[');
    for (at, entry) in entries.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write(entry, &mut out);
    }
    out.push(']');
    Some(out)
}

/// Times are all written in one form, in which their texts order as they do.
fn order<'e>(entry: &'e Entry<'_>) -> (Operation, &'e str, &'e str, &'e str, &'e str) {
    let time = entry.time.as_deref().unwrap_or_default();
    (entry.operation, time, &entry.manager, &entry.api_version, &entry.subresource)
}

/// Keys are in the order of a JSON map's, so that a tree of the object writes the same.
fn write(entry: &Entry<'_>, out: &mut String) {
    out.push_str("{\"apiVersion\":");
    quote(&entry.api_version, out);
    out.push_str(",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":");
    match entry.text {
        Some(text) => out.push_str(text),
        None => entry.set.write(out),
    }
    out.push_str(",\"manager\":");
    quote(&entry.manager, out);
    out.push_str(",\"operation\":\"");
    out.push_str(entry.operation.name());
    out.push('"');
    if !entry.subresource.is_empty() {
        out.push_str(",\"subresource\":");
        quote(&entry.subresource, out);
    }
    if let Some(time) = &entry.time {
        out.push_str(",\"time\":");
        quote(time, out);
    }
    out.push('}');
}

fn quote(text: &str, out: &mut String) {
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&Value::String(text.to_owned()).to_string());
    }
}
