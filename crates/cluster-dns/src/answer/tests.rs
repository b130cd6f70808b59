use std::fmt::Write as _;

use expect_test::{Expect, expect};
use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::Name;

use super::*;
use crate::watch::tests::apply;
use crate::watch::{WireNamespace, WireService, WireSlice};

const SERVICES: &[&str] = &[
    "{metadata: {name: kube-dns, namespace: kube-system}, spec: {clusterIP: 10.96.0.10}}",
    "{metadata: {name: web, namespace: d}, spec: {clusterIP: 10.96.0.7, clusterIPs: [10.96.0.7, 'fd00:96::7'],
      ports: [{name: http, port: 80}, {name: dns, protocol: UDP, port: 53}, {port: 9}]}}",
    "{metadata: {name: db, namespace: d}, spec: {clusterIP: None, ports: [{name: sql, port: 5432}]}}",
    "{metadata: {name: early, namespace: d}, spec: {clusterIP: None, publishNotReadyAddresses: true}}",
    "{metadata: {name: idle, namespace: d}, spec: {clusterIP: None}}",
    "{metadata: {name: waiting, namespace: d}, spec: {}}",
    "{metadata: {name: away, namespace: d}, spec: {type: ExternalName, externalName: WWW.example.com.}}",
    "{metadata: {name: alias, namespace: d}, spec: {type: ExternalName, externalName: web.d.svc.cluster.local}}",
    "{metadata: {name: astray, namespace: d}, spec: {type: ExternalName, externalName: no.d.svc.cluster.local}}",
    "{metadata: {name: round, namespace: d}, spec: {type: ExternalName, externalName: round.d.svc.cluster.local}}",
    "{metadata: {name: broken, namespace: d}, spec: {type: ExternalName, externalName: 'a..b'}}",
];

const SLICES: &[&str] = &[
    "{metadata: {name: db-1, namespace: d, labels: {kubernetes.io/service-name: db}}, addressType: IPv4,
      ports: [{name: sql, port: 15432}, {port: 9}], endpoints: [
        {addresses: [10.0.0.2], hostname: db-1}, {addresses: [10.0.0.1], hostname: DB-0, conditions: {ready: true}},
        {addresses: [10.0.0.3], conditions: {ready: false}}]}",
    "{metadata: {name: db-2, namespace: d, labels: {kubernetes.io/service-name: db}}, addressType: IPv4,
      ports: [{name: sql, port: 15432}], endpoints: [{addresses: [10.0.0.4]}, {addresses: [10.0.0.2], hostname: db-1}]}",
    "{metadata: {name: db-6, namespace: d, labels: {kubernetes.io/service-name: db}}, addressType: IPv6,
      ports: [{name: sql, port: 15432}], endpoints: [{addresses: ['fd00:1::2'], hostname: db-1}]}",
    "{metadata: {name: early-1, namespace: d, labels: {kubernetes.io/service-name: early}}, addressType: IPv4,
      endpoints: [{addresses: [10.0.0.5], hostname: first, conditions: {ready: false}}]}",
    "{metadata: {name: idle-1, namespace: d, labels: {kubernetes.io/service-name: idle}}, addressType: IPv4,
      endpoints: [{addresses: [10.0.0.6], conditions: {ready: false}}]}",
    "{metadata: {name: web-1, namespace: d, labels: {kubernetes.io/service-name: web}}, addressType: IPv4,
      ports: [{name: http, port: 8080}], endpoints: [{addresses: [10.0.0.7], hostname: web-0}]}",
];

fn records() -> Records {
    let mut records = Records::default();
    for namespace in ["d", "kube-system"] {
        apply::<WireNamespace>(&mut records, &format!("{{metadata: {{name: {namespace}}}}}"));
    }
    SERVICES.iter().for_each(|service| apply::<WireService>(&mut records, service));
    SLICES.iter().for_each(|slice| apply::<WireSlice>(&mut records, slice));
    records
}

