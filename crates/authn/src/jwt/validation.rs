//! What makes the section `jwt` of an `AuthenticationConfiguration` wrong, in upstream's words.

use std::collections::BTreeSet;

use apimachinery::FieldError;
use apimachinery::names::dns1123_subdomain_errors;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::configuration::{
    ClaimMappings, ClaimOrExpression, ClaimValidationRule, IssuerSection, JwtAuthenticator,
    PrefixedClaimOrExpression, UserValidationRule,
};
use super::expression::{Expression, Gives};
use super::mapping::{Mapping, Required, Source};

/// How many issuers there may be.
const MOST: usize = 64;
/// The domains whose extra keys Kubernetes keeps for itself.
const RESERVED: [&str; 2] = ["k8s.io", "kubernetes.io"];
/// What the path of an extra key may hold beside letters and digits.
const OF_PATHS: &[u8] = b"/-._~%!$&'()*+,;=:";

/// Checks the sections and makes what their claims become. `own_issuers` are the server's own, which stay its own.
pub(super) fn compile(
    sections: &[JwtAuthenticator],
    own_issuers: &[String],
) -> Result<Vec<Mapping>, Vec<FieldError>> {
    if sections.len() > MOST {
        return Err(vec![FieldError::too_many("jwt", sections.len(), MOST)]);
    }
    let mut errors = Errors(Vec::new());
    let (mut urls, mut discovery_urls) = (BTreeSet::new(), BTreeSet::new());
    let mut mappings = Vec::new();
    for (index, section) in sections.iter().enumerate() {
        let path = format!("jwt[{index}]");
        errors.issuer(&section.issuer, own_issuers, &format!("{path}.issuer"));
        let required =
            errors.claim_rules(&section.claim_validation_rules, &format!("{path}.claimValidationRules"));
        let mut mapping = errors.mappings(&section.claim_mappings, &format!("{path}.claimMappings"));
        mapping.required = required;
        errors.email(&mapping, &path);
        mapping.user_rules =
            errors.user_rules(&section.user_validation_rules, &format!("{path}.userValidationRules"));
        let issuer = &section.issuer;
        if !urls.insert(&issuer.url) {
            errors.0.push(FieldError::duplicate(format!("{path}.issuer.url"), issuer.url.as_str()));
        }
        if !issuer.discovery_url.is_empty() && !discovery_urls.insert(&issuer.discovery_url) {
            let field = format!("{path}.issuer.discoveryURL");
            errors.0.push(FieldError::duplicate(field, issuer.discovery_url.as_str()));
        }
        mappings.push(mapping);
    }
    if errors.0.is_empty() { Ok(mappings) } else { Err(errors.0) }
}

struct Errors(Vec<FieldError>);

impl Errors {
    fn invalid(&mut self, field: &str, value: &str, why: impl Into<String>) {
        self.0.push(FieldError::invalid(field, value, why));
    }

    fn required(&mut self, field: &str, why: impl Into<String>) {
        self.0.push(FieldError::required(field, why));
    }

    fn issuer(&mut self, issuer: &IssuerSection, own: &[String], path: &str) {
        let field = format!("{path}.url");
        if issuer.url.is_empty() {
            self.required(&field, "URL is required");
        } else {
            if own.contains(&issuer.url) {
                let why = format!("URL must not overlap with disallowed issuers: {}", go_list(own));
                self.invalid(&field, &issuer.url, why);
            }
            self.url(&issuer.url, &field);
        }
        if !issuer.discovery_url.is_empty() {
            let field = format!("{path}.discoveryURL");
            if !issuer.url.is_empty()
                && issuer.url.trim_end_matches('/') == issuer.discovery_url.trim_end_matches('/')
            {
                self.invalid(&field, &issuer.discovery_url, "discoveryURL must be different from URL");
            }
            self.url(&issuer.discovery_url, &field);
        }
        self.audiences(issuer, path);
        let authorities = issuer.certificate_authority.as_bytes();
        let first = CertificateDer::pem_slice_iter(authorities).next();
        if !authorities.is_empty() && first.is_none_or(|first| first.is_err()) {
            let why = "data does not contain any valid RSA or ECDSA certificates";
            self.invalid(&format!("{path}.certificateAuthority"), "<omitted>", why);
        }
        if !issuer.egress_selector_type.is_empty() {
            let why = "this server has no egress selectors";
            self.invalid(&format!("{path}.egressSelectorType"), &issuer.egress_selector_type, why);
        }
    }

