//! The commands, files and references that the documents hold, found so that a test can hold the documents to them.

mod shown;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};

pub use shown::agrees;

/// A document of the project.
#[derive(Debug)]
pub struct Document {
    /// Where it is, from the workspace's directory.
    pub path: PathBuf,
    /// What a reader does, in order.
    pub steps: Vec<Step>,
    /// Code spans and link targets in the prose.
    pub references: Vec<Reference>,
}

/// Something that a reader does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Saves a file: a block whose first line is a comment with the file's name.
    Save {
        /// The file's name.
        name: String,
        /// What is in it.
        text: String,
    },
    /// Types a command line.
    Type(Typed),
    /// Types one as root of a machine, which the prompt names.
    TypeOn {
        /// The machine.
        machine: String,
        /// What is typed there.
        typed: Typed,
    },
}

/// A command line, and what the document says it prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typed {
    /// Line of the document, from 1.
    pub line: usize,
    /// The command, with its continuation lines.
    pub command: String,
    /// What is shown below it; empty where nothing is.
    pub shown: Vec<String>,
}

/// Something in the prose that must exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Line of the document, from 1.
    pub line: usize,
    /// What is named.
    pub what: Named,
}

/// What a reference names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// Text between backticks.
    Code(String),
    /// The target of a link.
    Link(String),
}

/// Languages of blocks that nobody types.
const NOT_TYPED: [&str; 5] = ["text", "rust", "toml", "json", "yaml"];

/// Reads README.md and everything below docs/.
pub fn documents(root: &Path) -> anyhow::Result<Vec<Document>> {
    let mut paths = vec![root.join("README.md")];
    markdown_below(&root.join("docs"), &mut paths)?;
    paths.into_iter().map(|path| document(root, path.strip_prefix(root).unwrap_or(&path))).collect()
}

/// Reads one document, which is named from the workspace's directory.
pub fn document(root: &Path, path: &Path) -> anyhow::Result<Document> {
    let text = fs::read_to_string(root.join(path)).with_context(|| path.display().to_string())?;
    let (steps, references) = read(&text).with_context(|| path.display().to_string())?;
    Ok(Document { path: path.to_owned(), steps, references })
}

fn markdown_below(directory: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let mut entries: Vec<PathBuf> = fs::read_dir(directory)?.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            markdown_below(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    Ok(())
}

/// Takes a document apart. A block that a reader cannot place, one without a language or by indentation, is an error:
/// it would be neither executed nor checked.
fn read(text: &str) -> anyhow::Result<(Vec<Step>, Vec<Reference>)> {
    let (mut steps, mut references) = (Vec::new(), Vec::new());
    let lines: Vec<&str> = text.lines().collect();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let number = at + 1;
        at += 1;
        let Some(language) = line.trim_start().strip_prefix("```") else {
            let after_blank = at < 2 || lines[at - 2].trim().is_empty();
            ensure!(
                !(after_blank && line.starts_with("    ")),
                "line {number}: a block by indentation; fence it with its language"
            );
            references.extend(references_of(line).map(|what| Reference { line: number, what }));
            continue;
        };
        let length = lines[at..]
            .iter()
            .position(|line| line.trim_start().starts_with("```"))
            .with_context(|| format!("line {number}: a fence without an end"))?;
        // A block within a list stands as far in as its fence.
        let indent = &line[..line.len() - line.trim_start().len()];
        let block: Vec<&str> = lines[at..at + length]
            .iter()
            .map(|line| line.strip_prefix(indent).unwrap_or(line.trim_start()))
            .collect();
        let block = block.as_slice();
        at += length + 1;
        match language {
            "console" => steps.extend(transcript(number, block)?),
            "sh" => steps.extend(commands(number, block)),
            _ if NOT_TYPED.contains(&language) => {
                ensure!(
                    !block.iter().any(|line| line.starts_with("$ ")),
                    "line {number}: a transcript is fenced as console"
                );
                steps.extend(file(block));
            }
            _ => anyhow::bail!(
                "line {number}: fence of language {language:?}; use console, sh or one of {NOT_TYPED:?}"
            ),
        }
    }
    Ok((steps, references))
}

/// Lines after `$ ` or a machine's prompt are typed, `> ` continues them, the rest is shown.
fn transcript(fence: usize, block: &[&str]) -> anyhow::Result<Vec<Step>> {
    let mut typed: Vec<(Option<&str>, Typed)> = Vec::new();
    for (offset, line) in block.iter().enumerate() {
        let command = line.strip_prefix("$ ").map(|command| (None, command));
        if let Some((machine, command)) = command.or_else(|| on_machine(line)) {
            let one = Typed { line: fence + 1 + offset, command: command.into(), shown: Vec::new() };
            typed.push((machine, one));
            continue;
        }
        let (_, last) =
            typed.last_mut().with_context(|| format!("line {fence}: a transcript begins with `$ `"))?;
        match line.strip_prefix("> ") {
            Some(more) if last.shown.is_empty() => last.command.extend(["\n", more]),
            _ => last.shown.push((*line).into()),
        }
    }
    for (_, one) in &mut typed {
        while one.shown.last().is_some_and(|line| line.trim().is_empty()) {
            one.shown.pop();
        }
    }
    let step = |(machine, typed): (Option<&str>, Typed)| match machine {
        Some(machine) => Step::TypeOn { machine: machine.into(), typed },
        None => Step::Type(typed),
    };
    Ok(typed.into_iter().map(step).collect())
}

/// `m-k8s# command`: the prompt of a machine's root.
fn on_machine(line: &str) -> Option<(Option<&str>, &str)> {
    let (machine, command) = line.split_once("# ")?;
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (!machine.is_empty() && machine.bytes().all(is_name)).then_some((Some(machine), command))
}

/// Every line is typed; comments and blank lines are not, a backslash continues.
fn commands(fence: usize, block: &[&str]) -> Vec<Step> {
    let mut typed: Vec<Typed> = Vec::new();
    for (offset, line) in block.iter().enumerate() {
        match typed.last_mut() {
            Some(last) if last.command.ends_with('\\') => last.command.extend(["\n", line]),
            _ if line.trim().is_empty() || line.trim_start().starts_with('#') => {}
            _ => typed.push(Typed { line: fence + 1 + offset, command: (*line).into(), shown: Vec::new() }),
        }
    }
    typed.into_iter().map(Step::Type).collect()
}

/// A block that begins with a comment naming a file is that file.
fn file(block: &[&str]) -> Option<Step> {
    let name = block.first()?.strip_prefix("# ")?;
    let is_name = name.contains('.') && !name.contains(char::is_whitespace);
    is_name.then(|| Step::Save { name: name.into(), text: block.join("\n") + "\n" })
}

fn references_of(line: &str) -> impl Iterator<Item = Named> + '_ {
    // Between backticks is every second piece.
    let code = line.split('`').skip(1).step_by(2).map(|span| Named::Code(span.into()));
    let links = line.match_indices("](").filter_map(|(at, _)| {
        let target = line[at + 2..].split(')').next()?;
        Some(Named::Link(target.into()))
    });
    code.chain(links)
}

#[cfg(test)]
mod tests;
