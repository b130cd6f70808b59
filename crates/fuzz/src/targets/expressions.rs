//! What users write to be evaluated.

use cel::types::Type;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{objects, seeds, text};

pub fn expressions() -> Vec<Vec<u8>> {
    seeds(&[
        "self.a > 1 && has(self.b) ? 'x' : \"y\"",
        "self.items.all(i, i.size() < 3 && i.matches('^[a-z]+$'))",
        "[1, 2u, 3.0, b'x', null].map(x, x).filter(x, x != 1).exists_one(x, true)",
        "{'a': [1], 'b': {}}.a[0] + self.a * -2 % 3",
        "duration('1h') + timestamp('2026-01-01T00:00:00Z').getFullYear()",
        "'%d %s'.format([1, 'a']).lowerAscii().split(',').join('-').replace('a', 'b', 2)",
        "quantity('1Gi').isGreaterThan(quantity('1M')) || ip('10.0.0.1').isLoopback()",
        "self.?b.orValue(1) in [1, 2] || url('https://a/b?c').getHost() == r'a'",
        "((((((((1))))))))",
    ])
}

pub fn cel(input: &[u8]) -> bool {
    let Ok(program) = cel::Program::compile(&text(input), &["self", "oldSelf"]) else { return false };
    let object = json!({"a": 1, "b": "text", "items": ["x", "yy"], "map": {"k": [1.5, null]}});
    let values = [("self", cel::Value::of(&object, None)), ("oldSelf", cel::Value::of(&object, None))];
    // Whether it comes to a value is the expression's affair.
    let _ = program.run(&values, &cel::Budget::new(200_000));
    true
}

pub fn typed(input: &[u8]) -> bool {
    let environment = cel::Environment::new()
        .with("self", Type::Dyn)
        .with("text", Type::String)
        .with("list", Type::list(Type::Int))
        .with("map", Type::map(Type::String, Type::Dyn))
        .with_objects();
    let checked = cel::Program::check(&text(input), &environment);
    if let Ok(checked) = &checked {
        let object = json!({"a": 1, "b": "text", "items": ["x", "yy"]});
        let _ = checked.program.run(&[("self", cel::Value::of(&object, None))], &cel::Budget::new(200_000));
    }
    checked.is_ok()
}

pub fn policies() -> Vec<Vec<u8>> {
    let rules = json!([{"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["CREATE"]}]);
    [
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "a"},
            "spec": {"failurePolicy": "Fail", "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
                "matchConstraints": {"resourceRules": rules}, "matchConditions": [{"name": "c", "expression": "object.spec.replicas > 0"}],
                "variables": [{"name": "v", "expression": "params.data.max"}],
                "validations": [{"expression": "object.spec.replicas <= int(variables.v)", "messageExpression": "'at most ' + variables.v"}],
                "auditAnnotations": [{"key": "k", "valueExpression": "string(object.spec.replicas)"}]}}),
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": {"name": "a"},
            "spec": {"matchConstraints": {"resourceRules": rules}, "reinvocationPolicy": "Never", "mutations": [
                {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{spec: Object.spec{replicas: 2}}"}},
                {"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'add', path: '/a', value: 1}]"}}]}}),
    ]
    .iter()
    .map(|policy| policy.to_string().into_bytes())
    .collect()
}

/// A policy is validated, its expressions with it.
pub fn policy(input: &[u8]) -> bool {
    let Ok(object) = serde_json::from_slice::<Value>(input) else { return false };
    let kind = match object["kind"].as_str() {
        Some("MutatingAdmissionPolicy") => "MutatingAdmissionPolicy",
        _ => "ValidatingAdmissionPolicy",
    };
    let Some(row) = schema::catalogue().all().find(|row| row.kind == kind) else { return false };
    let Ok(parsed) = schema::parse(input) else { return false };
    let Ok((decoded, _)) = parsed.decode(row.ty(), schema::FieldValidation::Ignore) else { return false };
    objects::judge(&row.group, kind, decoded);
    true
}

pub fn paths() -> Vec<Vec<u8>> {
    seeds(&[
        "{.items[*].metadata.name}",
        "{range .items[?(@.a > 1)]}{.b}{\"\\n\"}{end}",
        "{..name}{.a[-1:0:2]}{['a','b']}",
        "{.items[0]['a.b']} text",
    ])
}

pub fn jsonpath(input: &[u8]) -> bool {
    let text = text(input);
    let root = json!({"items": [{"a": 1, "b": "x", "metadata": {"name": "n"}}, {"a": 2}], "a": [1, 2, 3]});
    drop(formats::jsonpath::relaxed(&text));
    let Ok(path) = formats::jsonpath::Template::parse(&text, true) else { return false };
    drop(path.render(&root));
    true
}

pub fn columns() -> Vec<Vec<u8>> {
    seeds(&[
        "NAME:.metadata.name,A:.a[0]",
        "NAME A\n.metadata.name .a[*]\n",
        "X:{range .a[*]}{@}{end}",
        ".spec.items[?(@.a==\"x\")].b",
    ])
}

/// Columns that a command names, and those that a definition declares.
pub fn column(input: &[u8]) -> bool {
    let text = text(input);
    let object = json!({"metadata": {"name": "n"}, "a": [1, 2], "spec": {"items": [{"a": "x", "b": 1}]}});
    let named = formats::columns::Columns::parse(&text);
    let filed = formats::columns::Columns::parse_file(&text);
    for columns in [&named, &filed].into_iter().flatten() {
        drop(columns.render(std::slice::from_ref(&object), true));
    }
    let declared = [json!({"name": "C", "type": "date", "jsonPath": text})];
    let declared = printing::CustomColumns::parse(&declared);
    if let Ok(columns) = &declared {
        drop(columns.cells(&object, Timestamp::UNIX_EPOCH));
    }
    named.is_ok() || filed.is_ok() || declared.is_ok()
}

pub fn templates() -> Vec<Vec<u8>> {
    seeds(&[
        "{{range .items}}{{.metadata.name}}{{\"\\n\"}}{{end}}",
        "{{if and .a (gt (len .b) 1)}}x{{else if .c}}y{{else}}z{{end}}",
        "{{$x := index .a 0}}{{printf \"%d %q\" $x .b | base64decode}}",
        "{{with .a}}{{.}}{{end}}{{/* c */}}{{- \"t\" -}}",
    ])
}

pub fn template(input: &[u8]) -> bool {
    let root = json!({"items": [{"metadata": {"name": "n"}}], "a": [1, 2], "b": "eA=="});
    let Ok(template) = formats::template::Template::parse(&text(input)) else { return false };
    drop(template.render(&root));
    true
}

pub fn schedules() -> Vec<Vec<u8>> {
    seeds(&["*/5 1-3,7 * jan-mar mon", "@hourly", "0 0 29 2 *", "0 2 * * sun", "59 23 31 12 ?", "0 0 30 2 *"])
}

/// When a CronJob next runs, where clocks are put forward and back.
pub fn schedule(input: &[u8]) -> bool {
    let text = text(input);
    workload_controllers::completed_indexes(&text, 1000);
    let Some(schedule) = workload_controllers::Schedule::parse(&text) else { return false };
    for zone in [TimeZone::UTC, TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").unwrap_or(TimeZone::UTC)] {
        let mut at = Timestamp::UNIX_EPOCH;
        for _ in 0..3 {
            let Some(next) = schedule.next(at, &zone) else { break };
            assert!(next > at, "a schedule goes forward");
            at = next;
        }
    }
    true
}
