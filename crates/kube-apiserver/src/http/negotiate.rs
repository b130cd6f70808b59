//! What form the client wants the answer in, from its Accept header and query.

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING, USER_AGENT};

use apimachinery::Status;

use super::request::Query;

/// The encoding of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `application/json`
    Json,
    /// `application/json`, indented by four spaces as upstream's.
    PrettyJson,
    /// `application/yaml`
    Yaml,
}

impl Format {
    /// The media type to answer with.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json | Self::PrettyJson => "application/json",
            Self::Yaml => "application/yaml",
        }
    }
}

/// What is made of the objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The objects themselves.
    Object,
    /// Rows and columns for people (`as=Table`).
    Table(TableVersion),
    /// Metadata alone (`as=PartialObjectMetadata`, or the list of them).
    Metadata,
}

/// The version of the Table that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableVersion {
    /// `meta.k8s.io/v1`
    V1,
    /// `meta.k8s.io/v1beta1`
    V1Beta1,
}

impl TableVersion {
    /// The apiVersion of a Table and what is in it.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::V1 => "meta.k8s.io/v1",
            Self::V1Beta1 => "meta.k8s.io/v1beta1",
        }
    }
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negotiated {
    /// How it is encoded.
    pub format: Format,
    /// What is made of the objects.
    pub shape: Shape,
    /// Whether the client reads gzip.
    pub gzip: bool,
}

impl Negotiated {
    /// Plain JSON.
    pub const JSON: Self = Self { format: Format::Json, shape: Shape::Object, gzip: false };
}

/// What this server can make, as the refusal lists it.
const OFFERED: &[&str] = &["application/json", "application/yaml"];

/// Chooses the first of the client's wishes that can be met.
pub fn negotiate(headers: &HeaderMap, query: &Query<'_>, transforms: bool) -> Result<Negotiated, Status> {
    let gzip = headers
        .get(ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.split(',').any(|coding| coding.trim().split(';').next() == Some("gzip")));
    let pretty = is_pretty(headers, query);
    let json = if pretty { Format::PrettyJson } else { Format::Json };
    let Some(accept) =
        headers.get(ACCEPT).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty())
    else {
        return Ok(Negotiated { format: json, shape: Shape::Object, gzip });
    };
    let mut best: Option<(u16, Negotiated)> = None;
    for wish in accept.split(',') {
        let mut parts = wish.split(';').map(str::trim);
        let format = match parts.next().unwrap_or_default() {
            "application/json" | "*/*" | "application/*" => json,
            "application/yaml" => Format::Yaml,
            _ => continue,
        };
        let (mut kind, mut version, mut group, mut quality) = ("", "", "", 1000);
        for parameter in parts {
            match parameter.split_once('=') {
                Some(("as", value)) => kind = value,
                Some(("v", value)) => version = value,
                Some(("g", value)) => group = value,
                Some(("q", value)) => {
                    quality =
                        value.parse::<f32>().map_or(1000, |value| (value.clamp(0.0, 1.0) * 1000.0) as u16);
                }
                _ => {}
            }
        }
        let shape = match (kind, group, version) {
            ("", _, _) => Shape::Object,
            ("Table", "meta.k8s.io", "v1") if transforms => Shape::Table(TableVersion::V1),
            ("Table", "meta.k8s.io", "v1beta1") if transforms => Shape::Table(TableVersion::V1Beta1),
            ("PartialObjectMetadata" | "PartialObjectMetadataList", "meta.k8s.io", "v1" | "v1beta1")
                if transforms =>
            {
                Shape::Metadata
            }
            _ => continue,
        };
        if best.as_ref().is_none_or(|(known, _)| quality > *known) {
            best = Some((quality, Negotiated { format, shape, gzip }));
        }
    }
    best.map(|(_, negotiated)| negotiated).ok_or_else(|| Status::not_acceptable(OFFERED))
}

/// Browsers and command-line fetchers get JSON that a person can read, as upstream.
fn is_pretty(headers: &HeaderMap, query: &Query<'_>) -> bool {
    if query.get("pretty").is_some() {
        return query.flag("pretty");
    }
    headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).is_some_and(|agent| {
        agent.starts_with("curl") || agent.starts_with("Wget") || agent.starts_with("Mozilla/5.0")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(accept: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        match negotiate(&headers, &Query::default(), true) {
            Ok(negotiated) => format!("{:?} {:?}", negotiated.format, negotiated.shape),
            Err(status) => status.code.to_string(),
        }
    }

    #[test]
    fn takes_the_first_wish_that_can_be_met() {
        for (accept, expected) in [
            ("application/json", "Json Object"),
            ("*/*", "Json Object"),
            ("application/vnd.kubernetes.protobuf,application/json", "Json Object"),
            ("application/vnd.kubernetes.protobuf", "406"),
            ("text/html", "406"),
            ("application/yaml", "Yaml Object"),
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
                "Json Table(V1)",
            ),
            ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", "Json Metadata"),
            ("application/json;as=Chart;g=meta.k8s.io;v=v1", "406"),
            ("application/yaml;q=0.5, application/json;q=0.9", "Json Object"),
        ] {
            assert_eq!(check(accept), expected, "{accept}");
        }
    }
}
