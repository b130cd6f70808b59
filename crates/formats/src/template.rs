//! `-o go-template`: the part of Go's text/template that people use with kubectl.

use std::cmp::Ordering;

use base64::Engine;
use serde_json::Value;

use crate::error::{Error, Result};

/// A parsed template.
#[derive(Debug)]
pub struct Template {
    nodes: Vec<Node>,
}

#[derive(Debug)]
enum Node {
    Text(String),
    Print(Pipeline),
    If(Pipeline, Vec<Node>, Vec<Node>),
    With(Pipeline, Vec<Node>, Vec<Node>),
    Range(Pipeline, Vec<Node>, Vec<Node>),
}

#[derive(Debug)]
struct Pipeline {
    variables: Vec<String>,
    assign: bool,
    stages: Vec<Vec<Term>>,
}

#[derive(Debug)]
enum Term {
    Literal(Value),
    Path(Base, Vec<String>),
    Function(String),
    Group(Pipeline, Vec<String>),
}

#[derive(Debug)]
enum Base {
    Dot,
    Variable(String),
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Number(String),
    Symbol(char),
    Assign(bool),
    Space,
}

impl Template {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self> {
        let fail = |reason: String| {
            Error::message(format!("error parsing template {text}, template: output:1: {reason}"))
        };
        let pieces = pieces(text).map_err(fail)?;
        if nesting(&pieces) > DEEPEST {
            return Err(fail(format!("max expression depth {DEEPEST} exceeded")));
        }
        let mut pieces = pieces.into_iter().peekable();
        let (nodes, end) = nodes(&mut pieces).map_err(fail)?;
        match end {
            None => Ok(Self { nodes }),
            Some(word) => Err(fail(format!("unexpected {{{{{word}}}}}"))),
        }
    }

    /// The text for an object.
    pub fn render(&self, root: &Value) -> Result<String> {
        let mut scope = Scope { variables: vec![(String::new(), root.clone())], text: String::new() };
        scope.run(&self.nodes, root).map_err(|reason| {
            Error::message(format!("error executing template: template: output:1: {reason}"))
        })?;
        Ok(scope.text)
    }
}

/// A range over a number takes no more turns.
const MOST_TURNS: i64 = 1 << 20;

/// Blocks and parentheses may not lie deeper in each other: reading them takes stack.
const DEEPEST: usize = 200;

/// How deep blocks and parentheses lie in each other at most.
fn nesting(pieces: &[Piece]) -> usize {
    let (mut blocks, mut deepest) = (0_usize, 0);
    for piece in pieces {
        let Piece::Action(tokens) = piece else { continue };
        match tokens.first() {
            Some(Token::Word(word)) if matches!(word.as_str(), "if" | "with" | "range" | "else") => {
                blocks += 1;
            }
            _ => {}
        }
        let mut open = 0_usize;
        for token in tokens {
            match token {
                Token::Symbol('(') => open += 1,
                Token::Symbol(')') => open = open.saturating_sub(1),
                _ => {}
            }
            deepest = deepest.max(blocks + open);
        }
        // Where a block with branches ends is not worth finding out: their number is a bound of their depth.
        if matches!(tokens.first(), Some(Token::Word(word)) if word == "end") {
            blocks = blocks.saturating_sub(1);
        }
    }
    deepest
}

enum Piece {
    Text(String),
    Action(Vec<Token>),
}

fn pieces(text: &str) -> std::result::Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut trim = false;
    loop {
        let (before, after) = match rest.split_once("{{") {
            Some((before, after)) => (before, Some(after)),
            None => (rest, None),
        };
        let mut literal = if trim { before.trim_start() } else { before };
        let Some(mut action) = after else {
            pieces.push(Piece::Text(literal.to_string()));
            return Ok(pieces);
        };
        if let Some(trimmed) = action.strip_prefix("- ") {
            literal = literal.trim_end();
            action = trimmed;
        }
        pieces.push(Piece::Text(literal.to_string()));
        let end = close(action).ok_or("unclosed action")?;
        rest = &action[end + 2..];
        let mut body = action[..end].trim_end();
        trim = body.ends_with(" -");
        if trim {
            body = body[..body.len() - 1].trim_end();
        }
        if !body.trim_start().starts_with("/*") {
            pieces.push(Piece::Action(tokens(body.trim())?));
        }
    }
}

