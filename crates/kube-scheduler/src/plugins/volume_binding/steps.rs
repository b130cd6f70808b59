//! What is written for a pod's claims before the pod is bound.

use crate::volumes::Choice;

/// What is to become of one claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The claim's `namespace/name`.
    pub claim: Box<str>,
    /// The claim's uid.
    pub uid: Box<str>,
    /// What was chosen for it.
    pub choice: Choice,
    /// What is to be written for that.
    pub action: Action,
}

/// What is to be written for a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The choice itself; what it is written to must still be of this version.
    Write(u64),
    /// Nothing: it is written already, or another pod with the same claim sees to it.
    Nothing,
    /// It was written, which gave this version.
    Written(u64),
}
