//! An order made of what callgrind counted.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{Order, identity};

/// Instructions by function, as one of callgrind's dumps has them: each function's own, by its mangled name.
///
/// The format is that of Valgrind's manual, "Callgrind Format Specification": a name stands once, after its number, and
/// the number alone afterwards; the line below `calls=` is what the call cost altogether, which is not the caller's own.
pub fn counts(dump: &str) -> BTreeMap<&str, u64> {
    let mut names: HashMap<&str, &str> = HashMap::new();
    let mut counts = BTreeMap::new();
    let (mut function, mut called) = (None, false);
    for line in dump.lines() {
        if let Some(named) = line.strip_prefix("fn=") {
            function = name(&mut names, named);
        } else if let Some(named) = line.strip_prefix("cfn=") {
            // May be the only place that spells the name out.
            name(&mut names, named);
        } else if line.starts_with("calls=") {
            called = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let own = !std::mem::take(&mut called);
            let count = line.split(' ').nth(1).and_then(|count| count.parse::<u64>().ok());
            if let (true, Some(function), Some(count)) = (own, function, count) {
                *counts.entry(function).or_default() += count;
            }
        }
    }
    counts
}

/// The name of `(7) name` or of `(7)` alone, without the mark of a recursion.
fn name<'a>(names: &mut HashMap<&'a str, &'a str>, named: &'a str) -> Option<&'a str> {
    let (number, spelt) = named.split_once(')')?;
    let spelt = spelt.trim_start();
    if spelt.is_empty() {
        return names.get(number).copied();
    }
    let plain = match spelt.rsplit_once('\'') {
        Some((before, depth)) if depth.bytes().all(|byte| byte.is_ascii_digit()) => before,
        _ => spelt,
    };
    names.insert(number, plain);
    Some(plain)
}

/// The order of what operations ran, each of them weighing the same, before what only the start did.
pub fn order(start: &str, operations: &[String]) -> Order {
    let operations = by_share(operations.iter().map(|dump| counts(dump)));
    let start = by_share([counts(start)].into_iter());
    let mut seen = HashSet::new();
    Order(operations.into_iter().chain(start).filter(|function| seen.insert(*function)).collect())
}

/// Functions by their share in all that was counted, the largest first.
fn by_share<'a>(dumps: impl Iterator<Item = BTreeMap<&'a str, u64>>) -> Vec<u64> {
    let mut shares: BTreeMap<u64, f64> = BTreeMap::new();
    for counts in dumps {
        let all = counts.values().sum::<u64>() as f64;
        for (function, count) in counts {
            *shares.entry(identity(function)).or_default() += count as f64 / all;
        }
    }
    let mut ordered: Vec<_> = shares.into_iter().collect();
    ordered.sort_by(|one, other| other.1.total_cmp(&one.1));
    ordered.into_iter().map(|(function, _)| function).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "\
events: Ir
fl=(1) main.rs
fn=(1) main
16 400
+2 20
cfn=(2) work'2
calls=3 5
* 5000
* 1
fn=(2)
5 4000
fn=(3) idle
7 0

totals: 4421
";

    #[test]
    fn what_a_function_calls_is_not_its_own() {
        assert_eq!(counts(DUMP), BTreeMap::from([("main", 421), ("work", 4000), ("idle", 0)]));
    }

    #[test]
    fn what_cannot_be_read_counts_nothing() {
        for text in ["", "fn=\n1 2\n", "fn=(1)\n1 2\n", "1 2\n", "fn=(1) a\n1\n1 many\ncalls=\n"] {
            assert!(counts(text).is_empty(), "{text:?}");
        }
    }

    #[test]
    fn operations_come_before_the_start_and_weigh_the_same() {
        let dump = |rows: &[(&str, u64)]| {
            let rows = rows.iter().enumerate();
            rows.map(|(number, (name, count))| format!("fn=({number}) {name}\n1 {count}\n"))
                .collect::<String>()
        };
        let start = dump(&[("parse", 900), ("copy", 90)]);
        let operations = [dump(&[("write", 60_000), ("copy", 40_000)]), dump(&[("copy", 7), ("read", 3)])];
        let expected = ["copy", "write", "read", "parse"].map(identity);
        assert_eq!(order(&start, &operations), Order(expected.to_vec()));
    }
}
