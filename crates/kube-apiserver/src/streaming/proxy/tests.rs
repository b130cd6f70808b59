use serde_json::json;

use super::*;

#[test]
fn names_carry_scheme_and_port() {
    let id = |text| Id::parse(text).map(|id| (id.https, id.name, id.port));
    for (text, expected) in [
        ("web", Some((false, "web", ""))),
        ("web:80", Some((false, "web", "80"))),
        ("https:web:metrics", Some((true, "web", "metrics"))),
        ("http:web:", Some((false, "web", ""))),
        ("ftp:web:1", None),
        (":80", None),
        ("a:b:c:d", None),
    ] {
        assert_eq!(id(text), expected, "{text}");
    }
}

#[test]
fn ports_of_pods_default_to_the_first_one_named() {
    let pod = json!({"spec": {"containers": [{}, {"ports": [{"containerPort": 8080}]}]}});
    let port =
        |pod: &Value, id: &str| pod_port(pod, &Id::parse(id).unwrap()).map_err(|status| status.message);
    assert_eq!(port(&pod, "web"), Ok(8080));
    assert_eq!(port(&pod, "web:81"), Ok(81));
    assert_eq!(port(&json!({}), "https:web:"), Ok(443));
    assert_eq!(
        port(&pod, "web:http"),
        Err("error trying to reach service: dial tcp: lookup tcp/http: unknown port".into())
    );
}

#[test]
fn endpoints_are_found_by_the_services_port() {
    let service =
        json!({"spec": {"ports": [{"name": "http", "port": 80}, {"name": "metrics", "port": 9090}]}});
    let name = |id: &str| {
        let id = Id::parse(id).unwrap();
        port_name(&service, &id).map(str::to_owned).map_err(|status| status.message)
    };
    assert_eq!(name("web:80"), Ok("http".into()));
    assert_eq!(name("web:metrics"), Ok("metrics".into()));
    assert_eq!(name("web:81"), Err("no service port 81 found for service \"web\"".into()));
    let endpoints = json!({"subsets": [
        {"addresses": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}], "notReadyAddresses": [{"ip": "10.0.0.3"}],
            "ports": [{"name": "http", "port": 8080}]},
        {"addresses": [{"ip": "10.0.0.4"}], "ports": [{"name": "metrics", "port": 9090}]}]});
    assert_eq!(
        candidates(&endpoints, "http"),
        [("10.0.0.1".to_owned(), 8080), ("10.0.0.2".to_owned(), 8080)]
    );
    assert_eq!(candidates(&endpoints, ""), []);
    let unnamed = json!({"subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]});
    assert_eq!(candidates(&unnamed, ""), [("10.0.0.1".to_owned(), 80)]);
}
