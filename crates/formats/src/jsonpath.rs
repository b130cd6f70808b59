//! kubectl's JSONPath dialect: text with `{…}` in it, `range` and `end`, filters, slices and recursive descent.

use std::cmp::Ordering;

use serde_json::Value;

use crate::error::{Error, Result};

/// A parsed template.
#[derive(Debug)]
pub struct Template {
    nodes: Vec<Node>,
    allow_missing: bool,
}

#[derive(Debug)]
enum Node {
    Text(String),
    Path(Path),
    Range(Path, Vec<Node>),
}

#[derive(Debug, Clone)]
struct Path {
    from_root: bool,
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
enum Step {
    Field(String),
    Wildcard,
    Recursive,
    Index(i64),
    Slice(Option<i64>, Option<i64>, Option<i64>),
    Union(Vec<Step>),
    Filter(Box<Operand>, Option<(Compare, Box<Operand>)>),
}

#[derive(Debug, Clone)]
enum Operand {
    Path(Path),
    Literal(Value),
}

#[derive(Debug, Clone, Copy)]
enum Compare {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// Ranges and filters may not lie deeper in each other: reading them takes stack.
const DEEPEST: usize = 200;

impl Template {
    /// Reads a template; with `allow_missing`, fields that are not there print as nothing.
    pub fn parse(text: &str, allow_missing: bool) -> Result<Self> {
        if text.matches("range").count() + text.matches("[?").count() > DEEPEST {
            return Err(Error::message(format!("error parsing jsonpath {text}, it is too deep")));
        }
        let mut parser = Parser { chars: text.chars().collect(), at: 0 };
        let nodes = parser
            .nodes(false)
            .map_err(|reason| Error::message(format!("error parsing jsonpath {text}, {reason}")))?;
        Ok(Self { nodes, allow_missing })
    }

    /// The text for an object.
    pub fn render(&self, root: &Value) -> Result<String> {
        let mut text = String::new();
        self.write(&self.nodes, root, root, &mut text)?;
        Ok(text)
    }

    /// All values that the template's paths find.
    pub fn values<'a>(&self, root: &'a Value) -> Result<Vec<&'a Value>> {
        let mut found = Vec::new();
        for node in &self.nodes {
            if let Node::Path(path) = node {
                found.extend(self.find(path, root, root)?);
            }
        }
        Ok(found)
    }

