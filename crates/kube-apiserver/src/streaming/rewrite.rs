//! Points redirects and the links of HTML pages back through the proxy that the page came through.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use hyper::body::Incoming;

/// A tag longer than this is passed on as it is: pages may not make the server hold much, or look at it often.
const MAX_TAG: usize = 8 * 1024;

/// Attributes that hold URLs.
const LINKS: [&str; 14] = [
    "href",
    "src",
    "action",
    "formaction",
    "background",
    "cite",
    "longdesc",
    "poster",
    "data",
    "manifest",
    "codebase",
    "icon",
    "profile",
    "usemap",
];

/// Where a page was fetched from, and where the client believes it is.
#[derive(Debug, Clone)]
pub struct Place {
    /// The path of the proxy, without a slash at its end.
    pub prefix: String,
    /// The host that the client asked for.
    pub client_host: String,
    /// The host that was asked.
    pub target_host: String,
}

impl Place {
    /// The URL through the proxy; relative URLs and those of other hosts stay as they are.
    pub fn rewrite(&self, url: &str) -> String {
        let (host, rest) = match split(url) {
            Some((_, host, rest)) => (host, rest),
            None => ("", url),
        };
        let ours = host.is_empty() || host == self.target_host || host == self.client_host;
        let path = if rest.is_empty() && !host.is_empty() { "/" } else { rest };
        if !ours || !path.starts_with('/') || path.starts_with("//") && host.is_empty() {
            return url.to_owned();
        }
        if path.starts_with(&self.prefix) {
            return match host == self.target_host && !host.is_empty() {
                true => path.to_owned(),
                false => url.to_owned(),
            };
        }
        let path = format!("{}{path}", self.prefix);
        match split(url) {
            Some((scheme, host, _)) if host == self.client_host => format!("{scheme}{host}{path}"),
            _ => path,
        }
    }
}

/// `http://host/path` or `//host/path` as scheme (with slashes), host and the rest.
fn split(url: &str) -> Option<(&str, &str, &str)> {
    let start = ["http://", "https://", "//"]
        .into_iter()
        .find(|start| url.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start)))?;
    let (scheme, rest) = url.split_at(start.len());
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    Some((scheme, &rest[..end], &rest[end..]))
}

/// What the scanner is inside of.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Inside {
    #[default]
    Text,
    Comment,
    /// `script` or `style`, whose content is no markup.
    Raw(&'static str),
}

/// Rewrites the links of HTML that comes in pieces; holds back no more than one unfinished tag. Begins at the start of a
/// page.
#[derive(Debug, Default)]
pub struct Scanner {
    inside: Inside,
    held: BytesMut,
}

impl Scanner {
    /// Takes the next piece; gives what can go on.
    pub fn feed(&mut self, piece: &[u8], place: &Place) -> Bytes {
        self.held.extend_from_slice(piece);
        let mut out = BytesMut::with_capacity(self.held.len() + 64);
        loop {
            let advanced = match self.inside {
                Inside::Text => self.text(&mut out, place),
                Inside::Comment => self.until(b"-->", &mut out),
                Inside::Raw("script") => self.until(b"</script", &mut out),
                Inside::Raw(_) => self.until(b"</style", &mut out),
            };
            if !advanced {
                return out.freeze();
            }
        }
    }

    /// Gives what is left at the end.
    pub fn finish(&mut self) -> Bytes {
        self.held.split().freeze()
    }

    /// Text up to the next tag, and that tag when it is whole.
    fn text(&mut self, out: &mut BytesMut, place: &Place) -> bool {
        let Some(open) = memchr::memchr(b'<', &self.held) else {
            out.extend_from_slice(&self.held.split());
            return false;
        };
        out.extend_from_slice(&self.held.split_to(open));
        if self.held.starts_with(b"<!--") {
            self.inside = Inside::Comment;
            return true;
        }
        // Not yet to be told from a comment.
        if self.held.len() < 4 && b"<!--".starts_with(&self.held) {
            return false;
        }
        match tag_end(&self.held) {
            Some(end) => {
                let tag = self.held.split_to(end);
                for raw in ["script", "style"] {
                    if is_tag(&tag, raw) && !tag.ends_with(b"/>") {
                        self.inside = Inside::Raw(raw);
                    }
                }
                rewrite_tag(&tag, place, out);
                true
            }
            None if self.held.len() > MAX_TAG => {
                out.extend_from_slice(&self.held.split());
                false
            }
            None => false,
        }
    }

    /// Everything up to and with an end mark, or all but what may be its beginning.
    fn until(&mut self, end: &[u8], out: &mut BytesMut) -> bool {
        let found = self.held.windows(end.len()).position(|window| window.eq_ignore_ascii_case(end));
        match found {
            Some(at) => {
                // The closing tag of a script is read as a tag; the end of a comment is not.
                let through = if end == b"-->" { at + end.len() } else { at };
                out.extend_from_slice(&self.held.split_to(through));
                self.inside = Inside::Text;
                true
            }
            None => {
                let keep = self.held.len().min(end.len() - 1);
                let gone = self.held.len() - keep;
                out.extend_from_slice(&self.held.split_to(gone));
                false
            }
        }
    }
}

