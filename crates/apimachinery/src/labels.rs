//! Label selectors: the string form of queries and the object form of specs.

use std::fmt;

use serde_json::Value;

use crate::names::{label_value_errors, qualified_name_errors};

/// How a requirement compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `=` or `==`
    Equals,
    /// `!=`
    NotEquals,
    /// `in (a,b)`
    In,
    /// `notin (a,b)`
    NotIn,
    /// the key alone
    Exists,
    /// `!key`
    DoesNotExist,
    /// `>`
    GreaterThan,
    /// `<`
    LessThan,
}

/// One requirement on a label.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Requirement {
    /// The label's key.
    pub key: String,
    /// How its value compares.
    pub operator: Operator,
    /// With what; sorted, empty for `Exists` and `DoesNotExist`.
    pub values: Vec<String>,
}

impl Requirement {
    /// Whether a label with this value (`None`: absent) meets the requirement.
    pub fn matches(&self, value: Option<&str>) -> bool {
        let listed = |value: &str| self.values.iter().any(|one| one == value);
        match self.operator {
            Operator::Equals | Operator::In => value.is_some_and(listed),
            Operator::NotEquals | Operator::NotIn => !value.is_some_and(listed),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan | Operator::LessThan => {
                let bound = self.values.first().and_then(|bound| bound.parse::<i64>().ok());
                match (value.and_then(|value| value.parse::<i64>().ok()), bound) {
                    (Some(value), Some(bound)) if self.operator == Operator::GreaterThan => value > bound,
                    (Some(value), Some(bound)) => value < bound,
                    _ => false,
                }
            }
        }
    }
}

/// All requirements must hold; none means everything matches.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Selector {
    /// The requirements, in the order given.
    pub requirements: Vec<Requirement>,
    /// True for the selector that matches nothing (a null `LabelSelector`).
    pub nothing: bool,
}

/// Why a selector cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(pub String);

impl Selector {
    /// Matches every object.
    pub fn everything() -> Self {
        Self::default()
    }

    /// Matches no object.
    pub fn nothing() -> Self {
        Self { requirements: Vec::new(), nothing: true }
    }

    /// Whether every object matches.
    pub fn is_everything(&self) -> bool {
        !self.nothing && self.requirements.is_empty()
    }

    /// Exact matches of every pair, as a ReplicationController's or Service's selector.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let requirements = pairs
            .into_iter()
            .map(|(key, value)| Requirement {
                key: key.into(),
                operator: Operator::Equals,
                values: vec![value.into()],
            })
            .collect();
        Self { requirements, nothing: false }
    }

    /// Whether labels match; `get` gives a label's value by key.
    pub fn matches<'a>(&self, get: impl Fn(&str) -> Option<&'a str>) -> bool {
        !self.nothing
            && self.requirements.iter().all(|requirement| requirement.matches(get(&requirement.key)))
    }

    /// Whether a `labels` map of an object (absent: `None`) matches.
    pub fn matches_value(&self, labels: Option<&serde_json::Map<String, Value>>) -> bool {
        self.matches(|key| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str))
    }

    /// Whether a sorted map of labels (absent: `None`) matches.
    pub fn matches_map(&self, labels: Option<&std::collections::BTreeMap<String, String>>) -> bool {
        self.matches(|key| labels.and_then(|labels| labels.get(key)).map(String::as_str))
    }

    /// Reads a `LabelSelector` object (`matchLabels`, `matchExpressions`). Null or absent matches nothing.
    pub fn from_label_selector(selector: &Value) -> Result<Self, ParseError> {
        let Some(object) = selector.as_object() else { return Ok(Self::nothing()) };
        let mut requirements = Vec::new();
        for (key, value) in object.get("matchLabels").and_then(Value::as_object).into_iter().flatten() {
            requirements.push(Requirement {
                key: key.clone(),
                operator: Operator::Equals,
                values: vec![value.as_str().unwrap_or("").into()],
            });
        }
        for expression in object.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
            let operator = match expression["operator"].as_str().unwrap_or("") {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => return Err(ParseError(format!("{other:?} is not a valid label selector operator"))),
            };
            let mut values: Vec<String> = expression["values"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|value| value.as_str().map(str::to_owned))
                .collect();
            values.sort();
            requirements.push(Requirement {
                key: expression["key"].as_str().unwrap_or("").into(),
                operator,
                values,
            });
        }
        Ok(Self { requirements, nothing: false })
    }
}

