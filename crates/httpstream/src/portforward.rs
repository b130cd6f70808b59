//! What `port-forward` carries: SPDY's streams, two for each connection, also inside a WebSocket (KEP-4006).

/// The protocol of SPDY's streams here.
pub const PROTOCOL: &str = "portforward.k8s.io";

/// SPDY inside WebSocket messages, as kubectl forwards since 1.31.
pub const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
