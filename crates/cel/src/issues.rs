//! Why a text cannot be used as an expression, shown as people know it: place, reason, the line and a caret.

use std::fmt;

/// Most complaints that are shown.
const MOST: usize = 100;

/// One complaint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// The octet of the text that it is about.
    pub at: usize,
    /// What is wrong.
    pub why: String,
}

impl Issue {
    /// A complaint about what stands at an octet.
    pub fn new(at: usize, why: impl Into<String>) -> Self {
        Self { at, why: why.into() }
    }
}

/// Why an expression cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    shown: String,
}

impl CompileError {
    /// Shows complaints about a text, in the order of their places.
    pub fn new(text: &str, mut issues: Vec<Issue>) -> Self {
        issues.sort_by_key(|issue| issue.at);
        issues.dedup();
        let shown: Vec<String> = issues.iter().take(MOST).map(|issue| show(text, issue)).collect();
        Self { shown: shown.join("\n") }
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.shown)
    }
}

impl std::error::Error for CompileError {}

fn show(text: &str, issue: &Issue) -> String {
    let mut at = issue.at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let (before, after) = text.split_at(at);
    let line = 1 + before.matches('\n').count();
    let begin = before.rfind('\n').map_or(0, |end| end + 1);
    let end = after.find('\n').map_or(text.len(), |end| at + end);
    let column = text[begin..at].chars().count();
    // Letters that are wide are marked by wide signs, so that the caret stays below its letter.
    let dots: String =
        text[begin..at].chars().map(|letter| if letter.is_ascii() { '.' } else { '．' }).collect();
    let caret = match text[at..end].chars().next() {
        Some(letter) if !letter.is_ascii() => '＾',
        _ => '^',
    };
    if text.is_empty() {
        return format!("ERROR: <input>:1:1: {}", issue.why);
    }
    let whole = text[begin..end].replace('\t', " ");
    format!("ERROR: <input>:{line}:{}: {}\n | {whole}\n | {dots}{caret}", column + 1, issue.why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_below_what_is_meant() {
        let text = "a &&\n\tübel.b";
        let error = CompileError::new(text, vec![Issue::new(11, "no"), Issue::new(0, "yes")]);
        assert_eq!(
            error.to_string(),
            "ERROR: <input>:1:1: yes\n | a &&\n | ^\nERROR: <input>:2:6: no\n |  übel.b\n | .．...^"
        );
        // There is no line to show of nothing.
        assert_eq!(CompileError::new("", vec![Issue::new(0, "no")]).to_string(), "ERROR: <input>:1:1: no");
        // Never beyond the text.
        assert!(
            CompileError::new("é", vec![Issue::new(1, "x"), Issue::new(99, "y")]).to_string().contains("1:2")
        );
    }
}
