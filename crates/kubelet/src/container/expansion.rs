//! Expands `$(NAME)` in commands, arguments and environment values.

/// Replaces every `$(NAME)` that `lookup` knows. `$$` stands for one `$`; what is unknown stays as it is.
pub fn expand<'a>(text: &str, lookup: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
            continue;
        }
        let reference = rest.strip_prefix('(').and_then(|inside| inside.split_once(')'));
        match reference {
            Some((name, after)) => {
                match lookup(name) {
                    Some(value) => expanded.push_str(value),
                    None => expanded.push_str(&format!("$({name})")),
                }
                rest = after;
            }
            None => expanded.push('$'),
        }
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let lookup = |name: &str| match name {
            "A" => Some("1"),
            "EMPTY" => Some(""),
            "NESTED" => Some("$(A)"),
            _ => None,
        };
        assert_eq!(expand(text, lookup), expected, "{text}");
    }

    #[test]
    fn references() {
        check("", "");
        check("plain", "plain");
        check("$(A)", "1");
        check("x$(A)y$(A)z", "x1y1z");
        check("$(EMPTY)", "");
        check("$(UNKNOWN)", "$(UNKNOWN)");
        check("$(NESTED)", "$(A)");
    }

    #[test]
    fn escapes_and_what_is_no_reference() {
        check("$$(A)", "$(A)");
        check("$$$(A)", "$1");
        check("$$$$", "$$");
        check("$A", "$A");
        check("$(A", "$(A");
        check("100$", "100$");
        check("$()", "$()");
        check("é$(A)é", "é1é");
    }
}
