//! The flags that every command takes.

use super::flag::Flag;

/// Flags of every command, as `kubectl options` lists them.
pub const GLOBALS: &[Flag] = &[
    Flag::text("as", "", "User to act as: a user, or a service account with its namespace."),
    Flag::array("as-group", "Group to act as; may be repeated."),
    Flag::text("as-uid", "", "UID to act as."),
    Flag::array("as-user-extra", "Extra user attribute (key=value) to act with; may be repeated."),
    Flag::text("cache-dir", "", "Where discovery is kept between commands; ~/.kube/cache by default."),
    Flag::text("certificate-authority", "", "File with the certificate authority's certificate."),
    Flag::text("client-certificate", "", "File with the client's certificate."),
    Flag::text("client-key", "", "File with the client's key."),
    Flag::text("cluster", "", "Cluster of the kubeconfig to use."),
    Flag::text("context", "", "Context of the kubeconfig to use."),
    Flag::switch("disable-compression", "Do not ask the server to compress its answers."),
    Flag::switch(
        "insecure-skip-tls-verify",
        "Do not check the server's certificate. The connection is then not secure.",
    ),
    Flag::text("kubeconfig", "", "Kubeconfig file to use."),
    Flag::text("kuberc", "", "Preferences file; accepted for compatibility."),
    Flag::duration("log-flush-frequency", "5s", "Accepted for compatibility; log lines are written at once."),
    Flag::switch("match-server-version", "Insist that the server has the client's version."),
    Flag::text("namespace", "", "Namespace of this request.").short('n'),
    Flag::text("password", "", "Password for basic authentication."),
    Flag::text("profile", "none", "Accepted for compatibility."),
    Flag::text("profile-output", "profile.pprof", "Accepted for compatibility."),
    Flag::text(
        "request-timeout",
        "0",
        "How long to wait for one answer (1s, 2m, 3h); zero means without limit.",
    ),
    Flag::text("server", "", "Address and port of the API server.").short('s'),
    Flag::text("tls-server-name", "", "Name to expect in the server's certificate, if not the host's."),
    Flag::text("token", "", "Bearer token."),
    Flag::text("user", "", "User of the kubeconfig to use."),
    Flag::text("username", "", "Name for basic authentication."),
    Flag::int("v", "0", "Level of detail of the log.").short('v'),
    Flag::text("vmodule", "", "Accepted for compatibility."),
    Flag::switch("warnings-as-errors", "End with an error when the server sends a warning."),
];
