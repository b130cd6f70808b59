//! The inputs of `nft -f`, each of which the kernel takes as a whole or not at all.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::net::Ipv4Addr;

use super::{Chain, Set, Table};

/// How much of a set's comment is kept: the kernel has room for 127 bytes.
const COMMENT: usize = 120;

/// Replaces whatever is there of this name by the table.
pub fn whole(table: &Table) -> String {
    let empty = Table { name: table.name, ..Table::default() };
    // Adding first makes deleting an absent table no error.
    let mut out = removal(table.name);
    let _ = writeln!(out, "add table inet {}", table.name);
    write_changes(&mut out, &empty, table);
    out
}

/// Removes a table, there or not.
pub fn removal(name: &str) -> String {
    format!("add table inet {name}\ndelete table inet {name}\n")
}

/// Leads from one content of a table to another, touching only what differs; empty when nothing does.
pub fn changes(from: &Table, to: &Table) -> String {
    let sets_stay =
        to.sets.iter().all(|(name, set)| from.sets.get(name).is_none_or(|old| old.key == set.key));
    let hooks_stay =
        to.chains.iter().all(|(name, chain)| from.chains.get(name).is_none_or(|old| old.hook == chain.hook));
    if !sets_stay || !hooks_stay {
        return whole(to);
    }
    let mut out = String::new();
    write_changes(&mut out, from, to);
    out
}

/// What is added comes before what refers to it, and what is removed after.
fn write_changes(out: &mut String, from: &Table, to: &Table) {
    let table = to.name;
    // Writing into a String cannot fail.
    for (name, set) in added(&from.sets, &to.sets) {
        let _ = writeln!(out, "add set inet {table} {name} {{ type {};{} }}", set.key, comment(set));
    }
    for (name, _) in added(&from.maps, &to.maps) {
        let _ = writeln!(out, "add map inet {table} {name} {{ type ipv4_addr : verdict; }}");
    }
    for (name, chain) in added(&from.chains, &to.chains) {
        let _ = writeln!(out, "add chain inet {table} {name}{}", hook(chain));
    }
    for (name, set) in &to.sets {
        let old = from.sets.get(name).map(|set| &set.elements);
        let gone = old.into_iter().flatten().filter(|element| !set.elements.contains(element));
        elements(out, "delete", table, name, gone);
        let new = set.elements.iter().filter(|element| !old.is_some_and(|old| old.contains(element)));
        elements(out, "add", table, name, new);
    }
    for (name, map) in &to.maps {
        let none = BTreeMap::new();
        let old: &BTreeMap<Ipv4Addr, String> = from.maps.get(name).unwrap_or(&none);
        let gone = old.iter().filter(|(address, chain)| map.get(*address) != Some(*chain));
        elements(out, "delete", table, name, gone.map(|(address, _)| address));
        let new = map.iter().filter(|(address, chain)| old.get(*address) != Some(*chain));
        elements(out, "add", table, name, new.map(|(address, chain)| format!("{address} : goto {chain}")));
    }
    for (name, chain) in &to.chains {
        let old = from.chains.get(name).map(|chain| &*chain.rules).unwrap_or_default();
        if old == chain.rules {
            continue;
        }
        if !old.is_empty() {
            let _ = writeln!(out, "flush chain inet {table} {name}");
        }
        for rule in &chain.rules {
            let _ = writeln!(out, "add rule inet {table} {name} {rule}");
        }
    }
    for (kind, names) in [
        // All are emptied before the first goes: they lead to one another.
        ("flush chain", removed(&from.chains, &to.chains)),
        ("delete map", removed(&from.maps, &to.maps)),
        ("delete chain", removed(&from.chains, &to.chains)),
        ("delete set", removed(&from.sets, &to.sets)),
    ] {
        for name in names {
            let _ = writeln!(out, "{kind} inet {table} {name}");
        }
    }
}

fn added<'a, T>(
    from: &'a BTreeMap<String, T>,
    to: &'a BTreeMap<String, T>,
) -> impl Iterator<Item = (&'a String, &'a T)> {
    to.iter().filter(|(name, _)| !from.contains_key(*name))
}

fn removed<'a, T>(from: &'a BTreeMap<String, T>, to: &BTreeMap<String, T>) -> Vec<&'a String> {
    from.keys().filter(|name| !to.contains_key(*name)).collect()
}

fn elements<T: Display>(
    out: &mut String,
    verb: &str,
    table: &str,
    name: &str,
    elements: impl Iterator<Item = T>,
) {
    let mut first = true;
    for element in elements {
        let _ = if std::mem::take(&mut first) {
            write!(out, "{verb} element inet {table} {name} {{ {element}")
        } else {
            write!(out, ", {element}")
        };
    }
    if !first {
        out.push_str(" }\n");
    }
}

fn comment(set: &Set) -> String {
    if set.comment.is_empty() {
        return String::new();
    }
    let mut kept = String::new();
    for character in set.comment.chars() {
        if kept.len() + character.len_utf8() > COMMENT {
            break;
        }
        // A quote would end the comment.
        kept.push(if character == '"' || character.is_control() { ' ' } else { character });
    }
    format!(" comment \"{kept}\";")
}

fn hook(chain: &Chain) -> String {
    chain.hook.map_or_else(String::new, |hook| {
        format!(" {{ type filter hook {} priority {}; policy accept; }}", hook.at, hook.priority)
    })
}

#[cfg(test)]
mod tests;
