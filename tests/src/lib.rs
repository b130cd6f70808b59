//! What the whole-cluster tests share: a lab and a transcript of what a user types and sees.
