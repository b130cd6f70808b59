//! One rule as data: what it matches, where it sends the packet, and its spelling for iptables.

use std::fmt::{self, Display, Write};
use std::net::SocketAddr;

use ipnet::IpNet;

/// The address family of a rule set; each has its own kernel tables and its own programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Tells whether an address belongs to this family.
    pub fn holds(self, address: std::net::IpAddr) -> bool {
        match self {
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
        }
    }
}

/// A netfilter table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// Accept, drop, reject.
    Filter,
    /// Address translation.
    Nat,
    /// Packet alteration; used only for the canary chain.
    Mangle,
}

impl Table {
    /// The name that the iptables programs use.
    pub fn name(self) -> &'static str {
        match self {
            Table::Filter => "filter",
            Table::Nat => "nat",
            Table::Mangle => "mangle",
        }
    }
}

/// A transport protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// The lower-case name that iptables and upstream's chain hashes use.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        }
    }

    /// Reads the API's upper-case name; an absent one means TCP.
    pub fn from_api(name: Option<&str>) -> Option<Self> {
        match name {
            None | Some("" | "TCP") => Some(Protocol::Tcp),
            Some("UDP") => Some(Protocol::Udp),
            Some("SCTP") => Some(Protocol::Sctp),
            Some(_) => None,
        }
    }
}

/// A connection-tracking state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CtState {
    /// The first packet of a connection.
    New,
    /// Part of a connection seen in both directions.
    Established,
    /// Belongs to another connection (ICMP errors, FTP data).
    Related,
    /// Cannot be assigned to any connection.
    Invalid,
    /// The destination was translated.
    Dnat,
}

impl CtState {
    fn name(self) -> &'static str {
        match self {
            CtState::New => "NEW",
            CtState::Established => "ESTABLISHED",
            CtState::Related => "RELATED",
            CtState::Invalid => "INVALID",
            CtState::Dnat => "DNAT",
        }
    }
}

/// What the `recent` match does with the packet's source address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecentAction {
    /// Remembers the address.
    Set,
    /// Matches an address that was remembered within so many seconds.
    Check {
        /// How long an address counts.
        seconds: u32,
    },
}

/// A condition on the packet. `not` inverts it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Match {
    Source {
        net: IpNet,
        not: bool,
    },
    Destination {
        net: IpNet,
        not: bool,
    },
    InInterface {
        name: String,
        not: bool,
    },
    OutInterface {
        name: String,
        not: bool,
    },
    Protocol(Protocol),
    DestinationPort(Protocol, u16),
    /// The destination is an address of this host.
    DestinationLocal,
    /// The source is an address of this host.
    SourceLocal,
    Mark {
        value: u32,
        not: bool,
    },
    State {
        states: Vec<CtState>,
        not: bool,
    },
    /// Matches one packet in `of`, at random.
    OneIn {
        of: u32,
    },
    Recent {
        list: String,
        action: RecentAction,
    },
}

/// Where a matching packet goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Target {
    Accept,
    Drop,
    Return,
    Reject,
    Jump(String),
    /// Sets the bits of the mark.
    OrMark(u32),
    /// Flips the bits of the mark.
    XorMark(u32),
    Masquerade {
        random_fully: bool,
    },
    Dnat(SocketAddr),
    /// Only counts; traversal goes on.
    Nothing,
}

/// One rule of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Shown by `iptables-save`; at most 255 bytes reach the kernel.
    pub comment: String,
    /// All must hold.
    pub matches: Vec<Match>,
    /// Where the packet goes then.
    pub target: Target,
}

impl Rule {
    /// Makes a rule that matches every packet.
    pub fn to(target: Target) -> Self {
        Rule { comment: String::new(), matches: Vec::new(), target }
    }

    /// Makes a rule that jumps to a chain.
    pub fn jump(chain: impl Into<String>) -> Self {
        Rule::to(Target::Jump(chain.into()))
    }

    /// Sets the comment.
    #[must_use]
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = comment.into();
        self
    }

    /// Adds a condition.
    #[must_use]
    pub fn when(mut self, condition: Match) -> Self {
        self.matches.push(condition);
        self
    }

    /// Adds several conditions.
    #[must_use]
    pub fn when_all(mut self, conditions: impl IntoIterator<Item = Match>) -> Self {
        self.matches.extend(conditions);
        self
    }

    /// Writes the rule's specification (all after `-A CHAIN`) as `iptables-restore` reads it.
    pub fn write_spec(&self, out: &mut String) {
        if !self.comment.is_empty() {
            out.push_str(" -m comment --comment \"");
            // The kernel holds 256 bytes with the terminating zero, and a quote would end the argument.
            let mut length = 0;
            for character in self.comment.chars() {
                length += character.len_utf8();
                if length > 255 {
                    break;
                }
                out.push(if character == '"' || character.is_control() { ' ' } else { character });
            }
            out.push('"');
        }
        for condition in &self.matches {
            // Writing into a String cannot fail.
            let _ = write!(out, " {condition}");
        }
        let _ = write!(out, "{}", self.target);
    }

    /// The rule's specification as program arguments.
    pub fn arguments(&self) -> Vec<String> {
        let mut spec = String::new();
        self.write_spec(&mut spec);
        split_quoted(&spec)
    }
}

