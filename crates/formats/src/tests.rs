//! Tables for the formats.

use serde_json::{Value, json};

use super::{columns::Columns, json as go_json, jsonpath, table, tabwriter, template, yaml};

fn pods() -> Value {
    json!({"kind": "List", "items": [
        {"metadata": {"name": "a", "labels": {"app.kubernetes.io/name": "x"}}, "spec": {"containers": [{"name": "c", "image": "i1"}, {"name": "d", "image": "i2"}]}, "status": {"n": 3}},
        {"metadata": {"name": "b"}, "spec": {"containers": [{"name": "c", "image": "i3"}]}, "status": {"n": 7}},
    ]})
}

#[test]
fn jsonpath_finds_what_kubectl_finds() {
    for (path, expected) in [
        ("{.items[0].metadata.name}", "a"),
        ("{.items[*].metadata.name}", "a b"),
        ("{$.items[-1].metadata.name}", "b"),
        ("{.items[0:1].metadata.name}", "a"),
        ("{..image}", "i1 i2 i3"),
        ("{range .items[*]}{.metadata.name}{\"\\t\"}{.status.n}{\"\\n\"}{end}", "a\t3\nb\t7\n"),
        (
            "{range .items[*]}{@.metadata.name}:{range .spec.containers[*]}{.image},{end};{end}",
            "a:i1,i2,;b:i3,;",
        ),
        ("{.items[?(@.status.n>5)].metadata.name}", "b"),
        ("{.items[?(@.metadata.name==\"a\")].status.n}", "3"),
        ("{.items[?(@.metadata.labels)].metadata.name}", "a"),
        ("{.items[0].metadata.labels.app\\.kubernetes\\.io/name}", "x"),
        ("{.items[0].metadata['name']}", "a"),
        ("{.items[*]['metadata.name','status.n']}", ""),
        ("{.items[*].missing}", ""),
        ("{.items[0].spec.containers[0]}", "{\"image\":\"i1\",\"name\":\"c\"}"),
        ("name: {.items[0].metadata.name}!", "name: a!"),
        ("{.items[0,1].metadata.name}", "a b"),
    ] {
        let found = jsonpath::Template::parse(path, true).unwrap().render(&pods()).unwrap();
        assert_eq!(found, expected, "{path}");
    }
    for wrong in ["{. > 1)", "{)}", "{a == 1}", "{.a", "{range .a}x", "{end}", "{.a[?(x]}", "{foo}"] {
        assert!(jsonpath::Template::parse(wrong, true).is_err(), "{wrong}");
    }
    assert!(jsonpath::Template::parse(&"{.a[?(@".repeat(20_000), true).is_err());
    assert!(jsonpath::Template::parse("{.missing}", false).unwrap().render(&pods()).is_err());
}

#[test]
fn go_templates_render() {
    for (text, expected) in [
        ("{{range .items}}{{.metadata.name}} {{end}}", "a b "),
        ("{{range $i, $p := .items}}{{$i}}={{$p.metadata.name}};{{end}}", "0=a;1=b;"),
        ("{{(index .items 0).metadata.name}}", "a"),
        ("{{if eq .kind \"List\"}}yes{{else}}no{{end}}", "yes"),
        ("{{if .x}}1{{else if .kind}}2{{else}}3{{end}}", "2"),
        ("{{.missing}}", "<no value>"),
        ("{{len .items}} {{printf \"%s-%d\" .kind 5}}", "2 List-5"),
        (
            "{{- range .items -}} {{if (exists . \"metadata\" \"labels\")}}{{.metadata.name}}{{end}} {{- end -}}",
            "a",
        ),
        ("{{\"aGk=\" | base64decode}}", "hi"),
        ("{{with .items}}{{len .}}{{end}}", "2"),
        ("{{$x := .kind}}{{$x}}", "List"),
    ] {
        let template = template::Template::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(template.render(&pods()).unwrap(), expected, "{text}");
    }
    assert!(template::Template::parse("{{range .items}}").is_err());
    assert!(template::Template::parse("{{.a").is_err());
    for deep in ["(len ", "}}{{if .a}}{{"] {
        let text = format!("{{{{if {}}}}}", deep.repeat(20_000));
        assert!(template::Template::parse(&text).is_err(), "{deep}");
    }
    let endless = template::Template::parse("{{range 99999999999}}x{{end}}").unwrap();
    assert!(endless.render(&json!({})).is_err());
}

#[test]
fn custom_columns_align_and_say_none() {
    let items = pods()["items"].as_array().cloned().unwrap();
    let columns =
        Columns::parse("NAME:.metadata.name,IMAGES:.spec.containers[*].image,L:metadata.labels.x").unwrap();
    assert_eq!(
        columns.render(&items, true).unwrap(),
        "NAME   IMAGES   L\na      i1,i2    <none>\nb      i3       <none>\n"
    );
    assert!(Columns::parse("NAME").is_err());
    let object = json!({"limits": {"memory": "20Mi", "cpu": "250m"}, "list": [1, null, {"a": true}]});
    let columns = Columns::parse("LIMITS:.limits,LIST:.list").unwrap();
    assert_eq!(
        columns.render(&[object], false).unwrap(),
        "map[cpu:250m memory:20Mi]   [1 <nil> map[a:true]]\n"
    );
}

