//! What functions there are: their names, what they are called on, what they take and give.
//!
//! Types are written as people write them, and read where an expression uses the function: there is nothing to keep in
//! memory. `A` and `B` stand for any type, the same within a row; `comparable`, `summable`, `number` and `numeric` for any of
//! their kind.

/// A function in one of its forms.
#[derive(Clone, Copy, Debug)]
pub struct Overload {
    /// What it is called on; empty where on nothing.
    pub on: &'static str,
    /// What it takes, with commas between.
    pub takes: &'static str,
    /// What it gives.
    pub gives: &'static str,
}

type Row = (&'static str, &'static str, &'static str, &'static str);

/// The overloads of a name, on something or on nothing, with their numbers.
pub fn overloads(name: &str, on: bool) -> impl Iterator<Item = (u16, Overload)> {
    let rows = OPERATORS.iter().chain(CONVERSIONS).chain(COLLECTIONS).chain(TEXTS).chain(TIMES);
    let rows = rows.chain(MATHS).chain(KUBERNETES).chain(HOSTS);
    let of_name = rows.enumerate().filter(move |(_, row)| row.0 == name && row.1.is_empty() != on);
    of_name.map(|(index, (_, on, takes, gives))| (index as u16, Overload { on, takes, gives }))
}

/// Splits what stands between commas, not looking into parentheses.
pub fn split(list: &'static str) -> impl Iterator<Item = &'static str> {
    let mut rest = list;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut depth = 0;
        let end = rest.bytes().position(|byte| {
            depth += i32::from(byte == b'(') - i32::from(byte == b')');
            byte == b',' && depth == 0
        });
        let (one, more) = end.map_or((rest, ""), |end| (&rest[..end], rest[end + 1..].trim_start()));
        rest = more;
        Some(one)
    })
}

/// Whether a function of this name takes so many arguments.
pub fn is_known(name: &str, on: bool, count: usize) -> bool {
    if matches!(name, "math.greatest" | "math.least") {
        return !on && count > 0;
    }
    overloads(name, on).any(|(_, overload)| split(overload.takes).count() == count)
}

/// Whether a name begins that of a function: `sets` of `sets.contains`.
pub fn is_space(name: &str) -> bool {
    ["base64", "format", "ip", "jsonpatch", "math", "optional", "sets", "strings"].contains(&name)
}

const OPERATORS: &[Row] = &[
    ("!_", "", "bool", "bool"),
    ("_&&_", "", "bool, bool", "bool"),
    ("_||_", "", "bool, bool", "bool"),
    ("_?_:_", "", "bool, A, A", "A"),
    ("-_", "", "int", "int"),
    ("-_", "", "double", "double"),
    ("_+_", "", "int, int", "int"),
    ("_+_", "", "uint, uint", "uint"),
    ("_+_", "", "double, double", "double"),
    ("_+_", "", "string, string", "string"),
    ("_+_", "", "bytes, bytes", "bytes"),
    ("_+_", "", "list(A), list(A)", "list(A)"),
    ("_+_", "", "duration, duration", "duration"),
    ("_+_", "", "duration, timestamp", "timestamp"),
    ("_+_", "", "timestamp, duration", "timestamp"),
    ("_-_", "", "int, int", "int"),
    ("_-_", "", "uint, uint", "uint"),
    ("_-_", "", "double, double", "double"),
    ("_-_", "", "duration, duration", "duration"),
    ("_-_", "", "timestamp, duration", "timestamp"),
    ("_-_", "", "timestamp, timestamp", "duration"),
    ("_*_", "", "int, int", "int"),
    ("_*_", "", "uint, uint", "uint"),
    ("_*_", "", "double, double", "double"),
    ("_/_", "", "int, int", "int"),
    ("_/_", "", "uint, uint", "uint"),
    ("_/_", "", "double, double", "double"),
    ("_%_", "", "int, int", "int"),
    ("_%_", "", "uint, uint", "uint"),
    ("_==_", "", "A, A", "bool"),
    ("_!=_", "", "A, A", "bool"),
    ("_<_", "", "comparable, comparable", "bool"),
    ("_<_", "", "number, numeric", "bool"),
    ("_<=_", "", "comparable, comparable", "bool"),
    ("_<=_", "", "number, numeric", "bool"),
    ("_>_", "", "comparable, comparable", "bool"),
    ("_>_", "", "number, numeric", "bool"),
    ("_>=_", "", "comparable, comparable", "bool"),
    ("_>=_", "", "number, numeric", "bool"),
    ("@in", "", "A, list(A)", "bool"),
    ("@in", "", "A, map(A, B)", "bool"),
    ("_[_]", "", "list(A), int", "A"),
    ("_[_]", "", "map(A, B), A", "B"),
    ("_[_]", "", "optional(list(A)), int", "optional(A)"),
    ("_[_]", "", "optional(map(A, B)), A", "optional(B)"),
    ("_[?_]", "", "list(A), int", "optional(A)"),
    ("_[?_]", "", "map(A, B), A", "optional(B)"),
    ("_[?_]", "", "optional(list(A)), int", "optional(A)"),
    ("_[?_]", "", "optional(map(A, B)), A", "optional(B)"),
    ("type", "", "A", "type(A)"),
    ("dyn", "", "A", "dyn"),
];

