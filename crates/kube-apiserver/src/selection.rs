//! Which objects a list, a watch or a deletion of many is about: selectors compiled against a resource.

use std::sync::Arc;

use apimachinery::{Status, fields, labels};
use storage::{Accepts, Cache, Filter, Object, Query as Range};

use crate::http::Query;
use crate::registry::Entry;

/// Compiled selectors over one resource.
pub struct Selection {
    cache: Arc<Cache>,
    namespace: String,
    name: Option<String>,
    indexed: Option<String>,
    labels: labels::Selector,
    terms: Vec<(Term, String, bool)>,
}

enum Term {
    Name,
    Namespace,
    Field(usize),
}

/// What `labelSelector` and `fieldSelector` say.
pub fn selectors(query: &Query<'_>) -> Result<(labels::Selector, fields::Selector), Status> {
    let labels = match query.get("labelSelector") {
        Some(text) => labels::parse(text).map_err(|error| Status::bad_request(error.to_string()))?,
        None => labels::Selector::everything(),
    };
    let fields = match query.get("fieldSelector") {
        Some(text) => fields::parse(text).map_err(|error| Status::bad_request(error.to_string()))?,
        None => fields::Selector::default(),
    };
    Ok((labels, fields))
}

impl Selection {
    /// Reads `labelSelector` and `fieldSelector`. `namespace` is empty for all namespaces.
    pub fn parse(entry: &Entry, namespace: &str, query: &Query<'_>) -> Result<Self, Status> {
        let (labels, fields) = selectors(query)?;
        Self::new(entry, namespace, labels, fields)
    }

    /// Compiles selectors that are read already.
    pub fn new(
        entry: &Entry,
        namespace: &str,
        labels: labels::Selector,
        fields: fields::Selector,
    ) -> Result<Self, Status> {
        let cache = entry.cache().clone();
        let resource = &cache.resource;
        let mut selection = Self {
            cache: cache.clone(),
            namespace: if entry.row.namespaced { namespace.to_owned() } else { String::new() },
            name: None,
            indexed: None,
            labels,
            terms: Vec::new(),
        };
        for requirement in fields.requirements {
            let served = requirement.field.as_str();
            let stored = stored_name(entry, served);
            let term = match stored {
                "metadata.name" => Term::Name,
                "metadata.namespace" if entry.row.namespaced => Term::Namespace,
                field => match resource.field(field) {
                    Some(index) if entry.row.selectable_fields.contains(served) => Term::Field(index),
                    _ => return Err(unknown_field(entry, served)),
                },
            };
            if requirement.equal {
                match term {
                    Term::Name => selection.name = Some(requirement.value.clone()),
                    Term::Namespace if selection.namespace.is_empty() => {
                        selection.namespace = requirement.value.clone();
                    }
                    // Objects with an empty value are not in the index.
                    Term::Field(index)
                        if resource.indexed == Some(index) && !requirement.value.is_empty() =>
                    {
                        selection.indexed = Some(requirement.value.clone());
                        continue;
                    }
                    _ => {}
                }
            }
            selection.terms.push((term, requirement.value, requirement.equal));
        }
        Ok(selection)
    }

    /// The one name that is selected, if the fields say so.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Selects the object of this name alone.
    pub fn require_name(&mut self, name: &str) {
        if self.name.as_deref() != Some(name) {
            self.name = Some(name.to_owned());
            self.terms.push((Term::Name, name.to_owned(), true));
        }
    }

    /// Whether every object of the namespace is selected.
    pub fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.terms.is_empty() && self.indexed.is_none()
    }

    /// The one key that can be selected, if the selectors leave only one.
    fn single_key(&self) -> Option<String> {
        let name = self.name.as_ref()?;
        if !self.cache.resource.namespaced {
            return Some(name.clone());
        }
        (!self.namespace.is_empty()).then(|| format!("{}/{name}", self.namespace))
    }

    /// Whether an object's labels and fields are right.
    fn matches(&self, object: &Object) -> bool {
        self.labels.matches(|key| object.label(key))
            && self.terms.iter().all(|(term, value, equal)| {
                let actual = match term {
                    Term::Name => object.name(),
                    Term::Namespace => object.namespace(),
                    Term::Field(index) => object.field(&self.cache.resource, *index),
                };
                (actual == value) == *equal
            })
    }

    /// Whether an object is selected, however it was found.
    pub fn takes(&self, object: &Object) -> bool {
        let indexed = match (&self.indexed, self.cache.resource.indexed) {
            (Some(value), Some(field)) => object.field(&self.cache.resource, field) == value,
            _ => true,
        };
        indexed && (self.namespace.is_empty() || object.namespace() == self.namespace) && self.matches(object)
    }

    /// Where a list looks.
    pub fn range(&self, after: Option<String>) -> Range {
        Range {
            namespace: self.namespace.clone(),
            indexed: self.indexed.clone(),
            after,
            key: self.single_key(),
        }
    }

    /// What a watch looks at.
    pub fn into_filter(self) -> Filter {
        let (namespace, name, indexed) = (self.namespace.clone(), self.name.clone(), self.indexed.clone());
        let plain = self.labels.is_everything() && self.terms.is_empty();
        let accepts = (!plain).then(|| -> Accepts { Box::new(move |object| self.matches(object)) });
        Filter { namespace, name, indexed, accepts }
    }
}

/// The stored form's name of a field: events of events.k8s.io are stored as core events.
fn stored_name<'a>(entry: &Entry, field: &'a str) -> &'a str {
    if entry.row.group == "events.k8s.io" {
        return match field {
            "regarding.kind" => "involvedObject.kind",
            "regarding.namespace" => "involvedObject.namespace",
            "regarding.name" => "involvedObject.name",
            "regarding.uid" => "involvedObject.uid",
            "regarding.apiVersion" => "involvedObject.apiVersion",
            "regarding.resourceVersion" => "involvedObject.resourceVersion",
            "regarding.fieldPath" => "involvedObject.fieldPath",
            "reportingController" => "reportingComponent",
            other => other,
        };
    }
    field
}

fn unknown_field(entry: &Entry, field: &str) -> Status {
    if !entry.row.selectable_fields.is_empty() {
        return Status::bad_request(format!("field label not supported: {field}"));
    }
    let known =
        if entry.row.namespaced { r#""metadata.name", "metadata.namespace""# } else { r#""metadata.name""# };
    Status::bad_request(format!(r#""{field}" is not a known field selector: only {known}"#))
}
