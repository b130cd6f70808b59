//! Which step leads to an item of a list that is owned item by item.

use std::borrow::Cow;

use schema::{Merge, Type};
use serde_json::Value;

use crate::place::Place;
use crate::set::Step;

/// The step to an item; why there is none, as upstream words it.
pub fn step(place: Place<'_>, item: &Value) -> Result<Step<'static>, String> {
    match place {
        Place::Keyed(ty, merge) => keyed(ty, merge, item),
        _ => match item {
            Value::Null => Err("associative list without keys has an element that's an explicit null".into()),
            Value::Object(_) => Err("associative list without keys has an element that's a map type".into()),
            Value::Array(_) => Err("not supported: associative list with lists as elements".into()),
            scalar => Ok(Step::Value(Cow::Owned(scalar.to_string()))),
        },
    }
}

fn keyed(ty: Type<'_>, merge: Merge<'_>, item: &Value) -> Result<Step<'static>, String> {
    let fields = match item {
        Value::Object(fields) => fields,
        Value::Null => return Err("associative list with keys may not have a null element".into()),
        _ => return Err("associative list with keys may not have non-map elements".into()),
    };
    let mut names: Vec<&str> = merge.map_keys().collect();
    names.sort_unstable();
    let mut keys = String::from("{");
    for name in names {
        let default = || ty.field(name).and_then(|field| field.default());
        if keys.len() > 1 {
            keys.push(',');
        }
        keys.push('"');
        keys.push_str(name);
        keys.push_str("\":");
        match fields.get(name) {
            Some(Value::String(text)) if is_plain(text) => {
                keys.push('"');
                keys.push_str(text);
                keys.push('"');
            }
            Some(value) => keys.push_str(&value.to_string()),
            None => keys.push_str(default().ok_or_else(|| {
                format!("associative list with keys has an element that omits key field {name:?} (and doesn't have default value)")
            })?),
        }
    }
    keys.push('}');
    Ok(Step::Key(Cow::Owned(keys)))
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\')
}

/// The items of a list with their steps. Items that no step leads to are left out: nobody can own them.
pub fn items<'v>(place: Place<'_>, list: Option<&'v Value>) -> Vec<(Step<'static>, &'v Value)> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| Some((step(place, item).ok()?, item))).collect()
}
