//! What holds of any selector of labels: its text selects what it selects, and so does its object.

use serde_json::{Map, Value, json};
use testkit::Dice;

use super::*;

/// Makes labels and their parts.
struct Labels(Dice);

impl Labels {
    fn value(&mut self) -> &'static str {
        self.0.pick::<&str>(&["a", "b", "", "1", "20", "in", "notin", "x.y_z-0"])
    }

    fn key(&mut self) -> &'static str {
        self.0.pick::<&str>(&["app", "a.example/tier", "in", "notin", "n"])
    }

    fn labels(&mut self) -> Map<String, Value> {
        (0..self.0.roll(5)).map(|_| (self.key().to_owned(), self.value().into())).collect()
    }
}

#[test]
fn any_selector_is_read_back_from_its_text() {
    let mut made = Labels(Dice::new(0xA076_1D64_78BD_642F));
    const OPERATORS: [Operator; 8] = [
        Operator::Equals,
        Operator::NotEquals,
        Operator::In,
        Operator::NotIn,
        Operator::Exists,
        Operator::DoesNotExist,
        Operator::GreaterThan,
        Operator::LessThan,
    ];
    for _ in 0..10_000 {
        let requirements: Vec<Requirement> = (0..made.0.roll(4))
            .map(|_| {
                let operator = *made.0.pick(&OPERATORS);
                let values = match operator {
                    Operator::Exists | Operator::DoesNotExist => Vec::new(),
                    Operator::GreaterThan | Operator::LessThan => vec!["10".to_owned()],
                    Operator::Equals | Operator::NotEquals => vec![made.value().to_owned()],
                    Operator::In | Operator::NotIn => {
                        let mut values: Vec<String> =
                            (0..=made.0.roll(3)).map(|_| made.value().to_owned()).collect();
                        values.sort();
                        values.dedup();
                        values
                    }
                };
                Requirement { key: made.key().to_owned(), operator, values }
            })
            .collect();
        let selector = Selector { requirements, nothing: false };
        let text = selector.to_string();
        let read = parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(read.to_string(), text);
        for _ in 0..4 {
            let labels = made.labels();
            let (one, other) = (selector.matches_value(Some(&labels)), read.matches_value(Some(&labels)));
            assert_eq!(one, other, "{text} of {labels:?}");
        }
    }
}

#[test]
fn any_object_selects_what_it_says() {
    let mut made = Labels(Dice::new(0x9E37_79B9_7F4A_7C15));
    for _ in 0..10_000 {
        let pairs = match made.0.roll(2) {
            0 => Map::new(),
            _ => made.labels(),
        };
        let expressions: Vec<Value> = (0..made.0.roll(3))
            .map(|_| {
                let operator = *made.0.pick(&["In", "NotIn", "Exists", "DoesNotExist"]);
                let values: Vec<&str> = match operator {
                    "In" | "NotIn" => (0..=made.0.roll(3)).map(|_| made.value()).collect(),
                    _ => Vec::new(),
                };
                json!({"key": made.key(), "operator": operator, "values": values})
            })
            .collect();
        let object = json!({"matchLabels": pairs, "matchExpressions": expressions});
        let selector = Selector::from_label_selector(&object).unwrap();
        let labels = made.labels();
        // The definition itself: every pair is there, every expression holds.
        let expected = pairs.iter().all(|(key, value)| labels.get(key) == Some(value))
            && expressions.iter().all(|expression| {
                let value = labels.get(expression["key"].as_str().unwrap());
                let listed =
                    value.is_some_and(|value| expression["values"].as_array().unwrap().contains(value));
                match expression["operator"].as_str().unwrap() {
                    "In" => listed,
                    "NotIn" => !listed,
                    "Exists" => value.is_some(),
                    _ => value.is_none(),
                }
            });
        assert_eq!(selector.matches_value(Some(&labels)), expected, "{object} of {labels:?}");
        let text = selector.to_string();
        let read = parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(read.matches_value(Some(&labels)), expected, "{object} as {text} of {labels:?}");
    }
}
