//! Who has which address. One address has one owner, whatever is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use informer::Key;

use super::objects::Balancer;
use crate::pool::Pool;

/// Why a Service gets no address, or not the one it asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody said which addresses there are.
    #[error("there is no pool of addresses; give one in the ConfigMap kube-system/load-balancer")]
    NoPool,
    /// What the ConfigMap says cannot be read.
    #[error("the ConfigMap kube-system/load-balancer cannot be used: {0}")]
    Malformed(String),
    /// All are given.
    #[error("no address is left: all of {0} are in use")]
    Exhausted(Pool),
    /// The address asked for is none.
    #[error("{0:?} is not an IPv4 address")]
    NotAnAddress(Box<str>),
    /// The pool has no such address.
    #[error("address {0} is not in the pool {1}")]
    NotInPool(Ipv4Addr, Pool),
    /// Somebody else has it.
    #[error("address {0} is in use by service {1}")]
    InUse(Ipv4Addr, Key),
    /// It is a node's own.
    #[error("address {0} belongs to a node")]
    OfNode(Ipv4Addr),
    /// The Service takes IPv6 only.
    #[error("the service takes IPv6 only, and the pool is of IPv4")]
    Family,
}

/// The addresses given.
#[derive(Debug, Default)]
pub struct Allocation {
    of_service: BTreeMap<Key, Ipv4Addr>,
    owners: BTreeMap<Ipv4Addr, Key>,
}

