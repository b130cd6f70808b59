//! Services into packet rules.
