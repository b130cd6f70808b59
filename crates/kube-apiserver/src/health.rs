//! `/healthz`, `/livez`, `/readyz`, each with `?verbose`, `?exclude=` and a path for every check.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use component::metrics::checks as counted;
use http::StatusCode;
use parking_lot::Mutex;

use crate::http::{Query, Response, response};
use crate::server::Server;

/// What the checks look at besides etcd.
#[derive(Debug)]
pub struct Health {
    started: Instant,
    stopping: AtomicBool,
    /// Steps after the start, and whether each is done.
    hooks: Mutex<Vec<(&'static str, bool)>>,
}

/// Which of the three is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Both of the others, for older clients.
    Healthz,
    /// Whether the process should go on.
    Livez,
    /// Whether it should get requests.
    Readyz,
}

impl Kind {
    /// The kind that a path asks for, and the single check named in it.
    pub fn of(path: &str) -> Option<(Self, Option<&str>)> {
        for (prefix, kind) in
            [("/healthz", Self::Healthz), ("/livez", Self::Livez), ("/readyz", Self::Readyz)]
        {
            if let Some(rest) = path.strip_prefix(prefix) {
                let rest = rest.trim_end_matches('/');
                return match rest.strip_prefix('/') {
                    Some(check) => Some((kind, Some(check))),
                    None if rest.is_empty() => Some((kind, None)),
                    None => None,
                };
            }
        }
        None
    }

    fn name(self) -> &'static str {
        match self {
            Self::Healthz => "healthz",
            Self::Livez => "livez",
            Self::Readyz => "readyz",
        }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self { started: Instant::now(), stopping: AtomicBool::default(), hooks: Mutex::default() }
    }
}

impl Health {
    /// Adds a step that readiness waits for.
    pub fn expect(&self, hook: &'static str) {
        self.hooks.lock().push((hook, false));
    }

    /// Notes that a step is done.
    pub fn done(&self, hook: &str) {
        for (name, done) in self.hooks.lock().iter_mut() {
            *done |= *name == hook;
        }
    }

    /// Turns readiness off: no new requests should come.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// Whether every step after the start is done and the server is not stopping.
    pub fn is_ready(&self) -> bool {
        !self.stopping.load(Ordering::SeqCst) && self.hooks.lock().iter().all(|(_, done)| *done)
    }
}

type Check = (String, Result<(), String>);

async fn checks(server: &Server, kind: Kind, only: Option<&str>) -> Vec<Check> {
    let mut checks: Vec<Check> = vec![("ping".into(), Ok(())), ("log".into(), Ok(()))];
    let asks_etcd = |name: &str| only.is_none_or(|only| only == name);
    let mut etcd = Ok(());
    if asks_etcd("etcd") || asks_etcd("etcd-readiness") {
        let (healthy, ready) = server.options.etcd_patience;
        let patience = if kind == Kind::Readyz { ready } else { healthy };
        etcd = match tokio::time::timeout(patience, server.store.etcd().ping()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("error getting data from etcd: {error}")),
            Err(_) => Err("error getting data from etcd: context deadline exceeded".to_owned()),
        };
    }
    checks.push(("etcd".into(), etcd.clone()));
    if let Some(well) = server.store.etcd().encryption().health() {
        checks.push(("kms-providers".into(), well));
    }
    if kind == Kind::Readyz {
        checks.push(("etcd-readiness".into(), etcd));
        let synced = server.store.caches().iter().all(|cache| cache.is_loaded());
        let not_synced = || "the watch cache is not filled".to_owned();
        checks.push(("informer-sync".into(), if synced { Ok(()) } else { Err(not_synced()) }));
    }
    for (hook, done) in server.health.hooks.lock().iter() {
        // A server that is starting is alive: it is given a while.
        let is_excused = kind == Kind::Livez && server.health.started.elapsed() < server.options.livez_grace;
        let result = if *done || is_excused { Ok(()) } else { Err("not finished".to_owned()) };
        checks.push((format!("poststarthook/{hook}"), result));
    }
    if kind == Kind::Readyz {
        let stopping = server.health.stopping.load(Ordering::SeqCst);
        let result = if stopping { Err("process is shutting down".to_owned()) } else { Ok(()) };
        checks.push(("shutdown".into(), result));
    }
    checks
}

