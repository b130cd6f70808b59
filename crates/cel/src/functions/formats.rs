//! Named formats of texts: `format.dns1123Label().validate(text)`.

use std::rc::Rc;

use apimachinery::{names, time};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Outcome, no_overload};
use crate::value::Value;

const KNOWN: [&str; 13] = [
    "dns1123Label",
    "dns1123Subdomain",
    "dns1035Label",
    "qualifiedName",
    "dns1123LabelPrefix",
    "dns1123SubdomainPrefix",
    "dns1035LabelPrefix",
    "labelValue",
    "uri",
    "uuid",
    "byte",
    "date",
    "datetime",
];

/// `format.named("…")`, which may be none, and the formats as functions.
pub fn named<'v>(name: &str, arguments: &[Value<'v>]) -> Outcome<'v> {
    let find = |wanted: &str| KNOWN.iter().find(|known| **known == wanted).map(|known| Value::Format(known));
    match (name, arguments) {
        ("named", [Value::String(wanted)]) => Ok(Value::Optional(find(wanted).map(Rc::new))),
        (name, []) => find(name).ok_or_else(no_overload),
        _ => Err(no_overload()),
    }
}

/// What is wrong with a text; nothing where it has the format.
pub fn validate<'v>(format: &str, text: &str) -> Value<'v> {
    let prefix = |text: &str| text.strip_suffix('-').unwrap_or(text).to_owned();
    let one = |fits: bool, what: &str| if fits { Vec::new() } else { vec![format!("{what} is not valid")] };
    let faults = match format {
        "dns1123Label" => names::dns1123_label_errors(text),
        "dns1123LabelPrefix" => names::dns1123_label_errors(&prefix(text)),
        "dns1123Subdomain" => names::dns1123_subdomain_errors(text),
        "dns1123SubdomainPrefix" => names::dns1123_subdomain_errors(&prefix(text)),
        "dns1035Label" => names::dns1035_label_errors(text),
        "dns1035LabelPrefix" => names::dns1035_label_errors(&prefix(text)),
        "qualifiedName" => names::qualified_name_errors(text),
        "labelValue" => names::label_value_errors(text),
        "uri" => one(text.contains(':') || text.starts_with('/'), "URI"),
        "uuid" => one(is_uuid(text), "UUID"),
        "byte" => one(STANDARD.decode(text).is_ok(), "byte"),
        "date" => one(time::parse(&format!("{text}T00:00:00Z")).is_some(), "date"),
        _ => one(time::parse(text).is_some(), "date-time"),
    };
    let list = (!faults.is_empty()).then(|| Value::list(faults.into_iter().map(Value::text).collect()));
    Value::Optional(list.map(Rc::new))
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}
