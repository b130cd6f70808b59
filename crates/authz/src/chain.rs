//! The authorisers in the order that `--authorization-mode` gives them.

use std::str::FromStr;

use crate::attributes::Attributes;
use crate::node::NodeGraph;
use crate::rbac::{Decision, Rbac, Reason};

/// Members may do anything, whatever the authorisers say.
const PRIVILEGED: &str = "system:masters";

/// One of `--authorization-mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Every request is allowed.
    AlwaysAllow,
    /// No request is allowed.
    AlwaysDeny,
    /// The Node authoriser.
    Node,
    /// Roles and bindings.
    Rbac,
}

/// A mode that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownMode(pub String);

impl std::fmt::Display for UnknownMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "authorization-mode {:?} is not a valid mode", self.0)
    }
}

impl std::error::Error for UnknownMode {}

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        match text {
            "AlwaysAllow" => Ok(Self::AlwaysAllow),
            "AlwaysDeny" => Ok(Self::AlwaysDeny),
            "Node" => Ok(Self::Node),
            "RBAC" => Ok(Self::Rbac),
            other => Err(UnknownMode(other.to_owned())),
        }
    }
}

/// The authorisers and what they know.
pub struct Chain {
    modes: Vec<Mode>,
    /// What RBAC knows; to be fed with the four kinds of `rbac.authorization.k8s.io`.
    pub rbac: Rbac,
    /// What the Node authoriser knows; to be fed with pods, persistent volumes, volume attachments and
    /// resource slices.
    pub nodes: NodeGraph,
}

impl Default for Chain {
    fn default() -> Self {
        Self::new(vec![Mode::Node, Mode::Rbac])
    }
}

impl Chain {
    /// Authorisers that know nothing yet.
    pub fn new(modes: Vec<Mode>) -> Self {
        Self { modes, rbac: Rbac::default(), nodes: NodeGraph::default() }
    }

    /// Whether a mode is on.
    pub fn has(&self, mode: Mode) -> bool {
        self.modes.contains(&mode)
    }

    /// Decides. The reason of a refusal joins what each authoriser said.
    pub fn authorize(&self, attributes: &Attributes<'_>) -> Decision {
        if attributes.user.in_group(PRIVILEGED) {
            return Decision::Allow("".into());
        }
        let mut reasons: Vec<String> = Vec::new();
        for mode in &self.modes {
            let decision = match mode {
                Mode::AlwaysAllow => Decision::Allow("".into()),
                Mode::AlwaysDeny => Decision::NoOpinion("Everything is forbidden.".into()),
                Mode::Node => self.nodes.authorize(attributes),
                Mode::Rbac => self.rbac.authorize(attributes),
            };
            match decision {
                Decision::NoOpinion(Reason::Text(text)) if text.is_empty() => {}
                Decision::NoOpinion(reason) => reasons.push(reason.to_string()),
                decided => return decided,
            }
        }
        Decision::NoOpinion(reasons.join("\n").into())
    }
}
