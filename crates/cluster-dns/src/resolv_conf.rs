//! The name servers of `/etc/resolv.conf`.

use std::net::{IpAddr, SocketAddr};

/// Servers used at most, as resolvers do (MAXNS of resolv.h).
const MOST: usize = 3;

/// Reads the name servers. None given means none: the resolver's default, the own host, is this very server.
pub fn name_servers(text: &str) -> Vec<SocketAddr> {
    let addresses = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == "nameserver").then_some(())?;
        words.next()?.parse::<IpAddr>().ok()
    });
    addresses.take(MOST).map(|address| SocketAddr::new(address, 53)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_name_servers_count() {
        let text = "# nameserver 9.9.9.9\nsearch a.example\n nameserver\t10.0.0.1 \nnameserver fd00::1\noptions ndots:5\nnameserver x\n";
        let shown: Vec<String> = name_servers(text).iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.0.0.1:53", "[fd00::1]:53"]);
        assert!(name_servers("").is_empty());
        assert_eq!(name_servers(&"nameserver 10.0.0.1\n".repeat(9)).len(), 3);
    }
}
