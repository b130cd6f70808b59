//! The uid of an object in 16 bytes, which nearly all of them fit in.

use std::fmt;
use std::sync::Arc;

/// A uid: a UUID as its number, anything else as its text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Uid {
    /// A UUID in its canonical form.
    Uuid(u128),
    /// Any other text.
    Text(Arc<str>),
}

impl From<&str> for Uid {
    fn from(text: &str) -> Uid {
        let uuid = uuid(text).map(Uid::Uuid).filter(|uuid| uuid.to_string() == text);
        uuid.unwrap_or_else(|| Uid::Text(text.into()))
    }
}

fn uuid(text: &str) -> Option<u128> {
    if text.len() != 36 {
        return None;
    }
    let digits: String = text.chars().filter(|character| *character != '-').collect();
    (digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok()).flatten()
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Uid::Text(text) => f.write_str(text),
            Uid::Uuid(number) => {
                let digits = format!("{number:032x}");
                let (a, b, c, d, e) =
                    (&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]);
                write!(f, "{a}-{b}-{c}-{d}-{e}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back_as_it_was() {
        for (text, is_uuid) in [
            ("0f8fad5b-d9cb-469f-a165-70867728950e", true),
            ("0F8FAD5B-D9CB-469F-A165-70867728950E", false),
            ("0f8fad5bd9cb-469f-a165-70867728950e-", false),
            ("custom", false),
            ("", false),
        ] {
            let uid = Uid::from(text);
            assert_eq!(uid.to_string(), text);
            assert_eq!(matches!(uid, Uid::Uuid(_)), is_uuid, "{text}");
        }
    }
}
