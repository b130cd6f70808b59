//! Keys of YAML that are there more than once in their map, named as upstream's strict reader names them.

use std::collections::HashSet;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle};

/// So many keys are named: upstream names all, but a message must end.
const MOST: usize = 1000;

/// What stands around the place that is read.
enum Around {
    List,
    Map {
        seen: HashSet<String>,
        /// The key whose value comes next, and its line; the name is empty for a key that is itself a map or a list.
        key: Option<(Option<String>, usize)>,
    },
}

/// The repeated keys of the first document, in the order in which upstream's reader comes upon them: those of a value
/// before the value's own. Nothing where there are none, or where the text cannot be read.
pub fn keys(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut found: Vec<String> = Vec::new();
    // Each with the line on which it begins.
    let mut around: Vec<(Around, usize)> = Vec::new();
    for event in Parser::new_from_str(text) {
        let Ok((event, span)) = event else { break };
        let line = span.start.line();
        let mut is_block = false;
        let (is_done, name, line) = match event {
            Event::MappingStart(..) => {
                around.push((Around::Map { seen: HashSet::new(), key: None }, line));
                (false, None, line)
            }
            Event::SequenceStart(..) => {
                around.push((Around::List, line));
                (false, None, line)
            }
            Event::MappingEnd | Event::SequenceEnd => {
                let began = around.pop().map_or(line, |(_, began)| began);
                (true, None, began)
            }
            Event::Scalar(text, style, ..) => {
                is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                (true, Some(shown(&text, style)), line)
            }
            Event::Alias(..) => (true, None, line),
            Event::DocumentEnd => break,
            _ => continue,
        };
        if !is_done {
            continue;
        }
        let Some((Around::Map { seen, key }, _)) = around.last_mut() else { continue };
        match key.take() {
            None => *key = Some((name, line)),
            Some((Some(name), key_line)) if name != MERGE && !seen.insert(name.clone()) => {
                // A block of text begins where its mark stands, behind the key.
                let line = if is_block { key_line } else { line };
                found.push(format!("  line {line}: key {name} already set in map"));
                if found.len() == MOST {
                    break;
                }
            }
            Some(_) => {}
        }
    }
    (!found.is_empty()).then(|| format!("yaml: unmarshal errors:\n{}", found.join("\n")))
}

/// A key that brings another map in, and may do so more than once.
const MERGE: &str = "\"<<\"";

/// A key as Go writes it: what is written as a number or as true or false is one.
fn shown(text: &str, style: ScalarStyle) -> String {
    let is_word = style == ScalarStyle::Plain;
    match text {
        "true" | "True" | "TRUE" if is_word => "true".to_owned(),
        "false" | "False" | "FALSE" if is_word => "false".to_owned(),
        _ => match text.parse::<i64>() {
            Ok(number) if is_word => number.to_string(),
            _ => format!("{text:?}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_repeated_key_is_named_with_the_line_of_its_value() {
        for (text, expected) in [
            ("a: 1\nb: {c: 1, d: 1}\n", ""),
            ("a: 1\na: 2\n", "  line 2: key \"a\" already set in map"),
            (
                "a: 1\nb: 2\na: 3\nb: 4\na: 5\n",
                "  line 3: key \"a\" already set in map\n  line 4: key \"b\" already set in map\n  line 5: key \"a\" already set in map",
            ),
            // What is in a value is found before the value is put in its map, whose line is that of its first key.
            (
                "m:\n  x: 1\nm:\n  y: 1\n  y: 2\n",
                "  line 5: key \"y\" already set in map\n  line 4: key \"m\" already set in map",
            ),
            (
                "l:\n- {a: 1, a: 2}\n- a: 1\n  b: 2\n  a: |\n    text\n",
                "  line 2: key \"a\" already set in map\n  line 5: key \"a\" already set in map",
            ),
            // The same keys in maps beside each other, and values that are like keys.
            ("l:\n- a: a\n- a: a\nm: {a: l}\n", ""),
            (
                "1: a\n\"1\": b\n1: c\ntrue: d\nTrue: e\n",
                "  line 3: key 1 already set in map\n  line 5: key true already set in map",
            ),
            ("a: &x {b: 1}\nc:\n  <<: *x\n  <<: *x\n", ""),
            ("? [a]\n: 1\n? [a]\n: 2\n", ""),
            // Of several documents the first is read.
            ("a: 1\n---\na: 1\na: 2\n", ""),
            ("# comment\na: 1 # comment\n# comment\na: 2\n", "  line 4: key \"a\" already set in map"),
            ("", ""),
            ("a: [\n", ""),
        ] {
            let expected = match expected {
                "" => None,
                lines => Some(format!("yaml: unmarshal errors:\n{lines}")),
            };
            assert_eq!(keys(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(keys(b"\xff: 1"), None);
    }

    #[test]
    fn a_message_ends() {
        let text = "a: 1\n".repeat(5000);
        assert_eq!(keys(text.as_bytes()).unwrap().lines().count(), 1 + MOST);
    }
}