/// Where `}}` closes the action, outside quotes.
fn close(action: &str) -> Option<usize> {
    let bytes = action.as_bytes();
    let mut quote = None;
    let mut at = 0;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(b'"'), b'\\') => at += 1,
            (Some(open), c) if c == open => quote = None,
            (None, c @ (b'"' | b'`')) => quote = Some(c),
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

fn tokens(text: &str) -> std::result::Result<Vec<Token>, String> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let c = chars[at];
        if c.is_whitespace() {
            tokens.push(Token::Space);
            while chars.get(at).is_some_and(|c| c.is_whitespace()) {
                at += 1;
            }
        } else if c == '"' {
            let start = at;
            at += 1;
            while chars.get(at).is_some_and(|c| *c != '"') {
                at += 1 + usize::from(chars[at] == '\\');
            }
            at += 1;
            let quoted: String = chars.get(start..at).ok_or("unterminated quoted string")?.iter().collect();
            tokens
                .push(Token::Text(serde_json::from_str(&quoted).map_err(|_| "unterminated quoted string")?));
        } else if c == '`' {
            let end =
                chars[at + 1..].iter().position(|c| *c == '`').ok_or("unterminated raw quoted string")?;
            tokens.push(Token::Text(chars[at + 1..at + 1 + end].iter().collect()));
            at += end + 2;
        } else if c.is_ascii_digit() || (c == '-' && chars.get(at + 1).is_some_and(char::is_ascii_digit)) {
            let start = at;
            at += 1;
            while chars.get(at).is_some_and(|c| c.is_ascii_digit() || *c == '.') {
                at += 1;
            }
            tokens.push(Token::Number(chars[start..at].iter().collect()));
        } else if c == ':' && chars.get(at + 1) == Some(&'=') {
            tokens.push(Token::Assign(true));
            at += 2;
        } else if c == '=' {
            tokens.push(Token::Assign(false));
            at += 1;
        } else if c.is_alphanumeric() || c == '_' || c == '$' {
            let start = at;
            at += 1;
            while chars.get(at).is_some_and(|c| c.is_alphanumeric() || *c == '_') {
                at += 1;
            }
            tokens.push(Token::Word(chars[start..at].iter().collect()));
        } else {
            tokens.push(Token::Symbol(c));
            at += 1;
        }
    }
    Ok(tokens)
}

type Pieces = std::iter::Peekable<std::vec::IntoIter<Piece>>;

/// Reads nodes up to `end` or `else`, whose words are returned; of an `else if`, the last node is the else branch.
fn nodes(pieces: &mut Pieces) -> std::result::Result<(Vec<Node>, Option<String>), String> {
    let mut found = Vec::new();
    while let Some(piece) = pieces.next() {
        match piece {
            Piece::Text(text) => found.push(Node::Text(text)),
            Piece::Action(tokens) => {
                let word = match tokens.first() {
                    Some(Token::Word(word)) => word.clone(),
                    _ => String::new(),
                };
                match word.as_str() {
                    "end" => return Ok((found, Some("end".into()))),
                    "else" => {
                        let rest = &tokens[1..];
                        if rest.is_empty() {
                            return Ok((found, Some("else".into())));
                        }
                        // `else if x` is an `if` of its own inside the else branch.
                        let nested = trimmed(rest);
                        let node = block(&nested, pieces)?;
                        found.push(node);
                        return Ok((found, Some("else-if".into())));
                    }
                    "if" | "with" | "range" => found.push(block(&tokens, pieces)?),
                    _ => found.push(Node::Print(pipeline(&tokens)?)),
                }
            }
        }
    }
    Ok((found, None))
}

fn block(tokens: &[Token], pieces: &mut Pieces) -> std::result::Result<Node, String> {
    let Some(Token::Word(word)) = tokens.first() else { return Err("unexpected action".into()) };
    let condition = pipeline(&trimmed(&tokens[1..]))?;
    let (mut body, end) = nodes(pieces)?;
    let otherwise = match end.as_deref() {
        Some("end") => Vec::new(),
        Some("else") => {
            let (otherwise, end) = nodes(pieces)?;
            if end.as_deref() != Some("end") {
                return Err("expected end".into());
            }
            otherwise
        }
        Some("else-if") => body.pop().into_iter().collect(),
        _ => return Err("unexpected EOF".into()),
    };
    Ok(match word.as_str() {
        "if" => Node::If(condition, body, otherwise),
        "with" => Node::With(condition, body, otherwise),
        _ => Node::Range(condition, body, otherwise),
    })
}