    fn write(&self, nodes: &[Node], root: &Value, current: &Value, text: &mut String) -> Result<()> {
        for node in nodes {
            match node {
                Node::Text(literal) => text.push_str(literal),
                Node::Path(path) => {
                    let found = self.find(path, root, current)?;
                    text.push_str(&found.into_iter().map(show).collect::<Vec<_>>().join(" "));
                }
                Node::Range(path, body) => {
                    for item in self.find(path, root, current)? {
                        self.write(body, root, item, text)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn find<'a>(&self, path: &Path, root: &'a Value, current: &'a Value) -> Result<Vec<&'a Value>> {
        let mut found = vec![if path.from_root { root } else { current }];
        for step in &path.steps {
            let mut next = Vec::new();
            for value in found {
                self.step(step, value, root, &mut next)?;
            }
            found = next;
        }
        Ok(found)
    }

    fn step<'a>(
        &self,
        step: &Step,
        value: &'a Value,
        root: &'a Value,
        out: &mut Vec<&'a Value>,
    ) -> Result<()> {
        match step {
            Step::Field(name) => match value.get(name) {
                Some(field) => out.push(field),
                None if self.allow_missing || !(value.is_object() || value.is_null()) => {}
                None => return Err(Error::message(format!("{name} is not found"))),
            },
            Step::Wildcard => match value {
                Value::Array(items) => out.extend(items),
                Value::Object(fields) => out.extend(fields.values()),
                _ => {}
            },
            Step::Recursive => descend(value, out),
            Step::Index(index) => {
                let Value::Array(items) = value else { return Ok(()) };
                let at = if *index < 0 { items.len() as i64 + index } else { *index };
                match usize::try_from(at).ok().and_then(|at| items.get(at)) {
                    Some(item) => out.push(item),
                    None if self.allow_missing => {}
                    None => {
                        return Err(Error::message(format!(
                            "array index out of bounds: index {index}, length {}",
                            items.len()
                        )));
                    }
                }
            }
            Step::Slice(start, end, stride) => {
                let Value::Array(items) = value else { return Ok(()) };
                let length = items.len() as i64;
                let clamp = |at: i64| (if at < 0 { at + length } else { at }).clamp(0, length) as usize;
                let (start, end) = (clamp(start.unwrap_or(0)), clamp(end.unwrap_or(length)));
                let stride = usize::try_from(stride.unwrap_or(1)).unwrap_or(1).max(1);
                if start < end {
                    out.extend(items[start..end].iter().step_by(stride));
                }
            }
            Step::Union(steps) => {
                for step in steps {
                    self.step(step, value, root, out)?;
                }
            }
            Step::Filter(left, right) => {
                let items: Box<dyn Iterator<Item = &'a Value>> = match value {
                    Value::Array(items) => Box::new(items.iter()),
                    Value::Object(fields) => Box::new(fields.values()),
                    _ => return Ok(()),
                };
                for item in items {
                    let lenient = Template { nodes: Vec::new(), allow_missing: true };
                    let left = lenient.operand(left, root, item)?;
                    let keep = match right {
                        None => !left.is_empty(),
                        Some((compare, right)) => {
                            let right = lenient.operand(right, root, item)?;
                            match (left.first(), right.first()) {
                                (Some(left), Some(right)) => compares(left, *compare, right),
                                _ => false,
                            }
                        }
                    };
                    if keep {
                        out.push(item);
                    }
                }
            }
        }
        Ok(())
    }

    fn operand(&self, operand: &Operand, root: &Value, item: &Value) -> Result<Vec<Value>> {
        Ok(match operand {
            Operand::Literal(value) => vec![value.clone()],
            Operand::Path(path) => self.find(path, root, item)?.into_iter().cloned().collect(),
        })
    }
}

/// How a value is printed within text.
pub fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Object(_) | Value::Array(_) => crate::json::compact(value),
        other => other.to_string(),
    }
}

/// Accepts `{.a.b}`, `.a.b`, `{a.b}` and `a.b` alike.
pub fn relaxed(path: &str) -> Result<String> {
    let inner = match (path.strip_prefix('{'), path.strip_suffix('}')) {
        (Some(rest), Some(_)) => &rest[..rest.len() - 1],
        (None, None) => path,
        _ => {
            return Err(Error::message("unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' or '{.name1.name2}'".to_string()));
        }
    };
    let dot = if inner.starts_with(['.', '[', '$', '@']) { "" } else { "." };
    Ok(format!("{{{dot}{inner}}}"))
}

/// Orders two values: numbers by size, quantities and texts as texts.
pub fn order(left: &Value, right: &Value) -> Ordering {
    match (left.as_f64(), right.as_f64()) {
        (Some(left), Some(right)) => left.total_cmp(&right),
        _ => show(left).cmp(&show(right)),
    }
}

fn compares(left: &Value, compare: Compare, right: &Value) -> bool {
    let order = match (left, right) {
        (Value::Number(_), Value::Number(_)) | (Value::String(_), Value::String(_)) => order(left, right),
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        _ => return matches!(compare, Compare::NotEqual),
    };
    match compare {
        Compare::Equal => order.is_eq(),
        Compare::NotEqual => order.is_ne(),
        Compare::Less => order.is_lt(),
        Compare::LessEqual => order.is_le(),
        Compare::Greater => order.is_gt(),
        Compare::GreaterEqual => order.is_ge(),
    }
}

fn descend<'a>(value: &'a Value, out: &mut Vec<&'a Value>) {
    match value {
        Value::Object(fields) => {
            out.push(value);
            fields.values().for_each(|field| descend(field, out));
        }
        Value::Array(items) => items.iter().for_each(|item| descend(item, out)),
        _ => {}
    }
}