fn zones() -> Zones {
    let networks = ["10.96.0.0/12", "10.0.0.0/16", "fd00:96::/108"];
    Zones {
        domain: Name::from_ascii("cluster.local.").unwrap(),
        networks: networks.iter().map(|network| network.parse().unwrap()).collect(),
    }
}

fn query(question: &str) -> Query {
    let (name, kind) = question.split_once(' ').unwrap();
    Query::query(Name::from_ascii(name).unwrap(), kind.parse().unwrap())
}

fn shown(outcome: Outcome) -> String {
    let Outcome::Answered(answer) = outcome else { return "elsewhere\n".into() };
    let mut text = match answer.code {
        ResponseCode::NoError => String::new(),
        code => format!("{code}\n"),
    };
    let sections = [("", &answer.answers), ("; ", &answer.authorities), ("+ ", &answer.additionals)];
    for (mark, section) in sections {
        for record in section {
            let record = record.to_string().replace(" IN ", " ");
            writeln!(text, "{mark}{record}").unwrap();
        }
    }
    if let Some(name) = answer.elsewhere {
        writeln!(text, "then {name}").unwrap();
    }
    text
}

fn ask(question: &str) -> String {
    shown(answer(&records(), &zones(), &query(question), 0))
}

#[track_caller]
fn check(questions: &[&str], expected: Expect) {
    let mut text = String::new();
    for question in questions {
        let answer = ask(question)
            .replace("ns.dns.cluster.local. hostmaster.cluster.local. 19 7200 1800 86400 5", "…");
        writeln!(text, "{question}").unwrap();
        answer.lines().for_each(|line| writeln!(text, "    {line}").unwrap());
    }
    expected.assert_eq(&text);
}

