//! Events as lines of a file that is turned over when it is large, or of standard output.

use std::fs::{self, File, OpenOptions};
use std::future::Future;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use parking_lot::Mutex;

use crate::auditor::Sinks;
use crate::batch::{Batching, Mode, Task, Write};
use crate::event::line;

/// How large a file becomes where nothing is said, in MiB.
const DEFAULT_SIZE: u64 = 100;

/// How events are written, as `--audit-log-format` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A line of JSON each.
    Json,
    /// A line of text each.
    Legacy,
}

/// When a file is turned over, and which old ones are kept.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rotation {
    /// `--audit-log-maxsize`, in MiB; 0 is 100.
    pub max_size: u64,
    /// `--audit-log-maxbackup`; 0 keeps all.
    pub max_backups: usize,
    /// `--audit-log-maxage`, in days; 0 keeps them for ever.
    pub max_age: u64,
    /// `--audit-log-compress`
    pub compress: bool,
}

/// A log of events.
pub struct LogFile {
    out: Mutex<Out>,
    format: Format,
}

enum Out {
    Stdout,
    File { path: PathBuf, file: File, size: u64, limit: u64, rotation: Rotation },
}

impl LogFile {
    /// Opens a log; `-` is standard output.
    pub fn open(path: &Path, format: Format, rotation: Rotation) -> io::Result<Arc<Self>> {
        let limit = match rotation.max_size {
            0 => DEFAULT_SIZE,
            size => size,
        };
        Self::open_with(path, format, rotation, limit << 20)
    }

    fn open_with(path: &Path, format: Format, rotation: Rotation, limit: u64) -> io::Result<Arc<Self>> {
        let out = if path == Path::new("-") {
            Out::Stdout
        } else {
            if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
                fs::create_dir_all(directory)?;
            }
            let file = open(path)?;
            let size = file.metadata()?.len();
            Out::File { path: path.to_owned(), file, size, limit, rotation }
        };
        Ok(Arc::new(Self { out: Mutex::new(out), format }))
    }

    /// Adds the log to the sinks; where events are gathered, the task that writes them is given back.
    pub fn add_to(self: Arc<Self>, sinks: &mut Sinks, mode: Mode, batching: Batching) -> Option<Task> {
        sinks.add(self, mode, batching)
    }

    fn put(&self, event: &[u8]) {
        let text = match self.format {
            Format::Json => line(event),
            Format::Legacy => legacy(event),
        };
        if let Err(error) = self.out.lock().put(&text) {
            tracing::error!(%error, "cannot write the audit log");
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

impl Out {
    fn put(&mut self, text: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => io::stdout().lock().write_all(text),
            Self::File { path, file, size, limit, rotation } => {
                if *size > 0 && *size + text.len() as u64 > *limit {
                    fs::rename(&*path, backup_name(path, Timestamp::now()))?;
                    *file = open(path)?;
                    *size = 0;
                    // Old files are packed and thrown away beside what goes on.
                    let (path, rotation) = (path.clone(), *rotation);
                    std::thread::spawn(move || {
                        if let Err(error) = clean(&path, rotation, SystemTime::now()) {
                            tracing::error!(%error, "cannot clean up after the audit log");
                        }
                    });
                }
                file.write_all(text)?;
                *size += text.len() as u64;
                Ok(())
            }
        }
    }
}

/// `audit-2026-11-21T12-00-00.000.log`
fn backup_name(path: &Path, now: Timestamp) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().map(|text| format!(".{}", text.to_string_lossy())).unwrap_or_default();
    let time = now.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H-%M-%S%.3f");
    path.with_file_name(format!("{stem}-{time}{extension}"))
}

/// The old files of a log, the newest first.
fn backups(path: &Path) -> io::Result<Vec<PathBuf>> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned() + "-";
    let extension = path.extension().map(|text| format!(".{}", text.to_string_lossy())).unwrap_or_default();
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    let mut found = Vec::new();
    for entry in fs::read_dir(directory.unwrap_or(Path::new(".")))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let bare = name.strip_suffix(".gz").unwrap_or(&name);
        let time = bare.strip_prefix(&stem).and_then(|rest| rest.strip_suffix(extension.as_str()));
        // 2026-11-21T12-00-00.000
        if time.is_some_and(|time| time.len() == 23 && time.as_bytes()[10] == b'T') {
            found.push(entry.path());
        }
    }
    found.sort();
    found.reverse();
    Ok(found)
}

fn clean(path: &Path, rotation: Rotation, now: SystemTime) -> io::Result<()> {
    for (index, old) in backups(path)?.into_iter().enumerate() {
        let age = fs::metadata(&old)?.modified().ok().and_then(|at| now.duration_since(at).ok());
        let too_old = rotation.max_age > 0
            && age.is_some_and(|age| age > Duration::from_secs(rotation.max_age * 24 * 3600));
        if too_old || rotation.max_backups > 0 && index >= rotation.max_backups {
            fs::remove_file(&old)?;
        } else if rotation.compress && old.extension().is_none_or(|extension| extension != "gz") {
            compress(&old)?;
        }
    }
    Ok(())
}