fn trimmed(tokens: &[Token]) -> Vec<Token> {
    tokens.iter().skip_while(|token| **token == Token::Space).cloned().collect()
}

fn pipeline(tokens: &[Token]) -> std::result::Result<Pipeline, String> {
    let mut at = 0;
    let mut variables = Vec::new();
    let mut assign = false;
    if let Some(position) = tokens.iter().position(|token| matches!(token, Token::Assign(_))) {
        for token in &tokens[..position] {
            if let Token::Word(word) = token
                && let Some(name) = word.strip_prefix('$')
            {
                variables.push(name.to_string());
            }
        }
        assign = tokens[position] == Token::Assign(false);
        at = position + 1;
    }
    let (stages, end) = stages(tokens, at)?;
    match end == tokens.len() {
        true => Ok(Pipeline { variables, assign, stages }),
        false => Err("unexpected \")\" in command".into()),
    }
}

/// A command's terms.
type Stages = Vec<Vec<Term>>;

fn stages(tokens: &[Token], mut at: usize) -> std::result::Result<(Stages, usize), String> {
    let mut stages: Stages = vec![Vec::new()];
    while at < tokens.len() {
        let term = match &tokens[at] {
            Token::Space => {
                at += 1;
                continue;
            }
            Token::Symbol('|') => {
                stages.push(Vec::new());
                at += 1;
                continue;
            }
            Token::Symbol(')') => break,
            Token::Symbol('(') => {
                let (inner, end) = self::stages(tokens, at + 1)?;
                if tokens.get(end) != Some(&Token::Symbol(')')) {
                    return Err("unclosed left paren".into());
                }
                let (fields, end) = fields(tokens, end + 1);
                at = end;
                Term::Group(Pipeline { variables: Vec::new(), assign: false, stages: inner }, fields)
            }
            Token::Symbol('.') => {
                let (fields, end) = fields(tokens, at);
                at = if fields.is_empty() { at + 1 } else { end };
                Term::Path(Base::Dot, fields)
            }
            Token::Word(word) if word.starts_with('$') => {
                let (fields, end) = fields(tokens, at + 1);
                at = end;
                Term::Path(Base::Variable(word[1..].to_string()), fields)
            }
            Token::Word(word) => {
                at += 1;
                match word.as_str() {
                    "true" => Term::Literal(true.into()),
                    "false" => Term::Literal(false.into()),
                    "nil" => Term::Literal(Value::Null),
                    _ => Term::Function(word.clone()),
                }
            }
            Token::Text(text) => {
                at += 1;
                Term::Literal(text.clone().into())
            }
            Token::Number(text) => {
                at += 1;
                Term::Literal(
                    serde_json::from_str(text).map_err(|_| format!("bad number syntax: \"{text}\""))?,
                )
            }
            other => return Err(format!("unexpected {other:?} in operand")),
        };
        if let Some(stage) = stages.last_mut() {
            stage.push(term);
        }
    }
    if stages.iter().any(Vec::is_empty) {
        return Err("missing value for command".into());
    }
    Ok((stages, at))
}

/// `.a.b` at this place.
fn fields(tokens: &[Token], mut at: usize) -> (Vec<String>, usize) {
    let mut names = Vec::new();
    while tokens.get(at) == Some(&Token::Symbol('.')) {
        let Some(Token::Word(name)) = tokens.get(at + 1) else { break };
        names.push(name.clone());
        at += 2;
    }
    (names, at)
}

struct Scope {
    variables: Vec<(String, Value)>,
    text: String,
}

type Run<T> = std::result::Result<T, String>;

