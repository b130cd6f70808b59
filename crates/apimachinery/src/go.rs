//! Texts that Go's standard library reads, as upstream's flags, queries and expressions do.

/// Reads a truth value, as `strconv.ParseBool`.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truth_has_the_spellings_that_go_knows() {
        for (text, expected) in [
            ("1", Some(true)),
            ("TRUE", Some(true)),
            ("f", Some(false)),
            ("", None),
            ("yes", None),
            ("tRUE", None),
        ] {
            assert_eq!(parse_bool(text), expected, "{text}");
        }
    }
}
