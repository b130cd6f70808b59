//! Paths to fields of a schema, as rules and selectable fields name them: `.spec.names['a b']`.

use serde_json::{Map, Value};

/// Whether names may stand in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brackets {
    /// They may.
    Allowed,
    /// They may not.
    Refused,
}

/// Where a path leads.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldPath<'s> {
    /// The path as messages show it: `spec.names[key]`.
    pub path: String,
    /// The schema there; none for the values of a map that takes any.
    pub schema: Option<&'s Map<String, Value>>,
}

const END: &str = "unexpected end of JSON path";
const NOWHERE: &str = "does not refer to a valid field";

/// Follows a path through a schema; says in upstream's words why it leads nowhere.
pub fn follow<'s>(
    path: &str,
    schema: &'s Map<String, Value>,
    brackets: Brackets,
) -> Result<FieldPath<'s>, String> {
    let mut found = FieldPath { path: String::new(), schema: Some(schema) };
    let mut rest = path;
    let mut next = || {
        let (part, after) = part(rest)?;
        rest = after;
        Some(part)
    };
    while let Some(part) = next() {
        match part {
            "[" if brackets == Brackets::Refused => return Err("array notation is not allowed".to_owned()),
            "[" => {
                let quoted = next().ok_or(END)?;
                let inside = quoted.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
                let inside =
                    inside.ok_or_else(|| format!("expected single quoted string but got {quoted}"))?;
                found.enter(&unescape(inside)?)?;
                match next().ok_or(END)? {
                    "]" => {}
                    other => return Err(format!("expected ] but got {other}")),
                }
            }
            "." => found.enter(next().ok_or(END)?)?,
            other => return Err(format!("expected [ or . but got: {other}")),
        }
    }
    Ok(found)
}

impl FieldPath<'_> {
    fn enter(&mut self, name: &str) -> Result<(), String> {
        let schema = self.schema.ok_or(NOWHERE)?;
        let properties = schema.get("properties").and_then(Value::as_object);
        if let Some(properties) = properties.filter(|properties| !properties.is_empty()) {
            if !self.path.is_empty() {
                self.path.push('.');
            }
            self.path.push_str(name);
            self.schema = Some(properties.get(name).and_then(Value::as_object).ok_or(NOWHERE)?);
            return Ok(());
        }
        let values = schema.get("additionalProperties").filter(|values| !values.is_null()).ok_or(NOWHERE)?;
        self.path = format!("{}[{name}]", self.path);
        self.schema = values.as_object();
        Ok(())
    }
}

/// Takes a part off a path: a dot, a bracket, a text in single quotes, or what stands before the next dot or bracket.
fn part(rest: &str) -> Option<(&str, &str)> {
    let bytes = rest.as_bytes();
    let end = match bytes.first()? {
        b'.' | b'[' | b']' => 1,
        b'\'' => {
            let closes = |at: &usize| bytes[*at] == b'\'' && bytes[at - 1] != b'\\';
            (1..bytes.len()).find(closes).map_or(bytes.len(), |at| at + 1)
        }
        _ => rest.find(['.', '[', ']']).unwrap_or(rest.len()),
    };
    Some(rest.split_at(end))
}

fn unescape(quoted: &str) -> Result<String, String> {
    let mut text = String::with_capacity(quoted.len());
    let mut wrong = None;
    let mut letters = quoted.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '\\' || matches!(letters.peek(), None | Some('\n')) {
            text.push(letter);
            continue;
        }
        match letters.next() {
            Some('a') => text.push('\x07'),
            Some('b') => text.push('\x08'),
            Some('f') => text.push('\x0c'),
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some('v') => text.push('\x0b'),
            Some(own @ ('\'' | '\\')) => text.push(own),
            other => wrong = other,
        }
    }
    match wrong {
        None => Ok(text),
        Some(letter) => Err(format!("invalid string literal: invalid escape char \\{letter}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_to_fields() {
        let schema = json!({"type": "object", "properties": {
            "a": {"type": "object", "properties": {"b c": {"type": "string"}, "it's.x": {"type": "string"}}},
            "m": {"type": "object", "additionalProperties": {"type": "object", "properties": {"n": {"type": "string"}}}},
            "any": {"type": "object", "additionalProperties": true},
            "list": {"type": "array", "items": {"type": "string"}},
            "empty": {"type": "object", "properties": {}}}});
        for (path, expected) in [
            (".a", Ok("a")),
            (".a['b c']", Ok("a.b c")),
            ("['a']['b c']", Ok("a.b c")),
            (".a.b c", Ok("a.b c")),
            (r".a['it\'s.x']", Ok("a.it's.x")),
            (".m.x", Ok("m[x]")),
            (".m['x.y'].n", Ok("m[x.y].n")),
            (".m.x.o", Err("does not refer to a valid field")),
            (".any.x", Ok("any[x]")),
            (".any.x.y", Err("does not refer to a valid field")),
            (".b", Err("does not refer to a valid field")),
            (".empty.x", Err("does not refer to a valid field")),
            (".list.x", Err("does not refer to a valid field")),
            ("a", Err("expected [ or . but got: a")),
            (" .a", Err("expected [ or . but got:  ")),
            ("]", Err("expected [ or . but got: ]")),
            (".", Err("unexpected end of JSON path")),
            ("..", Err("does not refer to a valid field")),
            (".a[", Err("unexpected end of JSON path")),
            (".a['b c'", Err("unexpected end of JSON path")),
            (".a['b c'x]", Err("expected ] but got x")),
            (".list[0]", Err("expected single quoted string but got 0")),
            (".a['b c]", Err("expected single quoted string but got 'b c]")),
            (".a[']", Err("expected single quoted string but got ']")),
            (".a['", Err("expected single quoted string but got '")),
            (r".a['\q']", Err(r"invalid string literal: invalid escape char \q")),
        ] {
            let found = follow(path, schema.as_object().unwrap(), Brackets::Allowed);
            let found = found.map(|found| found.path);
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{path}");
        }
        let refused = follow(".a['b c']", schema.as_object().unwrap(), Brackets::Refused);
        assert_eq!(refused.unwrap_err(), "array notation is not allowed");
    }
}
