//! A JSON object written member by member.

use serde_json::Value;

/// Text under way: the outer object and those opened inside it.
pub(super) struct Writer {
    out: Vec<u8>,
    /// Does the innermost open object have a member yet.
    has_member: Vec<bool>,
}

impl Writer {
    pub(super) fn open() -> Writer {
        Writer { out: vec![b'{'], has_member: vec![false] }
    }

    fn key(&mut self, key: &str) {
        if let Some(has_member) = self.has_member.last_mut() {
            if *has_member {
                self.out.push(b',');
            }
            *has_member = true;
        }
        self.out.extend_from_slice(Value::from(key).to_string().as_bytes());
        self.out.push(b':');
    }

    pub(super) fn member(&mut self, key: &str, value: &Value) {
        self.key(key);
        self.out.extend_from_slice(value.to_string().as_bytes());
    }

    pub(super) fn begin(&mut self, key: &str) {
        self.key(key);
        self.out.push(b'{');
        self.has_member.push(false);
    }

    pub(super) fn end(&mut self) {
        self.has_member.pop();
        self.out.push(b'}');
    }

    pub(super) fn close(mut self) -> Vec<u8> {
        self.out.push(b'}');
        self.out
    }
}
