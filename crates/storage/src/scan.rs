//! One pass over an object's JSON bytes that finds what the cache needs, without building a tree.
//!
//! Looks for the opening of `metadata` (where the resourceVersion is spliced in), the labels, and the
//! selectable fields of the resource. Everything else is skipped at the speed of a byte search.

use std::ops::Range;

/// A field that a field selector can name, and where its value is in the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectableField {
    /// The name in a field selector: `spec.nodeName`.
    pub name: String,
    /// Where the value is, tried in order: the first one present and not empty counts.
    pub paths: Vec<Vec<String>>,
    /// What an absent value compares as: empty, `false` or `0`.
    pub absent: String,
}

impl SelectableField {
    /// Makes a field whose path is its name.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            paths: vec![name.split('.').map(str::to_owned).collect()],
            absent: String::new(),
        }
    }

    /// Sets what an absent value compares as.
    pub fn absent(mut self, value: &str) -> Self {
        self.absent = value.to_owned();
        self
    }

    /// Sets the places that are looked at instead of the name's own path.
    pub fn at(mut self, paths: &[&str]) -> Self {
        self.paths = paths.iter().map(|path| path.split('.').map(str::to_owned).collect()).collect();
        self
    }
}

/// The paths of all selectable fields of a resource as one tree, so that one pass finds them all.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    root: Node,
    slots: usize,
}

#[derive(Debug, Default)]
struct Node {
    key: Box<[u8]>,
    slot: Option<usize>,
    labels: bool,
    metadata: bool,
    resource_version: bool,
    children: Vec<Node>,
}

impl Node {
    fn child(&mut self, key: &str) -> &mut Self {
        let at = self.children.iter().position(|child| *child.key == *key.as_bytes());
        let at = at.unwrap_or_else(|| {
            self.children.push(Self { key: key.as_bytes().into(), ..Self::default() });
            self.children.len() - 1
        });
        &mut self.children[at]
    }
}

impl Paths {
    /// Compiles paths; the n-th path's value is the n-th of [`Scan::values`].
    pub(crate) fn new<'a>(paths: impl IntoIterator<Item = &'a [String]>) -> Self {
        let mut root = Node::default();
        let metadata = root.child("metadata");
        metadata.metadata = true;
        metadata.child("labels").labels = true;
        metadata.child("resourceVersion").resource_version = true;
        let mut slots = 0;
        for path in paths {
            let mut node = &mut root;
            for key in path {
                node = node.child(key);
            }
            node.slot = Some(slots);
            slots += 1;
        }
        Self { root, slots }
    }
}

/// What one pass found. All positions are byte positions in the scanned text.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Just after the opening brace of `metadata`.
    pub(crate) metadata: usize,
    /// `metadata` has no members.
    pub(crate) metadata_empty: bool,
    /// A stored `resourceVersion` member, without the commas around it.
    pub(crate) resource_version: Option<Range<usize>>,
    /// Key and value of each label, without quotes.
    pub(crate) labels: Vec<(Range<usize>, Range<usize>)>,
    /// The scalar at each path, strings without quotes.
    pub(crate) values: Vec<Option<Range<usize>>>,
}

/// Scans one object.
pub(crate) fn scan(text: &[u8], paths: &Paths) -> Result<Scan, &'static str> {
    let mut scanner = Scanner {
        text,
        at: 0,
        found: Scan { values: vec![None; paths.slots], ..Scan::default() },
        metadata_seen: false,
    };
    scanner.space();
    scanner.object(&paths.root)?;
    scanner.space();
    if scanner.at != text.len() {
        return Err("text after the object");
    }
    if !scanner.metadata_seen {
        return Err("no metadata");
    }
    Ok(scanner.found)
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    found: Scan,
    metadata_seen: bool,
}

const CUT: &str = "the text ends too early";

