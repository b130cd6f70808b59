//! What form the client wants the answer in, from its Accept header and query.

use apimachinery::go::parse_bool;
use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING, USER_AGENT};

use apimachinery::Status;

use super::request::{Query, RequestInfo};
use crate::registry::Entry;

/// The encoding of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `application/json`
    Json,
    /// `application/json`, indented by two spaces as upstream's.
    PrettyJson,
    /// `application/yaml`
    Yaml,
    /// `application/vnd.kubernetes.protobuf`
    Protobuf,
}

impl Format {
    /// The media type to answer with.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json | Self::PrettyJson => "application/json",
            Self::Yaml => "application/yaml",
            Self::Protobuf => wire::MEDIA_TYPE,
        }
    }
}

/// What is made of the objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The objects themselves.
    Object,
    /// Rows and columns for people (`as=Table`).
    Table(MetaVersion),
    /// Metadata alone (`as=PartialObjectMetadata`).
    Metadata(MetaVersion),
    /// A list of metadata alone (`as=PartialObjectMetadataList`).
    MetadataList(MetaVersion),
}

/// The version of the Table or the metadata that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaVersion {
    /// `meta.k8s.io/v1`
    V1,
    /// `meta.k8s.io/v1beta1`
    V1Beta1,
}

impl MetaVersion {
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

/// What can be made of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Rows and columns.
    pub tables: bool,
    /// Metadata alone.
    pub metadata: bool,
    /// The objects as protobuf; metadata always can be.
    pub protobuf: bool,
    /// The answer is a stream of events.
    pub stream: bool,
}

impl Offer {
    /// What is offered of documents.
    pub const DOCUMENT: Self = Self { tables: false, metadata: false, protobuf: true, stream: false };

    /// What is offered to a request.
    pub fn of(entry: Option<&Entry>, info: &RequestInfo) -> Self {
        // What is made on request alone is neither counted in rows nor has it metadata of its own.
        let listed = entry.is_some_and(|entry| entry.is_stored() || entry.plural() == "componentstatuses");
        Self {
            tables: listed
                && matches!(info.subresource.as_str(), "" | "status" | "ephemeralcontainers" | "resize"),
            metadata: entry.is_some(),
            protobuf: entry.is_none_or(|entry| entry.custom().is_none()),
            stream: info.verb == "watch" && info.subresource.is_empty(),
        }
    }

    /// The media types, as a refusal lists them.
    fn media_types(self) -> &'static [&'static str] {
        match self.stream {
            false => &["application/json", "application/yaml", wire::MEDIA_TYPE],
            true => &["application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"],
        }
    }
}

/// One of the client's wishes.
struct Wish<'a> {
    /// The media type, split at its slash.
    media_type: (&'a str, &'a str),
    /// In thousandths.
    quality: u16,
    kind: &'a str,
    group: &'a str,
    version: &'a str,
    stream: &'a str,
    pretty: bool,
}

impl<'a> Wish<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media_type = match parts.next()? {
            // As some old clients write it.
            "*" => ("*", "*"),
            other => other.split_once('/')?,
        };
        let mut wish =
            Self { media_type, quality: 1000, kind: "", group: "", version: "", stream: "", pretty: false };
        for parameter in parts {
            match parameter.split_once('=') {
                Some(("as", value)) => wish.kind = value,
                Some(("v", value)) => wish.version = value,
                Some(("g", value)) => wish.group = value,
                Some(("stream", value)) => wish.stream = value,
                Some(("pretty", value)) => wish.pretty = value == "1",
                Some(("q", value)) => {
                    wish.quality =
                        value.parse::<f32>().map_or(1000, |value| (value.clamp(0.0, 1.0) * 1000.0) as u16);
                }
                _ => {}
            }
        }
        Some(wish)
    }

    /// Better ones are less: by quality, then by how exactly they say what they mean.
    fn rank(&self) -> (u16, bool, bool) {
        (1000 - self.quality, self.media_type.0 == "*", self.media_type.1 == "*")
    }

    fn takes(&self, format: Format) -> bool {
        let own = format.media_type().split_once('/').unwrap_or_default();
        match self.media_type {
            ("*", "*") => true,
            (kind, "*") => kind == own.0,
            exact => exact == own,
        }
    }

    fn shape(&self, format: Format, offer: Offer) -> Option<Shape> {
        if self.kind.is_empty() {
            return (format != Format::Protobuf || offer.protobuf).then_some(Shape::Object);
        }
        let version = match (self.group, self.version) {
            ("meta.k8s.io", "v1") => MetaVersion::V1,
            ("meta.k8s.io", "v1beta1") => MetaVersion::V1Beta1,
            _ => return None,
        };
        match self.kind {
            // Tables have no protobuf form, here or upstream.
            "Table" if offer.tables && format != Format::Protobuf => Some(Shape::Table(version)),
            "PartialObjectMetadata" if offer.metadata => Some(Shape::Metadata(version)),
            "PartialObjectMetadataList" if offer.metadata => Some(Shape::MetadataList(version)),
            _ => None,
        }
    }
}

