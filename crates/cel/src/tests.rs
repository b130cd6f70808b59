use serde_json::{Value as Json, json};

use super::*;

fn object() -> Json {
    json!({
        "name": "elder", "count": 3, "ratio": 1.5, "on": true, "none": null,
        "tags": ["b", "a"], "sizes": [3, 1, 2],
        "labels": {"app": "web", "a/b": "c"},
        "ports": [{"port": 80, "name": "http"}, {"port": 443}],
    })
}

fn run_on(text: &str, json: &Json) -> Result<Json, String> {
    let program = Program::compile(text, &["self"]).map_err(|error| error.to_string())?;
    let budget = Budget::new(1_000_000);
    let value =
        program.run(&[("self", Value::of(json, None))], &budget).map_err(|error| error.to_string())?;
    Ok(shown(&value))
}

fn shown(value: &Value<'_>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(flag) => json!(flag),
        Value::Int(number) => json!(number),
        Value::Uint(number) => json!(number),
        Value::Double(number) => json!(number),
        Value::String(text) => json!(text),
        Value::List(list) => list.iter().map(|item| shown(&item)).collect(),
        Value::Map(map) => Json::Object(
            map.iter().map(|(key, value)| (crate::functions::shown(&key), shown(&value))).collect(),
        ),
        Value::Optional(value) => value.as_ref().map_or(json!("none"), |value| json!({"some": shown(value)})),
        other => json!(crate::functions::shown(other)),
    }
}

#[test]
fn expressions_have_the_values_that_the_language_gives_them() {
    let object = object();
    for (text, expected) in [
        ("1 + 2 * 3 - 4 / 2 % 3", json!(5)),
        ("-self.count", json!(-3)),
        ("self.count == 3.0 && self.count < 4u", json!(true)),
        ("self.name + '!'", json!("elder!")),
        ("self.on ? 'yes' : 'no'", json!("yes")),
        ("has(self.name) && !has(self.nothing)", json!(true)),
        ("self.none == null", json!(true)),
        ("'a' in self.tags && 'app' in self.labels", json!(true)),
        ("self.labels['a/b']", json!("c")),
        ("self.tags[1] + self.tags[0]", json!("ab")),
        ("self.ports.all(p, p.port > 0)", json!(true)),
        ("self.ports.exists(p, has(p.name) && p.name == 'http')", json!(true)),
        ("self.ports.exists_one(p, p.port == 443)", json!(true)),
        ("self.ports.filter(p, p.port > 80).map(p, p.port)", json!([443])),
        ("self.ports.map(p, p.port == 80, p.name)", json!(["http"])),
        ("self.labels.all(k, size(k) == 3)", json!(true)),
        ("self.labels.exists(k, v, k == 'app' && v == 'web')", json!(true)),
        ("self.sizes.transformList(i, v, i > 0, v * 10)", json!([10, 20])),
        ("{'x': 1}.transformMap(k, v, v + 1)", json!({"x": 2})),
        ("cel.bind(n, self.count, n * n)", json!(9)),
        ("[1, 2] + [3]", json!([1, 2, 3])),
        ("{'a': 1, 'b': 2}.size()", json!(2)),
        ("type(self.count) == int && type(1.0) == double", json!(true)),
        ("int('7') + int(2.9) + size('äb')", json!(11)),
        ("string(5) + string(true)", json!("5true")),
        ("duration('1h30m').getMinutes()", json!(90)),
        ("timestamp('2026-03-01T12:00:00Z').getMonth()", json!(2)),
        (
            "timestamp('2026-03-01T12:00:00Z') - timestamp('2026-03-01T11:00:00Z') == duration('1h')",
            json!(true),
        ),
        ("timestamp('2026-03-01T23:30:00Z').getHours('+01:00')", json!(0)),
        // Either side decides.
        ("self.nothing == 1 || true", json!(true)),
        ("false && self.nothing == 1", json!(false)),
        ("[1, 0].exists(x, 1 / x == 1)", json!(true)),
        // Optionals.
        ("self.?nothing.orValue('x')", json!("x")),
        ("self.?labels.?app", json!({"some": "web"})),
        ("self.tags[?5].hasValue()", json!(false)),
        ("optional.of(1).or(optional.of(2)).value()", json!(1)),
        ("[1, ?optional.none(), ?optional.of(2)]", json!([1, 2])),
        // Texts.
        ("'hello world'.split(' ').join('-').upperAscii()", json!("HELLO-WORLD")),
        ("'tacocat'.substring(4) + 'tacocat'.charAt(0) + string('tacocat'.lastIndexOf('c'))", json!("catt4")),
        ("'abc 123 45'.findAll('[0-9]+')", json!(["123", "45"])),
        ("'a-b'.matches('^[a-z-]+$') && 'x'.startsWith('x')", json!(true)),
        ("'%s has %d, %.2f'.format(['x', 3, 1.5])", json!("x has 3, 1.50")),
        ("'aaa'.replace('a', 'b', 2).trim()", json!("bba")),
        // Lists.
        ("self.sizes.isSorted() || self.sizes.sum() == 6", json!(true)),
        ("[self.sizes.min(), self.sizes.max(), self.sizes.indexOf(2)]", json!([1, 3, 2])),
        ("sets.contains(self.tags, ['a']) && sets.equivalent([1, 1], [1])", json!(true)),
        ("math.greatest(1, 5, 3) - math.least([4, 2])", json!(3)),
        // Kubernetes' types.
        (
            "quantity('1Gi').isGreaterThan(quantity('500Mi')) && isQuantity('1k') && !isQuantity('x')",
            json!(true),
        ),
        ("quantity('1500m').add(quantity('500m')).asInteger()", json!(2)),
        ("url('https://a.b:80/c?d=e').getHost() + url('/x').getEscapedPath()", json!("a.b:80/x")),
        ("url('https://[::1]:80/?d=e').getQuery()['d'][0]", json!("e")),
        ("ip('10.0.0.1').family() == 4 && cidr('10.0.0.0/8').containsIP('10.1.2.3')", json!(true)),
        ("!format.dns1123Label().validate('ok').hasValue() && format.named('uuid').hasValue()", json!(true)),
        ("base64.decode('aGk=') == b'hi'", json!(true)),
        ("semver('1.2.3').isLessThan(semver('v1.10', true)) && !isSemver('1.2')", json!(true)),
        ("semver('1.0.0-rc.1').compareTo(semver('1.0.0')) + semver('2.1.0').minor()", json!(0)),
        ("math.ceil(1.2) + math.floor(1.8) + math.abs(-2.0)", json!(5.0)),
        ("math.bitAnd(6, 3) + math.bitShiftLeft(1, 3) + math.sign(-7)", json!(9)),
        ("strings.quote('a\"b')", json!("\"a\\\"b\"")),
        ("jsonpatch.escapeKey('a/b~c')", json!("a~1b~0c")),
        ("self.?name.optMap(n, n.size()).value()", json!(5)),
        ("self.?nothing.optMap(n, n.size()).hasValue()", json!(false)),
        ("self.labels.transformMapEntry(k, v, {v: k})", json!({"web": "app", "c": "a/b"})),
    ] {
        assert_eq!(run_on(text, &object), Ok(expected), "{text}");
    }
}