fn compress(path: &Path) -> io::Result<()> {
    let packed = PathBuf::from(format!("{}.gz", path.display()));
    let half = PathBuf::from(format!("{}.gz.tmp", path.display()));
    let out = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&half)?;
    let mut encoder = GzEncoder::new(out, Compression::default());
    io::copy(&mut File::open(path)?, &mut encoder)?;
    encoder.finish()?;
    fs::rename(&half, &packed)?;
    fs::remove_file(path)
}

/// A line of text, as upstream's `legacy` format.
fn legacy(event: &[u8]) -> Vec<u8> {
    let event: serde_json::Value = serde_json::from_slice(event).unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("<none>").to_owned();
    let user = |value: &serde_json::Value| -> (String, String) {
        let groups = value["groups"].as_array().map(|groups| {
            let groups: Vec<String> = groups.iter().map(|group| format!("{:?}", text(group))).collect();
            groups.join(",")
        });
        (text(&value["username"]), groups.unwrap_or_else(|| "<none>".to_owned()))
    };
    let ((name, groups), (as_user, as_groups)) = (user(&event["user"]), user(&event["impersonatedUser"]));
    let or_self = |text: String| if text == "<none>" { "<self>".to_owned() } else { text };
    let as_groups = if event["impersonatedUser"].is_null() { "<lookup>".to_owned() } else { as_groups };
    let code =
        event["responseStatus"]["code"].as_u64().map_or("<deferred>".to_owned(), |code| code.to_string());
    format!(
        "{} AUDIT: id={:?} stage={:?} ip={:?} method={:?} user={name:?} groups={groups:?} as={:?} asgroups={as_groups:?} user-agent={:?} namespace={:?} uri={:?} response=\"{code}\"\n",
        text(&event["requestReceivedTimestamp"]),
        text(&event["auditID"]),
        text(&event["stage"]),
        text(&event["sourceIPs"][0]),
        text(&event["verb"]),
        or_self(as_user),
        text(&event["userAgent"]),
        text(&event["objectRef"]["namespace"]),
        text(&event["requestURI"]),
    )
    .into_bytes()
}

impl Write for LogFile {
    fn name(&self) -> &'static str {
        "log"
    }

    fn write_now(&self, event: &Bytes) {
        self.put(event);
    }

    fn write(&self, events: Vec<Bytes>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        for event in events {
            self.put(&event);
        }
        Box::pin(std::future::ready(()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_large_file_is_turned_over_and_old_ones_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/audit.log");
        let log = LogFile::open_with(&path, Format::Json, Rotation::default(), 150).unwrap();
        let events = ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"];
        for event in events {
            log.put(event.as_bytes());
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let old = backups(&path).unwrap();
        assert_eq!(old.len(), 1);
        let kind = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","#;
        let both = format!("{kind}\"a\":1}}\n{kind}\"b\":2}}\n");
        assert_eq!(fs::read_to_string(&old[0]).unwrap(), both);
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{kind}\"c\":3}}\n"));
        for second in 1..4 {
            let at = Timestamp::from_second(second).unwrap();
            fs::write(backup_name(&path, at), "old").unwrap();
        }
        fs::write(folder.path().join("logs/audit-other.log"), "not ours").unwrap();
        let rotation = Rotation { max_backups: 2, compress: true, ..Rotation::default() };
        clean(&path, rotation, SystemTime::now()).unwrap();
        let left = backups(&path).unwrap();
        assert_eq!(left.len(), 2);
        assert!(left.iter().all(|path| path.extension().unwrap() == "gz"));
        assert!(folder.path().join("logs/audit-other.log").exists());
        let later = SystemTime::now() + Duration::from_secs(3 * 24 * 3600);
        clean(&path, Rotation { max_age: 2, ..rotation }, later).unwrap();
        assert!(backups(&path).unwrap().is_empty());
    }

    #[test]
    fn an_event_is_a_line_of_text() {
        let event = serde_json::json!({
            "auditID": "id", "stage": "ResponseComplete", "sourceIPs": ["1.2.3.4"], "verb": "get",
            "user": {"username": "jane", "groups": ["a", "b"]}, "userAgent": "kubectl",
            "objectRef": {"namespace": "shop"}, "requestURI": "/api", "responseStatus": {"code": 200},
            "requestReceivedTimestamp": "2026-11-21T12:00:00.000000Z",
        });
        assert_eq!(
            String::from_utf8(legacy(event.to_string().as_bytes())).unwrap(),
            "2026-11-21T12:00:00.000000Z AUDIT: id=\"id\" stage=\"ResponseComplete\" ip=\"1.2.3.4\" method=\"get\" user=\"jane\" groups=\"\\\"a\\\",\\\"b\\\"\" as=\"<self>\" asgroups=\"<lookup>\" user-agent=\"kubectl\" namespace=\"shop\" uri=\"/api\" response=\"200\"\n"
        );
    }
}