struct Parser {
    chars: Vec<char>,
    at: usize,
}

type Parse<T> = std::result::Result<T, String>;

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn eat(&mut self, c: char) -> bool {
        let there = self.peek() == Some(c);
        self.at += usize::from(there);
        there
    }

    fn spaces(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn nodes(&mut self, in_range: bool) -> Parse<Vec<Node>> {
        let mut nodes = Vec::new();
        loop {
            let mut text = String::new();
            while self.peek().is_some_and(|c| c != '{') {
                text.extend(self.next());
            }
            if !text.is_empty() {
                nodes.push(Node::Text(text));
            }
            if !self.eat('{') {
                return if in_range { Err("unclosed range".into()) } else { Ok(nodes) };
            }
            loop {
                self.spaces();
                let Some(c) = self.peek() else { return Err("unclosed action".into()) };
                match c {
                    '}' => {
                        self.at += 1;
                        break;
                    }
                    '"' | '\'' => nodes.push(Node::Text(self.quoted()?)),
                    _ if c.is_alphabetic() => {
                        let mut word = String::new();
                        while self.peek().is_some_and(char::is_alphanumeric) {
                            word.extend(self.next());
                        }
                        match word.as_str() {
                            "range" => {
                                self.spaces();
                                let path = self.path()?;
                                self.spaces();
                                if !self.eat('}') {
                                    return Err("unclosed action".into());
                                }
                                let body = self.nodes(true)?;
                                nodes.push(Node::Range(path, body));
                                break;
                            }
                            "end" => {
                                self.spaces();
                                if !self.eat('}') {
                                    return Err("unclosed action".into());
                                }
                                return if in_range {
                                    Ok(nodes)
                                } else {
                                    Err("not in range, nothing to end".into())
                                };
                            }
                            other => return Err(format!("unrecognized identifier {other}")),
                        }
                    }
                    _ => {
                        let before = self.at;
                        let path = self.path()?;
                        if self.at == before {
                            let found = c as u32;
                            return Err(format!("unrecognized character in action: U+{found:04X} '{c}'"));
                        }
                        nodes.push(Node::Path(path));
                    }
                }
            }
        }
    }

    fn quoted(&mut self) -> Parse<String> {
        let quote = self.next().ok_or("unterminated quoted string")?;
        let mut text = String::new();
        loop {
            match self.next().ok_or("unterminated quoted string")? {
                '\\' => match self.next().ok_or("unterminated quoted string")? {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    other => text.push(other),
                },
                c if c == quote => return Ok(text),
                c => text.push(c),
            }
        }
    }

    fn path(&mut self) -> Parse<Path> {
        let from_root = match self.peek() {
            Some('@') => {
                self.at += 1;
                false
            }
            Some('$') => {
                self.at += 1;
                true
            }
            // Inside a range, a bare path starts at the current item.
            _ => false,
        };
        let mut steps = Vec::new();
        loop {
            match self.peek() {
                Some('.') => {
                    self.at += 1;
                    if self.eat('.') {
                        steps.push(Step::Recursive);
                    }
                    match self.peek() {
                        Some('*') => {
                            self.at += 1;
                            steps.push(Step::Wildcard);
                        }
                        Some('[') | None => {}
                        _ => {
                            let name = self.field();
                            if !name.is_empty() {
                                steps.push(Step::Field(name));
                            }
                        }
                    }
                }
                Some('[') => {
                    self.at += 1;
                    steps.push(self.bracket()?);
                }
                Some(c) if c.is_whitespace() || matches!(c, '}' | ')' | '=' | '!' | '<' | '>') => break,
                None => break,
                Some(c) if steps.is_empty() => {
                    return Err(format!("unrecognized character in action: U+{:04X} '{c}'", c as u32));
                }
                Some(c) => return Err(format!("invalid character '{c}' in path")),
            }
        }
        Ok(Path { from_root, steps })
    }

    fn field(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.peek() {
            match c {
                '\\' => {
                    self.at += 1;
                    name.extend(self.next());
                }
                '.' | '[' | ']' | '}' | ')' | '=' | '!' | '<' | '>' | ',' => break,
                c if c.is_whitespace() => break,
                c => {
                    name.push(c);
                    self.at += 1;
                }
            }
        }
        name
    }

    fn bracket(&mut self) -> Parse<Step> {
        self.spaces();
        if self.eat('?') {
            return self.filter();
        }
        let mut steps = Vec::new();
        loop {
            self.spaces();
            let step = match self.peek().ok_or("unterminated array")? {
                '*' => {
                    self.at += 1;
                    Step::Wildcard
                }
                '\'' | '"' => Step::Field(self.quoted()?),
                _ => self.index()?,
            };
            steps.push(step);
            self.spaces();
            match self.next().ok_or("unterminated array")? {
                ']' => break,
                ',' => {}
                other => return Err(format!("invalid array index {other}")),
            }
        }
        Ok(if steps.len() == 1 { steps.remove(0) } else { Step::Union(steps) })
    }

    fn index(&mut self) -> Parse<Step> {
        let mut text = String::new();
        while self.peek().is_some_and(|c| c.is_ascii_digit() || matches!(c, '-' | ':')) {
            text.extend(self.next());
        }
        let number = |text: &str| -> Parse<Option<i64>> {
            match text {
                "" => Ok(None),
                text => text.parse().map(Some).map_err(|_| format!("invalid array index {text}")),
            }
        };
        match text.split(':').collect::<Vec<_>>().as_slice() {
            [one] => Ok(Step::Index(number(one)?.ok_or("invalid array index ")?)),
            [start, end] => Ok(Step::Slice(number(start)?, number(end)?, None)),
            [start, end, stride] => Ok(Step::Slice(number(start)?, number(end)?, number(stride)?)),
            _ => Err(format!("invalid array index {text}")),
        }
    }

    fn filter(&mut self) -> Parse<Step> {
        if !self.eat('(') {
            return Err("unexpected filter: no parenthesis".into());
        }
        let left = self.operand()?;
        self.spaces();
        let compare = match self.peek() {
            Some(')') => None,
            _ => Some(self.compare()?),
        };
        let right = match compare {
            None => None,
            Some(compare) => Some((compare, Box::new(self.operand()?))),
        };
        self.spaces();
        if !self.eat(')') {
            return Err("unterminated filter".into());
        }
        self.spaces();
        if !self.eat(']') {
            return Err("unclosed array expect ]".into());
        }
        Ok(Step::Filter(Box::new(left), right))
    }

    fn compare(&mut self) -> Parse<Compare> {
        let first = self.next().ok_or("unterminated filter")?;
        let equal = self.eat('=');
        match (first, equal) {
            ('=', true) => Ok(Compare::Equal),
            ('!', true) => Ok(Compare::NotEqual),
            ('<', true) => Ok(Compare::LessEqual),
            ('<', false) => Ok(Compare::Less),
            ('>', true) => Ok(Compare::GreaterEqual),
            ('>', false) => Ok(Compare::Greater),
            (other, _) => Err(format!("unrecognized filter operator {other}")),
        }
    }

    fn operand(&mut self) -> Parse<Operand> {
        self.spaces();
        match self.peek().ok_or("unterminated filter")? {
            '"' | '\'' => Ok(Operand::Literal(self.quoted()?.into())),
            '@' | '$' | '.' | '[' => Ok(Operand::Path(self.path()?)),
            _ => {
                let mut word = String::new();
                while self
                    .peek()
                    .is_some_and(|c| !c.is_whitespace() && !matches!(c, ')' | '=' | '!' | '<' | '>'))
                {
                    word.extend(self.next());
                }
                serde_json::from_str::<Value>(&word)
                    .map(Operand::Literal)
                    .map_err(|_| format!("unrecognized value {word} in filter"))
            }
        }
    }
}
