//! Container logs in the runtime's format: `time stream tag content`, the tag F for a whole line and P for a part.

use jiff::Timestamp;

/// One entry of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// When it was written.
    pub time: Timestamp,
    /// The time as the log has it.
    pub stamp: &'a str,
    /// `stdout` or `stderr`.
    pub stream: &'a str,
    /// What was written; with its line end when the entry completes a line.
    pub content: &'a [u8],
    /// Whether the line goes on in the next entry.
    pub partial: bool,
}

/// Reads one line of a log; none when it is not whole or not an entry.
pub fn parse(line: &[u8]) -> Option<Entry<'_>> {
    let body = line.strip_suffix(b"\n")?;
    let mut parts = body.splitn(4, |byte| *byte == b' ');
    let stamp = std::str::from_utf8(parts.next()?).ok()?;
    let stream = std::str::from_utf8(parts.next()?).ok()?;
    let tags = parts.next()?;
    let content = parts.next().unwrap_or_default();
    let time = stamp.parse().ok()?;
    if !matches!(stream, "stdout" | "stderr") {
        return None;
    }
    let partial = tags.split(|byte| *byte == b':').next() == Some(b"P");
    // The content lies in the line, and so does the line end after it.
    let content = if partial { content } else { &line[line.len() - content.len() - 1..] };
    Some(Entry { time, stamp, stream, content, partial })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries() {
        let entry = parse(b"2026-01-01T00:00:00.123456789Z stdout F hello world\n").unwrap();
        assert_eq!((entry.stream, entry.content, entry.partial), ("stdout", &b"hello world\n"[..], false));
        let entry = parse(b"2026-01-01T00:00:00+02:00 stderr P part\n").unwrap();
        assert_eq!((entry.content, entry.partial), (&b"part"[..], true));
        let entry = parse(b"2026-01-01T00:00:00Z stdout F \n").unwrap();
        assert_eq!(entry.content, b"\n");
        for broken in [
            &b"2026-01-01T00:00:00Z stdout F no end"[..],
            b"x stdout F y\n",
            b"\n",
            b"2026-01-01T00:00:00Z other F y\n",
        ] {
            assert_eq!(parse(broken), None);
        }
    }
}
