//! What a failed command says to its caller's script.

/// Checks that were not passed: nothing was changed on the machine.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Preflight(pub String);

/// Upstream's exit codes: 2 for failed preflight checks, 1 for the rest.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if error.downcast_ref::<Preflight>().is_some() { 2 } else { 1 }
}
