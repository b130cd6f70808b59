//! An object's tree without its `metadata.managedFields`, and these as text: most requests neither read nor change
//! them, and they are often larger than the rest.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// An object in two parts.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The tree, without `metadata.managedFields`.
    pub value: Value,
    /// The text of `metadata.managedFields`.
    pub managed_fields: Option<&'a str>,
}

impl<'a> Parts<'a> {
    /// Reads an object's JSON.
    pub fn read(bytes: &'a [u8]) -> serde_json::Result<Self> {
        let mut managed_fields = None;
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let value = Members { below: "metadata", managed_fields: &mut managed_fields };
        let value = value.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(Self { value, managed_fields })
    }
}

/// Reads a map, and in the member `below` one with `managedFields` in it; where `below` is empty, that one itself.
struct Members<'s, 'a> {
    below: &'static str,
    managed_fields: &'s mut Option<&'a str>,
}

impl<'de> DeserializeSeed<'de> for Members<'_, 'de> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_, 'de> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            if self.below.is_empty() && key == "managedFields" {
                let text = access.next_value::<&'de RawValue>()?.get();
                *self.managed_fields = (text != "null").then_some(text);
                continue;
            }
            let value = match self.below {
                below if !below.is_empty() && below == key => access
                    .next_value_seed(Members { below: "", managed_fields: &mut *self.managed_fields })?,
                _ => access.next_value::<Value>()?,
            };
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_fields_of_managers_stay_text() {
        let text = br#"{"metadata":{"name":"a","managedFields":[{"manager": "m"}],"labels":{"managedFields":"x"}},"managedFields":1}"#;
        let parts = Parts::read(text).unwrap();
        assert_eq!(
            parts.value,
            json!({"metadata": {"name": "a", "labels": {"managedFields": "x"}}, "managedFields": 1})
        );
        assert_eq!(parts.managed_fields, Some(r#"[{"manager": "m"}]"#));
        let parts = Parts::read(br#"{"metadata":{"managedFields":null},"kind":"A"}"#).unwrap();
        assert_eq!((parts.value, parts.managed_fields), (json!({"metadata": {}, "kind": "A"}), None));
        assert!(Parts::read(b"{}x").is_err());
    }
}
