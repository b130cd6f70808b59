//! Paths that may be read without asking who may: upstream's `--authorization-always-allow-paths`.

use std::str::FromStr;

/// One such path, or the beginning of many. The slash before it says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenPath {
    /// This path alone.
    Whole(String),
    /// Every path that begins so.
    Beginning(String),
}

impl FromStr for OpenPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = text.strip_prefix('/').unwrap_or(text);
        let (beginning, is_open_ended) = match path.strip_suffix('*') {
            Some(beginning) => (beginning, true),
            None => (path, false),
        };
        match (beginning.contains('*'), is_open_ended) {
            (true, _) => Err(format!("only trailing * allowed in {path:?}")),
            (false, true) => Ok(Self::Beginning(beginning.to_owned())),
            (false, false) => Ok(Self::Whole(beginning.to_owned())),
        }
    }
}

/// All such paths.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct OpenPaths {
    /// Paths that whoever is known or shows nothing may read unasked; a * at the end stands for all that follows
    #[arg(
        long = "authorization-always-allow-paths",
        value_delimiter = ',',
        default_values = ["/healthz", "/readyz", "/livez"],
        value_name = "PATHS"
    )]
    paths: Vec<OpenPath>,
}

impl OpenPaths {
    /// Whether a path may be read unasked.
    pub fn allow(&self, path: &str) -> bool {
        let path = path.strip_prefix('/').unwrap_or(path);
        self.paths.iter().any(|open| match open {
            OpenPath::Whole(whole) => path == whole,
            OpenPath::Beginning(beginning) => path.starts_with(beginning.as_str()),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::ReviewFlags;
    use super::*;

    #[derive(clap::Parser)]
    struct Flags {
        #[command(flatten)]
        review: ReviewFlags,
    }

    fn of(arguments: &[&str]) -> Result<OpenPaths, clap::Error> {
        let flags = Flags::try_parse_from(["component"].iter().chain(arguments))?;
        Ok(flags.review.open)
    }

    #[test]
    fn a_path_is_open_as_a_whole_or_by_its_beginning() {
        let flag = "--authorization-always-allow-paths";
        for (arguments, open, closed) in [
            (
                &[][..],
                &["/healthz", "/readyz", "/livez"][..],
                &["/healthz/ping", "/metrics", "/", "/Healthz"][..],
            ),
            (&[flag, "/metrics,version"], &["/metrics", "/version"], &["/healthz", "/metrics/slis"]),
            (&[flag, "/healthz*", flag, "/"], &["/healthz", "/healthz/ping", "/healthzy", "/"], &["/livez"]),
            (&[flag, "*"], &["/", "/metrics"], &[]),
        ] {
            let paths = of(arguments).unwrap();
            for path in open {
                assert!(paths.allow(path), "{arguments:?} {path}");
            }
            for path in closed {
                assert!(!paths.allow(path), "{arguments:?} {path}");
            }
        }
        let refused = of(&[flag, "/a*b"]).unwrap_err().to_string();
        assert!(refused.contains("only trailing * allowed in \"a*b\""), "{refused}");
    }
}