impl Allocation {
    /// Takes over what Services were given before: where two have one address, the older Service keeps it.
    pub fn restore<'a>(&mut self, services: impl Iterator<Item = (Key, &'a Balancer)>) {
        let mut services: Vec<(Key, &Balancer)> = services.collect();
        services.sort_by_key(|(key, balancer)| (balancer.created, key.clone()));
        for (key, balancer) in services {
            self.keep(&key, balancer);
        }
    }

    /// Returns the address of a Service, which is chosen now if it has none yet.
    ///
    /// A Service that cannot have what it asks for keeps what it has. An address stays with its Service for as long as
    /// the Service lives, even if the pool no longer has it.
    pub fn claim(
        &mut self,
        key: &Key,
        balancer: &Balancer,
        pool: &Result<Pool, Refusal>,
        of_nodes: &BTreeSet<IpAddr>,
    ) -> Result<Ipv4Addr, Refusal> {
        if !balancer.takes_ipv4 {
            return Err(Refusal::Family);
        }
        self.keep(key, balancer);
        let own = self.of_service.get(key).copied();
        let Some(wanted) = &balancer.asks_for else {
            return match own {
                Some(own) => Ok(own),
                None => self.choose(key, pool.as_ref().map_err(Clone::clone)?, of_nodes),
            };
        };
        let wanted: Ipv4Addr = wanted.parse().map_err(|_| Refusal::NotAnAddress(wanted.clone()))?;
        if own == Some(wanted) {
            return Ok(wanted);
        }
        let pool = pool.as_ref().map_err(Clone::clone)?;
        if let Some(owner) = self.owners.get(&wanted) {
            return Err(Refusal::InUse(wanted, owner.clone()));
        }
        if !pool.contains(wanted) {
            return Err(Refusal::NotInPool(wanted, pool.clone()));
        }
        if of_nodes.contains(&IpAddr::V4(wanted)) {
            return Err(Refusal::OfNode(wanted));
        }
        self.release(key);
        self.give(key, wanted);
        Ok(wanted)
    }

    /// Takes a Service's address back; tells whether it had one.
    pub fn release(&mut self, key: &Key) -> bool {
        let Some(address) = self.of_service.remove(key) else { return false };
        self.owners.remove(&address);
        true
    }

    /// Returns the address of a Service.
    pub fn of(&self, key: &Key) -> Option<Ipv4Addr> {
        self.of_service.get(key).copied()
    }

    /// Lets a Service have what its status says, if that is nobody else's.
    fn keep(&mut self, key: &Key, balancer: &Balancer) {
        if let Some(address) = balancer.given.first()
            && !self.of_service.contains_key(key)
            && !self.owners.contains_key(address)
        {
            self.give(key, *address);
        }
    }

    fn choose(&mut self, key: &Key, pool: &Pool, of_nodes: &BTreeSet<IpAddr>) -> Result<Ipv4Addr, Refusal> {
        let is_free =
            |address: &Ipv4Addr| !self.owners.contains_key(address) && !of_nodes.contains(&(*address).into());
        // Ends after as many steps as there are Services and nodes, however large the pool.
        let address = pool.addresses().find(is_free).ok_or_else(|| match pool.is_empty() {
            true => Refusal::NoPool,
            false => Refusal::Exhausted(pool.clone()),
        })?;
        self.give(key, address);
        Ok(address)
    }

    fn give(&mut self, key: &Key, address: Ipv4Addr) {
        self.of_service.insert(key.clone(), address);
        self.owners.insert(address, key.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Ipv4Addr {
        text.parse().unwrap()
    }

    fn plain() -> Balancer {
        Balancer { is_wanted: true, takes_ipv4: true, ..Balancer::default() }
    }

    fn asking(text: &str) -> Balancer {
        Balancer { asks_for: Some(text.into()), ..plain() }
    }

    fn given(text: &str, created: &str) -> Balancer {
        Balancer { given: vec![address(text)], created: created.parse().ok(), ..plain() }
    }

    struct Case {
        allocation: Allocation,
        pool: Result<Pool, Refusal>,
    }

    impl Case {
        fn new(pool: &str) -> Case {
            Case { allocation: Allocation::default(), pool: Ok(pool.parse().unwrap()) }
        }

        fn claim(&mut self, name: &str, balancer: &Balancer) -> Result<String, String> {
            let nodes = BTreeSet::from(["10.0.0.2".parse().unwrap()]);
            let claimed = self.allocation.claim(&Key::new("d", name), balancer, &self.pool, &nodes);
            claimed.map(|address| address.to_string()).map_err(|refusal| refusal.to_string())
        }
    }

    #[test]
    fn each_service_has_its_own_and_nodes_keep_theirs() {
        let mut case = Case::new("10.0.0.1-10.0.0.3");
        assert_eq!(case.claim("a", &plain()).unwrap(), "10.0.0.1");
        assert_eq!(case.claim("a", &plain()).unwrap(), "10.0.0.1");
        assert_eq!(case.claim("b", &plain()).unwrap(), "10.0.0.3", "10.0.0.2 is a node's");
        assert_eq!(
            case.claim("c", &plain()).unwrap_err(),
            "no address is left: all of 10.0.0.1-10.0.0.3 are in use"
        );
        assert!(case.allocation.release(&Key::new("d", "a")));
        assert!(!case.allocation.release(&Key::new("d", "a")));
        assert_eq!(case.claim("c", &plain()).unwrap(), "10.0.0.1");
    }

    #[test]
    fn what_was_given_before_a_restart_is_given_still() {
        let mut case = Case::new("10.0.0.1-10.0.0.9");
        let (old, new) =
            (given("10.0.0.1", "2026-01-01T00:00:00Z"), given("10.0.0.1", "2026-02-01T00:00:00Z"));
        let outside = given("10.9.9.9", "2026-01-01T00:00:00Z");
        let services = [("b-new", &new), ("old", &old), ("outside", &outside)];
        case.allocation.restore(services.into_iter().map(|(name, balancer)| (Key::new("d", name), balancer)));
        assert_eq!(case.claim("first", &plain()).unwrap(), "10.0.0.3");
        assert_eq!(case.claim("old", &old).unwrap(), "10.0.0.1");
        assert_eq!(case.claim("b-new", &new).unwrap(), "10.0.0.4", "its address was the older one's");
        assert_eq!(case.claim("outside", &outside).unwrap(), "10.9.9.9", "the pool was made smaller");
    }

    #[test]
    fn a_wish_is_fulfilled_or_refused_by_name() {
        let mut case = Case::new("10.0.0.1-10.0.0.9");
        assert_eq!(case.claim("a", &asking("10.0.0.5")).unwrap(), "10.0.0.5");
        assert_eq!(
            case.claim("b", &asking("10.0.0.5")).unwrap_err(),
            "address 10.0.0.5 is in use by service d/a"
        );
        assert_eq!(
            case.claim("b", &asking("10.1.0.5")).unwrap_err(),
            "address 10.1.0.5 is not in the pool 10.0.0.1-10.0.0.9"
        );
        assert_eq!(case.claim("b", &asking("10.0.0.2")).unwrap_err(), "address 10.0.0.2 belongs to a node");
        assert_eq!(case.claim("b", &asking("five")).unwrap_err(), "\"five\" is not an IPv4 address");
        // Another wish moves; one that cannot be fulfilled leaves things as they are.
        assert_eq!(case.claim("a", &asking("10.0.0.6")).unwrap(), "10.0.0.6");
        assert!(case.claim("a", &asking("10.1.0.6")).is_err());
        assert_eq!(case.allocation.of(&Key::new("d", "a")), Some(address("10.0.0.6")));
        assert_eq!(case.claim("b", &asking("10.0.0.5")).unwrap(), "10.0.0.5");
    }

    #[test]
    fn without_a_pool_those_who_have_keep_theirs() {
        let mut case = Case { allocation: Allocation::default(), pool: Err(Refusal::NoPool) };
        assert_eq!(case.claim("a", &given("10.0.0.1", "2026-01-01T00:00:00Z")).unwrap(), "10.0.0.1");
        assert!(case.claim("b", &plain()).unwrap_err().starts_with("there is no pool"));
        assert_eq!(Case::new("").claim("b", &plain()).unwrap_err(), Refusal::NoPool.to_string());
        let six = Balancer { takes_ipv4: false, ..plain() };
        assert_eq!(case.claim("c", &six).unwrap_err(), Refusal::Family.to_string());
    }
}
