//! Whether an aggregated API can be used: from its Service, its endpoints and its answer, in upstream's words.

use apimachinery::ObjectExt as _;
use serde_json::{Value, json};

use super::{Place, Service};

/// What the condition `Available` is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether requests are passed on.
    pub available: bool,
    /// One word.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

impl Verdict {
    /// What this server serves itself is there while it is.
    pub fn local() -> Self {
        Self::yes("Local", "Local APIServices are always available")
    }

    /// Everything is as it should be.
    pub fn passed() -> Self {
        Self::yes("Passed", "all checks passed")
    }

    /// No endpoint answered discovery.
    pub fn failed_discovery(message: String) -> Self {
        Self::no("FailedDiscoveryCheck", message)
    }

    fn yes(reason: &'static str, message: &str) -> Self {
        Self { available: true, reason, message: message.to_owned() }
    }

    fn no(reason: &'static str, message: String) -> Self {
        Self { available: false, reason, message }
    }

    /// The condition; the time of the last change stays while the status does.
    pub fn condition(&self, old: Option<&Value>, now: &str) -> Value {
        let status = if self.available { "True" } else { "False" };
        let since = old
            .filter(|old| old.str_at(&["status"]) == Some(status))
            .and_then(|old| old.str_at(&["lastTransitionTime"]))
            .unwrap_or(now);
        json!({
            "type": "Available", "status": status, "lastTransitionTime": since,
            "reason": self.reason, "message": self.message,
        })
    }

    /// The APIService with this condition, unless it has it already.
    pub fn apply(&self, api_service: &Value, now: &str) -> Option<Value> {
        let conditions = api_service.list_at(&["status", "conditions"]);
        let at = conditions.iter().position(|condition| condition.str_at(&["type"]) == Some("Available"));
        let old = at.map(|at| &conditions[at]);
        let condition = self.condition(old, now);
        if old == Some(&condition) {
            return None;
        }
        let mut conditions = conditions.to_vec();
        match at {
            Some(at) => conditions[at] = condition,
            None => conditions.push(condition),
        }
        let mut changed = api_service.clone();
        changed.set_at(&["status", "conditions"], conditions.into());
        Some(changed)
    }
}

/// Where the Service's port can be reached, or why it cannot.
pub(crate) fn places(
    wanted: Service<'_>,
    service: Option<&Value>,
    slices: &[Value],
) -> Result<Vec<Place>, Verdict> {
    let Service { namespace, name, port } = wanted;
    let Some(service) = service else {
        return Err(Verdict::no(
            "ServiceNotFound",
            format!("service/{name} in {namespace:?} is not present"),
        ));
    };
    if service.str_at(&["spec", "type"]) == Some("ExternalName") {
        let host = service.str_at(&["spec", "externalName"]).unwrap_or_default().to_owned();
        return Ok(vec![Place { host, port }]);
    }
    let ports = service.list_at(&["spec", "ports"]);
    let Some(found) = ports.iter().find(|candidate| candidate.i64_at(&["port"]) == Some(i64::from(port)))
    else {
        return Err(Verdict::no(
            "ServicePortError",
            format!("service/{name} in {namespace:?} is not listening on port {port}"),
        ));
    };
    if slices.is_empty() {
        return Err(Verdict::no(
            "EndpointsNotFound",
            format!("cannot find endpointslices for service/{name} in {namespace:?}"),
        ));
    }
    let port_name = found.str_at(&["name"]).unwrap_or_default();
    let places: Vec<Place> = slices.iter().flat_map(|slice| of_slice(slice, port_name)).collect();
    if places.is_empty() {
        return Err(Verdict::no(
            "MissingEndpoints",
            format!(
                "endpointslices for service/{name} in {namespace:?} have no addresses with port name {port_name:?}"
            ),
        ));
    }
    Ok(places)
}

fn of_slice(slice: &Value, port_name: &str) -> Vec<Place> {
    let port = slice
        .list_at(&["ports"])
        .iter()
        .find(|port| port.str_at(&["name"]).unwrap_or_default() == port_name)
        .and_then(|port| u16::try_from(port.i64_at(&["port"])?).ok());
    let Some(port) = port else { return Vec::new() };
    slice
        .list_at(&["endpoints"])
        .iter()
        .filter(|endpoint| endpoint.bool_at(&["conditions", "ready"]) != Some(false))
        .filter_map(|endpoint| endpoint.list_at(&["addresses"]).first()?.as_str())
        .map(|host| Place { host: host.to_owned(), port })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Service<'_> = Service { namespace: "kube-system", name: "metrics-server", port: 443 };

    fn check(service: Option<Value>, slices: &[Value]) -> String {
        match places(WANTED, service.as_ref(), slices) {
            Ok(places) => places
                .iter()
                .map(|place| format!("{}:{}", place.host, place.port))
                .collect::<Vec<_>>()
                .join(" "),
            Err(verdict) => format!("{}: {}", verdict.reason, verdict.message),
        }
    }

    #[test]
    fn says_what_is_missing_in_upstreams_words() {
        let service = |port: u16| Some(json!({"spec": {"ports": [{"name": "https", "port": port}]}}));
        let slice = |name: &str, ready: bool| {
            json!({
                "ports": [{"name": name, "port": 10250}],
                "endpoints": [
                    {"addresses": ["172.16.1.2"], "conditions": {"ready": ready}},
                    {"addresses": ["172.16.2.2"], "conditions": {"ready": false}},
                ],
            })
        };
        assert_eq!(
            check(None, &[]),
            r#"ServiceNotFound: service/metrics-server in "kube-system" is not present"#
        );
        assert_eq!(
            check(service(80), &[]),
            r#"ServicePortError: service/metrics-server in "kube-system" is not listening on port 443"#
        );
        assert_eq!(
            check(service(443), &[]),
            r#"EndpointsNotFound: cannot find endpointslices for service/metrics-server in "kube-system""#
        );
        let missing = r#"MissingEndpoints: endpointslices for service/metrics-server in "kube-system" have no addresses with port name "https""#;
        assert_eq!(check(service(443), &[slice("https", false)]), missing);
        assert_eq!(check(service(443), &[slice("http", true)]), missing);
        assert_eq!(check(service(443), &[slice("https", true)]), "172.16.1.2:10250");
        let external = json!({"spec": {"type": "ExternalName", "externalName": "api.example.com"}});
        assert_eq!(check(Some(external), &[]), "api.example.com:443");
    }

    #[test]
    fn a_condition_keeps_its_time_while_its_status_stays() {
        let bare = json!({"metadata": {"name": "a"}});
        let failed = Verdict::failed_discovery("no".into()).apply(&bare, "t1").unwrap();
        assert_eq!(failed["status"]["conditions"][0]["status"], "False");
        let other = Verdict::failed_discovery("still no".into()).apply(&failed, "t2").unwrap();
        assert_eq!(other["status"]["conditions"][0]["lastTransitionTime"], "t1");
        let passed = Verdict::passed().apply(&other, "t3").unwrap();
        assert_eq!(
            passed["status"]["conditions"],
            json!([{"type": "Available", "status": "True", "lastTransitionTime": "t3",
                "reason": "Passed", "message": "all checks passed"}])
        );
        assert_eq!(Verdict::passed().apply(&passed, "t4"), None);
    }
}