impl fmt::Display for Selector {
    /// The string form that [`parse`] reads, in upstream's spelling.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted: Vec<&Requirement> = self.requirements.iter().collect();
        sorted.sort_by(|a, b| a.key.cmp(&b.key));
        for (index, requirement) in sorted.into_iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            let (key, values) = (&requirement.key, requirement.values.join(","));
            match requirement.operator {
                Operator::Equals => write!(f, "{key}={values}")?,
                Operator::NotEquals => write!(f, "{key}!={values}")?,
                Operator::In => write!(f, "{key} in ({values})")?,
                Operator::NotIn => write!(f, "{key} notin ({values})")?,
                Operator::Exists => write!(f, "{key}")?,
                Operator::DoesNotExist => write!(f, "!{key}")?,
                Operator::GreaterThan => write!(f, "{key}>{values}")?,
                Operator::LessThan => write!(f, "{key}<{values}")?,
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Symbol(&'static str),
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    const SYMBOLS: [&str; 9] = ["==", "!=", "!", "=", "(", ")", ",", ">", "<"];
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            tokens.push(Token::Symbol(symbol));
            rest = &rest[symbol.len()..];
        } else {
            let end = rest
                .find(|char: char| char.is_whitespace() || "=!(),><".contains(char))
                .unwrap_or(rest.len());
            tokens.push(Token::Word(&rest[..end]));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    tokens
}

/// Reads the string form: `a=b,c!=d,e in (f,g),h,!i,j>3`. Empty text matches everything.
pub fn parse(text: &str) -> Result<Selector, ParseError> {
    let tokens = tokens(text);
    let mut requirements = Vec::new();
    let mut at = 0;
    let unable = |why: String| ParseError(format!("unable to parse requirement: {why}"));
    while at < tokens.len() {
        let negated = tokens[at] == Token::Symbol("!");
        if negated {
            at += 1;
        }
        let Some(Token::Word(key)) = tokens.get(at) else {
            let found = match tokens.get(at) {
                Some(Token::Symbol(symbol)) => *symbol,
                _ => "",
            };
            return Err(unable(format!("found '{found}', expected: identifier")));
        };
        let key_errors = qualified_name_errors(key);
        if !key_errors.is_empty() {
            return Err(unable(format!("<nil>: Invalid value: {key:?}: {}", key_errors.join("; "))));
        }
        at += 1;
        let one_value = |at: usize| match tokens.get(at) {
            Some(Token::Word(value)) => ((*value).to_owned(), at + 1),
            _ => (String::new(), at),
        };
        let (operator, values) = if negated {
            (Operator::DoesNotExist, Vec::new())
        } else {
            match tokens.get(at) {
                None | Some(Token::Symbol(",")) => (Operator::Exists, Vec::new()),
                Some(Token::Symbol(symbol @ ("=" | "==" | "!=" | ">" | "<"))) => {
                    let (value, next) = one_value(at + 1);
                    at = next;
                    let operator = match *symbol {
                        "!=" => Operator::NotEquals,
                        ">" => Operator::GreaterThan,
                        "<" => Operator::LessThan,
                        _ => Operator::Equals,
                    };
                    (operator, vec![value])
                }
                Some(Token::Word(word @ ("in" | "notin"))) => {
                    if tokens.get(at + 1) != Some(&Token::Symbol("(")) {
                        return Err(unable(format!(
                            "found '{}', expected: '('",
                            text_of(tokens.get(at + 1))
                        )));
                    }
                    at += 2;
                    let mut values = Vec::new();
                    loop {
                        let (value, next) = one_value(at);
                        values.push(value);
                        at = next;
                        match tokens.get(at) {
                            Some(Token::Symbol(",")) => at += 1,
                            Some(Token::Symbol(")")) => break,
                            other => {
                                return Err(unable(format!(
                                    "found '{}', expected: ',' or ')'",
                                    text_of(other)
                                )));
                            }
                        }
                    }
                    at += 1;
                    values.sort();
                    values.dedup();
                    (if *word == "in" { Operator::In } else { Operator::NotIn }, values)
                }
                other => {
                    return Err(unable(format!(
                        "found '{}', expected: in, notin, =, ==, !=, gt, lt",
                        text_of(other)
                    )));
                }
            }
        };
        if matches!(operator, Operator::GreaterThan | Operator::LessThan)
            && values.first().is_none_or(|value| value.parse::<i64>().is_err())
        {
            return Err(unable(format!(
                "for 'Gt', 'Lt' operators, the value must be an integer, found {:?}",
                values.first().map(String::as_str).unwrap_or("")
            )));
        }
        for value in &values {
            let errors = label_value_errors(value);
            if !errors.is_empty() {
                return Err(unable(format!(
                    "values[0][{key}]: Invalid value: {value:?}: {}",
                    errors.join("; ")
                )));
            }
        }
        requirements.push(Requirement { key: (*key).to_owned(), operator, values });
        match tokens.get(at) {
            None => {}
            Some(Token::Symbol(",")) => {
                at += 1;
                if at == tokens.len() {
                    return Err(ParseError("found '', expected: identifier after ','".into()));
                }
            }
            other => {
                return Err(ParseError(format!(
                    "found '{}', expected: ',' or 'end of string'",
                    text_of(other)
                )));
            }
        }
    }
    Ok(Selector { requirements, nothing: false })
}

fn text_of<'a>(token: Option<&Token<'a>>) -> &'a str {
    match token {
        Some(Token::Word(word)) => word,
        Some(Token::Symbol(symbol)) => symbol,
        None => "",
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn check(selector: &str, labels: &[(&str, &str)], expected: bool) {
        let labels: BTreeMap<String, String> =
            labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        assert_eq!(parse(selector).unwrap().matches_map(Some(&labels)), expected, "{selector}");
    }

    #[test]
    fn string_selectors_match() {
        let web = [("app", "web"), ("tier", "front"), ("n", "5")];
        check("", &web, true);
        check("app=web", &web, true);
        check("app==web,tier=front", &web, true);
        check("app!=web", &web, false);
        check("none!=x", &web, true);
        check("app in (web, db)", &web, true);
        check("app notin (web,db)", &web, false);
        check("none notin (x)", &web, true);
        check("app", &web, true);
        check("!app", &web, false);
        check("!none", &web, true);
        check("n>4,n<6", &web, true);
        check("app=", &web, false);
        check("in=x", &web, false);
    }

    #[test]
    fn malformed_selectors_are_refused() {
        for bad in ["a b", "a in b", "a in (b", "=x", "a=b,", "a=b c", "a>x", "a=-"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn object_selectors_match_and_print() {
        let selector = Selector::from_label_selector(&json!({
            "matchLabels": {"app": "web"},
            "matchExpressions": [{"key": "tier", "operator": "In", "values": ["b", "a"]}],
        }))
        .unwrap();
        assert_eq!(selector.to_string(), "app=web,tier in (a,b)");
        assert!(selector.matches_value(json!({"app": "web", "tier": "a"}).as_object()));
        assert!(!Selector::from_label_selector(&Value::Null).unwrap().matches_value(None));
        assert!(Selector::from_label_selector(&json!({})).unwrap().matches_value(None));
    }
}
