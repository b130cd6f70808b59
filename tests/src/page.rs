//! A document typed into a lab, line by line, and held to what it shows.

use std::{
    path::Path,
    process::Child,
    time::{Duration, Instant},
};

use crate::{
    Cluster, PATIENCE, Shell,
    docs::{Document, Step, Typed, agrees, document},
};

/// What is typed into the lab's shell as it stands.
const TYPED: [&str; 5] = ["kubectl", "curl", "openssl", "cat", "mkdir"];
/// The lab's own commands, which know which lab is meant.
const LAB: &str = "cargo xtask lab ";
/// What a reader lets run beside, in the shell's notation.
pub(crate) const BESIDE: &str = " &";

/// How a document's command line is held to the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// It is typed into a lab.
    Run,
    /// Building, testing or starting another lab: its program must know the words.
    Known,
}

/// Pages of which every line is typed on machines, whatever it is, by the chapter's test.
pub const ON_MACHINES: [&str; 4] = [
    "docs/how-to/install-on-machines.md",
    "docs/how-to/keep-a-cluster.md",
    "docs/tutorials/nfs.md",
    "docs/tutorials/the-hard-way.md",
];

/// Says how a line is checked; `None` where it names no program that a document may name.
pub fn check_of(typed: &Typed) -> Option<Check> {
    let command = unassigned(&typed.command);
    let first = command.split_whitespace().next()?;
    match first {
        _ if command.starts_with(LAB) || TYPED.contains(&first) => Some(Check::Run),
        "cargo" | "export" => Some(Check::Known),
        _ => None,
    }
}

/// A line without the assignment before its command: `EDITOR='…' kubectl edit` is kubectl's line.
fn unassigned(line: &str) -> &str {
    let name = line.len() - line.trim_start_matches(|c: char| c.is_ascii_uppercase()).len();
    let Some(value) = line[name..].strip_prefix('=').filter(|_| name > 0) else { return line };
    let end = match value.strip_prefix('\'') {
        Some(quoted) => quoted.find('\'').map(|at| at + 2),
        None => value.find(' '),
    };
    end.map_or(line, |end| value[end..].trim_start())
}

/// Walks a page of `docs/` as a reader would, with the bundled kubectl and with upstream's where there is one.
#[track_caller]
pub fn walk_with_both(cluster: &Cluster, page: &str) {
    let document = document(&workspace(), Path::new(page)).expect("the page can be read");
    for shell in [Some(cluster.shell()), cluster.upstream_shell()].into_iter().flatten() {
        println!("── {page} with {}", shell.which());
        let breaches = walk(cluster, &shell, &document);
        assert!(breaches.is_empty(), "{} prints something else:\n{}", shell.which(), breaches.join("\n"));
    }
}

/// Types every line of a document that belongs into a lab; returns those that printed something else.
pub fn walk(cluster: &Cluster, shell: &Shell<'_>, document: &Document) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut beside = Beside(Vec::new());
    for step in &document.steps {
        match step {
            Step::Save { name, text } => {
                if let Err(error) = cluster.file(name, text) {
                    breaches.push(format!("{}: {error:#}", document.path.display()));
                }
            }
            Step::Type(typed) if check_of(typed) == Some(Check::Run) => {
                if let Err(seen) = follow(cluster, shell, typed, &mut beside) {
                    let place = format!("{}:{}", document.path.display(), typed.line);
                    breaches.push(format!("{place}: $ {}\n{seen}", typed.command));
                }
            }
            // Machines are no labs.
            Step::Type(_) | Step::TypeOn { .. } => {}
        }
    }
    // The next document's reader begins with a cluster in which nothing was made.
    shell.until("kubectl get all -o name", |seen| seen.out == "service/kubernetes\n");
    breaches
}

/// Programs that run beside the reader, stopped when the page ends.
pub(crate) struct Beside(pub(crate) Vec<Child>);

impl Drop for Beside {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Types a line; one that only looks is typed until it shows what the document shows, as a reader would. Gives what it
/// showed instead, each time that it changed.
fn follow(cluster: &Cluster, shell: &Shell<'_>, typed: &Typed, beside: &mut Beside) -> Result<(), String> {
    let command = match typed.command.strip_prefix(LAB) {
        Some(rest) => {
            let topology = cluster.lab().topology();
            let (verb, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            format!("{} {verb} --name {} {rest}", topology.binaries.join("lab").display(), topology.name)
        }
        None => typed.command.clone(),
    };
    if let Some(command) = command.strip_suffix(BESIDE) {
        beside.0.push(shell.starts(command));
        return Ok(());
    }
    let refused = typed.shown.iter().any(|line| is_error(line));
    let shown: Vec<String> = typed.shown.iter().map(|line| shell.as_it_prints(line)).collect();
    let begun = Instant::now();
    let (mut last, mut changes) = (None, String::new());
    loop {
        let at = begun.elapsed();
        let seen = if command.contains(" -it ") {
            shell.types_at_terminal(&command, "")
        } else {
            // Errors stand where a terminal would show them.
            shell.types(&format!("{{ {command}\n}} 2>&1"))
        };
        let agreed = shown.is_empty() || agrees(&shown, &seen.out);
        if agreed && (seen.code != 0) == refused {
            println!("   $ {} ({:.1?})", typed.command, begun.elapsed());
            return Ok(());
        }
        if last.as_ref() != Some(&seen.out) {
            changes += &format!("after {at:.1?}, exit code {}:\n{}", seen.code, seen.out);
            last = Some(seen.out);
        }
        if !only_looks(&typed.command) || begun.elapsed() > PATIENCE {
            return Err(changes);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Whether a line says that its command failed.
pub fn is_error(line: &str) -> bool {
    const FAILURES: [&str; 6] = [
        "error",
        "command terminated with exit code",
        "the connection to the server ",
        "unable to connect to the server",
        "wget: ",
        "curl: ",
    ];
    let line = line.to_ascii_lowercase();
    // What may not be done, `kubectl auth can-i` says with its exit code too.
    line == "no"
        || FAILURES.iter().any(|start| line.starts_with(start))
        || (line.starts_with("the ") && line.contains(" is invalid"))
}

/// Whether a command changes nothing, so that it may be typed until it shows what is wanted.
pub fn only_looks(command: &str) -> bool {
    const LOOKS: [&str; 10] = [
        "kubectl get ",
        "kubectl describe ",
        "kubectl logs ",
        "kubectl exec ",
        "kubectl top ",
        "kubectl auth can-i",
        "kubectl rollout status",
        "cargo xtask lab status",
        "cargo xtask lab exec ",
        "curl ",
    ];
    LOOKS.iter().any(|look| command.starts_with(look))
}

/// Directory of the workspace.
pub fn workspace() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are a member of the workspace")
        .to_owned()
}
