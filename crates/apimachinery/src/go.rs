//! Texts that Go's standard library reads, as upstream's flags, queries and expressions do, and what it says of others.

use std::collections::BTreeMap;

use serde_json::Value;

/// Reads a truth value, as `strconv.ParseBool`.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// What `encoding/json` calls a value.
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// What `encoding/json` says of a value that does not fit into a Go type.
pub fn misfit(value: &Value, wanted: &str) -> String {
    format!("json: cannot unmarshal {} into Go value of type {wanted}", kind_of(value))
}

/// A value as `fmt` prints a tree with `%v`: maps by their keys' order.
pub fn printed(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(printed).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let fields: BTreeMap<&String, &Value> = fields.iter().collect();
            let fields = fields.iter().map(|(key, value)| format!("{key}:{}", printed(value)));
            format!("map[{}]", fields.collect::<Vec<_>>().join(" "))
        }
        Value::Number(number) if number.is_f64() => float(number.as_f64().unwrap_or_default()),
        other => other.to_string(),
    }
}

/// A number as `%v` writes a float64: the shortest digits, with an exponent from a million on and below 0.0001.
pub fn float(number: f64) -> String {
    let scientific = format!("{number:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    format!("{number}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn truth_has_the_spellings_that_go_knows() {
        for (text, expected) in [
            ("1", Some(true)),
            ("TRUE", Some(true)),
            ("f", Some(false)),
            ("", None),
            ("yes", None),
            ("tRUE", None),
        ] {
            assert_eq!(parse_bool(text), expected, "{text}");
        }
    }

    #[test]
    fn a_misfit_is_named_as_go_does() {
        let said = misfit(&Value::Bool(true), "[]string");
        assert_eq!(said, "json: cannot unmarshal bool into Go value of type []string");
    }

    #[test]
    fn trees_are_printed_as_go_does() {
        let tree = json!({"b": [1, "x y", null, 1.5], "a": {"d": true, "c": {}}});
        assert_eq!(printed(&tree), "map[a:map[c:map[] d:true] b:[1 x y <nil> 1.5]]");
    }

    #[test]
    fn numbers_look_as_go_prints_them() {
        for (number, text) in [
            (1.0, "1"),
            (0.5, "0.5"),
            (65535.0, "65535"),
            (-3.25, "-3.25"),
            (1e6, "1e+06"),
            (123456789.0, "1.23456789e+08"),
        ] {
            assert_eq!(float(number), text);
        }
    }
}
