//! The documents by which others can check our tokens: OpenID Connect discovery and the key set.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde_json::{Value, json};

use crate::keys::{Algorithm, VerificationKey};

/// Path of the discovery document.
pub const CONFIGURATION_PATH: &str = "/.well-known/openid-configuration";
/// Path of the key set.
pub const KEY_SET_PATH: &str = "/openid/v1/jwks";
/// Media type of the key set.
pub const KEY_SET_MEDIA_TYPE: &str = "application/jwk-set+json";
/// `Cache-Control` of both.
pub const CACHE_CONTROL: &str = "public, max-age=3600";

/// The discovery document of an issuer; `jwks_uri` is `--service-account-jwks-uri` or a path on the server's
/// external address.
pub fn configuration(issuer: &str, jwks_uri: &str, keys: &[VerificationKey]) -> Value {
    let mut algorithms: Vec<&str> = keys.iter().map(|key| key.algorithm().name()).collect();
    algorithms.sort_unstable();
    algorithms.dedup();
    json!({
        "issuer": issuer,
        "jwks_uri": jwks_uri,
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
    })
}

/// The key set.
pub fn key_set(keys: &[VerificationKey]) -> Value {
    json!({"keys": keys.iter().filter_map(key).collect::<Vec<_>>()})
}

fn key(key: &VerificationKey) -> Option<Value> {
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let algorithm = key.algorithm();
    let mut jwk = match algorithm {
        Algorithm::Rs256 => {
            let (modulus, exponent) = key.rsa_parts()?;
            json!({"kty": "RSA", "n": encode(modulus), "e": encode(exponent)})
        }
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512 => {
            let (x, y) = key.point()?;
            let curve = match algorithm {
                Algorithm::Es384 => "P-384",
                Algorithm::Es512 => "P-521",
                _ => "P-256",
            };
            json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
        }
    };
    let fields = jwk.as_object_mut()?;
    fields.insert("use".into(), json!("sig"));
    fields.insert("kid".into(), json!(key.id()));
    fields.insert("alg".into(), json!(algorithm.name()));
    Some(jwk)
}