const CONVERSIONS: &[Row] = &[
    ("bool", "", "bool", "bool"),
    ("bool", "", "string", "bool"),
    ("bytes", "", "bytes", "bytes"),
    ("bytes", "", "string", "bytes"),
    ("double", "", "double", "double"),
    ("double", "", "int", "double"),
    ("double", "", "uint", "double"),
    ("double", "", "string", "double"),
    ("duration", "", "duration", "duration"),
    ("duration", "", "string", "duration"),
    ("int", "", "int", "int"),
    ("int", "", "uint", "int"),
    ("int", "", "double", "int"),
    ("int", "", "string", "int"),
    ("int", "", "duration", "int"),
    ("int", "", "timestamp", "int"),
    ("string", "", "string", "string"),
    ("string", "", "bool", "string"),
    ("string", "", "bytes", "string"),
    ("string", "", "double", "string"),
    ("string", "", "duration", "string"),
    ("string", "", "int", "string"),
    ("string", "", "uint", "string"),
    ("string", "", "timestamp", "string"),
    ("string", "", "net.IP", "string"),
    ("string", "", "net.CIDR", "string"),
    ("timestamp", "", "timestamp", "timestamp"),
    ("timestamp", "", "string", "timestamp"),
    ("timestamp", "", "int", "timestamp"),
    ("uint", "", "uint", "uint"),
    ("uint", "", "int", "uint"),
    ("uint", "", "double", "uint"),
    ("uint", "", "string", "uint"),
];

const COLLECTIONS: &[Row] = &[
    ("size", "", "string", "int"),
    ("size", "", "bytes", "int"),
    ("size", "", "list(A)", "int"),
    ("size", "", "map(A, B)", "int"),
    ("size", "string", "", "int"),
    ("size", "bytes", "", "int"),
    ("size", "list(A)", "", "int"),
    ("size", "map(A, B)", "", "int"),
    ("isSorted", "list(comparable)", "", "bool"),
    ("sum", "list(summable)", "", "summable"),
    ("min", "list(comparable)", "", "comparable"),
    ("max", "list(comparable)", "", "comparable"),
    ("indexOf", "list(A)", "A", "int"),
    ("lastIndexOf", "list(A)", "A", "int"),
    ("join", "list(string)", "", "string"),
    ("join", "list(string)", "string", "string"),
    ("sets.contains", "", "list(A), list(A)", "bool"),
    ("sets.equivalent", "", "list(A), list(A)", "bool"),
    ("sets.intersects", "", "list(A), list(A)", "bool"),
    ("optional.of", "", "A", "optional(A)"),
    ("optional.none", "", "", "optional(A)"),
    ("optional.ofNonZeroValue", "", "A", "optional(A)"),
    ("hasValue", "optional(A)", "", "bool"),
    ("value", "optional(A)", "", "A"),
    ("or", "optional(A)", "optional(A)", "optional(A)"),
    ("orValue", "optional(A)", "A", "A"),
];

const TEXTS: &[Row] = &[
    ("contains", "string", "string", "bool"),
    ("startsWith", "string", "string", "bool"),
    ("endsWith", "string", "string", "bool"),
    ("matches", "", "string, string", "bool"),
    ("matches", "string", "string", "bool"),
    ("charAt", "string", "int", "string"),
    ("format", "string", "list(dyn)", "string"),
    ("indexOf", "string", "string", "int"),
    ("indexOf", "string", "string, int", "int"),
    ("lastIndexOf", "string", "string", "int"),
    ("lastIndexOf", "string", "string, int", "int"),
    ("lowerAscii", "string", "", "string"),
    ("upperAscii", "string", "", "string"),
    ("replace", "string", "string, string", "string"),
    ("replace", "string", "string, string, int", "string"),
    ("split", "string", "string", "list(string)"),
    ("split", "string", "string, int", "list(string)"),
    ("substring", "string", "int", "string"),
    ("substring", "string", "int, int", "string"),
    ("trim", "string", "", "string"),
    ("reverse", "string", "", "string"),
    ("strings.quote", "", "string", "string"),
    ("find", "string", "string", "string"),
    ("findAll", "string", "string", "list(string)"),
    ("findAll", "string", "string, int", "list(string)"),
    ("base64.encode", "", "bytes", "string"),
    ("base64.decode", "", "string", "bytes"),
    ("jsonpatch.escapeKey", "", "string", "string"),
];