impl Scope {
    fn run(&mut self, nodes: &[Node], dot: &Value) -> Run<()> {
        for node in nodes {
            match node {
                Node::Text(text) => self.text.push_str(text),
                Node::Print(pipeline) => {
                    let value = self.eval(pipeline, dot)?;
                    if pipeline.variables.is_empty() {
                        self.text.push_str(&show(&value));
                    }
                }
                Node::If(condition, body, otherwise) => {
                    let depth = self.variables.len();
                    let value = self.eval(condition, dot)?;
                    self.run(if truth(&value) { body } else { otherwise }, dot)?;
                    self.variables.truncate(depth);
                }
                Node::With(condition, body, otherwise) => {
                    let depth = self.variables.len();
                    let value = self.eval(condition, dot)?;
                    if truth(&value) {
                        self.run(body, &value)?
                    } else {
                        self.run(otherwise, dot)?
                    }
                    self.variables.truncate(depth);
                }
                Node::Range(over, body, otherwise) => self.range(over, body, otherwise, dot)?,
            }
        }
        Ok(())
    }

    fn range(&mut self, over: &Pipeline, body: &[Node], otherwise: &[Node], dot: &Value) -> Run<()> {
        let plain = self.stages(&over.stages, dot)?;
        let entries: Vec<(Value, Value)> = match plain {
            Value::Array(items) => {
                items.into_iter().enumerate().map(|(at, item)| (at.into(), item)).collect()
            }
            Value::Object(fields) => fields.into_iter().map(|(key, value)| (key.into(), value)).collect(),
            Value::Null => Vec::new(),
            Value::Number(count) if count.as_i64().is_some_and(|count| count > MOST_TURNS) => {
                return Err(format!("range can't iterate over {count}"));
            }
            Value::Number(count) => {
                (0..count.as_i64().unwrap_or(0)).map(|at| (at.into(), at.into())).collect()
            }
            other => return Err(format!("range can't iterate over {}", show(&other))),
        };
        if entries.is_empty() {
            return self.run(otherwise, dot);
        }
        for (key, value) in entries {
            let depth = self.variables.len();
            match over.variables.as_slice() {
                [item] => self.variables.push((item.clone(), value.clone())),
                [index, item] => {
                    self.variables.push((index.clone(), key));
                    self.variables.push((item.clone(), value.clone()));
                }
                _ => {}
            }
            self.run(body, &value)?;
            self.variables.truncate(depth);
        }
        Ok(())
    }

    fn eval(&mut self, pipeline: &Pipeline, dot: &Value) -> Run<Value> {
        let value = self.stages(&pipeline.stages, dot)?;
        for name in &pipeline.variables {
            match self.variables.iter_mut().rev().find(|(known, _)| pipeline.assign && known == name) {
                Some((_, known)) => *known = value.clone(),
                None => self.variables.push((name.clone(), value.clone())),
            }
        }
        Ok(value)
    }

    fn stages(&mut self, stages: &[Vec<Term>], dot: &Value) -> Run<Value> {
        let mut last: Option<Value> = None;
        for stage in stages {
            let Some((first, rest)) = stage.split_first() else {
                return Err("missing value for command".into());
            };
            last = Some(match first {
                Term::Function(name) => {
                    let mut arguments = Vec::new();
                    for term in rest {
                        arguments.push(self.term(term, dot)?);
                    }
                    arguments.extend(last);
                    call(name, arguments)?
                }
                term => self.term(term, dot)?,
            });
        }
        Ok(last.unwrap_or_default())
    }

    fn term(&mut self, term: &Term, dot: &Value) -> Run<Value> {
        let (base, names) = match term {
            Term::Literal(value) => return Ok(value.clone()),
            Term::Function(name) => return call(name, Vec::new()),
            Term::Path(Base::Dot, names) => (dot.clone(), names),
            Term::Path(Base::Variable(name), names) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                (
                    found
                        .map(|(_, value)| value.clone())
                        .ok_or_else(|| format!("undefined variable \"${name}\""))?,
                    names,
                )
            }
            Term::Group(pipeline, names) => (self.stages(&pipeline.stages, dot)?, names),
        };
        let mut value = &base;
        for name in names {
            match value {
                Value::Object(_) | Value::Null => value = &value[name.as_str()],
                other => return Err(format!("can't evaluate field {name} in type {}", kind(other))),
            }
        }
        Ok(value.clone())
    }
}