#[test]
fn yaml_quotes_and_folds_as_upstream() {
    // Expected texts are what upstream's kubectl printed for the same values.
    let long = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb cccccccccccccccccccccc ddddddddddddddddddddd";
    let quoted = "{\"x\":1, \"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\":2, \"cccccccccccc cccccccccccccccccccc dddddddddddddddddddddd eeeeeeeeeeeeeeeeee\":5}";
    for (text, expected) in [
        ("true", "\"true\""),
        ("1e3", "\"1e3\""),
        (" lead", "' lead'"),
        ("trail ", "'trail '"),
        ("x: y", "'x: y'"),
        ("#z", "'#z'"),
        ("a #b", "'a #b'"),
        ("-", "'-'"),
        ("- a", "'- a'"),
        ("~", "\"~\""),
        ("y", "\"y\""),
        ("0x1f", "\"0x1f\""),
        ("012", "\"012\""),
        ("1_000", "\"1_000\""),
        ("2001-01-01", "\"2001-01-01\""),
        ("é", "é"),
        ("\ttab", "\"\\ttab\""),
        ("it's", "it's"),
        ("\"q\"", "'\"q\"'"),
        ("@a", "'@a'"),
        ("a\n", "|\n    a"),
        ("\na", "|2-\n\n    a"),
        ("%a", "'%a'"),
        ("1:20", "\"1:20\""),
        ("!x", "'!x'"),
        ("a:b", "a:b"),
        ("a:", "'a:'"),
        ("", "\"\""),
        ("*", "'*'"),
        ("[a", "'[a'"),
        ("a]", "a]"),
        (".5", "\".5\""),
        ("=", "="),
        ("<<", "<<"),
        ("?a", "?a"),
        (",a", "',a'"),
        ("a,b{c}", "a,b{c}"),
        ("a\n\n", "|+\n    a\n"),
        ("trail \nx", "\"trail \\nx\""),
        ("  lead\nx", "|2-\n      lead\n    x"),
        ("a\tb\nc", "\"a\\tb\\nc\""),
        ("line one\nline two", "|-\n    line one\n    line two"),
        (
            long,
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb cccccccccccccccccccccc\n    ddddddddddddddddddddd",
        ),
        (
            quoted,
            "'{\"x\":1, \"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\":2, \"cccccccccccc cccccccccccccccccccc\n    dddddddddddddddddddddd eeeeeeeeeeeeeeeeee\":5}'",
        ),
    ] {
        assert_eq!(
            yaml::text(&json!({"data": {"at": text}})),
            format!("data:\n  at: {expected}\n"),
            "{text:?}"
        );
    }
    assert_eq!(
        yaml::text(&json!({"b": [], "a": [{"x": 1, "y": [2]}, "z"], "c": {}, "n": null, "a10": 1, "a2": 2})),
        "a:\n- x: 1\n  \"y\":\n  - 2\n- z\na2: 2\na10: 1\nb: []\nc: {}\n\"n\": null\n"
    );
}

#[test]
fn json_escapes_as_go() {
    assert_eq!(
        go_json::text(&json!({"b": [], "a": "<x&y>"})),
        "{\n    \"a\": \"\\u003cx\\u0026y\\u003e\",\n    \"b\": []\n}"
    );
}

#[test]
fn tabs_align_runs_of_lines() {
    let text = "Name:\tx\nLabels:\ta=b\n\tccc=d\nConditions:\n  Type\tStatus\n  Ready\tTrue\n";
    assert_eq!(
        tabwriter::align(text, tabwriter::DESCRIBE),
        "Name:    x\nLabels:  a=b\n         ccc=d\nConditions:\n  Type   Status\n  Ready  True\n"
    );
}

#[test]
fn server_tables_get_extra_columns() {
    let table = json!({"columnDefinitions": [{"name": "Name"}, {"name": "Ready"}, {"name": "IP", "priority": 1}],
        "rows": [{"cells": ["web", "1/1", "10.0.0.1"], "object": {"metadata": {"namespace": "d", "labels": {"app": "web"}}}}]});
    let text = |options| table::Rows::default().align(&table::rows(&table, &options));
    assert_eq!(text(table::Options::default()), "NAME   READY\nweb    1/1\n");
    assert_eq!(
        text(table::Options {
            wide: true,
            with_namespace: true,
            show_labels: true,
            kind: Some("pod".into()),
            label_columns: vec!["x/app".into(), "app".into()],
            ..Default::default()
        }),
        "NAMESPACE   NAME      READY   IP         APP   APP   LABELS\nd           pod/web   1/1     10.0.0.1         web   app=web\n"
    );
}

#[test]
fn yaml_is_read_as_kubernetes_reads_it() {
    let documents = yaml::documents("a: 0644\nb: yes\nc: \"0644\"\n---\n---\nd: 1.5\n").unwrap();
    assert_eq!(documents[0]["a"], 420);
    assert_eq!(documents[0]["c"], "0644");
    assert_eq!(documents.len(), 2);
    assert!(yaml::documents("a: [").is_err());
    assert_eq!(yaml::documents("{\"a\": 1}\n{\"b\": 2}").unwrap().len(), 2);
}
