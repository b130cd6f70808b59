//! Removing everything the proxy ever puts into the kernel (`--cleanup`).

use netrules::{Error, Kernel, Restore, Table};

use crate::chains;
use crate::rules;

const OWN: [&str; 9] = [
    chains::SERVICES,
    chains::EXTERNAL_SERVICES,
    chains::NODE_PORTS,
    chains::POSTROUTING,
    chains::MARK_MASQ,
    chains::FORWARD,
    chains::PROXY_FIREWALL,
    chains::FIREWALL,
    chains::CANARY,
];

/// Removes the proxy's rules and chains; what others put there stays.
pub async fn cleanup(kernel: &impl Kernel) -> Result<(), Error> {
    for jump in rules::all_jumps() {
        kernel.delete_rule(jump.table, jump.chain, &jump.rule).await?;
    }
    for table in [Table::Filter, Table::Nat, Table::Mangle] {
        let chains = kernel.chains(table).await?;
        let mut restore = Restore::new();
        for chain in &chains {
            if OWN.contains(&chain.as_str()) || chains::is_per_service(chain) {
                restore.delete(table, chain);
            }
        }
        if !restore.is_empty() {
            kernel.restore(&restore.finish()).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use netrules::{Family, Recording};

    use super::*;
    use crate::state::{Changes, State, tests::service};
    use crate::sync::Syncer;

    #[tokio::test]
    async fn leaves_what_was_there_before() {
        let kernel = Recording::new(Family::V4);
        kernel.restore("*nat\n:OTHER - [0:0]\n-A OTHER -j RETURN\nCOMMIT\n").await.unwrap();
        let before = kernel.dump();
        let mut syncer = Syncer::new(kernel, rules::Options::default());
        let mut state = State::new(Family::V4, "here");
        state.apply(service(
            "{metadata: {namespace: d, name: web}, spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}}",
        ));
        let plan = syncer.plan(&state, &Changes::default());
        syncer.carry_out(plan).await.unwrap();
        assert_ne!(syncer.kernel().dump(), before);
        cleanup(syncer.kernel()).await.unwrap();
        assert_eq!(syncer.kernel().dump(), before);
    }
}