impl Scanner<'_> {
    fn peek(&self) -> Result<u8, &'static str> {
        self.text.get(self.at).copied().ok_or(CUT)
    }

    fn space(&mut self) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), &'static str> {
        if self.peek()? != byte {
            return Err("not well-formed JSON");
        }
        self.at += 1;
        Ok(())
    }

    /// Passes a string and returns where its contents are.
    fn string(&mut self) -> Result<Range<usize>, &'static str> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            let found = memchr::memchr2(b'"', b'\\', self.text.get(self.at..).ok_or(CUT)?).ok_or(CUT)?;
            self.at += found;
            if self.text[self.at] == b'"' {
                let end = self.at;
                self.at += 1;
                return Ok(start..end);
            }
            self.at += 2;
        }
    }

    /// Passes any value without looking into it.
    fn skip(&mut self) -> Result<(), &'static str> {
        match self.peek()? {
            b'"' => self.string().map(|_| ()),
            b'{' | b'[' => {
                let mut depth = 0_usize;
                loop {
                    match self.peek()? {
                        b'"' => {
                            self.string()?;
                            continue;
                        }
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => {
                            depth -= 1;
                            if depth == 0 {
                                self.at += 1;
                                return Ok(());
                            }
                        }
                        _ => {}
                    }
                    self.at += 1;
                }
            }
            _ => {
                let start = self.at;
                while let Some(byte) = self.text.get(self.at) {
                    if matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\t' | b'\r') {
                        break;
                    }
                    self.at += 1;
                }
                if self.at == start { Err("not well-formed JSON") } else { Ok(()) }
            }
        }
    }

    fn object(&mut self, node: &Node) -> Result<(), &'static str> {
        self.expect(b'{')?;
        if node.metadata {
            self.metadata_seen = true;
            self.found.metadata = self.at;
        }
        self.space();
        if self.peek()? == b'}' {
            self.at += 1;
            self.found.metadata_empty |= node.metadata;
            return Ok(());
        }
        loop {
            self.space();
            let member = self.at;
            let key = self.string()?;
            self.space();
            self.expect(b':')?;
            self.space();
            let found = node.children.iter().find(|child| *child.key == self.text[key.clone()]);
            match found {
                None => self.skip()?,
                Some(child) => {
                    self.value(child)?;
                    if child.resource_version && node.metadata {
                        self.found.resource_version = Some(member..self.at);
                    }
                }
            }
            self.space();
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err("not well-formed JSON"),
            }
        }
    }

    fn value(&mut self, node: &Node) -> Result<(), &'static str> {
        match self.peek()? {
            b'{' if node.labels => self.labels(),
            b'{' if node.slot.is_none() || !node.children.is_empty() => self.object(node),
            b'"' => {
                let value = self.string()?;
                self.record(node, value);
                Ok(())
            }
            b'{' | b'[' => self.skip(),
            _ => {
                let start = self.at;
                self.skip()?;
                if &self.text[start..self.at] != b"null" {
                    self.record(node, start..self.at);
                }
                Ok(())
            }
        }
    }

    fn record(&mut self, node: &Node, value: Range<usize>) {
        if let Some(slot) = node.slot {
            self.found.values[slot] = Some(value);
        }
    }

    fn labels(&mut self) -> Result<(), &'static str> {
        self.expect(b'{')?;
        self.space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            let key = self.string()?;
            self.space();
            self.expect(b':')?;
            self.space();
            if self.peek()? == b'"' {
                let value = self.string()?;
                self.found.labels.push((key, value));
            } else {
                self.skip()?;
            }
            self.space();
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err("not well-formed JSON"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(text: &str, paths: &[&str]) -> String {
        let paths: Vec<Vec<String>> =
            paths.iter().map(|path| path.split('.').map(str::to_owned).collect()).collect();
        let paths = Paths::new(paths.iter().map(Vec::as_slice));
        match scan(text.as_bytes(), &paths) {
            Err(error) => format!("error: {error}"),
            Ok(found) => {
                let of = |range: &Range<usize>| text[range.clone()].to_owned();
                let labels: Vec<String> =
                    found.labels.iter().map(|(key, value)| format!("{}={}", of(key), of(value))).collect();
                let values: Vec<String> =
                    found.values.iter().map(|value| value.as_ref().map_or("-".into(), of)).collect();
                format!("{} labels[{}] values[{}]", found.metadata, labels.join(","), values.join(","))
            }
        }
    }

    #[test]
    fn finds_metadata_labels_and_fields_in_any_key_order() {
        let text = r#"{"spec":{"nodeName":"w1","x":[{"a":"}\""}],"on":true},"status":{"phase":"Running"},"metadata":{"name":"a","labels":{"app":"web","tier":""}},"kind":"Pod"}"#;
        assert_eq!(
            look(text, &["spec.nodeName", "status.phase", "spec.on", "spec.gone"]),
            "95 labels[app=web,tier=] values[w1,Running,true,-]"
        );
    }

    #[test]
    fn does_not_take_nested_metadata_for_the_objects_own() {
        let text = r#"{"spec":{"template":{"metadata":{"labels":{"inner":"1"}}}},"metadata":{"labels":{"outer":"1"}}}"#;
        assert_eq!(look(text, &[]), "71 labels[outer=1] values[]");
    }

    #[test]
    fn a_field_that_is_an_object_or_null_has_no_value() {
        let text = r#"{"metadata":{"name":"a"},"spec":{"a":{"b":1},"c":null,"d":[1]}}"#;
        assert_eq!(look(text, &["spec.a", "spec.c", "spec.d"]), "13 labels[] values[-,-,-]");
    }

    #[test]
    fn refuses_what_is_not_an_object_with_metadata() {
        for text in [
            "",
            "{",
            "[]",
            "{}",
            "k8s\0\n",
            r#"{"metadata":{}"#,
            r#"{"metadata":{}}x"#,
            r#"{"metadata"}"#,
            r#"{"a":"\"#,
        ] {
            assert!(look(text, &[]).starts_with("error"), "{text:?}");
        }
    }
}
