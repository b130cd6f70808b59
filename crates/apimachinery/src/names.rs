//! Syntax of names, labels and annotations, with upstream's messages.

use crate::hash::SAFE_ALPHABET;

/// Longest DNS label (RFC 1123).
pub const DNS1123_LABEL_MAX: usize = 63;
/// Longest DNS subdomain (RFC 1123).
pub const DNS1123_SUBDOMAIN_MAX: usize = 253;

const LABEL_MESSAGE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN_MESSAGE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const DNS1035_MESSAGE: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED_MESSAGE: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE_MESSAGE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

fn too_long(max: usize) -> String {
    format!("must be no more than {max} bytes")
}

fn is_lower_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn label_syntax(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    is_lower_alphanumeric(*first)
        && is_lower_alphanumeric(*last)
        && bytes.iter().all(|byte| is_lower_alphanumeric(*byte) || *byte == b'-')
}

fn mixed_syntax(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    first.is_ascii_alphanumeric()
        && last.is_ascii_alphanumeric()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// What is wrong with `text` as an RFC 1123 label; empty when nothing is.
pub fn dns1123_label_errors(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > DNS1123_LABEL_MAX {
        errors.push(too_long(DNS1123_LABEL_MAX));
    }
    if !label_syntax(text) {
        errors.push(LABEL_MESSAGE.into());
    }
    errors
}

/// What is wrong with `text` as an RFC 1123 subdomain; empty when nothing is.
pub fn dns1123_subdomain_errors(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > DNS1123_SUBDOMAIN_MAX {
        errors.push(too_long(DNS1123_SUBDOMAIN_MAX));
    }
    if !text.split('.').all(label_syntax) {
        errors.push(SUBDOMAIN_MESSAGE.into());
    }
    errors
}

/// What is wrong with `text` as a DNS-1035 label (Service names before 1.34's relaxation, port names); empty when nothing is.
pub fn dns1035_label_errors(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > DNS1123_LABEL_MAX {
        errors.push(too_long(DNS1123_LABEL_MAX));
    }
    if !(label_syntax(text) && text.as_bytes()[0].is_ascii_lowercase()) {
        errors.push(DNS1035_MESSAGE.into());
    }
    errors
}

/// Whether `text` is an RFC 1123 label.
pub fn is_dns1123_label(text: &str) -> bool {
    dns1123_label_errors(text).is_empty()
}

/// Whether `text` is an RFC 1123 subdomain.
pub fn is_dns1123_subdomain(text: &str) -> bool {
    dns1123_subdomain_errors(text).is_empty()
}

/// What is wrong with `text` as a label or annotation key (`prefix/name`); empty when nothing is.
pub fn qualified_name_errors(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    let mut parts = text.split('/');
    let (first, second, third) = (parts.next().unwrap_or(""), parts.next(), parts.next());
    let name = match (second, third) {
        (None, _) => first,
        (Some(name), None) => {
            if first.is_empty() {
                errors.push("prefix part must be non-empty".into());
            } else {
                errors.extend(
                    dns1123_subdomain_errors(first).into_iter().map(|error| format!("prefix part {error}")),
                );
            }
            name
        }
        (Some(_), Some(_)) => {
            errors.push(format!(
                "a qualified name {} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
                QUALIFIED_MESSAGE.trim_start_matches("name part ")
            ));
            return errors;
        }
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".into());
    } else if name.len() > DNS1123_LABEL_MAX {
        errors.push(format!("name part {}", too_long(DNS1123_LABEL_MAX)));
    }
    if !mixed_syntax(name) {
        errors.push(QUALIFIED_MESSAGE.into());
    }
    errors
}

/// What is wrong with `text` as a label value; empty when nothing is.
pub fn label_value_errors(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > DNS1123_LABEL_MAX {
        errors.push(too_long(DNS1123_LABEL_MAX));
    }
    if !text.is_empty() && !mixed_syntax(text) {
        errors.push(LABEL_VALUE_MESSAGE.into());
    }
    errors
}

/// What is wrong with `text` as a path segment (names of RBAC objects); empty when nothing is.
pub fn path_segment_errors(text: &str) -> Vec<String> {
    if text == "." || text == ".." {
        return vec![format!("may not be '{text}'")];
    }
    ["/", "%"]
        .iter()
        .filter(|bad| text.contains(**bad))
        .map(|bad| format!("may not contain '{bad}'"))
        .collect()
}

/// What is wrong with `text` as an IANA port name; empty when nothing is.
pub fn port_name_errors(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > 15 {
        errors.push("must be no more than 15 characters".into());
    }
    if !text.bytes().all(|byte| is_lower_alphanumeric(byte) || byte == b'-') || text.is_empty() {
        errors.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".into());
    }
    if !text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        errors.push("must contain at least one letter (a-z)".into());
    }
    if text.contains("--") {
        errors.push("must not contain consecutive hyphens".into());
    }
    if text.starts_with('-') || text.ends_with('-') {
        errors.push("must not begin or end with a hyphen".into());
    }
    errors
}

/// Appends five random characters to `base`, cut so that the whole stays within 63 bytes.
///
/// `random` gives the randomness; upstream's alphabet and lengths (`names.SimpleNameGenerator`).
pub fn generate_name(base: &str, random: u64) -> String {
    const SUFFIX: usize = 5;
    let mut end = base.len().min(DNS1123_LABEL_MAX - SUFFIX);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{}", &base[..end], suffix(random, SUFFIX))
}

/// `length` characters (at most 13) of the safe alphabet drawn from `random`.
pub fn suffix(mut random: u64, length: usize) -> String {
    (0..length)
        .map(|_| {
            let index = random % SAFE_ALPHABET.len() as u64;
            random /= SAFE_ALPHABET.len() as u64;
            char::from(SAFE_ALPHABET[index as usize])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_subdomains() {
        for good in ["a", "web-0", "0", &"x".repeat(63)] {
            assert!(is_dns1123_label(good), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", &"x".repeat(64)] {
            assert!(!is_dns1123_label(bad), "{bad}");
        }
        assert!(is_dns1123_subdomain("a.b-c.d"));
        assert!(!is_dns1123_subdomain("a..b"));
    }

    #[test]
    fn qualified_names() {
        for good in ["app", "app.kubernetes.io/name", "a_b.C-9"] {
            assert!(qualified_name_errors(good).is_empty(), "{good}");
        }
        assert_eq!(qualified_name_errors("/x"), ["prefix part must be non-empty"]);
        assert!(qualified_name_errors("a/b/c")[0].starts_with("a qualified name must consist of"));
        assert!(qualified_name_errors("a/")[0].contains("non-empty"));
        assert!(label_value_errors("").is_empty());
        assert!(!label_value_errors("a b").is_empty());
    }

    #[test]
    fn generated_names_fit_a_label() {
        let name = generate_name(&"x".repeat(80), 7);
        assert_eq!(name.len(), 63);
        assert_ne!(generate_name("web-", 1), generate_name("web-", 2));
    }

    #[test]
    fn port_names() {
        assert!(port_name_errors("http").is_empty());
        assert_eq!(port_name_errors("80"), ["must contain at least one letter (a-z)"]);
        assert_eq!(port_name_errors("a--b"), ["must not contain consecutive hyphens"]);
    }
}
