//! Columns that a custom resource declares (`additionalPrinterColumns`).

use apimachinery::time;
use jiff::Timestamp;
use serde_json::{Value, json};

mod path;

pub use path::{Path, PathError};

/// One declared column.
#[derive(Clone, Debug)]
pub struct CustomColumn {
    /// Heading.
    pub name: String,
    /// `integer`, `number`, `string`, `boolean` or `date`.
    pub ty: String,
    /// OpenAPI format.
    pub format: String,
    /// What it is, in words.
    pub description: String,
    /// 0 prints always, more with `-o wide`.
    pub priority: i64,
    /// Where the value is.
    pub path: Path,
}

/// The columns of one version of a custom resource, after the name.
#[derive(Clone, Debug)]
pub struct CustomColumns(Vec<CustomColumn>);

impl CustomColumns {
    /// Reads `additionalPrinterColumns`; without any, the age is printed.
    pub fn parse(declared: &[Value]) -> Result<Self, PathError> {
        let age = [json!({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"})];
        let declared = if declared.is_empty() { &age } else { declared };
        let text = |column: &Value, field: &str| column[field].as_str().unwrap_or_default().to_owned();
        let columns = declared.iter().map(|column| {
            Ok(CustomColumn {
                name: text(column, "name"),
                ty: text(column, "type"),
                format: text(column, "format"),
                description: text(column, "description"),
                priority: column["priority"].as_i64().unwrap_or_default(),
                path: Path::parse(column["jsonPath"].as_str().unwrap_or_default())?,
            })
        });
        columns.collect::<Result<_, _>>().map(CustomColumns)
    }

    /// Makes `columnDefinitions`.
    pub fn definitions(&self) -> Value {
        let name =
            json!({"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0});
        let declared = self.0.iter().map(|column| {
            json!({
                "name": column.name,
                "type": column.ty,
                "format": column.format,
                "description": column.description,
                "priority": column.priority,
            })
        });
        std::iter::once(name).chain(declared).collect()
    }

    /// Makes the cells of an object.
    pub fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().into();
        std::iter::once(name).chain(self.0.iter().map(|column| column.cell(object, now))).collect()
    }
}

impl CustomColumn {
    fn cell(&self, object: &Value, now: Timestamp) -> Value {
        let found = self.path.find(object);
        let Some(first) = found.first() else { return Value::Null };
        match self.ty.as_str() {
            "string" => {
                let texts: Vec<String> = found
                    .iter()
                    .map(|value| match value {
                        Value::String(text) => text.clone(),
                        other => other.to_string(),
                    })
                    .collect();
                texts.join(" ").into()
            }
            "date" => match first.as_str().map(|text| time::parse(text).map(|_| time::age(text, now))) {
                Some(Some(age)) => age.into(),
                Some(None) => "<invalid>".into(),
                None => Value::Null,
            },
            "integer" => first
                .as_i64()
                .or_else(|| first.as_f64().map(|number| number as i64))
                .map_or(Value::Null, Value::from),
            "number" if first.is_number() => (*first).clone(),
            "boolean" if first.is_boolean() => (*first).clone(),
            _ => Value::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_declared_columns() {
        let columns = CustomColumns::parse(&[
            json!({"name": "Phase", "type": "string", "jsonPath": ".status.phase"}),
            json!({"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"}),
            json!({"name": "Hosts", "type": "string", "jsonPath": ".spec.rules[*].host", "priority": 1}),
            json!({"name": "Count", "type": "integer", "jsonPath": ".spec.count"}),
            json!({"name": "Tier", "type": "string", "jsonPath": ".metadata.labels.example\\.com/tier"}),
            json!({"name": "Seen", "type": "date", "jsonPath": ".status.seen"}),
            json!({"name": "Missing", "type": "boolean", "jsonPath": ".status.nothing"}),
        ])
        .unwrap();
        let object = json!({
            "metadata": {"name": "a", "labels": {"example.com/tier": "gold"}},
            "spec": {"count": 3, "rules": [{"host": "x"}, {"host": "y"}]},
            "status": {
                "phase": "Running",
                "seen": "2026-01-01T00:00:00Z",
                "conditions": [{"type": "Synced", "status": "False"}, {"type": "Ready", "status": "True"}],
            },
        });
        let now = "2026-01-01T00:05:00Z".parse().unwrap();
        assert_eq!(
            Value::from(columns.cells(&object, now)),
            json!(["a", "Running", "True", "x y", 3, "gold", "5m", null])
        );
        assert_eq!(columns.definitions()[3]["priority"], 1);
    }

    #[test]
    fn prints_the_age_where_nothing_is_declared() {
        let columns = CustomColumns::parse(&[]).unwrap();
        let object = json!({"metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"}});
        let now = "2026-01-01T02:00:00Z".parse().unwrap();
        assert_eq!(Value::from(columns.cells(&object, now)), json!(["a", "120m"]));
        assert_eq!(columns.definitions()[1]["name"], "Age");
    }
}
