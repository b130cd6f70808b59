//! The name of an object within its resource: `namespace/name`, or `name` where there are no namespaces.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Names one object of a resource; cheap to clone, ordered by namespace and then name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<str>);

impl Key {
    /// Joins a namespace and a name; an empty namespace gives the key of a cluster-scoped object.
    pub fn new(namespace: &str, name: &str) -> Key {
        if namespace.is_empty() { Key(name.into()) } else { Key(format!("{namespace}/{name}").into()) }
    }

    /// Returns the namespace, empty for a cluster-scoped object.
    pub fn namespace(&self) -> &str {
        self.0.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    /// Returns the name without the namespace.
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or(&*self.0, |(_, name)| name)
    }

    /// Returns `namespace/name`, or `name` without a namespace.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Key {
        Key(text.into())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_into_namespace_and_name() {
        let key = Key::new("default", "web");
        assert_eq!((key.namespace(), key.name(), key.as_str()), ("default", "web", "default/web"));
        let key = Key::new("", "node-1");
        assert_eq!((key.namespace(), key.name(), key.as_str()), ("", "node-1", "node-1"));
    }
}
