//! The functions of a program in the order of their use, so that those a process runs lie side by side in its file:
//! fewer of its pages are then resident, and fewer are looked up.
//!
//! An order is recorded once ([`record`]) and kept in the source tree; [`Order::of`] finds its functions again in a
//! program that another compiler or a later version of the source made, and [`link::link`] links it so. What is not found
//! changes nothing.

pub mod link;
pub mod record;

use std::{collections::HashMap, fmt};

use anyhow::Context as _;

/// What a file of an order says above its lines.
const HEADING: &str = "# Functions in the order of their use: a line is the 64-bit FNV-1a hash of a demangled name.\n\
                       # Written by `cargo xtask order`, followed by the linker of releases.\n";

/// Functions by the identities of their names, the most used first.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Order(Vec<u64>);

impl Order {
    /// Reads what [`Order`] is displayed as.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let identities =
            lines.map(|line| u64::from_str_radix(line, 16).with_context(|| format!("{line:?} is no hash")));
        identities.collect::<anyhow::Result<_>>().map(Self)
    }

    /// Those of a program's symbols that are in the order, in the order. Several of one name stay together.
    pub fn of<'a>(&self, symbols: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        let mut named: HashMap<u64, Vec<&str>> = HashMap::new();
        for symbol in symbols {
            named.entry(identity(symbol)).or_default().push(symbol);
        }
        self.0.iter().filter_map(|identity| named.remove(identity)).flatten().collect()
    }
}

impl fmt::Display for Order {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(HEADING)?;
        self.0.iter().try_for_each(|identity| writeln!(formatter, "{identity:016x}"))
    }
}

/// What stays the same of a symbol from build to build: its name with the types it was made for, but without the hashes
/// of crates and without the numbers that tell copies of it apart.
fn identity(symbol: &str) -> u64 {
    // Mangled by RFC 2603, a name has no dot but that of such a number.
    let symbol = match symbol.split_once('.') {
        Some((name, _)) if name.starts_with("_R") => name,
        _ => symbol,
    };
    fnv1a(format!("{:#}", rustc_demangle::demangle(symbol)).as_bytes())
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hash_as_fnv_1a_does() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_function_is_the_same_whoever_compiled_it() {
        let same = [
            // Hashes of crates.
            ("_RNvCs1234_7mycrate3foo", "_RNvCs5678_7mycrate3foo"),
            // Copies.
            ("_RNvCs1234_7mycrate3foo", "_RNvCs1234_7mycrate3foo.4711"),
            ("_RNvCs1234_7mycrate3foo", "_RNvCs1234_7mycrate3foo.llvm.987654321"),
            // The older mangling, which the standard library may come with.
            ("_ZN7mycrate3foo17h0123456789abcdefE", "_ZN7mycrate3foo17hfedcba9876543210E"),
        ];
        for (one, other) in same {
            assert_eq!(identity(one), identity(other), "{one} {other}");
        }
        let different = [
            ("_RNvCs1234_7mycrate3foo", "_RNvCs1234_7mycrate3bar"),
            // One function for two types.
            ("_RINvCs1234_7mycrate3foolE", "_RINvCs1234_7mycrate3foomE"),
            ("memcpy", "memmove"),
        ];
        for (one, other) in different {
            assert_ne!(identity(one), identity(other), "{one} {other}");
        }
    }

    #[test]
    fn symbols_come_in_the_order_and_strangers_not_at_all() {
        let order = Order(["b", "gone", "a"].map(identity).to_vec());
        assert_eq!(order.of(["a", "b", "new"]), ["b", "a"]);
        let copies = ["_RNvCs1_1m3foo.1", "memcpy", "_RNvCs1_1m3foo"];
        let order = Order([identity("_RNvCs2_1m3foo"), identity("memcpy")].to_vec());
        assert_eq!(order.of(copies), ["_RNvCs1_1m3foo.1", "_RNvCs1_1m3foo", "memcpy"]);
    }

    #[test]
    fn an_order_is_read_as_it_was_written() {
        let order = Order(vec![1, u64::MAX]);
        let text = order.to_string();
        assert!(text.ends_with("\n0000000000000001\nffffffffffffffff\n"), "{text}");
        assert_eq!(Order::parse(&text).unwrap(), order);
        assert!(Order::parse("main\n").unwrap_err().to_string().contains("\"main\" is no hash"));
    }
}
