//! Announces load balancers' addresses: a Service names the node that is to answer for its address, and there the
//! address is put on the link of its network, where the kernel answers ARP for it.
//!
//! When podnet stops, addresses stay: traffic goes on while it is replaced. A node that was cut off cannot know that an
//! address was given to another; it asks its network who else has the address, and yields it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use component::Runtime;
use http::Request;
use informer::{Key, Store, Watch, reflect};
use k8s_openapi::api::core::v1::Service as ApiService;
use netrules::{Family, Iptables};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::netlink::{self, Netlink};
use crate::nodes::Node;
use crate::run::spawn;
use arp::Arp;
use wanted::{Service, changes, wanted};

mod arp;
mod firewall;
mod wanted;

/// When an announcement is made again after the first: one packet may be lost, and a switch learn late.
const AGAIN: [Duration; 3] = [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(2)];
/// How often the network is asked who else has an address; at once when a cable was plugged in.
const PROBE: Duration = Duration::from_secs(5);
/// How long a defence of an address holds before the next (RFC 5227's DEFEND_INTERVAL).
const DEFEND: Duration = Duration::from_secs(10);
/// How long the API server may take to say whose an address is.
const ASK: Duration = Duration::from_secs(2);
/// How often a node asks whether an address that it yielded is its own after all.
const YIELDED: Duration = Duration::from_secs(5);
/// How often everything is compared even when nothing is heard: packet rules have no events.
const RESYNC: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_secs(1);
/// A burst of link events (pods starting) is answered once.
const SETTLE: Duration = Duration::from_millis(50);

/// Starts announcing what Services tell the node `me` to.
pub fn start(runtime: &Runtime, client: &kube::Client, me: &str, nodes: Store<Node>) -> anyhow::Result<()> {
    // A socket of its own: the kernel answers one listing at a time on each.
    let (driver, netlink) = Netlink::open().context("opening a netlink socket")?;
    spawn(runtime, "netlink of addresses", async move {
        driver.await;
        anyhow::bail!("the kernel closed the netlink socket")
    });
    let changed = Arc::new(Notify::new());
    let services: Store<Service> = Store::new();
    let bell = Arc::clone(&changed);
    services.on_change(move |_| bell.notify_one());
    let (store, watching) = (services.clone(), client.clone());
    spawn(runtime, "watch load balancers", async move {
        reflect(watching, Watch::all::<ApiService>().fields("spec.type=LoadBalancer"), store).await;
        Ok(())
    });
    let links = Arc::new(Notify::new());
    let bell = Arc::clone(&links);
    spawn(runtime, "watch addresses", async move { Ok(netlink::watch(&bell).await?) });
    let mut announcer = Announcer {
        me: me.into(),
        client: client.clone(),
        netlink,
        kernel: Iptables::new(Family::V4),
        services,
        nodes,
        held: BTreeMap::new(),
        yielded: BTreeMap::new(),
        probe: Instant::now(),
    };
    spawn(runtime, "announce addresses", async move { announcer.run(&changed, &links).await });
    Ok(())
}

struct Announcer {
    me: Box<str>,
    client: kube::Client,
    netlink: Netlink,
    kernel: Iptables,
    services: Store<Service>,
    nodes: Store<Node>,
    /// The addresses that this node answers for.
    held: BTreeMap<Ipv4Addr, Held>,
    /// Those that another machine claims, while the API server does not say that they are ours.
    yielded: BTreeMap<Ipv4Addr, Instant>,
    /// When the network is next asked who else has what this node has.
    probe: Instant,
}

struct Held {
    link: u32,
    /// The announcements that are still to be made.
    again: Vec<Instant>,
    defended: Option<Instant>,
}

