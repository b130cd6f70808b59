//! The syntax of names by rule, with upstream's messages.

use std::net::IpAddr;

use apimachinery::names::{dns1123_label_errors, dns1123_subdomain_errors, path_segment_errors};
pub use apimachinery::names::{label_value_errors, qualified_name_errors};

use crate::NameRule;

/// What is wrong with a name under a rule; empty when nothing is.
pub fn errors(rule: NameRule, name: &str) -> Vec<String> {
    match rule {
        NameRule::Subdomain => dns1123_subdomain_errors(name),
        NameRule::Label => dns1123_label_errors(name),
        NameRule::PathSegment => path_segment_errors(name),
        NameRule::Address => match name.parse::<IpAddr>() {
            Ok(address) if address.to_string() == name => Vec::new(),
            Ok(address) => vec![format!("must be in canonical form (\"{address}\")")],
            Err(_) => vec!["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".to_owned()],
        },
    }
}

/// What is wrong with the fixed part of a generated name: a dash at its end will be followed by more.
pub(crate) fn prefix_errors(rule: NameRule, prefix: &str) -> Vec<String> {
    match (rule, prefix.strip_suffix('-')) {
        (NameRule::PathSegment, _) | (_, None) => errors(rule, prefix),
        (_, Some(start)) => errors(rule, &format!("{start}a")),
    }
}
