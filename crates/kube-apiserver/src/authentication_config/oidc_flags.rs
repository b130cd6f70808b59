//! The `--oidc-*` flags: one issuer, described as an `AuthenticationConfiguration` would.

use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use authn::jwt::JwtAuthenticator;
use authn::jwt::configuration::{
    ClaimMappings, ClaimValidationRule, IssuerSection, PrefixedClaimOrExpression,
};

/// The algorithms that `--oidc-signing-algs` may name.
const ALGORITHMS: [&str; 9] =
    ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512"];

/// The flags of one OpenID Connect issuer.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct OidcFlags {
    /// URL of the OpenID issuer whose tokens are believed; https alone
    #[arg(long, value_name = "URL")]
    pub oidc_issuer_url: Option<String>,
    /// Audience that the issuer's tokens must have
    #[arg(long, value_name = "ID")]
    pub oidc_client_id: Option<String>,
    /// Authority that the issuer's certificate is from; the system's, if not given
    #[arg(long, value_name = "FILE")]
    pub oidc_ca_file: Option<PathBuf>,
    /// Claim that names the user
    #[arg(long, value_name = "CLAIM", default_value = "sub")]
    pub oidc_username_claim: String,
    /// What is put before user names; the issuer's URL if not given, nothing if `-`
    #[arg(long, value_name = "PREFIX")]
    pub oidc_username_prefix: Option<String>,
    /// Claim that names the groups
    #[arg(long, value_name = "CLAIM")]
    pub oidc_groups_claim: Option<String>,
    /// What is put before the names of groups
    #[arg(long, value_name = "PREFIX")]
    pub oidc_groups_prefix: Option<String>,
    /// Algorithms that tokens may be signed by
    #[arg(long, value_name = "ALGORITHM", value_delimiter = ',', default_value = "RS256")]
    pub oidc_signing_algs: Vec<String>,
    /// Claims with the values that they must have
    #[arg(long, value_name = "CLAIM=VALUE", value_delimiter = ',')]
    pub oidc_required_claim: Vec<String>,
}

/// The issuer that the flags describe, and the algorithms that it may sign by.
pub(super) fn section(flags: &OidcFlags) -> anyhow::Result<Option<(JwtAuthenticator, Vec<String>)>> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let (url, client) = match (given(&flags.oidc_issuer_url), given(&flags.oidc_client_id)) {
        (Some(url), Some(client)) => (url, client),
        (None, None)
            if flags.oidc_ca_file.is_none()
                && flags.oidc_username_prefix.is_none()
                && flags.oidc_groups_claim.is_none()
                && flags.oidc_groups_prefix.is_none()
                && flags.oidc_required_claim.is_empty() =>
        {
            return Ok(None);
        }
        _ => bail!(
            "oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are set"
        ),
    };
    for algorithm in &flags.oidc_signing_algs {
        ensure!(ALGORITHMS.contains(&algorithm.as_str()), "oidc: unsupported signing alg: {algorithm:?}");
    }
    let certificate_authority = match &flags.oidc_ca_file {
        Some(path) => {
            std::fs::read_to_string(path).with_context(|| format!("--oidc-ca-file {}", path.display()))?
        }
        None => String::new(),
    };
    let prefix = match (flags.oidc_username_prefix.as_deref().unwrap_or(""), &*flags.oidc_username_claim) {
        ("-", _) | ("", "email") => String::new(),
        ("", _) => format!("{url}#"),
        (prefix, _) => prefix.to_owned(),
    };
    let claim = |claim: &str, prefix: String| PrefixedClaimOrExpression {
        claim: claim.to_owned(),
        prefix: Some(prefix),
        expression: String::new(),
    };
    let groups = match given(&flags.oidc_groups_claim) {
        Some(name) => claim(&name, flags.oidc_groups_prefix.clone().unwrap_or_default()),
        None => PrefixedClaimOrExpression::default(),
    };
    let mut rules = Vec::new();
    for required in &flags.oidc_required_claim {
        let (name, value) = required
            .split_once('=')
            .with_context(|| format!("--oidc-required-claim: {required:?} is no claim=value"))?;
        let (claim, required_value) = (name.to_owned(), value.to_owned());
        rules.push(ClaimValidationRule { claim, required_value, ..ClaimValidationRule::default() });
    }
    let section = JwtAuthenticator {
        issuer: IssuerSection {
            url,
            audiences: vec![client],
            certificate_authority,
            ..IssuerSection::default()
        },
        claim_validation_rules: rules,
        claim_mappings: ClaimMappings {
            username: claim(&flags.oidc_username_claim, prefix),
            groups,
            ..ClaimMappings::default()
        },
        ..JwtAuthenticator::default()
    };
    Ok(Some((section, flags.oidc_signing_algs.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags() -> OidcFlags {
        OidcFlags {
            oidc_issuer_url: Some("https://i".into()),
            oidc_client_id: Some("me".into()),
            oidc_username_claim: "sub".into(),
            oidc_signing_algs: vec!["RS256".into()],
            ..OidcFlags::default()
        }
    }

    #[test]
    fn names_get_the_issuer_before_them_unless_something_else_is_said() {
        let name = |claim: &str, prefix: Option<&str>| {
            let mut flags = flags();
            flags.oidc_username_claim = claim.into();
            flags.oidc_username_prefix = prefix.map(str::to_owned);
            section(&flags).unwrap().unwrap().0.claim_mappings.username.prefix.unwrap()
        };
        assert_eq!(name("sub", None), "https://i#");
        assert_eq!(name("email", None), "");
        assert_eq!(name("sub", Some("-")), "");
        assert_eq!(name("email", Some("oidc:")), "oidc:");
    }

    #[test]
    fn claims_and_groups_are_taken_over() {
        let mut flags = flags();
        flags.oidc_groups_claim = Some("groups".into());
        flags.oidc_groups_prefix = Some("oidc:".into());
        flags.oidc_required_claim = vec!["hd=example.org".into()];
        let (section, algorithms) = section(&flags).unwrap().unwrap();
        assert_eq!(section.claim_mappings.groups.claim, "groups");
        assert_eq!(section.claim_mappings.groups.prefix.as_deref(), Some("oidc:"));
        assert_eq!(section.claim_validation_rules[0].required_value, "example.org");
        assert_eq!(section.issuer.audiences, ["me"]);
        assert_eq!(algorithms, ["RS256"]);
    }

    #[test]
    fn unknown_algorithms_are_refused() {
        let mut flags = flags();
        flags.oidc_signing_algs = vec!["HS256".into()];
        assert_eq!(section(&flags).unwrap_err().to_string(), "oidc: unsupported signing alg: \"HS256\"");
    }
}
