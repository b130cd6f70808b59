//! The decoders, and inputs to begin with.

mod binary;
mod objects;
mod patches;
mod text;

use std::fmt::Display;

/// A decoder of what comes from outside.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Decodes; the number stands for what came of it.
    pub run: fn(&[u8]) -> u64,
}

/// All of them.
pub static TARGETS: &[Target] = &[
    Target { name: "json", seeds: objects::texts, run: objects::json },
    Target { name: "yaml", seeds: text::yamls, run: text::yaml },
    Target { name: "validation", seeds: objects::choices, run: objects::validation },
    Target { name: "protobuf", seeds: binary::bodies, run: binary::protobuf },
    Target { name: "protobuf-writing", seeds: objects::texts, run: binary::protobuf_writing },
    Target { name: "json-patch", seeds: patches::json_patches, run: patches::json_patch },
    Target { name: "merge-patch", seeds: patches::merge_patches, run: patches::merge_patch },
    Target { name: "strategic-patch", seeds: patches::strategic_patches, run: patches::strategic_patch },
    Target { name: "managed-fields", seeds: patches::managed, run: patches::managed_fields },
    Target { name: "label-selector", seeds: text::selectors, run: text::label_selector },
    Target { name: "field-selector", seeds: text::selectors, run: text::field_selector },
    Target { name: "quantity", seeds: text::quantities, run: text::quantity },
    Target { name: "duration", seeds: text::durations, run: text::duration },
    Target { name: "cel", seeds: text::expressions, run: text::cel },
    Target { name: "continue-token", seeds: text::tokens, run: text::continue_token },
    Target { name: "request-line", seeds: text::request_lines, run: text::request_line },
    Target { name: "jsonpath", seeds: text::paths, run: text::jsonpath },
    Target { name: "go-template", seeds: text::templates, run: text::template },
    Target { name: "der", seeds: binary::certificates, run: binary::der },
    Target { name: "jwt", seeds: text::jwts, run: text::jwt },
];

/// A number for a result: values are told apart by their kind alone, errors by what they say but for numbers.
fn outcome<T, E: Display>(result: Result<T, E>) -> u64 {
    match result {
        Ok(_) => 1,
        Err(error) => said(&error.to_string()),
    }
}

fn said(text: &str) -> u64 {
    let shape: String = text.chars().filter(|char| !char.is_ascii_digit()).take(60).collect();
    crate::session::hash(shape)
}

fn seeds(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_bears_its_seeds_and_a_few_hundred_mutations() {
        for target in TARGETS {
            let mut dice = crate::Dice::new(7);
            let seeds = (target.seeds)();
            assert!(!seeds.is_empty(), "{}", target.name);
            let mut seen = std::collections::HashSet::new();
            for _ in 0..200 {
                let mut input = dice.one(&seeds).clone();
                seen.insert((target.run)(&input));
                let other = dice.one(&seeds).clone();
                crate::mutate::mutate(&mut input, &other, &mut dice);
                seen.insert((target.run)(&input));
            }
            assert!(seen.len() > 1, "{} says the same of everything", target.name);
        }
    }
}
