//! A structural schema: what a value at one place of an object is and must be.

use std::collections::BTreeMap;

use regex::Regex;
use schema::{ListType, MapType};
use serde_json::{Number, Value};

use crate::expressions::Expression;

/// The JSON type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `object`
    Object,
    /// `array`
    Array,
    /// `string`
    String,
    /// `integer`
    Integer,
    /// `number`
    Number,
    /// `boolean`
    Boolean,
}

impl Kind {
    /// Reads the word of a schema.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "object" => Self::Object,
            "array" => Self::Array,
            "string" => Self::String,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            _ => return None,
        })
    }

    /// The word of a schema.
    pub fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }

    /// Whether a value is of this type; a number without a fraction is an integer.
    pub fn takes(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Object, Value::Object(_))
            | (Self::Array, Value::Array(_))
            | (Self::String, Value::String(_))
            | (Self::Number, Value::Number(_))
            | (Self::Boolean, Value::Bool(_)) => true,
            (Self::Integer, Value::Number(number)) => is_integral(number),
            _ => false,
        }
    }
}

fn is_integral(number: &Number) -> bool {
    !number.is_f64() || number.as_f64().is_some_and(|number| number.fract() == 0.0)
}

/// What other keys than the declared ones hold.
#[derive(Clone, Debug, Default)]
pub enum Additional {
    /// There are none.
    #[default]
    Nothing,
    /// They hold anything.
    Anything,
    /// They hold this.
    Of(Box<Node>),
}

/// A structural schema. Also what stands in `allOf` and its like, where only [`Checks`] and places count.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// The type, where it is given.
    pub kind: Option<Kind>,
    /// Whether null is a value.
    pub nullable: bool,
    /// `x-kubernetes-int-or-string`
    pub int_or_string: bool,
    /// `x-kubernetes-embedded-resource`: an object with kind, version and metadata.
    pub embedded: bool,
    /// `x-kubernetes-preserve-unknown-fields`
    pub preserve: bool,
    /// The declared fields.
    pub properties: BTreeMap<Box<str>, Node>,
    /// Other keys.
    pub additional: Additional,
    /// The items of a list.
    pub items: Option<Box<Node>>,
    /// What is put where nothing is.
    pub default: Option<Box<Value>>,
    /// `x-kubernetes-list-type`
    pub list: Option<ListType>,
    /// `x-kubernetes-list-map-keys`
    pub keys: Vec<Box<str>>,
    /// `x-kubernetes-map-type`
    pub map: Option<MapType>,
    /// What values must fulfil besides.
    pub checks: Option<Box<Checks>>,
    /// Rules in CEL.
    pub expressions: Vec<Expression>,
    /// Whether there are such rules here or anywhere below.
    pub has_expressions: bool,
}

/// What values must fulfil besides their type.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    /// The keys that an object must have.
    pub required: Vec<Box<str>>,
    /// What a string must match, and how that was written.
    pub pattern: Option<(Regex, Box<str>)>,
    /// The form of a string.
    pub format: Box<str>,
    /// The values there may be.
    pub values: Option<Vec<Value>>,
    /// The least number.
    pub minimum: Option<Bound>,
    /// The greatest number.
    pub maximum: Option<Bound>,
    /// What a number must be a multiple of.
    pub multiple_of: Option<f64>,
    /// The length of a string in characters.
    pub length: Range,
    /// The length of a list.
    pub items: Range,
    /// The number of an object's keys.
    pub properties: Range,
    /// All of these hold.
    pub all_of: Vec<Node>,
    /// One of these holds at least.
    pub any_of: Vec<Node>,
    /// One of these holds exactly.
    pub one_of: Vec<Node>,
    /// This does not hold.
    pub not: Option<Node>,
}

/// A limit of numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// Where it is.
    pub at: f64,
    /// Whether the limit itself is outside.
    pub exclusive: bool,
}

/// Limits of a count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// At least.
    pub min: Option<u64>,
    /// At most.
    pub max: Option<u64>,
}

