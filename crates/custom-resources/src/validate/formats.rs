//! The formats of strings that are checked; others are words for people.

use std::net::{Ipv4Addr, Ipv6Addr};

use apimachinery::{names, time};

/// Whether a string has a format. What is no known format takes everything.
pub fn takes(format: &str, text: &str) -> bool {
    match format {
        "date-time" | "datetime" => time::parse(text).is_some(),
        "date" => is_date(text),
        "duration" => is_duration(text),
        "byte" => is_base64(text),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok() && text.contains(':'),
        "cidr" => is_cidr(text),
        "uuid" => is_uuid(text, &['0', '1', '2', '3', '4', '5', '6', '7', '8']),
        "uuid3" => is_uuid(text, &['3']),
        "uuid4" => is_uuid(text, &['4']),
        "uuid5" => is_uuid(text, &['5']),
        "hostname" => names::is_dns1123_subdomain(&text.to_lowercase()),
        "email" => text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty()),
        "uri" => is_uri(text),
        "mac" => is_mac(text),
        "hexcolor" => text
            .strip_prefix('#')
            .is_some_and(|digits| matches!(digits.len(), 3 | 6) && is_hexadecimal(digits)),
        "k8s-short-name" => names::is_dns1123_label(text),
        "k8s-long-name" => names::is_dns1123_subdomain(text),
        _ => true,
    }
}

fn is_hexadecimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_date(text: &str) -> bool {
    time::parse(&format!("{text}T00:00:00Z")).is_some()
}

/// A duration as Go writes it, or numbers with words for units somewhere in the text: `3 days`, `1 hour 5min`.
fn is_duration(text: &str) -> bool {
    /// Units; words that begin with the last of each are the same unit.
    const UNITS: [(&[&str], &str); 8] = [
        (&["ns"], "nano"),
        (&["us", "µs"], "micro"),
        (&["ms"], "milli"),
        (&["s"], "sec"),
        (&["m"], "min"),
        (&["h", "hr"], "hour"),
        (&["d"], "day"),
        (&["w", "wk"], "week"),
    ];
    let is_unit = |word: &str| {
        let word = word.to_lowercase();
        UNITS.iter().any(|(short, long)| short.contains(&word.as_str()) || word.starts_with(long))
    };
    let mut rest = text;
    let mut found = time::parse_go_duration(text).is_some();
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_digit()) {
        rest = rest[start..].trim_start_matches(|letter: char| letter.is_ascii_digit()).trim_start();
        let end =
            rest.find(|letter: char| !letter.is_ascii_alphabetic() && letter != 'µ').unwrap_or(rest.len());
        found |= is_unit(&rest[..end]);
        rest = &rest[end..];
    }
    found
}

fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    text.len().is_multiple_of(4) && text.len() - body.len() <= 2 && body.bytes().all(plain)
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let fits = |most: u8| length.parse::<u8>().is_ok_and(|length| length <= most);
    (address.parse::<Ipv4Addr>().is_ok() && fits(32)) || (address.parse::<Ipv6Addr>().is_ok() && fits(128))
}

fn is_uuid(text: &str, versions: &[char]) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12]
        && groups.iter().all(|group| is_hexadecimal(group))
        && groups[2].starts_with(versions)
}

fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return text.starts_with('/') };
    let mut letters = scheme.chars();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter))
        && !rest.contains(char::is_whitespace)
}

fn is_mac(text: &str) -> bool {
    [':', '-'].into_iter().any(|separator| {
        let octets: Vec<&str> = text.split(separator).collect();
        matches!(octets.len(), 6 | 8) && octets.iter().all(|octet| octet.len() == 2 && is_hexadecimal(octet))
    })
}

#[cfg(test)]
mod tests {
    use super::takes;

    #[test]
    fn strings_have_the_formats_that_are_asked_for() {
        for (format, good, bad) in [
            ("date-time", "2026-01-01T00:00:00Z", "yesterday"),
            ("date", "2026-02-28", "2026-02-31"),
            ("duration", "1h30m", "an hour"),
            ("duration", "1 hour", "1 fortnight"),
            ("duration", "3 Days, 5min", "3"),
            ("duration", "10 wk", "wk 10"),
            ("byte", "aGk=", "a"),
            ("byte", "a+/A", "a-_A"),
            ("byte", "aA==", "a==="),
            ("ipv4", "10.0.0.1", "10.0.0"),
            ("ipv6", "::1", "1"),
            ("cidr", "10.0.0.0/8", "10.0.0.0"),
            ("cidr", "10.0.0.0/32", "10.0.0.0/33"),
            ("cidr", "fd00::/128", "fd00::/129"),
            ("email", "a@b.example", "a@"),
            ("email", "a@b", "@b"),
            ("hexcolor", "#fff", "fff"),
            ("hexcolor", "#00ff00", "#00ff0"),
            ("hexcolor", "#00FF00", "#00gg00"),
            ("k8s-short-name", "a-b", "a.b"),
            ("k8s-long-name", "a.b", "A"),
            ("uuid", "0f8fad5b-d9cb-469f-a165-70867728950e", "0f8fad5b"),
            ("hostname", "Example.com", "-x"),
            ("uuid4", "0f8fad5b-d9cb-469f-a165-70867728950e", "0f8fad5b-d9cb-369f-a165-70867728950e"),
            ("uuid3", "0f8fad5b-d9cb-369f-a165-70867728950e", "0f8fad5b-d9cb-369f-a165-7086772895zz"),
            ("uri", "https://example.com/x", "a b"),
            ("uri", "git+ssh://a", "1a://b"),
            ("uri", "/a", "a"),
            ("mac", "00:11:22:33:44:55", "00:11"),
        ] {
            assert!(takes(format, good), "{format} {good}");
            assert!(!takes(format, bad), "{format} {bad}");
        }
        assert!(takes("int32", "whatever"));
    }
}
