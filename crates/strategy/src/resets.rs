//! What an update cannot change, whatever it sends.

/// What a kind puts back in an update through one of its parts: nobody comes to own it, and nobody conflicts over
/// it. Paths are written with dots; `*` is any item of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resets {
    /// These paths and all below them.
    Only(&'static [&'static str]),
    /// Everything but these paths and what is below them.
    AllBut(&'static [&'static str]),
}
