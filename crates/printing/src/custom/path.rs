//! The part of Kubernetes' JSONPath that column definitions use: fields, indexes, `[*]` and equality filters.

use serde_json::Value;

/// A parsed path.
#[derive(Clone, Debug)]
pub struct Path(Vec<Step>);

/// Why a path cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid JSONPath {path:?}: {reason}")]
pub struct PathError {
    path: String,
    reason: &'static str,
}

#[derive(Clone, Debug)]
enum Step {
    Field(String),
    /// Negative counts from the end.
    Index(i64),
    All,
    /// Elements whose value at the path equals (or, if not `equal`, differs from) a value.
    Filter {
        path: Path,
        equal: bool,
        value: Value,
    },
}

impl Path {
    /// Reads `.spec.rules[*].host` and the like.
    pub fn parse(text: &str) -> Result<Path, PathError> {
        steps(text).map(Path).map_err(|reason| PathError { path: text.to_owned(), reason })
    }

    /// Finds all values that the path leads to.
    pub fn find<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        let mut found = vec![value];
        for step in &self.0 {
            found = found.into_iter().flat_map(|value| step.follow(value)).collect();
        }
        found
    }
}

impl Step {
    fn follow<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        match (self, value) {
            (Step::Field(name), Value::Object(map)) => map.get(name).into_iter().collect(),
            (Step::Index(index), Value::Array(items)) => {
                let at = if *index < 0 { items.len() as i64 + index } else { *index };
                usize::try_from(at).ok().and_then(|at| items.get(at)).into_iter().collect()
            }
            (Step::All, Value::Array(items)) => items.iter().collect(),
            (Step::All, Value::Object(map)) => map.values().collect(),
            (Step::Filter { path, equal, value }, Value::Array(items)) => items
                .iter()
                .filter(|item| path.find(item).first().is_some_and(|found| (*found == value) == *equal))
                .collect(),
            _ => Vec::new(),
        }
    }
}

fn steps(text: &str) -> Result<Vec<Step>, &'static str> {
    let mut rest = text.trim();
    rest = rest.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(rest);
    rest = rest.strip_prefix(['$', '@']).unwrap_or(rest);
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("[?(") {
            let end = after.find(")]").ok_or("unterminated filter")?;
            steps.push(filter(&after[..end])?);
            rest = &after[end + 2..];
        } else if let Some(after) = rest.strip_prefix('[') {
            let end = after.find(']').ok_or("unterminated array")?;
            steps.push(subscript(&after[..end])?);
            rest = &after[end + 1..];
        } else {
            let (name, after) = field(rest.strip_prefix('.').unwrap_or(rest));
            match name.as_str() {
                "" if steps.is_empty() && after.is_empty() => {}
                "" if after.starts_with('[') => {}
                "" => return Err("empty field name"),
                "*" => steps.push(Step::All),
                _ => steps.push(Step::Field(name)),
            }
            rest = after;
        }
    }
    Ok(steps)
}

/// Reads a field name, in which a backslash protects a dot.
fn field(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => name.extend(letters.next().map(|(_, letter)| letter)),
            '.' | '[' => return (name, &text[at..]),
            _ => name.push(letter),
        }
    }
    (name, "")
}

fn subscript(text: &str) -> Result<Step, &'static str> {
    if text == "*" {
        return Ok(Step::All);
    }
    let quoted = |quote: char| text.strip_prefix(quote).and_then(|inner| inner.strip_suffix(quote));
    match quoted('\'').or_else(|| quoted('"')) {
        Some(name) => Ok(Step::Field(name.to_owned())),
        None => text.parse().map(Step::Index).map_err(|_| "invalid array index"),
    }
}

fn filter(text: &str) -> Result<Step, &'static str> {
    let (left, right, equal) = match (text.split_once("=="), text.split_once("!=")) {
        (Some((left, right)), _) => (left, right, true),
        (None, Some((left, right))) => (left, right, false),
        (None, None) => return Err("only == and != can be filtered by"),
    };
    let right = right.trim();
    let value = match right.strip_prefix('\'').and_then(|inner| inner.strip_suffix('\'')) {
        Some(text) => Value::from(text),
        None => serde_json::from_str(right).map_err(|_| "invalid value in filter")?,
    };
    Ok(Step::Filter { path: Path(steps(left)?), equal, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_it_cannot_read() {
        for (text, reason) in [
            (".a[", "unterminated array"),
            (".a[x]", "invalid array index"),
            (".a[?(@.b)]", "only == and != can be filtered by"),
            (".a..b", "empty field name"),
        ] {
            assert_eq!(Path::parse(text).unwrap_err().reason, reason, "{text}");
        }
    }
}
