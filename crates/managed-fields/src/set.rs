//! Sets of field paths, sorted, as trees: what `fieldsV1` holds.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::Value;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step<'a> {
    /// A field of a struct or a key of a map.
    Field(Cow<'a, str>),
    /// An item of a list by its keys: a JSON object, compact, keys sorted.
    Key(Cow<'a, str>),
    /// An item of a set by its value: a JSON scalar.
    Value(Cow<'a, str>),
    /// An item of a list by its place.
    Index(u32),
}

/// A set of paths. A path may be in it without its parents, and with none of its children.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set<'a> {
    pub(crate) nodes: Vec<Node<'a>>,
}

/// One step, whether the path that ends here is in the set, and what lies below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node<'a> {
    pub(crate) step: Step<'a>,
    pub(crate) member: bool,
    pub(crate) below: Set<'a>,
}

impl Step<'_> {
    /// A field of a name.
    pub fn field(name: &str) -> Step<'_> {
        Step::Field(Cow::Borrowed(name))
    }

    /// Copies what is borrowed.
    pub fn into_owned(self) -> Step<'static> {
        match self {
            Step::Field(name) => Step::Field(Cow::Owned(name.into_owned())),
            Step::Key(keys) => Step::Key(Cow::Owned(keys.into_owned())),
            Step::Value(value) => Step::Value(Cow::Owned(value.into_owned())),
            Step::Index(index) => Step::Index(index),
        }
    }
}

/// Prints as a piece of a path in a message: `.spec`, `[name="a"]`, `[="x"]`, `[0]`.
impl fmt::Display for Step<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Field(name) => write!(out, ".{name}"),
            Step::Value(value) => write!(out, "[={value}]"),
            Step::Index(index) => write!(out, "[{index}]"),
            Step::Key(keys) => {
                let keys: Value = serde_json::from_str(keys).unwrap_or_default();
                let pairs = keys.as_object().into_iter().flatten();
                let pairs: Vec<String> = pairs.map(|(key, value)| format!("{key}={value}")).collect();
                write!(out, "[{}]", pairs.join(","))
            }
        }
    }
}

impl<'a> Node<'a> {
    fn is_empty(&self) -> bool {
        !self.member && self.below.is_empty()
    }
}

impl<'a> Set<'a> {
    /// Whether no path is in it.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub(crate) fn find(&self, step: &Step<'_>) -> Option<&Node<'a>> {
        let at = self.nodes.binary_search_by(|node| node.step.cmp(step)).ok()?;
        self.nodes.get(at)
    }

    /// Adds a child; the caller adds them in order, or calls [`Set::sort`] afterwards.
    pub(crate) fn push(&mut self, step: Step<'a>, member: bool, below: Set<'a>) {
        if member || !below.is_empty() {
            self.nodes.push(Node { step, member, below });
        }
    }

    pub(crate) fn sort(&mut self) {
        self.nodes.sort_by(|a, b| a.step.cmp(&b.step));
    }

    /// Adds all paths of another set.
    pub fn unite(&mut self, other: Set<'a>) {
        if other.is_empty() {
            return;
        }
        if self.is_empty() {
            *self = other;
            return;
        }
        let mut mine = std::mem::take(&mut self.nodes).into_iter().peekable();
        let mut theirs = other.nodes.into_iter().peekable();
        loop {
            let order = match (mine.peek(), theirs.peek()) {
                (Some(mine), Some(theirs)) => mine.step.cmp(&theirs.step),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (None, None) => return,
            };
            match order {
                std::cmp::Ordering::Less => self.nodes.extend(mine.next()),
                std::cmp::Ordering::Greater => self.nodes.extend(theirs.next()),
                std::cmp::Ordering::Equal => {
                    if let (Some(mut node), Some(other)) = (mine.next(), theirs.next()) {
                        node.member |= other.member;
                        node.below.unite(other.below);
                        self.nodes.push(node);
                    }
                }
            }
        }
    }

    /// Takes all paths of another set away; says whether there were any.
    pub fn subtract(&mut self, other: &Set<'_>) -> bool {
        let mut others = other.nodes.iter().peekable();
        let mut taken = false;
        if other.is_empty() {
            return false;
        }
        self.nodes.retain_mut(|node| {
            while others.next_if(|other| other.step < node.step).is_some() {}
            if let Some(other) = others.peek().filter(|other| other.step == node.step) {
                taken |= node.member && other.member;
                node.member &= !other.member;
                taken |= node.below.subtract(&other.below);
            }
            !node.is_empty()
        });
        taken
    }

    /// Whether all paths of another set are in it.
    pub fn covers(&self, other: &Set<'_>) -> bool {
        let mut mine = self.nodes.iter().peekable();
        other.nodes.iter().all(|other| {
            while mine.next_if(|mine| mine.step < other.step).is_some() {}
            mine.peek().is_some_and(|mine| {
                mine.step == other.step && (mine.member || !other.member) && mine.below.covers(&other.below)
            })
        })
    }

    /// The paths that are in both.
    pub fn intersection(&self, other: &Set<'_>) -> Set<'a> {
        let mut others = other.nodes.iter().peekable();
        let mut both = Set::default();
        for node in &self.nodes {
            while others.next_if(|other| other.step < node.step).is_some() {}
            if let Some(other) = others.peek().filter(|other| other.step == node.step) {
                let below = node.below.intersection(&other.below);
                both.push(node.step.clone(), node.member && other.member, below);
            }
        }
        both
    }

    /// Keeps the children that a test lets stay; the test may change what lies below.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&mut Node<'a>) -> bool) {
        self.nodes.retain_mut(|node| keep(node) && !node.is_empty());
    }

    /// Copies what is borrowed.
    pub fn into_owned(self) -> Set<'static> {
        let nodes = self.nodes.into_iter().map(|node| Node {
            step: node.step.into_owned(),
            member: node.member,
            below: node.below.into_owned(),
        });
        Set { nodes: nodes.collect() }
    }

    /// Lists the paths as messages write them: those that end at a level before those below it.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.list("", &mut paths);
        paths
    }

    fn list(&self, prefix: &str, paths: &mut Vec<String>) {
        paths.extend(
            self.nodes.iter().filter(|node| node.member).map(|node| format!("{prefix}{}", node.step)),
        );
        for node in self.nodes.iter().filter(|node| !node.below.is_empty()) {
            node.below.list(&format!("{prefix}{}", node.step), paths);
        }
    }

    /// Reads `fieldsV1`.
    pub fn read(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Writes `fieldsV1`.
    pub fn write(&self, out: &mut String) {
        out.push('{');
        for (at, node) in self.nodes.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            node.write(out);
        }
        out.push('}');
    }
}

