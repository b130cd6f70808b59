//! Tells the node's network by ARP that an address is here now, and hears who else says so (RFC 826, RFC 5227).

use std::io::{self, Read as _};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd as _;

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{LinkAddr, MsgFlags, sendto};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::unix::AsyncFd;

const ETHERNET_ARP: u16 = 0x0806;
const HEADER: usize = 14;
const LENGTH: usize = HEADER + 28;
const REQUEST: u8 = 1;

/// A hardware address.
pub type Hardware = [u8; 6];

/// A frame that says without being asked that an address is at this hardware address: a request, as RFC 5227 has it,
/// since some listeners ignore answers that they did not ask for.
pub fn announcement(hardware: Hardware, address: Ipv4Addr) -> [u8; LENGTH] {
    let mut frame = probe(hardware, address);
    frame[28..32].copy_from_slice(&address.octets());
    frame
}

/// A frame that asks who has an address without saying that anybody has: whoever has it too will answer.
pub fn probe(hardware: Hardware, address: Ipv4Addr) -> [u8; LENGTH] {
    let mut frame = [0; LENGTH];
    frame[..6].fill(0xff);
    frame[6..12].copy_from_slice(&hardware);
    frame[12..14].copy_from_slice(&ETHERNET_ARP.to_be_bytes());
    // Ethernet and IPv4, with addresses of 6 and 4 bytes.
    frame[14..22].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, REQUEST]);
    frame[22..28].copy_from_slice(&hardware);
    frame[38..42].copy_from_slice(&address.octets());
    frame
}

/// Reads who says to have which address; none if the frame is no ARP of IPv4 over Ethernet, or asks without saying.
pub fn sender(frame: &[u8]) -> Option<(Hardware, Ipv4Addr)> {
    let is_arp = frame.len() >= LENGTH
        && frame[12..14] == ETHERNET_ARP.to_be_bytes()
        && frame[14..20] == [0, 1, 8, 0, 6, 4];
    let hardware = is_arp.then(|| frame[22..28].try_into().ok())??;
    let address: [u8; 4] = frame[28..32].try_into().ok()?;
    (address != [0; 4]).then(|| (hardware, address.into()))
}

/// Sends and hears ARP on every link of this node.
pub struct Arp {
    socket: AsyncFd<Socket>,
}

impl Arp {
    /// Opens the socket.
    #[allow(unsafe_code)]
    pub fn open() -> io::Result<Arp> {
        let protocol = Protocol::from(i32::from(ETHERNET_ARP.to_be()));
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol))?;
        socket.set_nonblocking(true)?;
        // SAFETY: the socket owns its descriptor for as long as it lives, and nobody takes it out of the `AsyncFd`.
        let socket = unsafe { AsyncFd::register(socket) }.map_err(io::Error::from)?;
        Ok(Arp { socket })
    }

    /// Says on a link that an address is here.
    pub fn announce(&self, link: u32, address: Ipv4Addr) -> io::Result<()> {
        self.send(link, |hardware| announcement(hardware, address))
    }

    /// Asks on a link who has an address.
    pub fn probe(&self, link: u32, address: Ipv4Addr) -> io::Result<()> {
        self.send(link, |hardware| probe(hardware, address))
    }

    /// A link without hardware addresses, or one that is down, has nobody to tell.
    fn send(&self, link: u32, frame: impl Fn(Hardware) -> [u8; LENGTH]) -> io::Result<()> {
        let Some(link) = hardware_of(link)? else { return Ok(()) };
        let frame = frame(link.addr().unwrap_or_default());
        match sendto(self.socket.as_raw_fd(), &frame, &link, MsgFlags::empty()) {
            Ok(_) | Err(Errno::ENETDOWN | Errno::ENXIO) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for the next claim of another machine.
    pub async fn hear(&self) -> io::Result<(Hardware, Ipv4Addr)> {
        loop {
            let mut ready = self.socket.readable().await?;
            let mut frame = [0; 128];
            match ready.try_io(|socket| socket.get_ref().read(&mut frame)) {
                Ok(Ok(length)) => {
                    if let Some(heard) = sender(&frame[..length]) {
                        return Ok(heard);
                    }
                }
                // A link went down: nothing to hear there, the others go on.
                Ok(Err(error)) if error.raw_os_error() == Some(nix::libc::ENETDOWN) => {}
                Ok(Err(error)) => return Err(error),
                Err(_would_block) => {}
            }
        }
    }
}

/// The hardware addresses of this node's links.
pub fn own_hardware() -> io::Result<Vec<Hardware>> {
    Ok(links()?.filter_map(|link| link.addr()).collect())
}

fn hardware_of(link: u32) -> io::Result<Option<LinkAddr>> {
    const ETHERNET: u16 = nix::libc::ARPHRD_ETHER;
    Ok(links()?.find(|one| one.ifindex() == link as usize && one.hatype() == ETHERNET && one.halen() == 6))
}

fn links() -> io::Result<impl Iterator<Item = LinkAddr>> {
    Ok(getifaddrs()?.filter_map(|one| one.address?.as_link_addr().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_announced_is_understood() {
        let hardware = [2, 0, 0, 0, 0, 7];
        let frame = announcement(hardware, Ipv4Addr::new(192, 168, 1, 11));
        assert_eq!(sender(&frame), Some((hardware, Ipv4Addr::new(192, 168, 1, 11))));
        assert_eq!(frame[28..32], frame[38..42], "sender and target are one: nobody answers");
        assert_eq!(sender(&frame[..41]), None);
        let asking = probe(hardware, Ipv4Addr::new(192, 168, 1, 11));
        assert_eq!(sender(&asking), None, "it says nothing of who has the address");
        assert_eq!(asking[32..], frame[32..]);
        let mut other = frame;
        other[13] = 0;
        assert_eq!(sender(&other), None);
    }

    /// Both ends of a cable are in one namespace, so what is sent at one is heard at the other.
    #[test]
    fn what_is_announced_on_a_link_is_heard_at_its_other_end() {
        let thread = std::thread::spawn(|| {
            if let Err(error) = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET) {
                eprintln!("skipped: cannot make a network namespace: {error}");
                return;
            }
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                for line in ["link add v0 type veth peer name v1", "link set v0 up", "link set v1 up"] {
                    let words: Vec<&str> = line.split(' ').collect();
                    let limit = std::time::Duration::from_secs(10);
                    netrules::program::succeed("ip", &words, b"", limit).await.unwrap();
                }
                let link = nix::net::if_::if_nametoindex("v0").unwrap();
                let arp = Arp::open().unwrap();
                let address = Ipv4Addr::new(192, 168, 1, 11);
                // A cable takes a moment to be up; what is sent before is lost.
                let begun = std::time::Instant::now();
                let (hardware, heard) = loop {
                    arp.probe(link, Ipv4Addr::new(192, 168, 1, 12)).unwrap();
                    arp.announce(link, address).unwrap();
                    let wait = std::time::Duration::from_millis(20);
                    if let Ok(heard) = tokio::time::timeout(wait, arp.hear()).await {
                        break heard.unwrap();
                    }
                    assert!(begun.elapsed().as_secs() < 10, "nothing is heard");
                };
                assert_eq!(heard, address, "and the probe before it says nothing");
                assert!(own_hardware().unwrap().contains(&hardware));
                let loopback = nix::net::if_::if_nametoindex("lo").unwrap();
                arp.announce(loopback, address).unwrap();
            });
        });
        thread.join().unwrap();
    }
}