/// Chooses the best of the client's wishes that can be met.
pub fn negotiate(headers: &HeaderMap, query: &Query<'_>, offer: Offer) -> Result<Negotiated, Status> {
    let gzip = headers
        .get(ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.split(',').any(|coding| coding.trim().split(';').next() == Some("gzip")));
    let pretty = is_pretty(headers, query);
    let json = if pretty && !offer.stream { Format::PrettyJson } else { Format::Json };
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.is_empty() {
        return Ok(Negotiated { format: json, shape: Shape::Object, gzip });
    }
    let mut wishes: Vec<Wish<'_>> = accept.split(',').filter_map(Wish::read).collect();
    wishes.sort_by_key(Wish::rank);
    let formats: &[Format] = match offer.stream {
        false => &[json, Format::Yaml, Format::Protobuf],
        true => &[json, Format::Protobuf],
    };
    for wish in &wishes {
        if !(wish.stream.is_empty() || offer.stream && wish.stream == "watch") {
            continue;
        }
        for format in formats.iter().filter(|format| wish.takes(**format)) {
            if let Some(shape) = wish.shape(*format, offer) {
                let format = match *format {
                    Format::Json if wish.pretty && !offer.stream => Format::PrettyJson,
                    format => format,
                };
                return Ok(Negotiated { format, shape, gzip });
            }
        }
    }
    Err(Status::not_acceptable(offer.media_types()))
}

/// Browsers and command-line fetchers get JSON that a person can read, as upstream.
fn is_pretty(headers: &HeaderMap, query: &Query<'_>) -> bool {
    if let Some(wish) = query.get("pretty") {
        // What Go takes for true, and not what it takes for options.
        return parse_bool(wish) == Some(true);
    }
    headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).is_some_and(|agent| {
        agent.starts_with("curl") || agent.starts_with("Wget") || agent.starts_with("Mozilla/5.0")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: Offer = Offer { tables: true, metadata: true, protobuf: true, stream: false };

    fn check_for(offer: Offer, accept: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        match negotiate(&headers, &Query::default(), offer) {
            Ok(negotiated) => format!("{:?} {:?}", negotiated.format, negotiated.shape),
            Err(status) => status.code.to_string(),
        }
    }

    const METADATA: &str = "as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

    #[test]
    fn takes_the_best_wish_that_can_be_met() {
        for (accept, expected) in [
            ("", "Json Object"),
            ("application/json", "Json Object"),
            ("*/*", "Json Object"),
            ("*", "Json Object"),
            ("application/*", "Json Object"),
            ("application/vnd.kubernetes.protobuf,application/json", "Protobuf Object"),
            ("application/vnd.kubernetes.protobuf, */*", "Protobuf Object"),
            ("application/vnd.kubernetes.protobuf", "Protobuf Object"),
            ("*/*, application/yaml", "Yaml Object"),
            ("text/html", "406"),
            ("text/html, application/xhtml+xml, */*;q=0.8", "Json Object"),
            ("application/cbor", "406"),
            ("application/yaml", "Yaml Object"),
            ("application/json;pretty=1", "PrettyJson Object"),
            ("application/json;stream=watch", "406"),
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
                "Json Table(V1)",
            ),
            ("application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io", "406"),
            (
                "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json",
                "Json Object",
            ),
            ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", "Json MetadataList(V1)"),
            ("*/*;as=PartialObjectMetadata;g=meta.k8s.io;v=v1beta1", "Json Metadata(V1Beta1)"),
            ("application/json;as=Chart;g=meta.k8s.io;v=v1", "406"),
            ("application/json;as=Table;g=meta.k8s.io;v=v2", "406"),
            ("application/yaml;q=0.5, application/json;q=0.9", "Json Object"),
            ("application/yaml;q=0, application/json;q=0.1", "Json Object"),
        ] {
            assert_eq!(check_for(POD, accept), expected, "{accept}");
        }
    }

    #[test]
    fn custom_resources_have_protobuf_for_their_metadata_alone() {
        let custom = Offer { protobuf: false, ..POD };
        for (accept, expected) in [
            ("application/vnd.kubernetes.protobuf", "406"),
            ("application/vnd.kubernetes.protobuf,application/json", "Json Object"),
            (
                &format!("application/vnd.kubernetes.protobuf;{METADATA},application/json"),
                "Protobuf Metadata(V1)",
            ),
        ] {
            assert_eq!(check_for(custom, accept), expected, "{accept}");
        }
    }

    #[test]
    fn a_stream_is_of_json_or_protobuf() {
        let watch = Offer { stream: true, ..POD };
        for (accept, expected) in [
            ("application/json;stream=watch", "Json Object"),
            ("application/vnd.kubernetes.protobuf;stream=watch, application/json", "Protobuf Object"),
            ("application/yaml", "406"),
            ("application/json;stream=other", "406"),
            ("application/json;as=Table;v=v1;g=meta.k8s.io", "Json Table(V1)"),
        ] {
            assert_eq!(check_for(watch, accept), expected, "{accept}");
        }
        let review = Offer { tables: false, metadata: false, ..POD };
        assert_eq!(check_for(review, "application/json;as=Table;v=v1;g=meta.k8s.io"), "406");
    }

    #[test]
    fn the_refusal_names_what_is_offered() {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, "text/html".parse().unwrap());
        let of =
            |stream| negotiate(&headers, &Query::default(), Offer { stream, ..POD }).unwrap_err().message;
        assert_eq!(
            of(false),
            "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf"
        );
        assert_eq!(
            of(true),
            "only the following media types are accepted: application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"
        );
    }
}