impl Node<'_> {
    fn write(&self, out: &mut String) {
        out.push('"');
        match &self.step {
            Step::Field(name) => escape("f:", name, out),
            Step::Key(keys) => escape("k:", keys, out),
            Step::Value(value) => escape("v:", value, out),
            Step::Index(index) => out.push_str(&format!("i:{index}")),
        }
        out.push_str("\":");
        match (self.member, self.below.is_empty()) {
            (true, false) => {
                out.push_str("{\".\":{},");
                let start = out.len();
                self.below.write(out);
                // The brace that the members below would have opened is open already.
                out.remove(start);
            }
            _ => self.below.write(out),
        }
    }
}

fn escape(prefix: &str, text: &str, out: &mut String) {
    out.push_str(prefix);
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        out.push_str(text);
        return;
    }
    let quoted = Value::String(text.to_owned()).to_string();
    out.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
}

impl<'de: 'a, 'a> Deserialize<'de> for Set<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(deserializer.deserialize_map(Read)?.0)
    }
}

/// Reads a set, and whether `.` is in it: the path that leads here.
struct Read;

struct Below<'a>(Set<'a>, bool);

impl<'de> Visitor<'de> for Read {
    type Value = Below<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a set of fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut set = Set::default();
        let mut own = false;
        while let Some(name) = access.next_key::<Name<'de>>()? {
            match name {
                Name::Own => {
                    access.next_value::<IgnoredAny>()?;
                    own = true;
                }
                // As upstream: a later version may know what these are.
                Name::Unknown => {
                    access.next_value::<IgnoredAny>()?;
                }
                Name::Step(step) => {
                    let Below(below, own) = access.next_value_seed(Read)?;
                    // A step that leads nowhere stands for itself.
                    let member = own || below.is_empty();
                    set.nodes.push(Node { step, member, below });
                }
            }
        }
        if !set.nodes.is_sorted_by(|a, b| a.step < b.step) {
            set.sort();
            set.nodes.dedup_by(|b, a| a.step == b.step);
        }
        Ok(Below(set, own))
    }
}

impl<'de> de::DeserializeSeed<'de> for Read {
    type Value = Below<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

/// A key of `fieldsV1`.
enum Name<'a> {
    Own,
    Unknown,
    Step(Step<'a>),
}

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Name<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a step of a path")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                name(Cow::Borrowed(text)).map_err(E::custom)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                name(Cow::Owned(text.to_owned())).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Reader)
    }
}

fn name(text: Cow<'_, str>) -> Result<Name<'_>, String> {
    if text == "." {
        return Ok(Name::Own);
    }
    let kind = text.as_bytes().first_chunk::<2>().copied();
    Ok(match kind {
        Some([b'f', b':']) => Name::Step(Step::Field(rest_of(text))),
        Some([b'k', b':']) => Name::Step(Step::Key(canonical(rest_of(text))?)),
        Some([b'v', b':']) => Name::Step(Step::Value(canonical(rest_of(text))?)),
        Some([b'i', b':']) => {
            let index = text.get(2..).unwrap_or_default();
            Name::Step(Step::Index(index.parse().map_err(|_| format!("{text:?} is no index"))?))
        }
        _ => Name::Unknown,
    })
}

fn rest_of(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(2..).unwrap_or_default()),
        Cow::Owned(mut text) => {
            text.drain(..2);
            Cow::Owned(text)
        }
    }
}

/// Keys and values are compared as text. Other writers may have escaped or spaced theirs in another way.
fn canonical(text: Cow<'_, str>) -> Result<Cow<'_, str>, String> {
    if !text.bytes().any(|byte| byte == b'\\' || byte.is_ascii_whitespace()) {
        return Ok(text);
    }
    let value: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    Ok(Cow::Owned(value.to_string()))
}
