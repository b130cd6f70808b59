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
        "rgbcolor" => is_rgb(text),
        "bsonobjectid" => text.len() == 24 && is_hexadecimal(text),
        "ssn" => is_social_security_number(text),
        "creditcard" => is_credit_card(text),
        "isbn10" => is_isbn10(text),
        "isbn13" => is_isbn13(text),
        "isbn" => is_isbn10(text) || is_isbn13(text),
        "k8s-short-name" => names::is_dns1123_label(text),
        "k8s-long-name" => names::is_dns1123_subdomain(text),
        _ => true,
    }
}

fn is_hexadecimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `rgb(0, 128, 255)`.
fn is_rgb(text: &str) -> bool {
    let Some(inner) = text.strip_prefix("rgb(").and_then(|rest| rest.strip_suffix(')')) else { return false };
    let parts: Vec<&str> =
        inner.split(',').map(|part| part.trim_matches([' ', '\t', '\n', '\r', '\x0c'])).collect();
    let is_shade = |part: &&str| part.parse::<u8>().is_ok_and(|shade| shade.to_string() == **part);
    parts.len() == 3 && parts.iter().all(is_shade)
}

/// Three, two and four digits, with a dash or a space between them or nothing.
fn is_social_security_number(text: &str) -> bool {
    let mut rest = text;
    for (index, count) in [3, 2, 4].into_iter().enumerate() {
        if index > 0 {
            rest = rest.strip_prefix(['-', ' ']).unwrap_or(rest);
        }
        match rest.split_at_checked(count) {
            Some((digits, behind)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => rest = behind,
            _ => return false,
        }
    }
    rest.is_empty()
}

/// A number of a card's issuer whose check digit is right (Luhn); what is no digit is passed over.
fn is_credit_card(text: &str) -> bool {
    /// What an issuer's numbers begin with, from and to, and how long they are.
    const ISSUERS: [(&str, &str, usize); 16] = [
        ("4", "4", 13),
        ("4", "4", 16),
        ("51", "55", 16),
        ("2221", "2720", 16),
        ("6011", "6011", 16),
        ("65", "65", 16),
        ("62", "62", 16),
        ("67", "67", 16),
        ("34", "34", 15),
        ("37", "37", 15),
        ("300", "305", 14),
        ("36", "36", 14),
        ("38", "38", 14),
        ("2131", "2131", 15),
        ("1800", "1800", 15),
        ("35", "35", 16),
    ];
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let begins =
        |from: &str, to: &str| digits.get(..from.len()).is_some_and(|head| (from..=to).contains(&head));
    let is_issued = ISSUERS.iter().any(|(from, to, length)| digits.len() == *length && begins(from, to));
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(index, byte)| match (index % 2, u32::from(byte - b'0')) {
            (0, digit) => digit,
            (_, digit @ 0..=4) => 2 * digit,
            (_, digit) => 2 * digit - 9,
        })
        .sum();
    is_issued && sum.is_multiple_of(10)
}

fn without_dashes(text: &str) -> String {
    text.chars().filter(|letter| !matches!(letter, ' ' | '-')).collect()
}

/// Nine digits and a check digit, which is X for ten.
fn is_isbn10(text: &str) -> bool {
    let text = without_dashes(text);
    let mut sum = 0;
    for (index, byte) in (0_u32..).zip(text.bytes()) {
        sum += (index + 1)
            * match byte {
                b'0'..=b'9' => u32::from(byte - b'0'),
                b'X' if index == 9 => 10,
                _ => return false,
            };
    }
    text.len() == 10 && sum.is_multiple_of(11)
}

/// Thirteen digits of which the last is a check digit.
fn is_isbn13(text: &str) -> bool {
    let text = without_dashes(text);
    let weighed = |(byte, weight): (u8, u32)| u32::from(byte.wrapping_sub(b'0')) * weight;
    text.len() == 13
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && text.bytes().zip([1, 3].into_iter().cycle()).map(weighed).sum::<u32>().is_multiple_of(10)
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
            ("date-time", "9999-12-31T23:59:59Z", "9999-12-32T00:00:00Z"),
            ("date", "2026-02-28", "2026-02-31"),
            ("date", "9999-12-31", "9999-11-31"),
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
            ("rgbcolor", "rgb(0, 128,255)", "rgb(0,128,256)"),
            ("rgbcolor", "rgb(1,2,3)", "rgb(01,2,3)"),
            ("rgbcolor", "rgb( 1 , 2 , 3 )", "rgb(1,2)"),
            ("bsonobjectid", "507f1f77bcf86cd799439011", "507f1f77bcf86cd79943901"),
            ("bsonobjectid", "507F1F77BCF86CD799439011", "507f1f77bcf86cd79943901g"),
            ("ssn", "111-11-1111", "111-11-111"),
            ("ssn", "111 111111", "1111-1-1111"),
            ("ssn", "111111111", "111--11-1111"),
            ("creditcard", "4111-1111-1111-1111", "4111-1111-1111-1112"),
            ("creditcard", "378282246310005", "378282246310006"),
            ("creditcard", "2223 0031 2200 3222", "9999999999999995"),
            ("creditcard", "30569309025904", "0"),
            ("isbn10", "0-306-40615-2", "0-306-40615-3"),
            ("isbn10", "080442957X", "08044X957X"),
            ("isbn13", "978-0-306-40615-7", "978-0-306-40615-8"),
            ("isbn", "0306406152", "030640615"),
            ("isbn", "9780306406157", "978030640615x"),
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
