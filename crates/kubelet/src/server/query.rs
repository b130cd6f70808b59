//! Query parameters.

use percent_encoding::percent_decode_str;

/// The parameters of a request, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        let plain = |part: &str| percent_decode_str(&part.replace('+', " ")).decode_utf8_lossy().into_owned();
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (plain(key), plain(value))
        });
        Self { pairs: pairs.collect() }
    }

    /// The first value of a parameter, unless it is empty.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
        found.filter(|value| !value.is_empty())
    }

    /// All values of a parameter.
    pub(super) fn all(&self, key: &str) -> Vec<String> {
        self.pairs.iter().filter(|(name, _)| name == key).map(|(_, value)| value.clone()).collect()
    }

    /// Tells whether a parameter is set.
    pub(super) fn is(&self, key: &str) -> bool {
        matches!(self.get(key), Some("1" | "true" | "True" | "t"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_in_order() {
        let query = Query::parse("command=sh&command=-c&command=echo+%26%201&tty=true&stdin=0&x");
        assert_eq!(query.all("command"), ["sh", "-c", "echo & 1"]);
        assert!(query.is("tty") && !query.is("stdin") && !query.is("none"));
        assert_eq!(query.get("x"), None);
    }
}