#[test]
fn what_does_not_go_says_so() {
    let object = object();
    for (text, expected) in [
        ("self.nothing", "no such key: nothing"),
        ("self.tags[7]", "index out of bounds: 7"),
        ("1 / 0", "division by zero"),
        ("9223372036854775807 + 1", "integer overflow"),
        ("1 + 'a'", "no such overload"),
        ("'a' && true", "no such overload"),
        ("{'a': 1, 'a': 2}", "Failed with repeated key"),
        ("int('x')", "type conversion error from 'string' to 'int'"),
        ("optional.none().value()", "optional.none() dereference"),
        (
            "other.name",
            "ERROR: <input>:1:1: undeclared reference to 'other' (in container '')\n | other.name\n | ^",
        ),
        (
            "self.shout()",
            "ERROR: <input>:1:11: undeclared reference to 'shout' (in container '')\n | self.shout()\n | ..........^",
        ),
    ] {
        assert_eq!(run_on(text, &object), Err(expected.to_owned()), "{text}");
    }
}

#[test]
fn a_budget_ends_what_costs_too_much() {
    let many: Json = (0..1000).collect();
    let program = Program::compile("self.all(a, self.all(b, a + b >= 0))", &["self"]).unwrap();
    let budget = Budget::new(10_000);
    assert_eq!(program.run(&[("self", Value::of(&many, None))], &budget).err(), Some(Error::Budget));
    assert_eq!(budget.left(), 0);
    let grow =
        "['x'.replace('', 'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy')].all(x, x.size() > 0)";
    let program = Program::compile(grow, &[]).unwrap();
    assert!(program.run(&[], &Budget::new(1_000)).is_ok());
}

/// Variables of which each is known when it is asked for, and one that is not.
struct Variables;

impl<'v> crate::Host<'v> for Variables {
    fn type_name(&self) -> &'static str {
        "kubernetes.variables"
    }

    fn call(&self, name: &str, arguments: &[Value<'v>], _: &Budget) -> Result<Value<'v>, Error> {
        Ok(Value::text(format!("{name}/{}", arguments.len())))
    }

    fn field(&self, name: &str, budget: &Budget) -> Option<Result<Value<'v>, Error>> {
        budget.spend(100).err().map(Err).or(match name {
            "one" => Some(Ok(Value::Int(1))),
            "broken" => Some(Err(Error::fault("it broke"))),
            _ => None,
        })
    }
}

#[test]
fn hosts_answer_for_themselves() {
    let run = |text: &str| {
        let program =
            Program::compile(text, &["variables", "authorizer"]).map_err(|error| error.to_string())?;
        let host = || Value::Host(std::rc::Rc::new(Variables));
        let names =
            [("variables", host()), ("authorizer", host()), ("authorizer.requestResource", Value::Int(7))];
        let value = program.run(&names, &Budget::new(1_000)).map_err(|error| error.to_string())?;
        Ok(shown(&value))
    };
    for (text, expected) in [
        ("variables.one + authorizer.requestResource", Ok(json!(8))),
        ("authorizer.check('get')", Ok(json!("check/1"))),
        ("has(variables.one) && !has(variables.two)", Ok(json!(true))),
        ("variables.?two.orValue(3)", Ok(json!(3))),
        ("variables.broken", Err("it broke".to_owned())),
        ("variables.two", Err("no such key: two".to_owned())),
        (
            "[1,2,3,4,5,6,7,8,9,10].all(x, variables.one > 0)",
            Err("operation cancelled: actual cost limit exceeded".to_owned()),
        ),
    ] {
        assert_eq!(run(text), expected, "{text}");
    }
}
