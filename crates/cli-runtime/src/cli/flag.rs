//! A flag as a row of a table, and the groups of flags that many commands share.

/// How a flag's value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `--flag`, `--flag=false`.
    Bool,
    /// Any text.
    Text,
    /// A whole number.
    Int,
    /// A Go duration (`1m30s`), or a bare number of seconds where upstream allows it.
    Duration,
    /// Comma-separated, and may be repeated.
    List,
    /// May be repeated; commas belong to the value.
    Array,
}

/// A flag: its names, how it is read, its default and its help.
#[derive(Debug)]
pub struct Flag {
    /// Long name, without dashes.
    pub name: &'static str,
    /// One-letter name.
    pub short: Option<char>,
    /// How the value is read.
    pub kind: Kind,
    /// The value when it is not given.
    pub default: &'static str,
    /// The value when it is given without one (`--dry-run`).
    pub bare: Option<&'static str>,
    /// What help says.
    pub help: &'static str,
}

impl Flag {
    const fn new(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Self {
        Flag { name, short: None, kind, default, bare: None, help }
    }
    /// A flag that is off unless given.
    pub const fn switch(name: &'static str, help: &'static str) -> Self {
        Self::bool(name, "false", help)
    }
    /// A flag that is true or false.
    pub const fn bool(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Flag { bare: Some("true"), ..Self::new(name, Kind::Bool, default, help) }
    }
    /// A text flag.
    pub const fn text(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Text, default, help)
    }
    /// A number flag.
    pub const fn int(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Int, default, help)
    }
    /// A duration flag.
    pub const fn duration(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Duration, default, help)
    }
    /// A comma-separated, repeatable flag.
    pub const fn list(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::List, "", help)
    }
    /// A repeatable flag whose values are taken whole.
    pub const fn array(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Array, "", help)
    }
    /// The name of a command as the owner of the fields that it sets.
    pub const fn manager(name: &'static str) -> Self {
        Self::text("field-manager", name, "Name under which the server records these fields' owner.")
    }
    /// Gives it a one-letter name.
    pub const fn short(self, short: char) -> Self {
        Flag { short: Some(short), ..self }
    }
    /// Lets it stand without a value.
    pub const fn bare(self, value: &'static str) -> Self {
        Flag { bare: Some(value), ..self }
    }
}

/// Which objects a file names.
pub const FILES: &[Flag] = &[
    Flag::list("filename", "File, directory or URL that names the objects; '-' reads standard input.")
        .short('f'),
    Flag::text("kustomize", "", "Directory with a kustomization; not together with -f or -R.").short('k'),
    Flag::switch("recursive", "Descend into the directories given with -f.").short('R'),
];

/// How an object is printed.
pub const PRINT: &[Flag] = &[
    Flag::text("output", "", "Output format. One of: (json, yaml, name, go-template, go-template-file, template, templatefile, jsonpath, jsonpath-as-json, jsonpath-file).").short('o'),
    Flag::bool("allow-missing-template-keys", "true", "Print nothing, instead of failing, where a template names a field that is not there."),
    Flag::switch("show-managed-fields", "Keep metadata.managedFields in JSON and YAML output."),
    Flag::text("template", "", "Template, or the file it is in, for -o=go-template and -o=go-template-file."),
];

/// Whether anything is really changed.
pub const DRY_RUN: &[Flag] = &[Flag::text(
    "dry-run",
    "none",
    "One of \"none\", \"server\" or \"client\": with client nothing is sent, with server the request is sent but not stored.",
)
.bare("unchanged")];

/// How strictly the server checks fields it does not know.
pub const VALIDATE: &[Flag] = &[Flag::text(
    "validate",
    "strict",
    "One of strict (or true), warn, ignore (or false): what the server does about unknown or duplicate fields.",
)
.bare("strict")];

/// Keeps the configuration for a later apply.
pub const SAVE_CONFIG: &[Flag] = &[Flag::switch(
    "save-config",
    "Record the configuration in the object's annotation, for a later 'kubectl apply'.",
)];

/// Which objects a label query picks.
pub const SELECTOR: &[Flag] = &[Flag::text(
    "selector",
    "",
    "Label query: '=', '==', '!=', 'in', 'notin'; several requirements are joined by commas and must all hold.",
)
.short('l')];

/// Which objects a field query picks.
pub const FIELD_SELECTOR: &[Flag] = &[Flag::text(
    "field-selector",
    "",
    "Field query: '=', '==' and '!='; the server knows a few fields for each type.",
)];

/// Looks in every namespace.
pub const ALL_NAMESPACES: &[Flag] =
    &[Flag::switch("all-namespaces", "Look in every namespace, whatever --namespace says.").short('A')];

/// Acts on every object of the type.
pub const ALL: &[Flag] = &[Flag::switch("all", "Act on every object of the given types in the namespace.")];

/// Changes the given file's object only.
pub const LOCAL: &[Flag] =
    &[Flag::switch("local", "Change the given objects only, without asking the server.")];

/// How many objects a list request returns at once.
pub const CHUNK_SIZE: &[Flag] = &[Flag::int(
    "chunk-size",
    "500",
    "Fetch long lists in pieces of this many objects; 0 fetches all at once.",
)];

/// How objects are removed.
pub const DELETE: &[Flag] = &[
    Flag::text(
        "cascade",
        "background",
        "One of \"background\", \"orphan\", \"foreground\": what happens to dependents.",
    )
    .bare("background"),
    Flag::switch("force", "Remove the object at once, without waiting for a graceful end."),
    Flag::int("grace-period", "-1", "Seconds given to the object to end; negative means its own default."),
    Flag::duration(
        "timeout",
        "0s",
        "How long to wait for the deletion; zero means as long as the object says.",
    ),
];

/// Checks an object's version before a change.
pub const RESOURCE_VERSION: &[Flag] = &[Flag::text(
    "resource-version",
    "",
    "Only act if the object still has this version; a single object only.",
)];

/// How long to wait for a pod to run.
pub const POD_RUNNING_TIMEOUT: &[Flag] =
    &[Flag::duration("pod-running-timeout", "1m0s", "How long to wait for at least one pod to run.")];

/// Which part of an object is meant.
pub const SUBRESOURCE: &[Flag] =
    &[Flag::text("subresource", "", "Act on this subresource of the object, such as status or scale.")];
