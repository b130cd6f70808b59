//! Manifests at http and https addresses.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Limited};

use crate::client::Client;
use crate::error::{Error, Result};

/// Upstream asks three times, a second apart, while the server has trouble of its own.
const ATTEMPTS: u32 = 3;
/// As many as Go's client follows.
const REDIRECTS: u32 = 10;
/// More than any manifest has; a server that never ends must not fill the memory.
const MOST_BYTES: usize = 64 << 20;

/// Whether a name given with `-f` is an address.
pub fn is_address(name: &str) -> bool {
    name.starts_with("http://") || name.starts_with("https://")
}

/// Reads what is at an address. The certificate of an https server is checked against the system's authorities.
pub async fn read(address: &str) -> Result<String> {
    let mut attempt = 1;
    loop {
        let outcome = get(address).await;
        let again = match &outcome {
            Ok((status, _)) => status.is_server_error(),
            Err(_) => true,
        };
        if again && attempt < ATTEMPTS {
            attempt += 1;
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        }
        let (status, body) = outcome?;
        if status != StatusCode::OK {
            return Err(Error::message(format!(
                "unable to read URL \"{address}\", server reported {status}, status code={}",
                status.as_u16()
            )));
        }
        return String::from_utf8(body.into())
            .map_err(|_| Error::message(format!("error parsing {address}: the text is not UTF-8")));
    }
}

async fn get(address: &str) -> Result<(StatusCode, Bytes)> {
    let wrong = |reason: String| {
        Error::message(format!("the URL passed to filename \"{address}\" is not valid: {reason}"))
    };
    let mut uri: Uri = address.parse().map_err(|error: http::uri::InvalidUri| wrong(error.to_string()))?;
    for _ in 0..=REDIRECTS {
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_string();
        let mut root = uri.clone().into_parts();
        root.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
        let root = Uri::from_parts(root).map_err(|error| wrong(error.to_string()))?;
        let server = root.to_string().trim_end_matches('/').to_string();
        let mut config = kube::Config::new(root);
        config.default_retry = false;
        config.connect_timeout = Some(Duration::from_secs(30));
        let inner = kube::Client::try_from(config).map_err(|error| Error::message(error.to_string()))?;
        let request = Request::get(path).body(Bytes::new()).map_err(|error| wrong(error.to_string()))?;
        let reply = Client::new(inner, server, None).forward(request).await?;
        let status = reply.status();
        let location = reply.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
        if let Some(location) = location
            && status.is_redirection()
        {
            uri = redirected(&uri, location).ok_or_else(|| wrong(format!("it leads to {location}")))?;
            continue;
        }
        let body = Limited::new(reply.into_body(), MOST_BYTES).collect().await;
        let body = body.map_err(|error| Error::Unreachable(error.to_string()))?;
        return Ok((status, body.to_bytes()));
    }
    Err(Error::Unreachable(format!("stopped after {REDIRECTS} redirects")))
}

/// Where a redirect leads from an address.
fn redirected(from: &Uri, location: &str) -> Option<Uri> {
    if is_address(location) {
        return location.parse().ok();
    }
    let (scheme, authority) = (from.scheme_str()?, from.authority()?);
    let target = match location.strip_prefix("//") {
        Some(rest) => format!("{scheme}://{rest}"),
        None if location.starts_with('/') => format!("{scheme}://{authority}{location}"),
        None => {
            let directory = from.path().rsplit_once('/').map_or("", |(directory, _)| directory);
            format!("{scheme}://{authority}{directory}/{location}")
        }
    };
    target.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_to_other_places_of_the_server_or_away() {
        let from: Uri = "https://a.example/x/y.yaml?z=1".parse().unwrap();
        for (location, expected) in [
            ("http://b.example/q", "http://b.example/q"),
            ("//b.example/q", "https://b.example/q"),
            ("/q?r=1", "https://a.example/q?r=1"),
            ("q.yaml", "https://a.example/x/q.yaml"),
        ] {
            assert_eq!(redirected(&from, location).unwrap().to_string(), expected);
        }
    }
}