/// The checks as `/metrics/slis` tells of them.
pub async fn slis(server: &Server) -> Vec<u8> {
    for kind in [Kind::Healthz, Kind::Livez, Kind::Readyz] {
        for (name, result) in checks(server, kind, None).await {
            counted::is(&name, kind.name(), result.is_ok());
        }
    }
    counted::text()
}

/// Answers a health check.
pub async fn answer(server: &Server, kind: Kind, only: Option<&str>, query: &Query<'_>) -> Response {
    let checks = checks(server, kind, only).await;
    if let Some(only) = only {
        return match checks.into_iter().find(|(name, _)| name == only) {
            None => response::text(StatusCode::NOT_FOUND, "404 page not found\n"),
            Some((_, Ok(()))) => response::text(StatusCode::OK, "ok"),
            Some((_, Err(reason))) => response::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("internal server error: {reason}\n"),
            ),
        };
    }
    let excluded: Vec<&str> = query.all("exclude").filter(|name| !name.is_empty()).collect();
    let is_excluded = |name: &str| excluded.contains(&name);
    for (name, result) in checks.iter().filter(|(name, _)| !is_excluded(name)) {
        counted::asked(name, kind.name(), result.is_ok());
    }
    let failed = checks.iter().any(|(name, result)| result.is_err() && !is_excluded(name));
    if !failed && !query.has("verbose") {
        return response::text(StatusCode::OK, "ok");
    }
    for (name, result) in &checks {
        if let Err(reason) = result {
            tracing::info!(check = kind.name(), name, reason, "health check failed");
        }
    }
    let text = report(kind, &checks, &excluded);
    let code = if failed { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
    response::text(code, text)
}

/// The lines of a verbose answer. Reasons stay in the log, as upstream.
fn report(kind: Kind, checks: &[Check], excluded: &[&str]) -> String {
    let mut text = String::new();
    let mut failed = false;
    for (name, result) in checks {
        match result {
            _ if excluded.contains(&name.as_str()) => text.push_str(&format!("[+]{name} excluded: ok\n")),
            Ok(()) => text.push_str(&format!("[+]{name} ok\n")),
            Err(_) => {
                failed = true;
                text.push_str(&format!("[-]{name} failed: reason withheld\n"));
            }
        }
    }
    let mut unknown: Vec<String> = excluded
        .iter()
        .filter(|name| checks.iter().all(|(known, _)| known != *name))
        .map(|name| format!("{name:?}"))
        .collect();
    if !unknown.is_empty() {
        unknown.sort();
        let unknown = unknown.join(", ");
        text.push_str(&format!("warn: some health checks cannot be excluded: no matches for {unknown}\n"));
    }
    text.push_str(&format!("{} check {}\n", kind.name(), if failed { "failed" } else { "passed" }));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_a_kind_and_a_check() {
        assert_eq!(Kind::of("/readyz"), Some((Kind::Readyz, None)));
        assert_eq!(Kind::of("/livez/"), Some((Kind::Livez, None)));
        assert_eq!(Kind::of("/readyz/poststarthook/x"), Some((Kind::Readyz, Some("poststarthook/x"))));
        assert_eq!(Kind::of("/readyzz"), None);
        assert_eq!(Kind::of("/version"), None);
    }

    #[test]
    fn a_report_says_which_check_failed_but_not_why() {
        let checks = [("ping".to_owned(), Ok(())), ("etcd".to_owned(), Err("secret".to_owned()))];
        assert_eq!(
            report(Kind::Readyz, &checks, &[]),
            "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n"
        );
        assert_eq!(
            report(Kind::Livez, &checks, &["etcd", "moon"]),
            "[+]ping ok\n[+]etcd excluded: ok\nwarn: some health checks cannot be excluded: no matches for \"moon\"\nlivez check passed\n"
        );
    }
}
