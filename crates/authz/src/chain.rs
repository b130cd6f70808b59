//! The authorisers in the order that `--authorization-mode` gives them.

use std::str::FromStr;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::abac::Abac;
use crate::attributes::Attributes;
use crate::node::NodeGraph;
use crate::rbac::{Decision, Rbac, Reason};
use crate::webhook::{Answer, Look, Remote, Webhook};

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
    /// The policies of `--authorization-policy-file`.
    Abac,
    /// The service of `--authorization-webhook-config-file`.
    Webhook,
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
            "ABAC" => Ok(Self::Abac),
            "Webhook" => Ok(Self::Webhook),
            other => Err(UnknownMode(other.to_owned())),
        }
    }
}

/// One of the authorisers.
pub enum Authorizer {
    /// One that needs nothing but what the chain knows.
    Own(Mode),
    /// The policies of a file.
    Abac(Abac),
    /// A service that is asked.
    Webhook(Webhook),
}

/// The authorisers and what they know.
pub struct Chain {
    authorizers: RwLock<Arc<[Authorizer]>>,
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

/// What one authoriser says at once, or whom it asks.
enum Step<'a> {
    Decided(Decision),
    Ask(&'a Webhook, Vec<u8>),
}

/// One request before the authorisers: each is heard in its turn. Who asks a webhook does the waiting.
struct Hearing<'a> {
    chain: &'a Chain,
    attributes: &'a Attributes<'a>,
    authorizers: Arc<[Authorizer]>,
    /// How many were heard.
    heard: usize,
    /// What those said who did not decide.
    reasons: Vec<String>,
    failures: Vec<String>,
    decided: Option<Decision>,
}

/// What comes next in a hearing.
enum Next {
    Ended(Decision),
    /// The answer goes to [`Hearing::answered`].
    Ask(Arc<dyn Remote>, Vec<u8>),
}

impl<'a> Hearing<'a> {
    fn new(chain: &'a Chain, attributes: &'a Attributes<'a>) -> Self {
        let decided = attributes.user.in_group(PRIVILEGED).then(|| Decision::Allow("".into()));
        let authorizers = chain.authorizers.read().clone();
        let (reasons, failures) = (Vec::new(), Vec::new());
        Self { chain, attributes, authorizers, heard: 0, reasons, failures, decided }
    }

    /// Hears authorisers until one decides, one must ask, or there are no more.
    fn go_on(&mut self) -> Next {
        loop {
            if let Some(decision) = self.decided.take() {
                return Next::Ended(decision);
            }
            let Some(authorizer) = self.authorizers.get(self.heard) else { return Next::Ended(self.end()) };
            match self.chain.step(authorizer, self.attributes) {
                Step::Decided(decision) => self.hear(decision),
                Step::Ask(webhook, question) => return Next::Ask(webhook.remote.clone(), question),
            }
        }
    }

    /// Takes in the answer to the question that [`Hearing::go_on`] gave.
    fn answered(&mut self, answer: Result<Answer, String>) {
        if let Some(Authorizer::Webhook(webhook)) = self.authorizers.get(self.heard) {
            let decision = webhook.decision(answer);
            self.hear(decision);
        }
    }

    fn hear(&mut self, decision: Decision) {
        self.heard += 1;
        match decision {
            Decision::NoOpinion(Reason::Text(text)) if text.is_empty() => {}
            Decision::NoOpinion(Reason::Failed(why)) => self.failures.push(why.into_owned()),
            Decision::NoOpinion(reason) => self.reasons.push(reason.to_string()),
            decided => self.decided = Some(decided),
        }
    }

    fn end(&self) -> Decision {
        Decision::NoOpinion(match self.failures.as_slice() {
            [] => self.reasons.join("\n").into(),
            [one] => Reason::Failed(one.clone().into()),
            many => Reason::Failed(format!("[{}]", many.join(", ")).into()),
        })
    }
}

impl Chain {
    /// Authorisers that know nothing yet.
    pub fn new(modes: Vec<Mode>) -> Self {
        Self::of(modes.into_iter().map(Authorizer::Own).collect())
    }

    /// Authorisers of all sorts.
    pub fn of(authorizers: Vec<Authorizer>) -> Self {
        Self {
            authorizers: RwLock::new(authorizers.into()),
            rbac: Rbac::default(),
            nodes: NodeGraph::default(),
        }
    }

    /// Asks others from now on. What the chain knows stays.
    pub fn replace(&self, authorizers: Vec<Authorizer>) {
        *self.authorizers.write() = authorizers.into();
    }

    /// Whether a mode is on.
    pub fn has(&self, mode: Mode) -> bool {
        self.authorizers.read().iter().any(|authorizer| match authorizer {
            Authorizer::Own(own) => *own == mode,
            Authorizer::Abac(_) => mode == Mode::Abac,
            Authorizer::Webhook(_) => mode == Mode::Webhook,
        })
    }

    fn step<'a>(&self, authorizer: &'a Authorizer, attributes: &Attributes<'_>) -> Step<'a> {
        Step::Decided(match authorizer {
            Authorizer::Own(Mode::AlwaysAllow) => Decision::Allow("".into()),
            Authorizer::Own(Mode::AlwaysDeny) => Decision::NoOpinion("Everything is forbidden.".into()),
            Authorizer::Own(Mode::Node) => self.nodes.authorize(attributes),
            Authorizer::Own(Mode::Rbac) => self.rbac.authorize(attributes),
            // Named without what they need, they know of nothing.
            Authorizer::Own(Mode::Abac | Mode::Webhook) => Decision::NoOpinion("".into()),
            Authorizer::Abac(abac) => abac.authorize(attributes),
            Authorizer::Webhook(webhook) => match webhook.look(attributes) {
                Look::Decided(decision) => decision,
                Look::Ask(question) => return Step::Ask(webhook, question),
            },
        })
    }

    /// Decides. The reason of a refusal joins what each authoriser said.
    pub async fn decide(&self, attributes: &Attributes<'_>) -> Decision {
        let mut hearing = Hearing::new(self, attributes);
        loop {
            match hearing.go_on() {
                Next::Ended(decision) => return decision,
                Next::Ask(remote, question) => hearing.answered(remote.ask(question).await),
            }
        }
    }

    /// Decides for those who cannot wait: where a webhook has to be asked, the thread is held until it answers.
    pub fn authorize(&self, attributes: &Attributes<'_>) -> Decision {
        let mut hearing = Hearing::new(self, attributes);
        loop {
            match hearing.go_on() {
                Next::Ended(decision) => return decision,
                Next::Ask(remote, question) => hearing.answered(remote.ask_blocking(question)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