/// Splits at blanks outside double quotes, and drops the quotes.
fn split_quoted(spec: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    for (index, part) in spec.split('"').enumerate() {
        if index % 2 == 1 {
            arguments.push(part.to_owned());
        } else {
            arguments.extend(part.split_ascii_whitespace().map(str::to_owned));
        }
    }
    arguments
}

fn negation(not: bool) -> &'static str {
    if not { "! " } else { "" }
}

impl Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Match::Source { net, not } => write!(f, "{}-s {net}", negation(*not)),
            Match::Destination { net, not } => write!(f, "{}-d {net}", negation(*not)),
            Match::InInterface { name, not } => write!(f, "{}-i {name}", negation(*not)),
            Match::OutInterface { name, not } => write!(f, "{}-o {name}", negation(*not)),
            Match::Protocol(protocol) => write!(f, "-p {0} -m {0}", protocol.name()),
            Match::DestinationPort(protocol, port) => {
                write!(f, "-p {0} -m {0} --dport {port}", protocol.name())
            }
            Match::DestinationLocal => f.write_str("-m addrtype --dst-type LOCAL"),
            Match::SourceLocal => f.write_str("-m addrtype --src-type LOCAL"),
            Match::Mark { value, not } => {
                write!(f, "-m mark {}--mark {value:#x}/{value:#x}", negation(*not))
            }
            Match::State { states, not } => {
                write!(f, "-m conntrack {}--ctstate ", negation(*not))?;
                for (index, state) in states.iter().enumerate() {
                    if index > 0 {
                        f.write_char(',')?;
                    }
                    f.write_str(state.name())?;
                }
                Ok(())
            }
            Match::OneIn { of } => {
                write!(f, "-m statistic --mode random --probability {:.10}", 1.0 / f64::from((*of).max(1)))
            }
            Match::Recent { list, action: RecentAction::Set } => {
                write!(f, "-m recent --name {list} --set")
            }
            Match::Recent { list, action: RecentAction::Check { seconds } } => {
                write!(f, "-m recent --name {list} --rcheck --seconds {seconds} --reap")
            }
        }
    }
}

impl Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Accept => f.write_str(" -j ACCEPT"),
            Target::Drop => f.write_str(" -j DROP"),
            Target::Return => f.write_str(" -j RETURN"),
            Target::Reject => f.write_str(" -j REJECT"),
            Target::Jump(chain) => write!(f, " -j {chain}"),
            Target::OrMark(value) => write!(f, " -j MARK --or-mark {value:#x}"),
            Target::XorMark(value) => write!(f, " -j MARK --xor-mark {value:#x}"),
            Target::Masquerade { random_fully: true } => f.write_str(" -j MASQUERADE --random-fully"),
            Target::Masquerade { random_fully: false } => f.write_str(" -j MASQUERADE"),
            Target::Dnat(to) => write!(f, " -j DNAT --to-destination {to}"),
            Target::Nothing => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: Rule, expected: &str) {
        let mut spec = String::new();
        rule.write_spec(&mut spec);
        assert_eq!(spec.trim_start(), expected);
    }

    #[test]
    fn spells_each_match_and_target() {
        check(
            Rule::to(Target::Dnat("172.16.1.2:80".parse().unwrap()))
                .comment("default/web")
                .when(Match::Protocol(Protocol::Tcp)),
            "-m comment --comment \"default/web\" -p tcp -m tcp -j DNAT --to-destination 172.16.1.2:80",
        );
        check(
            Rule::jump("KUBE-SEP-A").when(Match::OneIn { of: 3 }),
            "-m statistic --mode random --probability 0.3333333333 -j KUBE-SEP-A",
        );
        check(
            Rule::to(Target::Return).when(Match::Mark { value: 0x4000, not: true }),
            "-m mark ! --mark 0x4000/0x4000 -j RETURN",
        );
        check(
            Rule::to(Target::Drop)
                .when(Match::Source { net: "127.0.0.0/8".parse().unwrap(), not: true })
                .when(Match::State { states: vec![CtState::Related, CtState::Established], not: true }),
            "! -s 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP",
        );
        check(
            Rule::jump("X")
                .when(Match::Recent { list: "X".into(), action: RecentAction::Check { seconds: 10 } }),
            "-m recent --name X --rcheck --seconds 10 --reap -j X",
        );
        check(
            Rule::to(Target::Dnat("[fd00::1]:53".parse().unwrap())),
            "-j DNAT --to-destination [fd00::1]:53",
        );
    }

    #[test]
    fn a_comment_cannot_break_out_of_its_quotes() {
        check(
            Rule::to(Target::Accept).comment("a\" -j DROP\n"),
            "-m comment --comment \"a  -j DROP \" -j ACCEPT",
        );
        let long = Rule::to(Target::Nothing).comment("é".repeat(200)).arguments();
        assert_eq!(long[3].len(), 254);
    }

    #[test]
    fn arguments_keep_a_comment_whole() {
        assert_eq!(
            Rule::jump("KUBE-SERVICES").comment("kubernetes service portals").arguments(),
            ["-m", "comment", "--comment", "kubernetes service portals", "-j", "KUBE-SERVICES"]
        );
    }
}
