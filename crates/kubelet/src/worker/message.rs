//! What a container left to say when it ended.

use std::path::Path;

use crate::{
    observed::{Observed, ObservedContainer, State},
    pod::PodRef,
    server::logs::parse,
    settings::Settings,
    volume::blocking,
};

/// The most that is kept of a message.
const MAX: u64 = 4096;
/// The most that is kept of a log in place of a message.
const MAX_LOG_LINES: usize = 80;
const MAX_LOG_BYTES: usize = 2048;

/// Reads the messages of containers that have ended since `known`.
pub(super) async fn read(observed: &mut Observed, known: &Observed, settings: &Settings, names: &PodRef) {
    for container in &mut observed.containers {
        let settled = known.containers.iter().any(|old| old.id == container.id && old.state == State::Exited);
        if container.state != State::Exited || settled {
            continue;
        }
        let of = container.clone();
        let log_dir = settings.log_dir(names);
        let read = blocking(move || Ok(message(&of, &log_dir)));
        match read.await {
            Ok(Some(message)) => container.message = message,
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "cannot read a termination message"),
        }
    }
}

fn message(container: &ObservedContainer, log_dir: &Path) -> Option<String> {
    let file = container.message_file.as_deref().and_then(|path| head(Path::new(path)));
    if let Some(text) = file.filter(|text| !text.is_empty()) {
        return Some(text);
    }
    if container.message_policy != "FallbackToLogsOnError" || container.exit_code == 0 {
        return None;
    }
    let path = if container.log_path.is_empty() { return None } else { Path::new(&container.log_path) };
    let path = if path.is_absolute() { path.to_owned() } else { log_dir.join(path) };
    let log = tail(&path)?;
    (!log.is_empty()).then_some(log)
}

fn head(path: &Path) -> Option<String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(MAX).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The last lines of a log, without their stamps.
fn tail(path: &Path) -> Option<String> {
    use std::io::{Read, Seek, SeekFrom};
    // Each line carries a stamp of about 45 bytes.
    const WINDOW: u64 = (MAX_LOG_BYTES + MAX_LOG_LINES * 64) as u64;
    let mut file = std::fs::File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(WINDOW))).ok()?;
    let mut bytes = Vec::new();
    file.take(WINDOW).read_to_end(&mut bytes).ok()?;
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let mut text = Vec::new();
    for line in &lines[lines.len().saturating_sub(MAX_LOG_LINES)..] {
        if let Some(entry) = parse(line) {
            text.extend_from_slice(entry.content);
        }
    }
    let kept = &text[text.len().saturating_sub(MAX_LOG_BYTES)..];
    Some(String::from_utf8_lossy(kept).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_of_a_log_lose_their_stamps() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut text = String::new();
        for line in 0..100 {
            text.push_str(&format!("2026-01-01T00:00:00.000000000Z stderr F line {line}\n"));
        }
        std::fs::write(file.path(), text).unwrap();
        let tail = tail(file.path()).unwrap();
        assert!(tail.starts_with("line 20\n") && tail.ends_with("line 99\n"), "{tail}");
    }
}
