//! Packet rules: at a load balancer's address, only the ports of its Service answer.
//!
//! The address is on a link of the node, so the node's own programs would answer there too: its kubelet, its secure
//! shell. What a Service takes was sent on to its pods before these rules are asked.

use std::net::Ipv4Addr;

use netrules::{Error, Jump, Kernel, Match, Position, Protocol, Restore, Rule, Ruleset, Table, Target};

const CHAIN: &str = "PODNET-LOAD-BALANCERS";

/// The rules for the addresses that this node answers for.
pub fn rules(addresses: impl Iterator<Item = Ipv4Addr>) -> Ruleset {
    let mut ruleset = Ruleset::default();
    ruleset.chain(Table::Filter, CHAIN);
    for address in addresses {
        // Whoever pings the address may know that it is there.
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let rule = Rule::to(Target::Reject)
                .comment("no port of the load balancer")
                .when(Match::Destination { net: std::net::IpAddr::V4(address).into(), not: false })
                .when(Match::Protocol(protocol));
            ruleset.push(Table::Filter, CHAIN, rule);
        }
    }
    ruleset.jumps = vec![jump()];
    ruleset
}

fn jump() -> Jump {
    Jump {
        table: Table::Filter,
        chain: "INPUT",
        rule: Rule::jump(CHAIN).comment("addresses of load balancers"),
        // After kube-proxy's own: what its source ranges drop is dropped, not refused.
        position: Position::Last,
    }
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
    kernel.has_chain(Table::Filter, CHAIN).await
}

/// Removes the rules.
pub async fn remove(kernel: &impl Kernel) -> Result<(), Error> {
    let jump = jump();
    kernel.delete_rule(jump.table, jump.chain, &jump.rule).await?;
    if !kernel.has_chain(Table::Filter, CHAIN).await? {
        return Ok(());
    }
    let mut restore = Restore::new();
    restore.delete(Table::Filter, CHAIN);
    kernel.restore(&restore.finish()).await
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use netrules::{Family, Recording};

    use super::*;

    #[tokio::test]
    async fn only_ports_of_services_answer_and_all_is_removed_again() {
        let kernel = Recording::new(Family::V4);
        let empty = kernel.dump();
        let ruleset = rules(["192.168.1.11".parse().unwrap()].into_iter());
        apply(&kernel, &ruleset).await.unwrap();
        let once = kernel.dump();
        apply(&kernel, &ruleset).await.unwrap();
        assert_eq!(kernel.dump(), once);
        expect![[r#"
            *filter
            :PODNET-LOAD-BALANCERS - [0:0]
            -A PODNET-LOAD-BALANCERS -m comment --comment "no port of the load balancer" -d 192.168.1.11/32 -p tcp -m tcp -j REJECT
            -A PODNET-LOAD-BALANCERS -m comment --comment "no port of the load balancer" -d 192.168.1.11/32 -p udp -m udp -j REJECT
            COMMIT
        "#]].assert_eq(&ruleset.render());
        remove(&kernel).await.unwrap();
        assert_eq!(kernel.dump(), empty);
        remove(&kernel).await.unwrap();
    }
}