#[test]
fn services_with_addresses() {
    check(
        &[
            "web.d.svc.cluster.local. A",
            "WEB.d.Svc.Cluster.LOCAL. A",
            "web.d.svc.cluster.local. AAAA",
            "web.d.svc.cluster.local. ANY",
            "web.d.svc.cluster.local. TXT",
            "web.d.svc.cluster.local. SRV",
            "kube-dns.kube-system.svc.cluster.local. AAAA",
            "waiting.d.svc.cluster.local. A",
            "web-0.web.d.svc.cluster.local. A",
            "_http._tcp.web.d.svc.cluster.local. SRV",
            "_dns._udp.web.d.svc.cluster.local. SRV",
            "_dns._tcp.web.d.svc.cluster.local. SRV",
            "_http._tcp.web.d.svc.cluster.local. A",
            "_tcp.web.d.svc.cluster.local. SRV",
            "_sctp.web.d.svc.cluster.local. SRV",
            "_._tcp.web.d.svc.cluster.local. SRV",
            "http._tcp.web.d.svc.cluster.local. SRV",
        ],
        expect![[r#"
            web.d.svc.cluster.local. A
                web.d.svc.cluster.local. 30 A 10.96.0.7
            WEB.d.Svc.Cluster.LOCAL. A
                WEB.d.Svc.Cluster.LOCAL. 30 A 10.96.0.7
            web.d.svc.cluster.local. AAAA
                web.d.svc.cluster.local. 30 AAAA fd00:96::7
            web.d.svc.cluster.local. ANY
                web.d.svc.cluster.local. 30 A 10.96.0.7
                web.d.svc.cluster.local. 30 AAAA fd00:96::7
            web.d.svc.cluster.local. TXT
                ; cluster.local. 5 SOA …
            web.d.svc.cluster.local. SRV
                web.d.svc.cluster.local. 30 SRV 0 100 80 web.d.svc.cluster.local.
                web.d.svc.cluster.local. 30 SRV 0 100 53 web.d.svc.cluster.local.
                web.d.svc.cluster.local. 30 SRV 0 100 9 web.d.svc.cluster.local.
                + web.d.svc.cluster.local. 30 A 10.96.0.7
                + web.d.svc.cluster.local. 30 AAAA fd00:96::7
            kube-dns.kube-system.svc.cluster.local. AAAA
                ; cluster.local. 5 SOA …
            waiting.d.svc.cluster.local. A
                ; cluster.local. 5 SOA …
            web-0.web.d.svc.cluster.local. A
                Non-Existent Domain
                ; cluster.local. 5 SOA …
            _http._tcp.web.d.svc.cluster.local. SRV
                _http._tcp.web.d.svc.cluster.local. 30 SRV 0 100 80 web.d.svc.cluster.local.
                + web.d.svc.cluster.local. 30 A 10.96.0.7
                + web.d.svc.cluster.local. 30 AAAA fd00:96::7
            _dns._udp.web.d.svc.cluster.local. SRV
                _dns._udp.web.d.svc.cluster.local. 30 SRV 0 100 53 web.d.svc.cluster.local.
                + web.d.svc.cluster.local. 30 A 10.96.0.7
                + web.d.svc.cluster.local. 30 AAAA fd00:96::7
            _dns._tcp.web.d.svc.cluster.local. SRV
                Non-Existent Domain
                ; cluster.local. 5 SOA …
            _http._tcp.web.d.svc.cluster.local. A
                ; cluster.local. 5 SOA …
            _tcp.web.d.svc.cluster.local. SRV
                ; cluster.local. 5 SOA …
            _sctp.web.d.svc.cluster.local. SRV
                Non-Existent Domain
                ; cluster.local. 5 SOA …
            _._tcp.web.d.svc.cluster.local. SRV
                Non-Existent Domain
                ; cluster.local. 5 SOA …
            http._tcp.web.d.svc.cluster.local. SRV
                Non-Existent Domain
                ; cluster.local. 5 SOA …
        "#]],
    );
}

#[test]
fn headless_services() {
    check(
        &[
            "db.d.svc.cluster.local. A",
            "db.d.svc.cluster.local. AAAA",
            "db.d.svc.cluster.local. MX",
            "db-1.db.d.svc.cluster.local. A",
            "db-0.db.d.svc.cluster.local. A",
            "DB-0.db.d.svc.cluster.local. AAAA",
            "10-0-0-4.db.d.svc.cluster.local. A",
            "10-0-0-3.db.d.svc.cluster.local. A",
            "10-0-0-2.db.d.svc.cluster.local. A",
            "_sql._tcp.db.d.svc.cluster.local. SRV",
            "_tcp.db.d.svc.cluster.local. A",
            "_udp.db.d.svc.cluster.local. A",
            "_http._tcp.db.d.svc.cluster.local. SRV",
            "early.d.svc.cluster.local. A",
            "first.early.d.svc.cluster.local. A",
            "idle.d.svc.cluster.local. A",
            "10-0-0-6.idle.d.svc.cluster.local. A",
        ],
        expect![[r#"
            db.d.svc.cluster.local. A
                db.d.svc.cluster.local. 5 A 10.0.0.1
                db.d.svc.cluster.local. 5 A 10.0.0.2
                db.d.svc.cluster.local. 5 A 10.0.0.4
            db.d.svc.cluster.local. AAAA
                db.d.svc.cluster.local. 5 AAAA fd00:1::2
            db.d.svc.cluster.local. MX
                ; cluster.local. 5 SOA …
            db-1.db.d.svc.cluster.local. A
                db-1.db.d.svc.cluster.local. 5 A 10.0.0.2
            db-0.db.d.svc.cluster.local. A
                db-0.db.d.svc.cluster.local. 5 A 10.0.0.1
            DB-0.db.d.svc.cluster.local. AAAA
                ; cluster.local. 5 SOA …
            10-0-0-4.db.d.svc.cluster.local. A
                10-0-0-4.db.d.svc.cluster.local. 5 A 10.0.0.4
            10-0-0-3.db.d.svc.cluster.local. A
                Non-Existent Domain
                ; cluster.local. 5 SOA …
            10-0-0-2.db.d.svc.cluster.local. A
                Non-Existent Domain
                ; cluster.local. 5 SOA …
            _sql._tcp.db.d.svc.cluster.local. SRV
                _sql._tcp.db.d.svc.cluster.local. 5 SRV 0 100 15432 10-0-0-4.db.d.svc.cluster.local.
                _sql._tcp.db.d.svc.cluster.local. 5 SRV 0 100 15432 db-0.db.d.svc.cluster.local.
                _sql._tcp.db.d.svc.cluster.local. 5 SRV 0 100 15432 db-1.db.d.svc.cluster.local.
                + 10-0-0-4.db.d.svc.cluster.local. 5 A 10.0.0.4
                + db-0.db.d.svc.cluster.local. 5 A 10.0.0.1
                + db-1.db.d.svc.cluster.local. 5 A 10.0.0.2
                + db-1.db.d.svc.cluster.local. 5 AAAA fd00:1::2
            _tcp.db.d.svc.cluster.local. A
                ; cluster.local. 5 SOA …
            _udp.db.d.svc.cluster.local. A
                Non-Existent Domain
                ; cluster.local. 5 SOA …
            _http._tcp.db.d.svc.cluster.local. SRV
                Non-Existent Domain
                ; cluster.local. 5 SOA …
            early.d.svc.cluster.local. A
                early.d.svc.cluster.local. 5 A 10.0.0.5
            first.early.d.svc.cluster.local. A
                first.early.d.svc.cluster.local. 5 A 10.0.0.5
            idle.d.svc.cluster.local. A
                Non-Existent Domain
                ; cluster.local. 5 SOA …
            10-0-0-6.idle.d.svc.cluster.local. A
                Non-Existent Domain
                ; cluster.local. 5 SOA …
        "#]],
    );
}

#[test]
fn external_names() {
    check(
        &[
            "away.d.svc.cluster.local. A",
            "away.d.svc.cluster.local. CNAME",
            "x.away.d.svc.cluster.local. A",
            "alias.d.svc.cluster.local. A",
            "alias.d.svc.cluster.local. TXT",
            "astray.d.svc.cluster.local. A",
            "broken.d.svc.cluster.local. A",
        ],
        expect![[r#"
            away.d.svc.cluster.local. A
                away.d.svc.cluster.local. 30 CNAME www.example.com.
                then www.example.com.
            away.d.svc.cluster.local. CNAME
                away.d.svc.cluster.local. 30 CNAME www.example.com.
            x.away.d.svc.cluster.local. A
                Non-Existent Domain
                ; cluster.local. 5 SOA …
            alias.d.svc.cluster.local. A
                alias.d.svc.cluster.local. 30 CNAME web.d.svc.cluster.local.
                web.d.svc.cluster.local. 30 A 10.96.0.7
            alias.d.svc.cluster.local. TXT
                alias.d.svc.cluster.local. 30 CNAME web.d.svc.cluster.local.
                ; cluster.local. 5 SOA …
            astray.d.svc.cluster.local. A
                Non-Existent Domain
                astray.d.svc.cluster.local. 30 CNAME no.d.svc.cluster.local.
                ; cluster.local. 5 SOA …
            broken.d.svc.cluster.local. A
                ; cluster.local. 5 SOA …
        "#]],
    );
    assert_eq!(ask("round.d.svc.cluster.local. A"), "Server Failure\n", "a circle leads nowhere");
    assert!(ask("round.d.svc.cluster.local. CNAME").contains("CNAME round.d.svc.cluster.local."));
}

#[test]
fn pods() {
    check(
        &[
            "10-0-0-9.d.pod.cluster.local. A",
            "10-0-0-9.d.pod.cluster.local. AAAA",
            "fd00-1--9.d.pod.cluster.local. AAAA",
            "10-0-0-9.no.pod.cluster.local. A",
            "10-0-0.d.pod.cluster.local. A",
            "web.d.pod.cluster.local. A",
            "x.10-0-0-9.d.pod.cluster.local. A",
        ],
        expect![[r#"
            10-0-0-9.d.pod.cluster.local. A
                10-0-0-9.d.pod.cluster.local. 5 A 10.0.0.9
            10-0-0-9.d.pod.cluster.local. AAAA
                ; cluster.local. 5 SOA …
            fd00-1--9.d.pod.cluster.local. AAAA
                fd00-1--9.d.pod.cluster.local. 5 AAAA fd00:1::9
            10-0-0-9.no.pod.cluster.local. A
                Non-Existent Domain
                ; cluster.local. 5 SOA …
            10-0-0.d.pod.cluster.local. A
                Non-Existent Domain
                ; cluster.local. 5 SOA …
            web.d.pod.cluster.local. A
                Non-Existent Domain
                ; cluster.local. 5 SOA …
            x.10-0-0-9.d.pod.cluster.local. A
                Non-Existent Domain
                ; cluster.local. 5 SOA …
        "#]],
    );
}

#[test]
fn names_that_only_have_names_below_them() {
    check(
        &[
            "cluster.local. SOA",
            "cluster.local. NS",
            "cluster.local. A",
            "ns.dns.cluster.local. A",
            "dns.cluster.local. A",
            "svc.cluster.local. A",
            "pod.cluster.local. A",
            "d.svc.cluster.local. A",
            "d.pod.cluster.local. A",
            "dns-version.cluster.local. TXT",
            "dns-version.cluster.local. A",
        ],
        expect![[r#"
            cluster.local. SOA
                cluster.local. 5 SOA …
            cluster.local. NS
                cluster.local. 30 NS ns.dns.cluster.local.
            cluster.local. A
                ; cluster.local. 5 SOA …
            ns.dns.cluster.local. A
                ns.dns.cluster.local. 30 A 10.96.0.10
            dns.cluster.local. A
                ; cluster.local. 5 SOA …
            svc.cluster.local. A
                ; cluster.local. 5 SOA …
            pod.cluster.local. A
                ; cluster.local. 5 SOA …
            d.svc.cluster.local. A
                ; cluster.local. 5 SOA …
            d.pod.cluster.local. A
                ; cluster.local. 5 SOA …
            dns-version.cluster.local. TXT
                dns-version.cluster.local. 30 TXT 1.1.0
            dns-version.cluster.local. A
                ; cluster.local. 5 SOA …
        "#]],
    );
}

#[test]
fn names_that_do_not_exist() {
    for name in [
        "no.d.svc.cluster.local.",
        "web.no.svc.cluster.local.",
        "no.svc.cluster.local.",
        "no.pod.cluster.local.",
        "no.cluster.local.",
        "db-7.db.d.svc.cluster.local.",
        "a.db-0.db.d.svc.cluster.local.",
        "a.b.c.d.e.f.g.h.cluster.local.",
        "www.example.com.d.svc.cluster.local.",
    ] {
        let shown = ask(&format!("{name} A"));
        assert!(shown.starts_with("Non-Existent Domain\n; cluster.local. 5 SOA"), "{name}: {shown}");
    }
}

#[test]
fn labels_that_no_object_can_have_lead_nowhere() {
    for label in [&b"d/web"[..], b"\xff", b"web.d", b"\0"] {
        let labels = [label, b"d", b"svc", b"cluster", b"local"];
        let query = Query::query(Name::from_labels(labels).unwrap(), RecordType::A);
        let shown = shown(answer(&records(), &zones(), &query, 0));
        assert!(shown.starts_with("Non-Existent Domain\n"), "{label:?}: {shown}");
    }
}

#[test]
fn names_of_addresses() {
    check(
        &[
            "7.0.96.10.in-addr.arpa. PTR",
            "7.0.96.10.IN-ADDR.arpa. A",
            "2.0.0.10.in-addr.arpa. PTR",
            "5.0.0.10.in-addr.arpa. PTR",
            "3.0.0.10.in-addr.arpa. PTR",
            "7.0.0.10.in-addr.arpa. PTR",
            "1.1.97.10.in-addr.arpa. PTR",
            "96.10.in-addr.arpa. PTR",
            "x.96.10.in-addr.arpa. PTR",
            "10.in-addr.arpa. PTR",
            "4.3.2.1.in-addr.arpa. PTR",
            "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa. PTR",
            "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa. A",
            "8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.0.d.f.ip6.arpa. PTR",
        ],
        expect![[r#"
            7.0.96.10.in-addr.arpa. PTR
                7.0.96.10.in-addr.arpa. 30 PTR web.d.svc.cluster.local.
            7.0.96.10.IN-ADDR.arpa. A
                ; 96.10.in-addr.arpa. 5 SOA …
            2.0.0.10.in-addr.arpa. PTR
                2.0.0.10.in-addr.arpa. 5 PTR db-1.db.d.svc.cluster.local.
            5.0.0.10.in-addr.arpa. PTR
                5.0.0.10.in-addr.arpa. 5 PTR first.early.d.svc.cluster.local.
            3.0.0.10.in-addr.arpa. PTR
                Non-Existent Domain
                ; 0.10.in-addr.arpa. 5 SOA …
            7.0.0.10.in-addr.arpa. PTR
                Non-Existent Domain
                ; 0.10.in-addr.arpa. 5 SOA …
            1.1.97.10.in-addr.arpa. PTR
                Non-Existent Domain
                ; 97.10.in-addr.arpa. 5 SOA …
            96.10.in-addr.arpa. PTR
                ; 96.10.in-addr.arpa. 5 SOA …
            x.96.10.in-addr.arpa. PTR
                Non-Existent Domain
                ; 96.10.in-addr.arpa. 5 SOA …
            10.in-addr.arpa. PTR
                elsewhere
            4.3.2.1.in-addr.arpa. PTR
                elsewhere
            2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa. PTR
                2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa. 5 PTR db-1.db.d.svc.cluster.local.
            2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa. A
                ; ip6.arpa. 5 SOA …
            8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.0.d.f.ip6.arpa. PTR
                Non-Existent Domain
                ; 0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.0.d.f.ip6.arpa. 5 SOA …
        "#]],
    );
}

#[test]
fn everything_else_is_elsewhere() {
    for name in ["example.com.", "local.", ".", "xcluster.local.", "cluster.local.example.com.", "arpa."] {
        assert_eq!(ask(&format!("{name} A")), "elsewhere\n", "{name}");
    }
}

#[test]
fn endpoints_take_turns_at_being_first() {
    let (records, zones) = (records(), zones());
    let first = |turn| {
        let Outcome::Answered(answer) = answer(&records, &zones, &query("db.d.svc.cluster.local. A"), turn)
        else {
            panic!("not answered");
        };
        assert_eq!(answer.answers.len(), 3);
        answer.answers[0].data.to_string()
    };
    assert_eq!([first(0), first(1), first(2), first(3)], ["10.0.0.1", "10.0.0.2", "10.0.0.4", "10.0.0.1"]);
}

#[test]
fn before_everything_was_seen_no_name_is_missing() {
    let mut records = records();
    records.await_listing();
    for question in ["no.d.svc.cluster.local. A", "web.d.svc.cluster.local. A", "1.0.96.10.in-addr.arpa. PTR"]
    {
        assert_eq!(shown(answer(&records, &zones(), &query(question), 0)), "Server Failure\n", "{question}");
    }
    records.listed();
    assert!(shown(answer(&records, &zones(), &query("no.d.svc.cluster.local. A"), 0)).contains("Domain"));
}

#[test]
fn zones_are_not_given_away_and_other_classes_not_known() {
    assert_eq!(ask("cluster.local. AXFR"), "Query Refused\n");
    let mut chaos = query("cluster.local. TXT");
    chaos.set_query_class(DNSClass::CH);
    assert_eq!(shown(answer(&records(), &zones(), &chaos, 0)), "Query Refused\n");
}
