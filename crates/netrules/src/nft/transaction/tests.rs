use super::super::{Element, Hook, Key};
use super::*;

fn table(pods: &[&str], goes: &[(&str, &str)], chains: &[(&str, &[&str])]) -> Table {
    let mut table = Table { name: "t", ..Table::default() };
    let mut set = Set::new(Key::Address, "pods with \"app\"");
    set.elements = pods.iter().map(|pod| Element::Address(pod.parse().unwrap())).collect();
    table.sets.insert("pods".into(), set);
    let map = goes.iter().map(|(address, chain)| (address.parse().unwrap(), (*chain).to_owned()));
    table.maps.insert("ingress".into(), map.collect());
    let hook = Some(Hook { at: "forward", priority: -5 });
    table.chains.insert("base".into(), Chain { hook, rules: vec!["ip daddr vmap @ingress".into()] });
    for (name, rules) in chains {
        let rules = rules.iter().map(|rule| (*rule).to_owned()).collect();
        table.chains.insert((*name).to_owned(), Chain { hook: None, rules });
    }
    table
}

#[test]
fn a_whole_table_replaces_what_is_there() {
    let table = table(&["1.1.1.1"], &[("1.1.1.2", "web")], &[("web", &["ip saddr @pods accept", "drop"])]);
    assert_eq!(
        whole(&table),
        "\
add table inet t
delete table inet t
add table inet t
add set inet t pods { type ipv4_addr; comment \"pods with  app \"; }
add map inet t ingress { type ipv4_addr : verdict; }
add chain inet t base { type filter hook forward priority -5; policy accept; }
add chain inet t web
add element inet t pods { 1.1.1.1 }
add element inet t ingress { 1.1.1.2 : goto web }
add rule inet t base ip daddr vmap @ingress
add rule inet t web ip saddr @pods accept
add rule inet t web drop
"
    );
}

#[test]
fn only_what_differs_is_touched() {
    let before = table(
        &["1.1.1.1", "1.1.1.3"],
        &[("1.1.1.2", "web"), ("1.1.1.4", "old")],
        &[("web", &["drop"]), ("old", &["drop"]), ("same", &["accept"])],
    );
    assert_eq!(changes(&before, &before), "");
    let mut after = table(
        &["1.1.1.1", "1.1.1.5"],
        &[("1.1.1.2", "new"), ("1.1.1.4", "new")],
        &[("web", &["accept"]), ("new", &["jump web", "drop"]), ("same", &["accept"])],
    );
    after.sets.insert("ports".into(), Set::new(Key::Port, ""));
    assert_eq!(
        changes(&before, &after),
        "\
add set inet t ports { type ipv4_addr . inet_service; }
add chain inet t new
delete element inet t pods { 1.1.1.3 }
add element inet t pods { 1.1.1.5 }
delete element inet t ingress { 1.1.1.2, 1.1.1.4 }
add element inet t ingress { 1.1.1.2 : goto new, 1.1.1.4 : goto new }
add rule inet t new jump web
add rule inet t new drop
flush chain inet t web
add rule inet t web accept
flush chain inet t old
delete chain inet t old
"
    );
    assert!(changes(&after, &before).ends_with("delete chain inet t new\ndelete set inet t ports\n"));
}

#[test]
fn another_hook_or_key_takes_a_new_table() {
    let before = table(&[], &[], &[]);
    let mut after = before.clone();
    after.chains.get_mut("base").unwrap().hook = Some(Hook { at: "input", priority: -5 });
    assert!(changes(&before, &after).starts_with("add table inet t\ndelete table inet t\n"));
}