const TIMES: &[Row] = &[
    ("getFullYear", "timestamp", "", "int"),
    ("getFullYear", "timestamp", "string", "int"),
    ("getMonth", "timestamp", "", "int"),
    ("getMonth", "timestamp", "string", "int"),
    ("getDate", "timestamp", "", "int"),
    ("getDate", "timestamp", "string", "int"),
    ("getDayOfMonth", "timestamp", "", "int"),
    ("getDayOfMonth", "timestamp", "string", "int"),
    ("getDayOfWeek", "timestamp", "", "int"),
    ("getDayOfWeek", "timestamp", "string", "int"),
    ("getDayOfYear", "timestamp", "", "int"),
    ("getDayOfYear", "timestamp", "string", "int"),
    ("getHours", "timestamp", "", "int"),
    ("getHours", "timestamp", "string", "int"),
    ("getHours", "duration", "", "int"),
    ("getMinutes", "timestamp", "", "int"),
    ("getMinutes", "timestamp", "string", "int"),
    ("getMinutes", "duration", "", "int"),
    ("getSeconds", "timestamp", "", "int"),
    ("getSeconds", "timestamp", "string", "int"),
    ("getSeconds", "duration", "", "int"),
    ("getMilliseconds", "timestamp", "", "int"),
    ("getMilliseconds", "timestamp", "string", "int"),
    ("getMilliseconds", "duration", "", "int"),
];

const MATHS: &[Row] = &[
    ("math.ceil", "", "double", "double"),
    ("math.floor", "", "double", "double"),
    ("math.round", "", "double", "double"),
    ("math.trunc", "", "double", "double"),
    ("math.isInf", "", "double", "bool"),
    ("math.isNaN", "", "double", "bool"),
    ("math.isFinite", "", "double", "bool"),
    ("math.abs", "", "number", "number"),
    ("math.sign", "", "number", "number"),
    ("math.sqrt", "", "number", "double"),
    ("math.bitAnd", "", "int, int", "int"),
    ("math.bitAnd", "", "uint, uint", "uint"),
    ("math.bitOr", "", "int, int", "int"),
    ("math.bitOr", "", "uint, uint", "uint"),
    ("math.bitXor", "", "int, int", "int"),
    ("math.bitXor", "", "uint, uint", "uint"),
    ("math.bitNot", "", "int", "int"),
    ("math.bitNot", "", "uint", "uint"),
    ("math.bitShiftLeft", "", "int, int", "int"),
    ("math.bitShiftLeft", "", "uint, int", "uint"),
    ("math.bitShiftRight", "", "int, int", "int"),
    ("math.bitShiftRight", "", "uint, int", "uint"),
];

