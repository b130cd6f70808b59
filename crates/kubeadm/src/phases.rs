//! The phases of a command: which there are, and which of them a run takes.

use anyhow::bail;

/// A phase: its name, and the names of its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Its parts; none for a phase that is one thing.
    pub parts: &'static [&'static str],
}

/// What a run takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Everything but these: phases, or `phase/part`.
    Without(Vec<String>),
    /// One phase, or one part of it.
    Only(String, Option<String>),
}

impl Selection {
    /// Checks names against what there is.
    pub fn check(&self, phases: &[Phase]) -> anyhow::Result<()> {
        let known = |name: &str| {
            let (phase, part) =
                name.split_once('/').map_or((name, None), |(phase, part)| (phase, Some(part)));
            phases
                .iter()
                .find(|one| one.name == phase)
                .is_some_and(|one| part.is_none_or(|part| part == "all" || one.parts.contains(&part)))
        };
        let names = match self {
            Self::Without(names) => names.clone(),
            Self::Only(phase, None) => vec![phase.clone()],
            Self::Only(phase, Some(part)) => vec![format!("{phase}/{part}")],
        };
        match names.iter().find(|name| !known(name)) {
            Some(unknown) => bail!("invalid phase name: {unknown}"),
            None => Ok(()),
        }
    }

    /// Whether a phase runs, at least a part of it.
    pub fn takes(&self, phase: &str) -> bool {
        match self {
            Self::Without(names) => {
                !names.iter().any(|name| name == phase || *name == format!("{phase}/all"))
            }
            Self::Only(only, _) => only == phase,
        }
    }

    /// Whether a part of a phase runs.
    pub fn takes_part(&self, phase: &str, part: &str) -> bool {
        self.takes(phase)
            && match self {
                Self::Without(names) => !names.contains(&format!("{phase}/{part}")),
                Self::Only(_, only) => only.as_deref().is_none_or(|only| only == "all" || only == part),
            }
    }

    /// Whether the whole command runs, and not one phase of it.
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Without(_))
    }
}

/// Lists phases for a command's help.
pub fn help(command: &str, phases: &[Phase]) -> String {
    let mut text = format!("The \"{command}\" command executes the following phases:\n");
    for phase in phases {
        text.push_str(&format!("  {:<20} {}\n", phase.name, phase.about));
        for part in phase.parts {
            text.push_str(&format!("    /{part}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHASES: &[Phase] = &[
        Phase { name: "certs", about: "", parts: &["ca", "apiserver"] },
        Phase { name: "upload-certs", about: "", parts: &[] },
    ];

    #[test]
    fn phases_and_their_parts_are_left_out_or_run_alone() {
        let without = Selection::Without(vec!["certs/ca".into(), "upload-certs".into()]);
        without.check(PHASES).unwrap();
        assert!(without.takes("certs") && !without.takes("upload-certs"));
        assert!(without.takes_part("certs", "apiserver") && !without.takes_part("certs", "ca"));
        let only = Selection::Only("certs".into(), Some("ca".into()));
        assert!(
            only.takes_part("certs", "ca")
                && !only.takes_part("certs", "apiserver")
                && !only.takes("upload-certs")
        );
        let all = Selection::Only("certs".into(), Some("all".into()));
        assert!(all.takes_part("certs", "ca") && all.takes_part("certs", "apiserver"));
        assert!(Selection::Without(vec!["cert".into()]).check(PHASES).is_err());
        assert!(Selection::Only("certs".into(), Some("x".into())).check(PHASES).is_err());
    }
}