impl Announcer {
    async fn run(&mut self, changed: &Notify, links: &Notify) -> anyhow::Result<()> {
        self.services.ready().await;
        self.nodes.ready().await;
        // Opened with the first address: a node without any has nothing to hear.
        let mut arp = None;
        loop {
            let pause = match self.bring_about(&mut arp).await {
                Ok(()) => self.pause(),
                Err(error) => {
                    tracing::warn!("{}", component::cause::whole(error.as_ref()));
                    RETRY
                }
            };
            let heard = async {
                match &arp {
                    Some(arp) => Arp::hear(arp).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = changed.notified() => {}
                () = links.notified() => {
                    tokio::time::sleep(SETTLE).await;
                    self.probe = Instant::now();
                }
                () = tokio::time::sleep(pause) => {}
                heard = heard => match heard {
                    Ok((hardware, address)) => self.heard(hardware, address, arp.as_ref()).await,
                    Err(error) => {
                        tracing::warn!(%error, "cannot hear ARP, trying anew");
                        arp = None;
                    }
                },
            }
        }
    }

    /// How long nothing is due.
    fn pause(&self) -> Duration {
        let again = self.held.values().flat_map(|held| held.again.iter().copied());
        let asking = self.yielded.values().map(|since| *since + YIELDED);
        let probe = (!self.held.is_empty()).then_some(self.probe);
        let next = again.chain(asking).chain(probe).min();
        next.map_or(RESYNC, |next| next.saturating_duration_since(Instant::now())).min(RESYNC)
    }

    async fn bring_about(&mut self, arp: &mut Option<Arp>) -> anyhow::Result<()> {
        let services = self.services.list();
        let mut wanted = wanted(services.iter().map(Arc::as_ref), &self.me);
        self.reconsider(&wanted).await;
        wanted.retain(|address, _| !self.yielded.contains_key(address));
        let node = self.nodes.find("", &self.me).and_then(|node| node.address);
        let links = self.netlink.addresses().await.context("listing addresses")?;
        let changes = changes(wanted.keys().copied(), &links, node);
        for address in &changes.homeless {
            tracing::warn!(%address, "no link to announce a load balancer's address on");
        }
        // Forbidden before it is there, allowed after it is gone.
        if !changes.announce.is_empty()
            || (!wanted.is_empty() && !firewall::are_present(&self.kernel).await?)
        {
            let all = wanted.keys().copied().chain(changes.withdraw.iter().map(|(address, _)| *address));
            firewall::apply(&self.kernel, &firewall::rules(all)).await.context("writing packet rules")?;
        }
        for (address, link) in &changes.withdraw {
            self.netlink.withdraw(*link, *address).await.context("withdrawing an address")?;
            tracing::info!(%address, "another node answers for the address, or nobody any more");
        }
        if !changes.withdraw.is_empty() {
            let rules = firewall::rules(wanted.keys().copied());
            firewall::apply(&self.kernel, &rules).await.context("writing packet rules")?;
        }
        for (address, link) in &changes.announce {
            self.netlink.announce(*link, *address).await.context("announcing an address")?;
            tracing::info!(%address, service = %wanted[address], "this node answers for the address");
        }
        self.held.retain(|address, _| wanted.contains_key(address));
        let now = Instant::now();
        for (address, link) in changes.announce {
            let again = std::iter::once(Duration::ZERO).chain(AGAIN).map(|after| now + after).collect();
            self.held.insert(address, Held { link, again, defended: None });
        }
        // Found on a link at the start: an earlier podnet's.
        for one in links.iter().filter(|one| one.is_announced && wanted.contains_key(&one.address.addr())) {
            let held = || Held { link: one.link, again: vec![now], defended: None };
            self.held.entry(one.address.addr()).or_insert_with(held);
        }
        if self.held.is_empty() {
            *arp = None;
            return Ok(());
        }
        let arp = match arp {
            Some(arp) => arp,
            None => arp.insert(Arp::open().context("opening a packet socket")?),
        };
        for (address, held) in &mut self.held {
            let due = held.again.len();
            held.again.retain(|at| *at > now);
            if held.again.len() < due {
                arp.announce(held.link, *address).context("announcing by ARP")?;
            }
        }
        if self.probe <= now {
            self.probe = now + PROBE;
            for (address, held) in &self.held {
                arp.probe(held.link, *address).context("asking by ARP")?;
            }
        }
        Ok(())
    }

    /// Another machine says to have an address. If the API server says that it is ours, it is defended; if it says
    /// something else or nothing at all, it is yielded, for the other may have been told what we were not.
    async fn heard(&mut self, hardware: arp::Hardware, address: Ipv4Addr, arp: Option<&Arp>) {
        let Some(held) = self.held.get(&address) else { return };
        if arp::own_hardware().is_ok_and(|own| own.contains(&hardware)) {
            return;
        }
        let now = Instant::now();
        if held.defended.is_some_and(|at| now.duration_since(at) < DEFEND) {
            return;
        }
        let services = self.services.list();
        let all = wanted(services.iter().map(Arc::as_ref), &self.me);
        let is_ours = match all.get(&address) {
            Some(service) => self.is_ours(service, address).await,
            None => false,
        };
        let claimant = hardware.map(|byte| format!("{byte:02x}")).join(":");
        if !is_ours {
            tracing::warn!(%address, %claimant, "another machine claims the address, yielding it");
            self.yielded.insert(address, now);
            return;
        }
        tracing::warn!(%address, %claimant, "another machine claims the address, defending it");
        if let (Some(held), Some(arp)) = (self.held.get_mut(&address), arp) {
            held.defended = Some(now);
            if let Err(error) = arp.announce(held.link, address) {
                tracing::warn!(%address, %error, "cannot defend the address");
            }
        }
    }

    /// Takes back yielded addresses that are ours after all, and forgets those that nobody asks of us.
    async fn reconsider(&mut self, wanted: &BTreeMap<Ipv4Addr, Key>) {
        self.yielded.retain(|address, _| wanted.contains_key(address));
        for (address, since) in self.yielded.clone() {
            if since.elapsed() < YIELDED {
                continue;
            }
            if self.is_ours(&wanted[&address], address).await {
                tracing::info!(%address, "taking back the address");
                self.yielded.remove(&address);
            } else {
                self.yielded.insert(address, Instant::now());
            }
        }
    }

    /// Asks the API server, whose word is newer than the store's where the watch is cut off.
    async fn is_ours(&self, service: &Key, address: Ipv4Addr) -> bool {
        let path = format!("/api/v1/namespaces/{}/services/{}", service.namespace(), service.name());
        let Ok(request) = Request::get(path).body(Vec::new()) else { return false };
        let answer = tokio::time::timeout(ASK, self.client.request::<Service>(request)).await;
        matches!(answer, Ok(Ok(service)) if service.announced_by(&self.me).contains(&address))
    }
}

/// Removes everything announced on this node.
pub async fn remove(netlink: &Netlink) -> anyhow::Result<()> {
    for one in netlink.addresses().await?.into_iter().filter(|one| one.is_announced) {
        netlink.withdraw(one.link, one.address.addr()).await?;
    }
    firewall::remove(&Iptables::new(Family::V4)).await?;
    Ok(())
}
