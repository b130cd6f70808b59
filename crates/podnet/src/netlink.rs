//! The kernel's links, addresses and routes, over netlink.

use std::net::{IpAddr, Ipv4Addr};

use futures::{StreamExt, TryStreamExt};
use ipnet::Ipv4Net;
use nix::errno::Errno;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteProtocol};
use rtnetlink::{
    Error, Handle, LinkBridge, LinkUnspec, MulticastGroup, RouteMessageBuilder, new_connection,
    new_multicast_connection,
};
use tokio::sync::Notify;

use crate::plan::{BRIDGE, Plan, Routes};

mod addresses;

pub use addresses::LinkAddress;

/// Marks the routes that podnet made (`proto 119` in `ip route`); others are never touched.
const PROTOCOL: u8 = 119;
/// The kernel's answers to what is not there.
const ABSENT: [Errno; 3] = [Errno::ENODEV, Errno::ESRCH, Errno::ENOENT];

/// A connection to the kernel.
#[derive(Clone, Debug)]
pub struct Netlink {
    handle: Handle,
}

/// The pods' bridge as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bridge {
    index: u32,
    address: Vec<u8>,
    up: bool,
}

impl Netlink {
    /// Opens a connection; the future must be polled for as long as it is used.
    pub fn open() -> std::io::Result<(impl Future<Output = ()> + Send, Netlink)> {
        let (connection, handle, _) = new_connection()?;
        Ok((connection, Netlink { handle }))
    }

    /// The routes that podnet made.
    pub async fn routes(&self) -> Result<Routes, Error> {
        let mut routes = Routes::new();
        let mut stream = self.handle.route().get(RouteMessageBuilder::<Ipv4Addr>::new().build()).execute();
        while let Some(route) = stream.try_next().await? {
            if route.header.protocol == RouteProtocol::from(PROTOCOL)
                && let Some((destination, gateway)) = read(&route)
            {
                routes.insert(destination, gateway);
            }
        }
        Ok(routes)
    }

    /// Makes or replaces a route.
    pub async fn set_route(&self, destination: Ipv4Net, gateway: Ipv4Addr) -> Result<(), Error> {
        self.handle.route().add(message(destination, gateway)).replace().execute().await
    }

    /// Removes a route; an absent one is no error.
    pub async fn remove_route(&self, destination: Ipv4Net, gateway: Ipv4Addr) -> Result<(), Error> {
        absent_is_fine(self.handle.route().del(message(destination, gateway)).execute().await)
    }

    /// Sees to it that the bridge exists, is up, has the gateway's address and a hardware address of its own.
    pub async fn ensure_bridge(&self, plan: &Plan) -> Result<(), Error> {
        let bridge = match self.bridge().await? {
            Some(bridge) if bridge.address.iter().all(|byte| *byte == 0) => {
                tracing::warn!("the bridge {BRIDGE} has no hardware address, making it anew");
                self.handle.link().del(bridge.index).execute().await?;
                None
            }
            found => found,
        };
        let bridge = match bridge {
            Some(bridge) => bridge,
            None => {
                let link = LinkBridge::new(BRIDGE).address(plan.bridge_address().to_vec()).up().build();
                self.handle.link().add(link).execute().await?;
                match self.bridge().await? {
                    Some(bridge) => bridge,
                    // Deleted under our hands; that is a link event, which runs this again.
                    None => return Ok(()),
                }
            }
        };
        if !bridge.up {
            self.handle.link().set(LinkUnspec::new_with_index(bridge.index).up().build()).execute().await?;
        }
        let wanted = (IpAddr::V4(plan.gateway()), plan.pod_cidr.prefix_len());
        let mut addresses = self.handle.address().get().set_link_index_filter(bridge.index).execute();
        let mut present = false;
        let mut stale = Vec::new();
        while let Some(address) = addresses.try_next().await? {
            if address.header.family != AddressFamily::Inet {
                continue;
            }
            let local = address.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Local(local) => Some(*local),
                _ => None,
            });
            if local == Some(wanted.0) && address.header.prefix_len == wanted.1 {
                present = true;
            } else {
                stale.push(address);
            }
        }
        for address in stale {
            self.handle.address().del(address).execute().await?;
        }
        if !present {
            self.handle.address().add(bridge.index, wanted.0, wanted.1).execute().await?;
        }
        Ok(())
    }

    /// Removes the bridge; an absent one is no error.
    pub async fn remove_bridge(&self) -> Result<(), Error> {
        match self.bridge().await? {
            Some(bridge) => absent_is_fine(self.handle.link().del(bridge.index).execute().await),
            None => Ok(()),
        }
    }

    async fn bridge(&self) -> Result<Option<Bridge>, Error> {
        let mut links = self.handle.link().get().match_name(BRIDGE).execute();
        let link = match links.try_next().await {
            Ok(Some(link)) => link,
            Ok(None) => return Ok(None),
            Err(error) => return absent_is_fine(Err(error)).map(|()| None),
        };
        let address = link.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::Address(address) => Some(address.clone()),
            _ => None,
        });
        Ok(Some(Bridge {
            index: link.header.index,
            address: address.unwrap_or_default(),
            up: link.header.flags.contains(LinkFlags::Up),
        }))
    }
}

/// Rings `changed` whenever links, addresses or routes change, for as long as it is polled.
pub async fn watch(changed: &Notify) -> std::io::Result<()> {
    let groups = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv4Route];
    let (connection, _handle, mut messages) = new_multicast_connection(&groups)?;
    let read = async {
        while messages.next().await.is_some() {
            changed.notify_one();
        }
    };
    tokio::select! {
        () = connection => {}
        () = read => {}
    }
    Err(std::io::Error::other("the kernel closed the netlink socket"))
}

fn message(destination: Ipv4Net, gateway: Ipv4Addr) -> RouteMessage {
    RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(destination.network(), destination.prefix_len())
        .gateway(gateway)
        .protocol(RouteProtocol::from(PROTOCOL))
        .build()
}

fn read(route: &RouteMessage) -> Option<(Ipv4Net, Ipv4Addr)> {
    let mut destination = None;
    let mut gateway = None;
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(address)) => destination = Some(*address),
            RouteAttribute::Gateway(RouteAddress::Inet(address)) => gateway = Some(*address),
            _ => {}
        }
    }
    Some((Ipv4Net::new(destination?, route.header.destination_prefix_length).ok()?, gateway?))
}

fn absent_is_fine(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(Error::NetlinkError(error)) if ABSENT.contains(&Errno::from_raw(error.raw_code().abs())) => {
            Ok(())
        }
        other => other,
    }
}
