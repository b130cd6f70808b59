//! Pod addresses, routes between nodes.