    fn url(&mut self, url: &str, field: &str) {
        let (rest, fragment) = url.split_once('#').unwrap_or((url, ""));
        let parsed: http::Uri = match rest.parse() {
            Ok(parsed) => parsed,
            Err(error) => return self.invalid(field, url, format!("parse {url:?}: {error}")),
        };
        if parsed.scheme_str() != Some("https") {
            self.invalid(field, url, "URL scheme must be https");
        }
        if parsed.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            self.invalid(field, url, "URL must not contain a username or password");
        }
        if parsed.query().is_some_and(|query| !query.is_empty()) {
            self.invalid(field, url, "URL must not contain a query");
        }
        if !fragment.is_empty() {
            self.invalid(field, url, "URL must not contain a fragment");
        }
    }

    fn audiences(&mut self, issuer: &IssuerSection, path: &str) {
        let (field, policy_field) = (format!("{path}.audiences"), format!("{path}.audienceMatchPolicy"));
        let policy = issuer.audience_match_policy.as_str();
        if issuer.audiences.is_empty() {
            return self.required(&field, format!("at least one {field} is required"));
        }
        let mut seen = BTreeSet::new();
        for (index, audience) in issuer.audiences.iter().enumerate() {
            let field = format!("{field}[{index}]");
            if audience.is_empty() {
                self.required(&field, "audience can't be empty");
            }
            if !seen.insert(audience) {
                self.0.push(FieldError::duplicate(field, audience.as_str()));
            }
        }
        if issuer.audiences.len() > 1 && policy != "MatchAny" {
            let why = "audienceMatchPolicy must be MatchAny for multiple audiences";
            self.invalid(&policy_field, policy, why);
        }
        if issuer.audiences.len() == 1 && !matches!(policy, "" | "MatchAny") {
            let why = "audienceMatchPolicy must be empty or MatchAny for single audience";
            self.invalid(&policy_field, policy, why);
        }
    }

    fn expression(
        &mut self,
        text: &str,
        over: &'static str,
        gives: Gives,
        field: &str,
    ) -> Option<Expression> {
        match Expression::new(text, over, gives) {
            Ok(expression) => Some(expression),
            Err(why) => {
                self.invalid(field, text, why);
                None
            }
        }
    }

    fn claim_rules(&mut self, rules: &[ClaimValidationRule], path: &str) -> Vec<Required> {
        let (mut claims, mut expressions) = (BTreeSet::new(), BTreeSet::new());
        let mut required = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            let path = format!("{path}[{index}]");
            match (rule.claim.as_str(), rule.expression.as_str()) {
                ("", "") => self.required(&path, "claim or expression is required"),
                (claim, "") => {
                    if !rule.message.is_empty() {
                        let why = "may not be specified when claim is set";
                        self.invalid(&format!("{path}.message"), &rule.message, why);
                    }
                    if !claims.insert(claim) {
                        self.0.push(FieldError::duplicate(format!("{path}.claim"), claim));
                    }
                    let (name, value) = (claim.to_owned(), rule.required_value.clone());
                    required.push(Required::Claim { name, value });
                }
                ("", expression) => {
                    if !rule.required_value.is_empty() {
                        let why = "may not be specified when expression is set";
                        self.invalid(&format!("{path}.requiredValue"), &rule.required_value, why);
                    }
                    let field = format!("{path}.expression");
                    if !expressions.insert(expression) {
                        self.0.push(FieldError::duplicate(field, expression));
                        continue;
                    }
                    let compiled = self.expression(expression, "claims", Gives::Bool, &field);
                    required.extend(compiled.map(|is| Required::Expression(is, rule.message.clone())));
                }
                (claim, _) => self.invalid(&path, claim, "claim and expression can't both be set"),
            }
        }
        required
    }

    fn user_rules(&mut self, rules: &[UserValidationRule], path: &str) -> Vec<(Expression, String)> {
        let mut seen = BTreeSet::new();
        let mut compiled = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            let field = format!("{path}[{index}].expression");
            if rule.expression.is_empty() {
                self.required(&field, "");
            } else if !seen.insert(&rule.expression) {
                self.0.push(FieldError::duplicate(field, rule.expression.as_str()));
            } else {
                let expression = self.expression(&rule.expression, "user", Gives::Bool, &field);
                compiled.extend(expression.map(|is| (is, rule.message.clone())));
            }
        }
        compiled
    }

    fn mappings(&mut self, mappings: &ClaimMappings, path: &str) -> Mapping {
        Mapping {
            username: self.prefixed(&mappings.username, &format!("{path}.username"), true),
            groups: self.prefixed(&mappings.groups, &format!("{path}.groups"), false),
            uid: self.plain(&mappings.uid, &format!("{path}.uid")),
            extra: self.extra(mappings, &format!("{path}.extra")),
            required: Vec::new(),
            user_rules: Vec::new(),
        }
    }

    fn prefixed(&mut self, from: &PrefixedClaimOrExpression, path: &str, needed: bool) -> Source {
        match (from.claim.as_str(), from.expression.as_str(), &from.prefix) {
            ("", "", _) => {
                if needed {
                    self.required(path, "claim or expression is required");
                }
                Source::None
            }
            ("", text, prefix) => {
                if let Some(prefix) = prefix {
                    let why = "may not be specified when expression is set";
                    self.invalid(&format!("{path}.prefix"), prefix, why);
                }
                self.source(text, if needed { Gives::Text } else { Gives::Texts }, path)
            }
            (claim, "", Some(prefix)) => Source::Claim { name: claim.to_owned(), prefix: prefix.clone() },
            (_, "", None) => {
                let why = "prefix is required when claim is set. It can be set to an empty string to disable prefixing";
                self.required(&format!("{path}.prefix"), why);
                Source::None
            }
            (_, _, _) => {
                self.invalid(path, "", "claim and expression can't both be set");
                Source::None
            }
        }
    }

    fn plain(&mut self, from: &ClaimOrExpression, path: &str) -> Source {
        match (from.claim.as_str(), from.expression.as_str()) {
            ("", "") => Source::None,
            ("", text) => self.source(text, Gives::Text, path),
            (claim, "") => Source::Claim { name: claim.to_owned(), prefix: String::new() },
            (_, _) => {
                self.invalid(path, "", "claim and expression can't both be set");
                Source::None
            }
        }
    }

    fn source(&mut self, text: &str, gives: Gives, path: &str) -> Source {
        match self.expression(text, "claims", gives, &format!("{path}.expression")) {
            Some(expression) => Source::Expression(expression),
            None => Source::None,
        }
    }

    fn extra(&mut self, mappings: &ClaimMappings, path: &str) -> Vec<(String, Expression)> {
        let mut seen = BTreeSet::new();
        let mut compiled = Vec::new();
        for (index, mapping) in mappings.extra.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let (key, field) = (mapping.key.as_str(), format!("{path}.key"));
            self.extra_key(key, &field);
            if !seen.insert(key) {
                self.0.push(FieldError::duplicate(field, key));
                continue;
            }
            let field = format!("{path}.valueExpression");
            if mapping.value_expression.is_empty() {
                self.required(&field, "");
                continue;
            }
            let expression = self.expression(&mapping.value_expression, "claims", Gives::Texts, &field);
            compiled.extend(expression.map(|is| (key.to_owned(), is)));
        }
        compiled
    }

    fn extra_key(&mut self, key: &str, field: &str) {
        let domain = match key.split_once('/') {
            _ if key.is_empty() => {
                self.required(field, "");
                ""
            }
            Some((domain, path)) if !domain.is_empty() && !path.is_empty() => {
                for why in dns1123_subdomain_errors(domain) {
                    self.invalid(field, domain, why);
                }
                let is_of_path = |byte: u8| byte.is_ascii_alphanumeric() || OF_PATHS.contains(&byte);
                if !path.bytes().all(is_of_path) {
                    let why =
                        "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')";
                    self.invalid(field, path, why);
                }
                domain
            }
            parts => {
                self.invalid(field, key, "must be a domain-prefixed path (such as \"acme.io/foo\")");
                parts.map_or("", |(domain, _)| domain)
            }
        };
        if key.chars().any(char::is_uppercase) {
            self.invalid(field, key, "must be lowercase");
        }
        let is_reserved = |reserved: &str| {
            domain == reserved || domain.strip_suffix(reserved).is_some_and(|head| head.ends_with('.'))
        };
        if RESERVED.into_iter().any(is_reserved) {
            let why = "k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use";
            self.invalid(field, key, why);
        }
    }

    /// A name made of an unverified address would let anybody be anybody.
    fn email(&mut self, mapping: &Mapping, path: &str) {
        let Source::Expression(username) = &mapping.username else { return };
        // Upstream looks at claims that are selected by name, not at those that an index names.
        let uses = |expression: &Expression, claim: &str| expression.selects(claim);
        if !uses(username, "email") || uses(username, "email_verified") {
            return;
        }
        let verified = mapping.extra.iter().any(|(_, expression)| uses(expression, "email_verified"))
            || mapping.required.iter().any(|required| match required {
                Required::Expression(expression, _) => uses(expression, "email_verified"),
                Required::Claim { .. } => false,
            });
        if !verified {
            let why = "claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression";
            self.invalid(&format!("{path}.claimMappings.username.expression"), username.text(), why);
        }
    }
}

/// A list as Go prints it.
fn go_list(items: &[String]) -> String {
    format!("[{}]", items.join(" "))
}
