//! URLs: absolute ones, and absolute paths.

use std::rc::Rc;

use percent_encoding::percent_decode_str;

use super::{Error, Outcome, no_overload};
use crate::value::{Map, Value};

/// A URL in its parts.
#[derive(Debug)]
pub struct Url {
    /// As it was written.
    pub text: String,
    scheme: String,
    /// With the port.
    host: String,
    path: String,
    query: String,
}

/// `url` and `isURL`.
pub fn read<'v>(name: &str, text: &str) -> Outcome<'v> {
    match (name, parse(text)) {
        ("isURL", url) => Ok(Value::Bool(url.is_some())),
        (_, Some(url)) => Ok(Value::Url(Rc::new(url))),
        (_, None) => Err(Error::fault(format!("URL parse error during conversion from string: {text:?}"))),
    }
}

fn parse(text: &str) -> Option<Url> {
    let fits = |letter: char| !letter.is_whitespace() && !letter.is_control() && letter != '\\';
    if !text.chars().all(fits) {
        return None;
    }
    let whole = text.split('#').next().unwrap_or_default();
    let (before, query) = whole.split_once('?').unwrap_or((whole, ""));
    let (scheme, host, path) = match before.split_once("://") {
        Some((scheme, rest)) => {
            let mut letters = scheme.chars();
            let is_scheme = letters.next().is_some_and(|first| first.is_ascii_alphabetic())
                && letters.all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter));
            let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            let port = host.rsplit_once(':').filter(|_| !host.ends_with(']')).map_or("", |(_, port)| port);
            if !is_scheme || !port.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            (scheme, host, path)
        }
        None if before.starts_with('/') => ("", "", before),
        None => return None,
    };
    let own = str::to_owned;
    Some(Url { text: own(text), scheme: own(scheme), host: own(host), path: own(path), query: own(query) })
}

/// Calls a function on a URL.
pub fn method<'v>(url: &Url, name: &str) -> Outcome<'v> {
    let (hostname, port) = match url.host.rsplit_once(':') {
        Some((hostname, port)) if !url.host.ends_with(']') => (hostname, port),
        _ => (url.host.as_str(), ""),
    };
    Ok(match name {
        "getScheme" => Value::text(&*url.scheme),
        "getHost" => Value::text(&*url.host),
        "getHostname" => Value::text(hostname.trim_start_matches('[').trim_end_matches(']')),
        "getPort" => Value::text(port),
        "getEscapedPath" => Value::text(&*url.path),
        "getQuery" => query(&url.query),
        _ => return Err(no_overload()),
    })
}

fn query<'v>(text: &str) -> Value<'v> {
    let plain = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let mut entries: Vec<(String, Vec<Value<'v>>)> = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (plain(key), Value::text(plain(value)));
        match entries.iter_mut().find(|(own, _)| *own == key) {
            Some((_, values)) => values.push(value),
            None => entries.push((key, vec![value])),
        }
    }
    let entries = entries.into_iter().map(|(key, values)| (Value::text(key), Value::list(values)));
    Value::Map(Map::Made(Rc::new(entries.collect())))
}
