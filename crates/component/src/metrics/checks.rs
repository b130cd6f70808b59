//! The results of health checks, under upstream's names, for `/metrics/slis`.

use std::sync::LazyLock;

use prometheus::{Encoder as _, IntCounterVec, IntGaugeVec, Registry, TextEncoder, opts};

struct Checks {
    /// Theirs alone: upstream tells of them on a page of their own.
    registry: Registry,
    results: IntGaugeVec,
    asked: IntCounterVec,
}

static CHECKS: LazyLock<Option<Checks>> = LazyLock::new(|| register().ok());

fn register() -> Result<Checks, prometheus::Error> {
    let results = IntGaugeVec::new(
        opts!("kubernetes_healthcheck", "[STABLE] This metric records the result of a single healthcheck."),
        &["name", "type"],
    )?;
    let asked = IntCounterVec::new(
        opts!(
            "kubernetes_healthchecks_total",
            "[STABLE] This metric records the results of all healthcheck."
        ),
        &["name", "type", "status"],
    )?;
    let registry = Registry::new();
    registry.register(Box::new(results.clone()))?;
    registry.register(Box::new(asked.clone()))?;
    Ok(Checks { registry, results, asked })
}

/// Notes how a check is that somebody asked for. `kind` is the page that was asked: `healthz`, `livez` or `readyz`.
pub fn asked(name: &str, kind: &str, well: bool) {
    if let Some(checks) = &*CHECKS {
        let status = if well { "success" } else { "error" };
        checks.asked.with_label_values(&[name, kind, status]).inc();
    }
    is(name, kind, well);
}

/// Notes how a check is, though nobody asked for it.
pub fn is(name: &str, kind: &str, well: bool) {
    if let Some(checks) = &*CHECKS {
        checks.results.with_label_values(&[name, kind]).set(i64::from(well));
    }
}

/// The results in Prometheus' text format.
pub fn text() -> Vec<u8> {
    let mut buffer = Vec::new();
    if let Some(checks) = &*CHECKS
        && let Err(error) = TextEncoder::new().encode(&checks.registry.gather(), &mut buffer)
    {
        tracing::warn!(%error, "cannot encode the results of health checks");
    }
    buffer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_counted_when_somebody_asks_for_them() {
        is("disk", "readyz", true);
        asked("disk", "readyz", true);
        asked("disk", "readyz", false);
        asked("disk", "readyz", false);
        let text = String::from_utf8(text()).unwrap();
        for line in [
            "kubernetes_healthcheck{name=\"disk\",type=\"readyz\"} 0\n",
            "kubernetes_healthchecks_total{name=\"disk\",status=\"error\",type=\"readyz\"} 2\n",
            "kubernetes_healthchecks_total{name=\"disk\",status=\"success\",type=\"readyz\"} 1\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
