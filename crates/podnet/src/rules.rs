//! The packet rules of the pod network: masquerade towards the world, forwarding for pods.

use ipnet::{IpNet, Ipv4Net};
use netrules::{Error, Jump, Kernel, Match, Position, Restore, Rule, Ruleset, Table, Target};

const POSTROUTING: &str = "PODNET-POSTROUTING";
const FORWARD: &str = "PODNET-FORWARD";

/// The rules of a node with this part of the pod network.
pub fn rules(pod_cidr: Ipv4Net, cluster_cidr: Ipv4Net) -> Ruleset {
    let from = |net: Ipv4Net| Match::Source { net: IpNet::V4(net), not: false };
    let to = |net: Ipv4Net| Match::Destination { net: IpNet::V4(net), not: false };
    let mut ruleset = Ruleset::default();
    let mut masquerade = |rule: Rule| ruleset.push(Table::Nat, POSTROUTING, rule);
    masquerade(
        Rule::to(Target::Return)
            .comment("pods of this cluster see each other's addresses")
            .when(to(cluster_cidr)),
    );
    // 224.0.0.0/4: a masqueraded multicast packet reaches nobody.
    let multicast = IpNet::V4(Ipv4Net::new_assert(std::net::Ipv4Addr::new(224, 0, 0, 0), 4));
    masquerade(
        Rule::to(Target::Masquerade { random_fully: true })
            .comment("pods leave the cluster by their node's address")
            .when(from(pod_cidr))
            .when(Match::Destination { net: multicast, not: true }),
    );
    for condition in [from(cluster_cidr), to(cluster_cidr)] {
        ruleset.push(Table::Filter, FORWARD, Rule::to(Target::Accept).comment("pod traffic").when(condition));
    }
    ruleset.jumps = jumps();
    ruleset
}

fn jumps() -> Vec<Jump> {
    let jump = |table, chain, target: &str| Jump {
        table,
        chain,
        rule: Rule::jump(target).comment("pod network"),
        // After kube-proxy's own, which refuse what must be refused.
        position: Position::Last,
    };
    vec![jump(Table::Nat, "POSTROUTING", POSTROUTING), jump(Table::Filter, "FORWARD", FORWARD)]
}

/// Brings the rules into the kernel.
pub async fn apply(kernel: &impl Kernel, ruleset: &Ruleset) -> Result<(), Error> {
    kernel.restore(&ruleset.render()).await?;
    for jump in &ruleset.jumps {
        kernel.ensure_rule(jump.table, jump.chain, &jump.rule, jump.position).await?;
    }
    Ok(())
}

/// Tells whether the rules are still there.
pub async fn are_present(kernel: &impl Kernel) -> Result<bool, Error> {
    Ok(kernel.has_chain(Table::Nat, POSTROUTING).await? && kernel.has_chain(Table::Filter, FORWARD).await?)
}

/// Removes the rules.
pub async fn remove(kernel: &impl Kernel) -> Result<(), Error> {
    for jump in jumps() {
        kernel.delete_rule(jump.table, jump.chain, &jump.rule).await?;
    }
    let mut restore = Restore::new();
    for (table, chain) in [(Table::Nat, POSTROUTING), (Table::Filter, FORWARD)] {
        if kernel.has_chain(table, chain).await? {
            restore.delete(table, chain);
        }
    }
    if restore.is_empty() { Ok(()) } else { kernel.restore(&restore.finish()).await }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use netrules::{Family, Recording};

    use super::*;

    #[tokio::test]
    async fn applies_twice_with_one_result_and_removes_all() {
        let kernel = Recording::new(Family::V4);
        let empty = kernel.dump();
        let ruleset = rules("172.16.1.0/24".parse().unwrap(), "172.16.0.0/16".parse().unwrap());
        assert!(!are_present(&kernel).await.unwrap());
        apply(&kernel, &ruleset).await.unwrap();
        let once = kernel.dump();
        apply(&kernel, &ruleset).await.unwrap();
        assert_eq!(kernel.dump(), once);
        assert!(are_present(&kernel).await.unwrap());
        expect![[r#"
            *filter
            :PODNET-FORWARD - [0:0]
            -A PODNET-FORWARD -m comment --comment "pod traffic" -s 172.16.0.0/16 -j ACCEPT
            -A PODNET-FORWARD -m comment --comment "pod traffic" -d 172.16.0.0/16 -j ACCEPT
            COMMIT
            *nat
            :PODNET-POSTROUTING - [0:0]
            -A PODNET-POSTROUTING -m comment --comment "pods of this cluster see each other's addresses" -d 172.16.0.0/16 -j RETURN
            -A PODNET-POSTROUTING -m comment --comment "pods leave the cluster by their node's address" -s 172.16.1.0/24 ! -d 224.0.0.0/4 -j MASQUERADE --random-fully
            COMMIT
        "#]].assert_eq(&ruleset.render());
        remove(&kernel).await.unwrap();
        assert_eq!(kernel.dump(), empty);
    }
}
