//! Runs pods through CRI; logs, exec, probes, volumes, status.