const KUBERNETES: &[Row] = &[
    ("url", "", "string", "kubernetes.URL"),
    ("isURL", "", "string", "bool"),
    ("getScheme", "kubernetes.URL", "", "string"),
    ("getHost", "kubernetes.URL", "", "string"),
    ("getHostname", "kubernetes.URL", "", "string"),
    ("getPort", "kubernetes.URL", "", "string"),
    ("getEscapedPath", "kubernetes.URL", "", "string"),
    ("getQuery", "kubernetes.URL", "", "map(string, list(string))"),
    ("quantity", "", "string", "kubernetes.Quantity"),
    ("isQuantity", "", "string", "bool"),
    ("sign", "kubernetes.Quantity", "", "int"),
    ("isInteger", "kubernetes.Quantity", "", "bool"),
    ("asInteger", "kubernetes.Quantity", "", "int"),
    ("asApproximateFloat", "kubernetes.Quantity", "", "double"),
    ("isGreaterThan", "kubernetes.Quantity", "kubernetes.Quantity", "bool"),
    ("isLessThan", "kubernetes.Quantity", "kubernetes.Quantity", "bool"),
    ("compareTo", "kubernetes.Quantity", "kubernetes.Quantity", "int"),
    ("add", "kubernetes.Quantity", "kubernetes.Quantity", "kubernetes.Quantity"),
    ("add", "kubernetes.Quantity", "int", "kubernetes.Quantity"),
    ("sub", "kubernetes.Quantity", "kubernetes.Quantity", "kubernetes.Quantity"),
    ("sub", "kubernetes.Quantity", "int", "kubernetes.Quantity"),
    ("ip", "", "string", "net.IP"),
    ("isIP", "", "string", "bool"),
    ("ip.isCanonical", "", "string", "bool"),
    ("family", "net.IP", "", "int"),
    ("isUnspecified", "net.IP", "", "bool"),
    ("isLoopback", "net.IP", "", "bool"),
    ("isLinkLocalMulticast", "net.IP", "", "bool"),
    ("isLinkLocalUnicast", "net.IP", "", "bool"),
    ("isGlobalUnicast", "net.IP", "", "bool"),
    ("cidr", "", "string", "net.CIDR"),
    ("isCIDR", "", "string", "bool"),
    ("containsIP", "net.CIDR", "net.IP", "bool"),
    ("containsIP", "net.CIDR", "string", "bool"),
    ("containsCIDR", "net.CIDR", "net.CIDR", "bool"),
    ("containsCIDR", "net.CIDR", "string", "bool"),
    ("ip", "net.CIDR", "", "net.IP"),
    ("masked", "net.CIDR", "", "net.CIDR"),
    ("prefixLength", "net.CIDR", "", "int"),
    ("format.named", "", "string", "optional(kubernetes.NamedFormat)"),
    ("format.dns1123Label", "", "", "kubernetes.NamedFormat"),
    ("format.dns1123Subdomain", "", "", "kubernetes.NamedFormat"),
    ("format.dns1035Label", "", "", "kubernetes.NamedFormat"),
    ("format.qualifiedName", "", "", "kubernetes.NamedFormat"),
    ("format.dns1123LabelPrefix", "", "", "kubernetes.NamedFormat"),
    ("format.dns1123SubdomainPrefix", "", "", "kubernetes.NamedFormat"),
    ("format.dns1035LabelPrefix", "", "", "kubernetes.NamedFormat"),
    ("format.labelValue", "", "", "kubernetes.NamedFormat"),
    ("format.uri", "", "", "kubernetes.NamedFormat"),
    ("format.uuid", "", "", "kubernetes.NamedFormat"),
    ("format.byte", "", "", "kubernetes.NamedFormat"),
    ("format.date", "", "", "kubernetes.NamedFormat"),
    ("format.datetime", "", "", "kubernetes.NamedFormat"),
    ("validate", "kubernetes.NamedFormat", "string", "optional(list(string))"),
    ("semver", "", "string", "kubernetes.Semver"),
    ("semver", "", "string, bool", "kubernetes.Semver"),
    ("isSemver", "", "string", "bool"),
    ("isSemver", "", "string, bool", "bool"),
    ("major", "kubernetes.Semver", "", "int"),
    ("minor", "kubernetes.Semver", "", "int"),
    ("patch", "kubernetes.Semver", "", "int"),
    ("isLessThan", "kubernetes.Semver", "kubernetes.Semver", "bool"),
    ("isGreaterThan", "kubernetes.Semver", "kubernetes.Semver", "bool"),
    ("compareTo", "kubernetes.Semver", "kubernetes.Semver", "int"),
];

/// Functions on what whoever evaluates gives: the authorizer of admission.
const HOSTS: &[Row] = &[
    ("path", "kubernetes.authorization.Authorizer", "string", "kubernetes.authorization.PathCheck"),
    ("group", "kubernetes.authorization.Authorizer", "string", "kubernetes.authorization.GroupCheck"),
    (
        "serviceAccount",
        "kubernetes.authorization.Authorizer",
        "string, string",
        "kubernetes.authorization.Authorizer",
    ),
    ("resource", "kubernetes.authorization.GroupCheck", "string", "kubernetes.authorization.ResourceCheck"),
    (
        "subresource",
        "kubernetes.authorization.ResourceCheck",
        "string",
        "kubernetes.authorization.ResourceCheck",
    ),
    (
        "namespace",
        "kubernetes.authorization.ResourceCheck",
        "string",
        "kubernetes.authorization.ResourceCheck",
    ),
    ("name", "kubernetes.authorization.ResourceCheck", "string", "kubernetes.authorization.ResourceCheck"),
    (
        "fieldSelector",
        "kubernetes.authorization.ResourceCheck",
        "string",
        "kubernetes.authorization.ResourceCheck",
    ),
    (
        "labelSelector",
        "kubernetes.authorization.ResourceCheck",
        "string",
        "kubernetes.authorization.ResourceCheck",
    ),
    ("check", "kubernetes.authorization.ResourceCheck", "string", "kubernetes.authorization.Decision"),
    ("check", "kubernetes.authorization.PathCheck", "string", "kubernetes.authorization.Decision"),
    ("allowed", "kubernetes.authorization.Decision", "", "bool"),
    ("reason", "kubernetes.authorization.Decision", "", "string"),
    ("errored", "kubernetes.authorization.Decision", "", "bool"),
    ("error", "kubernetes.authorization.Decision", "", "string"),
];
