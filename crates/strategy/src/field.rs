//! Field paths and the list that validation collects its errors in.

use apimachinery::status::FieldError;
use serde_json::Value;

use std::fmt;

/// A path into an object, built on the stack while validation descends; it is only written out for an error.
#[derive(Clone, Copy)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    segment: Segment<'a>,
}

#[derive(Clone, Copy)]
enum Segment<'a> {
    Name(&'a str),
    Index(usize),
    Key(&'a str),
}

impl<'a> Path<'a> {
    /// Starts a path at a top-level field; dots in the name are kept as they are (`spec.template`).
    pub const fn root(name: &'a str) -> Path<'a> {
        Path { parent: None, segment: Segment::Name(name) }
    }

    /// The field `name` below this path.
    pub const fn child<'b>(&'b self, name: &'b str) -> Path<'b>
    where
        'a: 'b,
    {
        Path { parent: Some(self), segment: Segment::Name(name) }
    }

    /// The list item at `index` below this path.
    pub const fn index<'b>(&'b self, index: usize) -> Path<'b>
    where
        'a: 'b,
    {
        Path { parent: Some(self), segment: Segment::Index(index) }
    }

    /// The map entry `key` below this path.
    pub const fn key<'b>(&'b self, key: &'b str) -> Path<'b>
    where
        'a: 'b,
    {
        Path { parent: Some(self), segment: Segment::Key(key) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.segment {
            Segment::Name("") => Ok(()),
            Segment::Name(name) => {
                let at_root = self.parent.is_none_or(|parent| {
                    matches!(parent.segment, Segment::Name("")) && parent.parent.is_none()
                });
                if at_root { f.write_str(name) } else { write!(f, ".{name}") }
            }
            Segment::Index(index) => write!(f, "[{index}]"),
            Segment::Key(key) => write!(f, "[{key}]"),
        }
    }
}

/// The errors found so far, in the order in which they were found.
#[derive(Default)]
pub struct Errors {
    found: Vec<FieldError>,
}

impl Errors {
    /// An empty list.
    pub fn new() -> Errors {
        Errors::default()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// How many errors were found.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Adds an error made elsewhere.
    pub fn push(&mut self, error: FieldError) {
        self.found.push(error);
    }

    /// Adds errors made elsewhere.
    pub fn extend(&mut self, errors: impl IntoIterator<Item = FieldError>) {
        self.found.extend(errors);
    }

    /// Keeps the errors for which something holds.
    pub fn retain(&mut self, keeps: impl FnMut(&FieldError) -> bool) {
        self.found.retain(keeps);
    }

    /// The errors, for a `Status`.
    pub fn into_vec(self) -> Vec<FieldError> {
        self.found
    }

    /// `Required value`: the field must be given.
    pub fn required(&mut self, path: &Path, detail: impl Into<String>) {
        self.found.push(FieldError::required(path.to_string(), detail));
    }

    /// `Invalid value`: the value breaks a rule told by `detail`.
    pub fn invalid(&mut self, path: &Path, value: impl Into<Value>, detail: impl Into<String>) {
        self.found.push(FieldError::invalid(path.to_string(), value, detail));
    }

    /// `Invalid value` without the value.
    pub fn invalid_unshown(&mut self, path: &Path, detail: impl Into<String>) {
        self.found.push(FieldError::invalid_unshown(path.to_string(), detail));
    }

    /// `Invalid value` once for each reason in `details`.
    pub fn invalid_each<D: Into<String>>(
        &mut self,
        path: &Path,
        value: &Value,
        details: impl IntoIterator<Item = D>,
    ) {
        for detail in details {
            self.invalid(path, value.clone(), detail);
        }
    }

    /// `Duplicate value`.
    pub fn duplicate(&mut self, path: &Path, value: impl Into<Value>) {
        self.found.push(FieldError::duplicate(path.to_string(), value));
    }

    /// `Unsupported value`: the value is none of `supported`.
    pub fn unsupported(&mut self, path: &Path, value: impl Into<Value>, supported: &[&str]) {
        self.found.push(FieldError::not_supported(path.to_string(), value, supported));
    }

    /// `Forbidden`: the field may not be set or changed here.
    pub fn forbidden(&mut self, path: &Path, detail: impl Into<String>) {
        self.found.push(FieldError::forbidden(path.to_string(), detail));
    }

    /// `Not found`: the value names something that does not exist.
    pub fn not_found(&mut self, path: &Path, value: impl Into<Value>) {
        self.found.push(FieldError::not_found(path.to_string(), value));
    }

    /// `Too long`: more than `max` bytes.
    pub fn too_long(&mut self, path: &Path, max: usize) {
        self.found.push(FieldError::too_long(path.to_string(), max));
    }

    /// `Too many`: `actual` items where `max` are allowed.
    pub fn too_many(&mut self, path: &Path, actual: usize, max: usize) {
        self.found.push(FieldError::too_many(path.to_string(), actual, max));
    }

    /// `field is immutable`, when `new` and `old` differ.
    pub fn immutable(&mut self, path: &Path, new: &Value, old: &Value) {
        if !crate::read::same(new, old) {
            self.invalid(path, new.clone(), IMMUTABLE);
        }
    }
}

/// What upstream says of a field that may not change.
pub const IMMUTABLE: &str = "field is immutable";

#[cfg(test)]
mod tests {
    use super::Path;

    #[test]
    fn a_path_is_written_as_upstream_writes_it() {
        let spec = Path::root("spec");
        let containers = spec.child("containers");
        let first = containers.index(0);
        assert_eq!(first.child("name").to_string(), "spec.containers[0].name");
        assert_eq!(Path::root("metadata").child("labels").key("a/b").to_string(), "metadata.labels[a/b]");
        assert_eq!(Path::root("").child("spec").to_string(), "spec");
    }
}
