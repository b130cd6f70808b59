//! Which node answers for an address.

use std::collections::{BTreeMap, BTreeSet};

/// A node as the election sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether load balancers may use it at all.
    pub is_eligible: bool,
    /// Whether its kubelet says that all is well.
    pub is_ready: bool,
    /// Whether it was asked for its health, again and again, and gave no good answer.
    pub is_down: bool,
}

/// Elects the node for an address; `local` are the nodes that have endpoints where only those may answer, `announced`
/// tells how many addresses each node answers for already.
///
/// An address stays where it is while that node can answer. Where no node seems to be up, it stays too: then it is more
/// likely that whoever asks is cut off than that all of them died at once.
pub fn elect<'a>(
    current: Option<&str>,
    candidates: &[Candidate<'a>],
    local: Option<&BTreeSet<Box<str>>>,
    announced: &BTreeMap<Box<str>, usize>,
) -> Option<&'a str> {
    let may = |one: &&Candidate<'_>| one.is_eligible && local.is_none_or(|nodes| nodes.contains(one.name));
    let able: Vec<&Candidate<'a>> = candidates.iter().filter(may).collect();
    let all_down = able.iter().all(|one| one.is_down);
    if let Some(stays) = able.iter().find(|one| Some(one.name) == current && (!one.is_down || all_down)) {
        return Some(stays.name);
    }
    let load = |name: &str| announced.get(name).copied().unwrap_or(0);
    let best = able.iter().min_by_key(|one| (one.is_down, !one.is_ready, load(one.name), one.name));
    best.map(|one| one.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nodes in short: `name`, then `-` not eligible, `!` not ready, `x` down, and the count of addresses.
    fn check(nodes: &str, current: &str, local: Option<&[&str]>, expected: Option<&str>) {
        let words: Vec<(&str, &str)> = nodes.split(' ').map(|word| word.split_at(2)).collect();
        let candidates: Vec<Candidate<'_>> = words
            .iter()
            .map(|(name, marks)| Candidate {
                name,
                is_eligible: !marks.contains('-'),
                is_ready: !marks.contains('!'),
                is_down: marks.contains('x'),
            })
            .collect();
        let count = |marks: &str| marks.trim_start_matches(['-', '!', 'x']).parse().unwrap_or(0);
        let announced = words.iter().map(|(name, marks)| (Box::from(*name), count(marks))).collect();
        let local = local.map(|names| names.iter().map(|name| Box::from(*name)).collect());
        let elected = elect(Some(current), &candidates, local.as_ref(), &announced);
        assert_eq!(elected, expected, "{nodes} {current}");
    }

    #[test]
    fn addresses_spread_and_stay() {
        check("w1 w2", "", None, Some("w1"));
        check("w11 w2", "", None, Some("w2"));
        check("w19 w2", "w1", None, Some("w1"));
        check("m1- w15", "", None, Some("w1"));
        check("w1! w23", "", None, Some("w2"));
        check("w1! w2", "w1", None, Some("w1"));
    }

    #[test]
    fn addresses_leave_nodes_that_are_down_or_no_longer_allowed() {
        check("w1x w25 w33", "w1", None, Some("w3"));
        check("w1- w2", "w1", None, Some("w2"));
        check("w2", "w1", None, Some("w2"));
        check("w1x w2x", "w2", None, Some("w2"));
        check("w1x w2x", "w3", None, Some("w1"));
        check("m1-", "m1", None, None);
    }

    #[test]
    fn policy_local_keeps_to_nodes_with_endpoints() {
        check("w1 w2", "w1", Some(&["w2"]), Some("w2"));
        check("w1 w2", "w2", Some(&["w1", "w2"]), Some("w2"));
        check("w1 w2", "w1", Some(&[]), None);
        check("w1x w2", "w1", Some(&["w1"]), Some("w1"));
    }
}