impl Node {
    /// Reads a JSON schema. What is not structural is left out: a definition that has such is refused before.
    pub fn read(schema: &Value) -> Self {
        let flag = |name: &str| schema[name].as_bool().unwrap_or_default();
        let children = |name: &str| schema[name].as_object().into_iter().flatten();
        let mut node = Self {
            kind: schema["type"].as_str().and_then(Kind::parse),
            nullable: flag("nullable"),
            int_or_string: flag("x-kubernetes-int-or-string"),
            embedded: flag("x-kubernetes-embedded-resource"),
            preserve: flag("x-kubernetes-preserve-unknown-fields"),
            properties: children("properties")
                .map(|(name, schema)| (name.as_str().into(), Node::read(schema)))
                .collect(),
            additional: match &schema["additionalProperties"] {
                Value::Bool(true) => Additional::Anything,
                Value::Object(_) => Additional::Of(Box::new(Node::read(&schema["additionalProperties"]))),
                _ => Additional::Nothing,
            },
            items: schema["items"].is_object().then(|| Box::new(Node::read(&schema["items"]))),
            default: schema.get("default").filter(|value| !value.is_null()).cloned().map(Box::new),
            list: match schema["x-kubernetes-list-type"].as_str() {
                Some("map") => Some(ListType::Map),
                Some("set") => Some(ListType::Set),
                Some(_) => Some(ListType::Atomic),
                None => None,
            },
            keys: texts(&schema["x-kubernetes-list-map-keys"]),
            map: match schema["x-kubernetes-map-type"].as_str() {
                Some("atomic") => Some(MapType::Atomic),
                Some(_) => Some(MapType::Granular),
                None => None,
            },
            checks: Checks::read(schema).map(Box::new),
            expressions: schema["x-kubernetes-validations"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|rule| Expression::read(rule, schema.as_object()).ok())
                .collect(),
            has_expressions: false,
        };
        // Those that do not compile count too: whoever looks for what is wrong must find them.
        let has_own = schema["x-kubernetes-validations"].as_array().is_some_and(|rules| !rules.is_empty());
        node.has_expressions = has_own || node.children().any(|child| child.has_expressions);
        node
    }

    fn children(&self) -> impl Iterator<Item = &Node> {
        let others = match &self.additional {
            Additional::Of(node) => Some(&**node),
            _ => None,
        };
        self.properties.values().chain(others).chain(self.items.as_deref())
    }

    /// Forgets what values must fulfil, for those who only prune and default.
    pub fn forget_rules(&mut self) {
        (self.checks, self.expressions, self.has_expressions) = (None, Vec::new(), false);
        self.properties.values_mut().for_each(Node::forget_rules);
        if let Additional::Of(values) = &mut self.additional {
            values.forget_rules();
        }
        self.items.iter_mut().for_each(|items| items.forget_rules());
    }

    /// A schema under which anything is kept, for definitions of before there had to be one.
    pub fn anything() -> Self {
        Self { kind: Some(Kind::Object), preserve: true, ..Self::default() }
    }

    /// Whether the place of a key is declared, and what it holds.
    pub fn child(&self, key: &str) -> Option<&Node> {
        self.properties.get(key).or(match &self.additional {
            Additional::Of(node) => Some(node),
            _ => None,
        })
    }

    /// Whether a default stands here or anywhere below.
    pub fn has_defaults(&self) -> bool {
        self.default.is_some() || self.children().any(Node::has_defaults)
    }
}

impl Checks {
    fn read(schema: &Value) -> Option<Self> {
        let count = |name: &str| schema[name].as_u64();
        let nodes = |name: &str| -> Vec<Node> {
            schema[name].as_array().into_iter().flatten().map(Node::read).collect()
        };
        let bound = |name: &str, exclusive: &str| {
            let exclusive = schema[exclusive].as_bool().unwrap_or_default();
            schema[name].as_f64().map(|at| Bound { at, exclusive })
        };
        let checks = Self {
            required: texts(&schema["required"]),
            pattern: schema["pattern"]
                .as_str()
                .filter(|text| !text.is_empty())
                .and_then(|text| Some((Regex::new(text).ok()?, text.into()))),
            format: schema["format"].as_str().unwrap_or_default().into(),
            values: schema["enum"].as_array().cloned(),
            minimum: bound("minimum", "exclusiveMinimum"),
            maximum: bound("maximum", "exclusiveMaximum"),
            multiple_of: schema["multipleOf"].as_f64(),
            length: Range { min: count("minLength"), max: count("maxLength") },
            items: Range { min: count("minItems"), max: count("maxItems") },
            properties: Range { min: count("minProperties"), max: count("maxProperties") },
            all_of: nodes("allOf"),
            any_of: nodes("anyOf"),
            one_of: nodes("oneOf"),
            not: schema["not"].is_object().then(|| Node::read(&schema["not"])),
        };
        (!checks.is_empty()).then_some(checks)
    }

    fn is_empty(&self) -> bool {
        let no_limits = [self.length, self.items, self.properties] == [Range::default(); 3];
        let no_numbers = self.minimum.is_none() && self.maximum.is_none() && self.multiple_of.is_none();
        let no_strings = self.pattern.is_none() && self.format.is_empty();
        let no_logic =
            self.all_of.is_empty() && self.any_of.is_empty() && self.one_of.is_empty() && self.not.is_none();
        no_limits && no_numbers && no_strings && no_logic && self.required.is_empty() && self.values.is_none()
    }
}

fn texts(list: &Value) -> Vec<Box<str>> {
    list.as_array().into_iter().flatten().filter_map(|text| Some(text.as_str()?.into())).collect()
}
