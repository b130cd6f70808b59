//! JSON as Go's encoder indents and escapes it.

use serde_json::Value;

/// The value over several lines, indented by four spaces.
pub fn text(value: &Value) -> String {
    indented(value, "    ")
}

/// The value over several lines, indented by a text for each level.
pub fn indented(value: &Value, indent: &str) -> String {
    let mut text = String::new();
    write(value, 0, indent, &mut text);
    text
}

/// A value on one line, escaped as Go escapes it.
pub fn compact(value: &Value) -> String {
    escape(&value.to_string())
}

fn write(value: &Value, depth: usize, step: &str, text: &mut String) {
    let indent = |text: &mut String, depth: usize| {
        text.push('\n');
        text.extend(std::iter::repeat_n(step, depth));
    };
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let mut keys: Vec<&String> = fields.keys().collect();
            keys.sort();
            text.push('{');
            for (index, key) in keys.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                indent(text, depth + 1);
                text.push_str(&escape(&Value::String(key.clone()).to_string()));
                text.push_str(": ");
                write(&fields[key], depth + 1, step, text);
            }
            indent(text, depth);
            text.push('}');
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                indent(text, depth + 1);
                write(item, depth + 1, step, text);
            }
            indent(text, depth);
            text.push(']');
        }
        scalar => text.push_str(&escape(&scalar.to_string())),
    }
}

/// Go escapes what HTML would read as markup.
fn escape(text: &str) -> String {
    if !text.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        return text.to_string();
    }
    text.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}
