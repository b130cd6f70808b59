//! Field selectors: `metadata.name=x,spec.nodeName!=y`.

use std::fmt;

/// One requirement on a field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Requirement {
    /// Path of the field, such as `spec.nodeName`.
    pub field: String,
    /// The value compared with; unset fields compare as empty.
    pub value: String,
    /// True for `=` and `==`, false for `!=`.
    pub equal: bool,
}

/// All requirements must hold; none means everything matches.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Selector {
    /// The requirements, in the order given.
    pub requirements: Vec<Requirement>,
}

/// Why a field selector cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid selector: '{0}'; can't understand '{1}'")]
pub struct ParseError(String, String);

impl Selector {
    /// Whether every object matches.
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether an object matches; `get` gives a field's value (absent: `None`, compared as empty).
    pub fn matches<'a>(&self, get: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements.iter().all(|requirement| {
            (get(&requirement.field).unwrap_or("") == requirement.value) == requirement.equal
        })
    }

    /// The value that `field` must have, when the selector says so.
    pub fn exact(&self, field: &str) -> Option<&str> {
        self.requirements
            .iter()
            .find(|requirement| requirement.equal && requirement.field == field)
            .map(|requirement| requirement.value.as_str())
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.requirements.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let operator = if requirement.equal { "=" } else { "!=" };
            write!(f, "{comma}{}{operator}{}", requirement.field, escape(&requirement.value))?;
        }
        Ok(())
    }
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=")
}

/// Reads the string form; backslash escapes `,`, `=` and itself in values. Empty text matches everything.
pub fn parse(text: &str) -> Result<Selector, ParseError> {
    let mut requirements = Vec::new();
    for term in split_terms(text) {
        if term.is_empty() {
            continue;
        }
        let refuse = || ParseError(text.to_owned(), term.to_owned());
        let at = term.find(['=', '!']).ok_or_else(refuse)?;
        let (field, rest) = term.split_at(at);
        let (equal, value) = if let Some(value) = rest.strip_prefix("!=") {
            (false, value)
        } else if let Some(value) = rest.strip_prefix("==") {
            (true, value)
        } else if let Some(value) = rest.strip_prefix('=') {
            (true, value)
        } else {
            return Err(refuse());
        };
        requirements.push(Requirement {
            field: field.trim().to_owned(),
            value: unescape(value).ok_or_else(refuse)?,
            equal,
        });
    }
    Ok(Selector { requirements })
}

fn split_terms(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                terms.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

fn unescape(value: &str) -> Option<String> {
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => plain.push(chars.next().filter(|next| matches!(next, '\\' | ',' | '='))?),
            ',' | '=' => return None,
            other => plain.push(other),
        }
    }
    Some(plain)
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_match_and_round_trip() {
        let selector = parse("metadata.name=web,spec.nodeName!=w1").unwrap();
        assert_eq!(selector.to_string(), "metadata.name=web,spec.nodeName!=w1");
        assert_eq!(selector.exact("metadata.name"), Some("web"));
        let get = |field: &str| (field == "metadata.name").then_some("web");
        assert!(selector.matches(get));
        assert!(parse("status.phase=").unwrap().matches(|_| None));
        assert_eq!(parse(r"a=x\,y").unwrap().requirements[0].value, "x,y");
    }

    #[test]
    fn malformed_selectors_are_refused() {
        assert_eq!(
            parse("metadata.name").unwrap_err().to_string(),
            "invalid selector: 'metadata.name'; can't understand 'metadata.name'"
        );
        assert!(parse("a=b=c").is_err());
    }
}
