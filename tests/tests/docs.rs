//! Documents say what is so: every command line in them is typed into a lab or known to the program that it names,
//! every path and link leads somewhere.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, process::Command};

use cluster_tests::{
    Cluster,
    docs::{Document, Named, Step, Typed, documents},
    page::{Check, ON_MACHINES, check_of, walk, workspace},
};

fn all_typed(document: &Document) -> impl Iterator<Item = &Typed> {
    document.steps.iter().filter_map(|step| match step {
        Step::Type(typed) => Some(typed),
        // Who types these is an operator, on machines of their own.
        Step::Save { .. } | Step::TypeOn { .. } => None,
    })
}

#[test]
fn transcripts_print_what_documents_show() {
    let documents = documents(&workspace()).unwrap();
    let cluster = Cluster::start("docs", 1).unwrap();
    let shell = cluster.shell();
    let mut breaches = Vec::new();
    for document in documents.iter().filter(|document| !is_chapter(document)) {
        println!("── {}", document.path.display());
        breaches.extend(walk(&cluster, &shell, document));
    }
    assert!(breaches.is_empty(), "these print something else:\n{}", breaches.join("\n"));
    cluster.end().unwrap();
}

/// A chapter's page is walked by the chapter's own test, in a lab or on machines of its own.
fn is_chapter(document: &Document) -> bool {
    let tests = workspace().join("tests/tests");
    let name = document.path.file_stem().unwrap_or_default();
    let own = document.path.starts_with("docs/tutorials") && tests.join(name).with_extension("rs").exists();
    own || ON_MACHINES.iter().any(|page| document.path.ends_with(page))
}

#[test]
fn everything_that_documents_name_is_there() {
    let programs = Programs::default();
    let mut breaches = Vec::new();
    for document in documents(&workspace()).unwrap() {
        let at = |line: usize, why: String| format!("{}:{line}: {why}", document.path.display());
        // Every line of these is typed by their own tests, whatever it is.
        let on_machines = ON_MACHINES.iter().any(|page| document.path.ends_with(page));
        for typed in all_typed(&document).filter(|_| !on_machines) {
            let known = match check_of(typed) {
                // The other test types it.
                Some(Check::Run) => Ok(()),
                Some(Check::Known) => programs.know(&typed.command),
                None => Err("neither typed into a lab nor known to a program of this workspace".into()),
            };
            breaches.extend(known.err().map(|why| at(typed.line, format!("{}: {why}", typed.command))));
        }
        for reference in &document.references {
            let why = match &reference.what {
                Named::Link(target) => link(&document, target),
                Named::Code(span) => path(span).and_then(|()| programs.know(span)),
            };
            breaches.extend(why.err().map(|why| at(reference.line, why)));
        }
    }
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
}

fn link(document: &Document, target: &str) -> Result<(), String> {
    let file = target.split('#').next().unwrap();
    let directory = workspace().join(&document.path).parent().unwrap().to_owned();
    if target.starts_with("https://") || directory.join(file).exists() {
        return Ok(());
    }
    Err(format!("{target} is not there"))
}

/// A code span that begins like a path of the workspace is one.
fn path(span: &str) -> Result<(), String> {
    let is_path = ["crates/", "docs/", "deploy/", "proto/", "tests/", "vagrant/"]
        .iter()
        .any(|start| span.starts_with(start))
        && !span.contains(['<', '*', ' ']);
    if !is_path || workspace().join(span.split('#').next().unwrap()).exists() {
        return Ok(());
    }
    Err(format!("{span} is not there"))
}

/// The help of programs, asked for once.
#[derive(Default)]
struct Programs {
    help: std::cell::RefCell<BTreeMap<Vec<String>, Option<String>>>,
}

impl Programs {
    /// Whether the program that a command line names knows its words. Other texts are fine.
    fn know(&self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().take_while(|word| *word != "--").collect();
        match &words[..] {
            ["cargo", "xtask"] => Ok(()),
            ["cargo", "xtask", task, rest @ ..] => self.knows_task(task, rest),
            // Clippy takes what `check` takes, and says only so.
            ["cargo", "clippy", rest @ ..] => self.knows_flags(&["cargo", "check"], rest),
            ["cargo", command, rest @ ..] => self.knows_flags(&["cargo", command], rest),
            ["kubectl", command, rest @ ..] if command.starts_with(|c: char| c.is_ascii_lowercase()) => {
                self.knows_flags(&["kubectl", command], rest)
            }
            _ => Ok(()),
        }
    }

    fn knows_task(&self, task: &str, rest: &[&str]) -> Result<(), String> {
        self.knows_flags(&["xtask", task], &[])?;
        match (task, rest) {
            // What these take is passed on.
            ("up" | "down", _) => self.knows_flags(&["lab", task], rest),
            ("lab", [verb, rest @ ..]) => self.knows_flags(&["lab", verb], rest),
            ("bench", _) => {
                let help = self.help(&["bench"]).unwrap_or_default();
                let which = rest.iter().find(|word| !word.starts_with('-'));
                let unknown = which.filter(|which| !help.contains(**which));
                unknown.map_or(Ok(()), |which| Err(format!("bench does not know {which}")))?;
                self.knows_flags(&["bench"], rest)
            }
            ("test", _) => self.knows_flags(&["cargo", "test"], rest),
            _ => self.knows_flags(&["xtask", task], rest),
        }
    }

    fn knows_flags(&self, program: &[&str], rest: &[&str]) -> Result<(), String> {
        let help = self.help(program).ok_or_else(|| format!("there is no `{}`", program.join(" ")))?;
        for (at, word) in rest.iter().enumerate() {
            if matches!(*word, "-p" | "--package") {
                let package = rest.get(at + 1).copied().unwrap_or("");
                let there = workspace().join("crates").join(package).is_dir() || package == "cluster-tests";
                there.then_some(()).ok_or_else(|| format!("there is no package {package}"))?;
            }
            let flag = word.split('=').next().unwrap();
            // A short flag may have its value behind it: `-n1`, `-ojson`.
            let flag = if flag.starts_with("--") { flag } else { flag.get(..2).unwrap_or(flag) };
            let known = help
                .split(|c: char| c.is_whitespace() || [',', '=', '[', ']'].contains(&c))
                .any(|known| known == flag);
            // Every kubectl command takes the options of `kubectl options`.
            let global = || self.help(&["kubectl", "options"]).is_some_and(|options| options.contains(flag));
            if flag.len() > 1 && flag.starts_with('-') && !known && !(program[0] == "kubectl" && global()) {
                return Err(format!("`{}` has no flag {flag}", program.join(" ")));
            }
        }
        Ok(())
    }

    /// What `--help` prints; `None` when the program does not know its words.
    fn help(&self, program: &[&str]) -> Option<String> {
        let key = program.iter().map(|word| (*word).to_owned()).collect();
        let ask = || {
            let own = cluster_tests::binaries().unwrap().join(program[0]);
            let first = if own.is_file() { own } else { program[0].into() };
            let output = Command::new(first)
                .args(&program[1..])
                .arg("--help")
                .current_dir(workspace())
                .output()
                .ok()?;
            let known = output.status.success();
            known.then(|| String::from_utf8_lossy(&output.stdout).into_owned())
        };
        self.help.borrow_mut().entry(key).or_insert_with(ask).clone()
    }
}
