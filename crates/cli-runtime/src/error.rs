//! Every way a command can end badly, and the words that upstream prints for it.

use serde_json::Value;

/// Result of a command's step.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a command stops.
#[derive(Debug, Clone)]
pub enum Error {
    /// The API server answered with a `Status`.
    Server {
        /// The answer.
        status: Box<Value>,
        /// What was being done to which file.
        context: Option<String>,
    },
    /// Nothing listens at the server's address.
    Refused(String),
    /// The server could not be reached for another reason.
    Unreachable(String),
    /// What was typed makes no sense; printed as `error: …`.
    Message(String),
    /// Printed as it is, without a prefix.
    Plain(String),
    /// Several independent failures.
    Many(Vec<Error>),
    /// End with this code; what there was to say has been said, or is the text.
    Exit(u8, String),
}

impl Error {
    /// An error of kubectl's own.
    pub fn message(text: impl Into<String>) -> Self {
        Self::Message(text.into())
    }

    /// What was typed does not fit the command: the message, then where to find help.
    pub fn usage(command: &str, text: impl AsRef<str>) -> Self {
        Self::Message(format!("{}\nSee '{command} -h' for help and examples", text.as_ref()))
    }

    /// An error answer of the API server.
    pub fn server(status: Value) -> Self {
        Self::Server { status: Box::new(status), context: None }
    }

    /// Says what was being done with which source, as `error when creating "pod.yaml"`.
    pub fn during(self, verb: &str, source: &str) -> Self {
        match self {
            Self::Server { status, context: None } if !source.is_empty() => {
                Self::Server { status, context: Some(format!("error when {verb} \"{source}\"")) }
            }
            other => other,
        }
    }

    /// One error out of several: nothing, the one, or all.
    pub fn all(mut errors: Vec<Error>) -> Result<()> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(Self::Many(errors)),
        }
    }

    /// The HTTP code of a server's answer; 0 for other errors.
    pub fn code(&self) -> u64 {
        match self {
            Self::Server { status, .. } => status["code"].as_u64().unwrap_or(0),
            _ => 0,
        }
    }

    /// The `reason` of a server's answer.
    pub fn reason(&self) -> &str {
        match self {
            Self::Server { status, .. } => status["reason"].as_str().unwrap_or(""),
            _ => "",
        }
    }

    /// What the server said, without upstream's words around it; other errors as they are.
    pub fn reported(&self) -> String {
        match self {
            Self::Server { status, .. } => status["message"].as_str().unwrap_or("unknown").to_string(),
            other => other.to_string(),
        }
    }

    /// Whether the server says that there is no such object.
    pub fn is_not_found(&self) -> bool {
        self.code() == 404 || self.reason() == "NotFound"
    }

    /// Whether the server says that the object changed in between.
    pub fn is_conflict(&self) -> bool {
        self.reason() == "Conflict"
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Exit(code, _) => *code,
            _ => 1,
        }
    }

    /// What goes to standard error.
    pub fn text(&self) -> String {
        match self {
            Self::Server { status, context } => status_text(status, context.as_deref()),
            Self::Refused(host) => format!(
                "The connection to the server {host} was refused - did you specify the right host or port?"
            ),
            Self::Unreachable(reason) => format!("Unable to connect to the server: {reason}"),
            Self::Message(text) if text.starts_with("error: ") => text.clone(),
            Self::Message(text) => format!("error: {text}"),
            Self::Plain(text) | Self::Exit(_, text) => text.clone(),
            // Of several, upstream prints its own errors without the word before them.
            Self::Many(errors) => {
                let text = |error: &Error| match error {
                    Self::Message(text) => text.trim_end().to_string(),
                    other => other.text().trim_end().to_string(),
                };
                errors.iter().map(text).collect::<Vec<_>>().join("\n")
            }
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Message(text) => formatter.write_str(text),
            other => formatter.write_str(other.text().trim_end()),
        }
    }
}

impl From<formats::Error> for Error {
    fn from(error: formats::Error) -> Self {
        Self::message(error.to_string())
    }
}

impl From<kustomize::Error> for Error {
    fn from(error: kustomize::Error) -> Self {
        match &error {
            kustomize::Error::Read { source, .. } => {
                Self::message(format!("{error}: {}", go_io_error(source)))
            }
            _ => Self::message(error.to_string()),
        }
    }
}

impl From<patch::PatchError> for Error {
    fn from(error: patch::PatchError) -> Self {
        Self::message(error.to_string())
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::message(go_io_error(&error))
    }
}

/// An operating system error in the words that Go uses for it.
pub fn go_io_error(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        std::io::ErrorKind::IsADirectory => "is a directory".into(),
        std::io::ErrorKind::AddrInUse => "address already in use".into(),
        _ => error.to_string(),
    }
}

fn status_text(status: &Value, context: Option<&str>) -> String {
    let message = status["message"].as_str().unwrap_or("unknown");
    let details = &status["details"];
    let kind = details["kind"].as_str().unwrap_or("");
    let name = details["name"].as_str().unwrap_or("");
    if status["reason"] == "Invalid" {
        let mut text = "The request is invalid".to_string();
        if details.is_null() {
            return format!("{text}: {message}");
        }
        let causes = details["causes"].as_array().map(Vec::as_slice).unwrap_or_default();
        if !kind.is_empty() || !name.is_empty() {
            text = format!("The {kind} \"{name}\" is invalid");
        } else if causes.is_empty() {
            text = format!("{text}: {message}");
        }
        let mut lines: Vec<String> = Vec::new();
        for cause in causes {
            let line = format!(
                "{}: {}",
                cause["field"].as_str().unwrap_or(""),
                cause["message"].as_str().unwrap_or("")
            );
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        return match lines.as_slice() {
            [] => text,
            [line] => format!("{text}: {line}"),
            _ => format!("{text}: \n* {}", lines.join("\n* ")),
        };
    }
    let message = match context {
        Some(context) => format!("{context}: {message}"),
        None => message.to_string(),
    };
    match status["reason"].as_str().unwrap_or("") {
        "Unauthorized" => format!("error: You must be logged in to the server ({message})"),
        "" => format!("Error from server: {message}"),
        reason => format!("Error from server ({reason}): {message}"),
    }
}
