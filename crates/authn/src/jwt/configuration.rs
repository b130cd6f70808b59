//! The section `jwt` of an `AuthenticationConfiguration`, as it is written.

use serde::Deserialize;

/// An issuer whose tokens are believed, and what its tokens mean.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct JwtAuthenticator {
    /// Who makes the tokens.
    pub issuer: IssuerSection,
    /// What a token must say.
    pub claim_validation_rules: Vec<ClaimValidationRule>,
    /// How claims become a user.
    pub claim_mappings: ClaimMappings,
    /// What the user must be like.
    pub user_validation_rules: Vec<UserValidationRule>,
}

/// Who makes the tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct IssuerSection {
    /// The `iss` of its tokens, an https URL.
    pub url: String,
    /// Where its discovery document is, where not below its URL.
    #[serde(rename = "discoveryURL")]
    pub discovery_url: String,
    /// Whose certificates its server has, in PEM; the system's authorities if empty.
    pub certificate_authority: String,
    /// Whom its tokens must be for: one of these.
    pub audiences: Vec<String>,
    /// `MatchAny`, which must be said where there are several audiences.
    pub audience_match_policy: String,
    /// Which way the server goes out; this server has one.
    pub egress_selector_type: String,
}

/// What a token must say: a claim with a value, or an expression over `claims` that holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ClaimValidationRule {
    /// The claim.
    pub claim: String,
    /// Its value.
    pub required_value: String,
    /// The expression.
    pub expression: String,
    /// What is said when the expression does not hold.
    pub message: String,
}

/// How claims become a user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ClaimMappings {
    /// The user's name.
    pub username: PrefixedClaimOrExpression,
    /// The groups.
    pub groups: PrefixedClaimOrExpression,
    /// The UID.
    pub uid: ClaimOrExpression,
    /// Further facts.
    pub extra: Vec<ExtraMapping>,
}

/// A claim whose value gets a prefix, or an expression.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct PrefixedClaimOrExpression {
    /// The claim.
    pub claim: String,
    /// What is put before its value; to be said even where it is empty.
    pub prefix: Option<String>,
    /// The expression.
    pub expression: String,
}

/// A claim or an expression.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ClaimOrExpression {
    /// The claim.
    pub claim: String,
    /// The expression.
    pub expression: String,
}

/// One key of the user's extra facts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ExtraMapping {
    /// The key, with a domain before a slash.
    pub key: String,
    /// What gives its values.
    pub value_expression: String,
}

/// What the user must be like: an expression over `user` that holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct UserValidationRule {
    /// The expression.
    pub expression: String,
    /// What is said when it does not hold.
    pub message: String,
}
