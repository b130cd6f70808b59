//! What holds of any selector of labels: its text selects what it selects, and so does its object.

use serde_json::{Map, Value, json};

use super::*;

/// A small generator of numbers, the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides) as usize
    }

    fn value(&mut self) -> &'static str {
        ["a", "b", "", "1", "20", "in", "notin", "x.y_z-0"][self.roll(8)]
    }

    fn key(&mut self) -> &'static str {
        ["app", "a.example/tier", "in", "notin", "n"][self.roll(5)]
    }

    fn labels(&mut self) -> Map<String, Value> {
        (0..self.roll(5)).map(|_| (self.key().to_owned(), self.value().into())).collect()
    }
}

#[test]
fn any_selector_is_read_back_from_its_text() {
    let mut dice = Dice(0xA076_1D64_78BD_642F);
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
        let requirements: Vec<Requirement> = (0..dice.roll(4))
            .map(|_| {
                let operator = OPERATORS[dice.roll(8)];
                let values = match operator {
                    Operator::Exists | Operator::DoesNotExist => Vec::new(),
                    Operator::GreaterThan | Operator::LessThan => vec!["10".to_owned()],
                    Operator::Equals | Operator::NotEquals => vec![dice.value().to_owned()],
                    Operator::In | Operator::NotIn => {
                        let mut values: Vec<String> =
                            (0..=dice.roll(3)).map(|_| dice.value().to_owned()).collect();
                        values.sort();
                        values.dedup();
                        values
                    }
                };
                Requirement { key: dice.key().to_owned(), operator, values }
            })
            .collect();
        let selector = Selector { requirements, nothing: false };
        let text = selector.to_string();
        let read = parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(read.to_string(), text);
        for _ in 0..4 {
            let labels = dice.labels();
            let (one, other) = (selector.matches_value(Some(&labels)), read.matches_value(Some(&labels)));
            assert_eq!(one, other, "{text} of {labels:?}");
        }
    }
}

#[test]
fn any_object_selects_what_it_says() {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    for _ in 0..10_000 {
        let pairs = match dice.roll(2) {
            0 => Map::new(),
            _ => dice.labels(),
        };
        let expressions: Vec<Value> = (0..dice.roll(3))
            .map(|_| {
                let operator = ["In", "NotIn", "Exists", "DoesNotExist"][dice.roll(4)];
                let values: Vec<&str> = match operator {
                    "In" | "NotIn" => (0..=dice.roll(3)).map(|_| dice.value()).collect(),
                    _ => Vec::new(),
                };
                json!({"key": dice.key(), "operator": operator, "values": values})
            })
            .collect();
        let object = json!({"matchLabels": pairs, "matchExpressions": expressions});
        let selector = Selector::from_label_selector(&object).unwrap();
        let labels = dice.labels();
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
