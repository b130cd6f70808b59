use crate::types::{Place, Record, Type};
use crate::{Environment, Program};

fn environment() -> Environment<'static> {
    let text = |most| Place::sized(Type::String, most);
    let port = Record::of("port", vec![("number", Place::of(Type::Int)), ("name", text(10))]);
    let spec = Record::of(
        "spec",
        vec![
            ("name", text(20)),
            ("long", Place::of(Type::String)),
            ("replicas", Place::sized(Type::Int, 0)),
            ("ratio", Place::sized(Type::Double, 0)),
            ("on", Place::sized(Type::Bool, 0)),
            ("until", Place::sized(Type::Timestamp, 0)),
            ("tags", Place::list(text(10), 5)),
            ("ports", Place::list(Place::of(port.clone()), 100)),
            ("labels", Place::map(text(63), 10)),
            ("free", Place::of(Type::Dyn)),
            ("port", Place::of(port)),
        ],
    );
    let checked = Type::Opaque("kubernetes.authorization.ResourceCheck");
    Environment::new()
        .with("self", spec)
        .with("authorizer.requestResource", checked)
        .with("authorizer", Type::Opaque("kubernetes.authorization.Authorizer"))
}

fn checked(text: &str) -> Result<String, String> {
    match Program::check(text, &environment().with_objects()) {
        Ok(checked) => Ok(checked.output.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn expressions_have_types() {
    for (text, expected) in [
        ("self.replicas > 3 && self.on", "bool"),
        ("self.ratio < self.replicas", "bool"),
        ("self.name + 'x'", "string"),
        ("self.tags + ['a']", "list(string)"),
        ("self.tags.map(t, t.size())", "list(int)"),
        ("self.ports.filter(p, p.number > 80)", "list(port)"),
        ("self.ports.map(p, p.number > 1, p.name)", "list(string)"),
        ("self.ports.exists_one(p, p.name == 'a')", "bool"),
        ("self.labels['a'] + self.labels.a", "string"),
        ("self.labels.all(k, v, k != v)", "bool"),
        ("self.tags.transformList(i, t, i)", "list(int)"),
        ("self.labels.transformMap(k, v, size(v))", "map(string, int)"),
        ("self.labels.transformMapEntry(k, v, {v: 1})", "map(string, int)"),
        ("self.free.a.b[3] == 2", "bool"),
        ("self.free.all(x, x > 1)", "bool"),
        ("[self.free, 1]", "list(dyn)"),
        ("[]", "list(dyn)"),
        ("{'a': 1}", "map(string, int)"),
        ("self.on ? 1 : 2", "int"),
        ("self.?name", "optional_type(string)"),
        ("self.?port.name.orValue('x')", "string"),
        ("self.port.?name.optMap(n, n.size()).or(optional.none())", "optional_type(int)"),
        ("self.tags[?0].optFlatMap(t, optional.of(t.size()))", "optional_type(int)"),
        ("[1, ?optional.of(2)]", "list(int)"),
        ("type(1) == int", "bool"),
        ("type(self.until) == google.protobuf.Timestamp", "bool"),
        ("self.until - duration('1h') < timestamp('2026-01-01T00:00:00Z')", "bool"),
        ("quantity('1').add(2)", "kubernetes.Quantity"),
        ("cidr('10.0.0.0/8').ip().family()", "int"),
        ("semver('1.2.3').isLessThan(semver('v2', true))", "bool"),
        ("math.greatest(1, 2) + math.least([3])", "int"),
        ("math.abs(-2.5)", "double"),
        ("sets.contains(self.tags, ['a'])", "bool"),
        ("format.named('uuid').value().validate('x')", "optional_type(list(string))"),
        ("'%s %d'.format(['a', 1])", "string"),
        ("self.tags.max() + string([3, 4].sum())", "string"),
        ("authorizer.group('').resource('pods').namespace('a').check('get').allowed()", "bool"),
        ("authorizer.requestResource.check('create').allowed()", "bool"),
        ("Object{spec: Object.spec{replicas: 3}}", "Object"),
        ("[JSONPatch{op: 'add', path: '/a/' + jsonpatch.escapeKey('b/c'), value: 1}]", "list(JSONPatch)"),
        ("cel.bind(n, self.replicas, n * n)", "int"),
        ("self.port == null", "bool"),
        ("dyn(self.name) == 1", "bool"),
    ] {
        assert_eq!(checked(text), Ok(expected.to_owned()), "{text}");
    }
}

#[test]
fn what_does_not_fit_is_said_as_people_know_it() {
    for (text, expected) in [
        ("x", "ERROR: <input>:1:1: undeclared reference to 'x' (in container '')\n | x\n | ^"),
        (
            "self.replicas > x",
            "ERROR: <input>:1:17: undeclared reference to 'x' (in container '')\n | self.replicas > x\n | ................^",
        ),
        (
            "self.missing == 1",
            "ERROR: <input>:1:5: undefined field 'missing'\n | self.missing == 1\n | ....^",
        ),
        (
            "self.name == 1",
            "ERROR: <input>:1:11: found no matching overload for '_==_' applied to '(string, int)'\n | self.name == 1\n | ..........^",
        ),
        (
            "self.replicas.size()",
            "ERROR: <input>:1:19: found no matching overload for 'size' applied to 'int.()'\n | self.replicas.size()\n | ..................^",
        ),
        (
            "self.name.shout()",
            "ERROR: <input>:1:16: undeclared reference to 'shout' (in container '')\n | self.name.shout()\n | ...............^",
        ),
        (
            "self.replicas.all(x, x)",
            "ERROR: <input>:1:5: expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)\n | self.replicas.all(x, x)\n | ....^",
        ),
        (
            "self.tags.all(t, t)",
            "ERROR: <input>:1:14: found no matching overload for '_&&_' applied to '(bool, string)'\n | self.tags.all(t, t)\n | .............^",
        ),
        (
            "self.name.first",
            "ERROR: <input>:1:10: type 'string' does not support field selection\n | self.name.first\n | .........^",
        ),
        ("[1, 'a']", "ERROR: <input>:1:5: expected type 'int' but found 'string'\n | [1, 'a']\n | ....^"),
        (
            "self.on ? 1 : 'a'",
            "ERROR: <input>:1:9: found no matching overload for '_?_:_' applied to '(bool, int, string)'\n | self.on ? 1 : 'a'\n | ........^",
        ),
        (
            "self.name.matches('[')",
            "ERROR: <input>:1:19: invalid matches argument\n | self.name.matches('[')\n | ..................^",
        ),
        (
            "[self.port].max()",
            "ERROR: <input>:1:16: found no matching overload for 'max' applied to 'list(port).()'\n | [self.port].max()\n | ...............^",
        ),
        (
            "Thing{a: 1}",
            "ERROR: <input>:1:6: undeclared reference to 'Thing' (in container '')\n | Thing{a: 1}\n | .....^",
        ),
    ] {
        assert_eq!(checked(text), Err(expected.to_owned()), "{text}");
    }
    // Every complaint is made, in the order of their places.
    let both = checked("a + b").unwrap_err();
    assert_eq!(both.matches("ERROR").count(), 2);
}

#[test]
fn costs_grow_with_what_there_may_be() {
    let cost = |text: &str| {
        Program::check(text, &environment()).unwrap_or_else(|error| panic!("{text}: {error}")).cost.max
    };
    for (text, expected) in [
        ("true", 0),
        ("self.replicas > 3", 3),
        ("self.name == 'abcdefghijklmnopqrstuvwxyz'", 4),
        ("self.name.startsWith('abcdefghijk')", 4),
        // Range, result, and for each of five: two for the loop, one for the name, the rest for the condition.
        ("self.tags.all(t, t == 'a')", 2 + 1 + 5 * (2 + 1 + 2)),
        ("self.tags.map(t, t)", 2 + 11 + 5 * (12 + 1)),
        (
            "self.ports.all(p, self.ports.all(q, p.number < q.number))",
            2 + 1 + 100 * (3 + 2 + 1 + 100 * (3 + 5)),
        ),
        ("type(self.free) == int", 2 + 1 + 1 + 1),
        ("cel.bind(n, self.replicas, n > 3)", 10 + 2 + 1 + 1),
        ("quantity('1') == quantity('2')", 1 + 1 + 1),
        ("self.name.matches('[a-z]+')", 2 + 3 * 2),
    ] {
        assert_eq!(cost(text), expected, "{text}");
    }
    assert!(cost("self.long.matches('[a-z]+')") > 1 << 60);
    assert!(cost("self.long.split('a').all(x, x == 'b')") > 1 << 60);
    assert_eq!(cost("authorizer.path('/healthz').check('get').allowed()"), 350_003);
}

#[test]
fn nothing_that_is_written_takes_all_memory_or_the_stack() {
    let pieces = [
        "self",
        ".",
        "name",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "1",
        "'a'",
        "?",
        ":",
        "&&",
        "||",
        "+",
        "-",
        "!",
        "in",
        ",",
        ".all(x, ",
        ".map(y, ",
        "has(",
        "cel.bind(a, ",
        "optional.of(",
        "==",
        "<",
        "null",
        "Object",
        "\"",
        "\\",
        "é",
        "//",
        "\n",
        "0x",
        "u",
        "1e9",
        "[?",
        ".?",
        "dyn(",
        "type(",
        "{}",
        "[]",
        "x",
        "a",
        "tags",
        "labels",
    ];
    let mut dice = testkit::Dice::new(0x2545_f491_4f6c_dd1d);
    let environment = environment().with_objects();
    for _ in 0..1_000 {
        let text: String = (0..dice.roll(40)).map(|_| *dice.pick(&pieces)).collect();
        let _ = Program::compile(&text, &["self"]);
        if let Ok(checked) = Program::check(&text, &environment) {
            let json = serde_json::json!({"name": "n", "tags": ["a"], "labels": {"a": "b"}});
            let _ =
                checked.program.run(&[("self", crate::Value::of(&json, None))], &crate::Budget::new(10_000));
        }
    }
    // Types that would double with every step.
    let mut text = "a50".to_owned();
    for step in (1..=50).rev() {
        let before = step - 1;
        text = format!("cel.bind(a{step}, optional.of({{}}.map(k, [a{before}, a{before}])), {text})");
    }
    let _ = Program::check(&format!("cel.bind(a0, 1, {text})"), &environment);
    for text in ["(", "[", "{1:", "!", "-", "a.b", "a?b:", "[1].all(x,", "a{b:", "1+", "a&&", "size("] {
        let _ = Program::check(&text.repeat(3_000), &environment);
    }
    for (before, after) in [("[", "]"), ("(", ")"), ("[1].map(x, ", ")"), ("size([", "])")] {
        for depth in [50, 90, 150, 300] {
            let text = format!("{}1{}", before.repeat(depth), after.repeat(depth));
            let _ = Program::check(&text, &environment);
        }
    }
}