fn is_tag(tag: &[u8], name: &str) -> bool {
    tag.get(1..=name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes()))
        && tag
            .get(name.len() + 1)
            .is_some_and(|next| next.is_ascii_whitespace() || matches!(next, b'>' | b'/'))
}

/// The length of the tag at the start, quotes respected.
fn tag_end(tag: &[u8]) -> Option<usize> {
    let mut quote = None;
    for (at, &byte) in tag.iter().enumerate() {
        match quote {
            Some(open) if byte == open => quote = None,
            Some(_) => {}
            None if matches!(byte, b'"' | b'\'') => quote = Some(byte),
            None if byte == b'>' => return Some(at + 1),
            None => {}
        }
    }
    None
}

/// Copies a tag, its links rewritten.
fn rewrite_tag(tag: &[u8], place: &Place, out: &mut BytesMut) {
    let Ok(text) = std::str::from_utf8(tag) else {
        out.extend_from_slice(tag);
        return;
    };
    let mut rest = text;
    while let Some(equals) = rest.find('=') {
        let name = rest[..equals].trim_end();
        let name = &name[name
            .rfind(|char: char| char.is_whitespace() || matches!(char, '"' | '\''))
            .map_or(0, |at| at + 1)..];
        let value_at = equals + 1 + rest[equals + 1..].len() - rest[equals + 1..].trim_start().len();
        let (start, end, next) = match rest[value_at..].chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let start = value_at + 1;
                match rest[start..].find(quote) {
                    Some(length) => (start, start + length, start + length + 1),
                    None => break,
                }
            }
            _ => {
                let length = rest[value_at..].find(|char: char| char.is_whitespace() || char == '>');
                let end = length.map_or(rest.len(), |length| value_at + length);
                (value_at, end, end)
            }
        };
        out.extend_from_slice(&rest.as_bytes()[..start]);
        let value = &rest[start..end];
        match LINKS.iter().any(|link| name.eq_ignore_ascii_case(link)) {
            true => out.extend_from_slice(place.rewrite(value).as_bytes()),
            false => out.extend_from_slice(value.as_bytes()),
        }
        out.extend_from_slice(&rest.as_bytes()[end..next]);
        rest = &rest[next..];
    }
    out.extend_from_slice(rest.as_bytes());
}

/// A page on its way, its links rewritten.
pub(super) struct Rewriter {
    body: Incoming,
    scanner: Scanner,
    place: Place,
    ended: bool,
}

impl Rewriter {
    pub fn new(body: Incoming, place: Place) -> Self {
        Self { body, scanner: Scanner::default(), place, ended: false }
    }
}

impl Body for Rewriter {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        while !this.ended {
            let piece = match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.scanner.feed(&data, &this.place),
                    Err(_) => continue,
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    this.ended = true;
                    this.scanner.finish()
                }
            };
            if !piece.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
        }
        Poll::Ready(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { prefix: "/p".into(), client_host: "api:6443".into(), target_host: "10.0.0.1:80".into() }
    }

    #[test]
    fn urls_of_the_target_go_through_the_proxy() {
        for (url, expected) in [
            ("/a/b?c#d", "/p/a/b?c#d"),
            ("a/b", "a/b"),
            ("http://10.0.0.1:80/a", "/p/a"),
            ("http://10.0.0.1:80", "/p/"),
            ("https://api:6443/a", "https://api:6443/p/a"),
            ("https://elsewhere/a", "https://elsewhere/a"),
            ("//elsewhere/a", "//elsewhere/a"),
            ("/p/a", "/p/a"),
            ("mailto:x", "mailto:x"),
            ("", ""),
        ] {
            assert_eq!(place().rewrite(url), expected, "{url}");
        }
    }

    #[test]
    fn links_of_pages_are_rewritten_wherever_the_pieces_are_cut() {
        let page = r#"<!-- <a href="/x"> --><a title="a>b" href="/y">t</a><IMG SRC='/z'/><a href=/u>
            <script>if (a<b) s = '<a href="/s">';</script><a class = "k" href = "/v" data-href="/w">é</a> 1 < 2"#;
        let expected = r#"<!-- <a href="/x"> --><a title="a>b" href="/p/y">t</a><IMG SRC='/p/z'/><a href=/p/u>
            <script>if (a<b) s = '<a href="/s">';</script><a class = "k" href = "/p/v" data-href="/w">é</a> 1 < 2"#;
        for cut in 0..page.len() {
            let mut scanner = Scanner::default();
            let mut out = Vec::new();
            for piece in [&page.as_bytes()[..cut], &page.as_bytes()[cut..]] {
                out.extend_from_slice(&scanner.feed(piece, &place()));
            }
            out.extend_from_slice(&scanner.finish());
            assert_eq!(String::from_utf8(out).unwrap(), expected, "cut at {cut}");
        }
    }

    #[test]
    fn endless_tags_are_not_held() {
        let mut scanner = Scanner::default();
        let mut passed = 0;
        for _ in 0..100 {
            passed += scanner.feed(&[b'<'; 4096], &place()).len();
            assert!(scanner.held.len() <= MAX_TAG + 4096);
        }
        assert!(passed > 0);
    }
}
