//! Addresses of the node's links, and those of load balancers among them.

use std::net::{IpAddr, Ipv4Addr};

use futures::TryStreamExt;
use ipnet::Ipv4Net;
use rtnetlink::Error;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::AddressAttribute;

use super::{Netlink, absent_is_fine};

/// Marks the addresses that podnet put on a link (`ip addr` shows it); others are never touched.
const LABEL: &str = "podnet:lb";

/// An address of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkAddress {
    /// The link's index.
    pub link: u32,
    /// The address with its network's length.
    pub address: Ipv4Net,
    /// Whether podnet put it there for a load balancer.
    pub is_announced: bool,
}

impl Netlink {
    /// Lists the IPv4 addresses of all links.
    pub async fn addresses(&self) -> Result<Vec<LinkAddress>, Error> {
        let mut found = Vec::new();
        let mut stream = self.handle.address().get().execute();
        while let Some(message) = stream.try_next().await? {
            if message.header.family != AddressFamily::Inet {
                continue;
            }
            let (mut local, mut is_announced) = (None, false);
            for attribute in &message.attributes {
                match attribute {
                    AddressAttribute::Local(IpAddr::V4(address)) => local = Some(*address),
                    AddressAttribute::Label(label) => is_announced = label == LABEL,
                    _ => {}
                }
            }
            let address = local.and_then(|local| Ipv4Net::new(local, message.header.prefix_len).ok());
            found.extend(address.map(|address| LinkAddress {
                link: message.header.index,
                address,
                is_announced,
            }));
        }
        Ok(found)
    }

    /// Puts a load balancer's address on a link.
    pub async fn announce(&self, link: u32, address: Ipv4Addr) -> Result<(), Error> {
        let mut request = self.handle.address().add(link, address.into(), 32);
        let attributes = &mut request.message_mut().attributes;
        // A broadcast address of its own would be a second, conflicting route to the same address.
        attributes.retain(|attribute| !matches!(attribute, AddressAttribute::Broadcast(_)));
        attributes.push(AddressAttribute::Label(LABEL.to_owned()));
        request.replace().execute().await
    }

    /// Takes a load balancer's address from a link; an absent one is no error.
    pub async fn withdraw(&self, link: u32, address: Ipv4Addr) -> Result<(), Error> {
        let mut stream = self.handle.address().get().set_link_index_filter(link).execute();
        let mut own = Vec::new();
        while let Some(message) = stream.try_next().await? {
            let has = |wanted: AddressAttribute| message.attributes.contains(&wanted);
            if has(AddressAttribute::Local(address.into())) && has(AddressAttribute::Label(LABEL.to_owned()))
            {
                own.push(message);
            }
        }
        for message in own {
            absent_is_fine(self.handle.address().del(message).execute().await)?;
        }
        Ok(())
    }
}
