//! Upstream's flags that are taken and have no effect.

use component::flags::{Ignored, ignored, ignored_switch};

/// Each is here for one reason: what it tunes is not here to be tuned, or is always as it should be.
pub const IGNORED: &[Ignored] = &[
    // What this server does not have: log files of the machine, traces, limits of one connection, aggregated discovery of
    // peers, leaders chosen by the server.
    ignored_switch("aggregator-reject-forwarding-redirect"),
    ignored("coordinated-leadership-lease-duration"),
    ignored("coordinated-leadership-renew-deadline"),
    ignored("coordinated-leadership-retry-period"),
    ignored_switch("contention-profiling"),
    ignored_switch("enable-aggregator-routing"),
    ignored_switch("enable-logs-handler"),
    ignored("max-connection-bytes-per-sec"),
    ignored("peer-advertise-ip"),
    ignored("peer-advertise-port"),
    ignored("peer-ca-file"),
    ignored("tracing-config-file"),
    // What needs no tuning here.
    ignored("cert-dir"),
    ignored("default-watch-cache-size"),
    ignored("delete-collection-workers"),
    ignored("etcd-count-metric-poll-period"),
    ignored("etcd-db-metric-poll-interval"),
    ignored("kubelet-timeout"),
    ignored("lease-reuse-duration-seconds"),
    ignored("storage-initialization-timeout"),
    ignored("watch-cache-sizes"),
    // What is always so: objects are cached, collected and written as JSON, tokens' accounts are looked up, the port is
    // this server's alone.
    ignored_switch("enable-garbage-collector"),
    ignored_switch("permit-address-sharing"),
    ignored_switch("permit-port-sharing"),
    ignored_switch("service-account-lookup"),
    ignored("storage-media-type"),
    ignored_switch("watch-cache"),
    // One version, all metrics as they are.
    ignored("allow-metric-labels"),
    ignored("allow-metric-labels-manifest"),
    ignored("disabled-metrics"),
    ignored("emulated-version"),
    ignored_switch("emulation-forward-compatible"),
    ignored("min-compatibility-version"),
    ignored_switch("runtime-config-emulation-forward-compatible"),
    ignored("show-hidden-metrics-for-version"),
    // Without a meaning in upstream either.
    ignored("kubelet-port"),
    ignored("kubelet-read-only-port"),
];
