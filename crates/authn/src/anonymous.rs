//! Who may come without credentials.

/// What requests without credentials get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Anonymous {
    /// 401.
    Disabled,
    /// The anonymous user on these exact paths (AuthenticationConfiguration's `anonymous.conditions`), else 401.
    Paths(Vec<String>),
    /// The anonymous user everywhere; authorisation decides.
    Enabled,
}

impl Default for Anonymous {
    /// Health endpoints only.
    fn default() -> Self {
        Self::Paths(["/healthz", "/livez", "/readyz"].map(str::to_owned).to_vec())
    }
}

impl Anonymous {
    /// Whether a request to `path` may be anonymous.
    pub fn allows(&self, path: &str) -> bool {
        match self {
            Self::Disabled => false,
            Self::Paths(paths) => paths.iter().any(|allowed| allowed == path),
            Self::Enabled => true,
        }
    }
}
