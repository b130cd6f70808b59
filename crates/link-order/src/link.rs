//! What a linker does, and once more in the order of a program's functions.

use std::{
    ffi::{OsStr, OsString},
    fs,
    path::Path,
    process::{Command, ExitStatus},
};

use anyhow::{Context as _, ensure};

use crate::Order;

/// Programs that have an order, as the compiler names them.
const ORDERS: [(&str, &str); 1] = [("kube_apiserver", include_str!("../orders/kube-apiserver.txt"))];

/// Links as `cc` does with these arguments, and a program that has an order a second time, in that order.
pub fn link(arguments: &[OsString]) -> anyhow::Result<ExitStatus> {
    let linked = cc(arguments)?;
    match output(arguments).and_then(|output| Some((output, order(output)?))) {
        Some((output, order)) if linked.success() => again(arguments, output, &Order::parse(order)?),
        _ => Ok(linked),
    }
}

fn again(arguments: &[OsString], output: &OsStr, order: &Order) -> anyhow::Result<ExitStatus> {
    let symbols = symbols(output)?;
    let file = Path::new(output).with_extension("order");
    fs::write(&file, order.of(symbols.lines()).join("\n"))
        .with_context(|| format!("writing {}", file.display()))?;
    let mut following = OsString::from("-Wl,--symbol-ordering-file=");
    following.push(&file);
    cc(&[arguments, &[following, "-Wl,--no-warn-symbol-ordering".into()]].concat())
}

fn cc(arguments: &[OsString]) -> anyhow::Result<ExitStatus> {
    Command::new("cc").args(arguments).status().context("running cc")
}

/// The file that is linked.
fn output(arguments: &[OsString]) -> Option<&OsStr> {
    let flag = arguments.iter().position(|argument| argument == "-o")?;
    arguments.get(flag + 1).map(OsString::as_os_str)
}

/// The order of the program that a file is: the compiler writes a hash behind its name.
fn order(output: &OsStr) -> Option<&'static str> {
    let file = Path::new(output).file_name()?.to_str()?;
    let program = file.rsplit_once('-').map_or(file, |(program, _)| program);
    ORDERS.iter().find(|(name, _)| *name == program).map(|(_, order)| *order)
}

/// The names of a program's symbols, a line each.
fn symbols(program: &OsStr) -> anyhow::Result<String> {
    let named = Command::new("nm")
        .args(["--defined-only", "--format=just-symbols"])
        .arg(program)
        .output()
        .context("running nm")?;
    ensure!(
        named.status.success(),
        "nm: {}: {}",
        named.status,
        String::from_utf8_lossy(&named.stderr).trim()
    );
    String::from_utf8(named.stdout).context("symbols are not text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_what_is_linked() {
        let arguments = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(output(&arguments(&["a.o", "-o", "deps/a-12", "-pie"])), Some(OsStr::new("deps/a-12")));
        assert_eq!(output(&arguments(&["a.o", "-o"])), None);
        assert_eq!(output(&arguments(&["@arguments"])), None);
        assert!(order(OsStr::new("/target/release/deps/kube_apiserver-95b22588d29dff7b")).is_some());
        assert!(order(OsStr::new("/target/release/deps/kube_proxy-95b22588d29dff7b")).is_none());
    }

    #[test]
    fn functions_are_linked_in_their_order() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).into_os_string();
        fs::write(path("a.c"), "int one(void) { return 1; } int two(void) { return 2; } int main(void) { return one() - two(); }")
            .unwrap();
        let asked = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()))
            .args(["--print", "target-libdir"])
            .output()
            .unwrap();
        let libraries = String::from_utf8(asked.stdout).unwrap();
        let mut lld = OsString::from("-B");
        lld.push(Path::new(libraries.trim()).with_file_name("bin/gcc-ld"));
        let arguments =
            [path("a.c"), "-ffunction-sections".into(), "-fuse-ld=lld".into(), lld, "-o".into(), path("a")];
        assert!(link(&arguments).unwrap().success());
        let place = |name: &str| {
            let listed = Command::new("nm").arg("-n").arg(path("a")).output().unwrap();
            let listed = String::from_utf8(listed.stdout).unwrap();
            listed.lines().position(|line| line.ends_with(&format!(" T {name}"))).unwrap()
        };
        assert!(place("one") < place("two"), "a compiler's order has changed");
        let order = Order(["two", "one"].map(crate::identity).to_vec());
        assert!(again(&arguments, &path("a"), &order).unwrap().success());
        assert!(place("two") < place("one"));
        let missing = [path("b.c"), "-o".into(), path("b")];
        assert!(!link(&missing).unwrap().success());
    }

    #[test]
    fn every_order_can_be_read_and_holds_functions() {
        for (program, order) in ORDERS {
            let text = Order::parse(order).unwrap_or_else(|error| panic!("{program}: {error:#}")).to_string();
            assert!(text.lines().count() > 1000, "{program}");
        }
    }
}