fn call(name: &str, arguments: Vec<Value>) -> Run<Value> {
    let compare = |test: fn(Ordering) -> bool| -> Run<Value> {
        match arguments.as_slice() {
            [left, right] => Ok(test(crate::jsonpath::order(left, right)).into()),
            _ => Err(format!("wrong number of args for {name}: want 2 got {}", arguments.len())),
        }
    };
    match name {
        "len" => match arguments.first() {
            Some(Value::Array(items)) => Ok(items.len().into()),
            Some(Value::Object(fields)) => Ok(fields.len().into()),
            Some(Value::String(text)) => Ok(text.len().into()),
            _ => Err("error calling len: len of nil pointer".into()),
        },
        "index" => {
            let mut values = arguments.into_iter();
            let mut value = values.next().unwrap_or_default();
            for key in values {
                value = match (&value, &key) {
                    (Value::Object(_), Value::String(key)) => value[key.as_str()].clone(),
                    (Value::Array(items), Value::Number(at)) => at
                        .as_u64()
                        .and_then(|at| items.get(usize::try_from(at).ok()?))
                        .cloned()
                        .ok_or_else(|| format!("error calling index: index out of range: {at}"))?,
                    (Value::Null, _) => return Err("error calling index: index of untyped nil".into()),
                    _ => return Err("error calling index: cannot index".into()),
                };
            }
            Ok(value)
        }
        "eq" => match arguments.split_first() {
            Some((left, rest)) => Ok(rest
                .iter()
                .any(|right| left == right || (left.is_number() && left.as_f64() == right.as_f64()))
                .into()),
            None => Err("wrong number of args for eq".into()),
        },
        "ne" => Ok((arguments.first() != arguments.get(1)).into()),
        "lt" => compare(Ordering::is_lt),
        "le" => compare(Ordering::is_le),
        "gt" => compare(Ordering::is_gt),
        "ge" => compare(Ordering::is_ge),
        "not" => Ok((!truth(arguments.first().unwrap_or(&Value::Null))).into()),
        "and" => {
            let last = arguments.last().cloned().unwrap_or_default();
            Ok(arguments.into_iter().find(|value| !truth(value)).unwrap_or(last))
        }
        "or" => {
            let last = arguments.last().cloned().unwrap_or_default();
            Ok(arguments.into_iter().find(truth).unwrap_or(last))
        }
        "print" => Ok(arguments.iter().map(show).collect::<Vec<_>>().join("").into()),
        "println" => Ok(format!("{}\n", arguments.iter().map(show).collect::<Vec<_>>().join(" ")).into()),
        "printf" => Ok(printf(&arguments).into()),
        "exists" => {
            let Some((value, keys)) = arguments.split_first() else { return Ok(false.into()) };
            let mut value = value;
            for key in keys {
                value = match key {
                    Value::String(key) => &value[key.as_str()],
                    Value::Number(at) => &value[at.as_u64().unwrap_or(u64::MAX) as usize],
                    _ => &Value::Null,
                };
            }
            Ok((!value.is_null()).into())
        }
        "base64decode" => {
            let text = arguments.first().and_then(Value::as_str).unwrap_or("");
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(text)
                .map_err(|error| format!("error calling base64decode: {error}"))?;
            Ok(String::from_utf8_lossy(&bytes).into_owned().into())
        }
        _ => Err(format!("function \"{name}\" not defined")),
    }
}

fn printf(arguments: &[Value]) -> String {
    let format = arguments.first().and_then(Value::as_str).unwrap_or("");
    let mut values = arguments.iter().skip(1);
    let mut text = String::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        let mut flags = String::new();
        while chars.peek().is_some_and(|c| matches!(c, '-' | '+' | '0'..='9' | '.')) {
            flags.extend(chars.next());
        }
        let piece = match chars.next() {
            Some('%') => "%".to_string(),
            Some('q') => {
                values.next().map(|value| Value::String(show(value)).to_string()).unwrap_or_default()
            }
            Some(_) => values.next().map(show).unwrap_or_default(),
            None => "%!(NOVERB)".into(),
        };
        let width: usize =
            flags.trim_start_matches('-').split('.').next().and_then(|w| w.parse().ok()).unwrap_or(0);
        let width = width.min(1024);
        text.push_str(&if flags.starts_with('-') {
            format!("{piece:<width$}")
        } else {
            format!("{piece:>width$}")
        });
    }
    text
}

fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "[]interface {}",
        Value::Number(_) => "float64",
        Value::Bool(_) => "bool",
        _ => "string",
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => format!(
            "map[{}]",
            fields.iter().map(|(key, value)| format!("{key}:{}", show(value))).collect::<Vec<_>>().join(" ")
        ),
        other => other.to_string(),
    }
}
