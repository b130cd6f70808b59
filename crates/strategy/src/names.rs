//! The syntax of names by rule, with upstream's messages.

use std::net::IpAddr;

use apimachinery::names::{dns1123_label_errors, dns1123_subdomain_errors, path_segment_errors};
pub use apimachinery::names::{label_value_errors, qualified_name_errors};

use crate::NameRule;

const KEY_MESSAGE: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

/// What is wrong with a name under a rule; empty when nothing is.
pub fn errors(rule: NameRule, name: &str) -> Vec<String> {
    match rule {
        NameRule::Subdomain => dns1123_subdomain_errors(name),
        NameRule::Label => dns1123_label_errors(name),
        NameRule::PathSegment => path_segment_errors(name),
        NameRule::ConfigKey => config_key_errors(name),
        NameRule::Address => match name.parse::<IpAddr>() {
            Ok(address) if address.to_string() == name => Vec::new(),
            Ok(address) => vec![format!("must be in canonical form (\"{address}\")")],
            Err(_) => vec!["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".to_owned()],
        },
    }
}

/// What is wrong with a key of a ConfigMap or Secret; empty when nothing is.
pub fn config_key_errors(key: &str) -> Vec<String> {
    let mut found = Vec::new();
    if key.len() > 253 {
        found.push("must be no more than 253 characters".to_owned());
    }
    let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if key.is_empty() || !key.bytes().all(word) {
        found.push(KEY_MESSAGE.to_owned());
    }
    match key {
        "." => found.push("must not be '.'".to_owned()),
        ".." => found.push("must not be '..'".to_owned()),
        _ if key.starts_with("..") => found.push("must not start with '..'".to_owned()),
        _ => {}
    }
    found
}

/// What is wrong with the fixed part of a generated name: a dash at its end will be followed by more.
pub(crate) fn prefix_errors(rule: NameRule, prefix: &str) -> Vec<String> {
    match (rule, prefix.strip_suffix('-')) {
        (NameRule::PathSegment | NameRule::ConfigKey, _) | (_, None) => errors(rule, prefix),
        (_, Some(start)) => errors(rule, &format!("{start}a")),
    }
}
