//! Container logs in the runtime's format: `time stream tag content`, the tag F for a whole line and P for a part.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{Body, query::Query, text, typed};
use crate::{
    kubelet::Kubelet,
    listen::{self, Listener},
    observed::State,
    pods::PodState,
};

/// Chunks of a log on their way to a slow reader.
const CHUNKS: usize = 8;
/// The size of one read.
const READ: usize = 32 << 10;
/// A line longer than this is passed on as it is.
const MAX_LINE: usize = 1 << 20;
/// How often a followed log is looked at even when nothing was heard of it.
const LOOK: Duration = Duration::from_secs(1);

/// One entry of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// When it was written.
    pub time: Timestamp,
    /// The time as the log has it.
    pub stamp: &'a str,
    /// `stdout` or `stderr`.
    pub stream: &'a str,
    /// What was written; with its line end when the entry completes a line.
    pub content: &'a [u8],
    /// Whether the line goes on in the next entry.
    pub partial: bool,
}

/// Reads one line of a log; none when it is not whole or not an entry.
pub fn parse(line: &[u8]) -> Option<Entry<'_>> {
    let body = line.strip_suffix(b"\n")?;
    let mut parts = body.splitn(4, |byte| *byte == b' ');
    let stamp = std::str::from_utf8(parts.next()?).ok()?;
    let stream = std::str::from_utf8(parts.next()?).ok()?;
    let tags = parts.next()?;
    let content = parts.next().unwrap_or_default();
    let time = stamp.parse().ok()?;
    if !matches!(stream, "stdout" | "stderr") {
        return None;
    }
    let partial = tags.split(|byte| *byte == b':').next() == Some(b"P");
    // The content lies in the line, and so does the line end after it.
    let content = if partial { content } else { &line[line.len() - content.len() - 1..] };
    Some(Entry { time, stamp, stream, content, partial })
}

/// What of a log is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Options {
    follow: bool,
    tail: Option<usize>,
    since: Option<Timestamp>,
    timestamps: bool,
    limit: Option<usize>,
    previous: bool,
    stream: Option<&'static str>,
}

impl Options {
    /// Reads the options; an error is for the one who asked.
    fn parse(query: &Query, now: Timestamp) -> Result<Self, String> {
        let number = |key: &str| match query.get(key) {
            None => Ok(None),
            Some(text) => text.parse::<i64>().map(Some).map_err(|_| format!("invalid {key}: {text:?}")),
        };
        let whole = |key: &str, least: i64| match number(key)? {
            Some(value) if value < least => {
                Err(format!("invalid {key}: must be greater than or equal to {least}"))
            }
            value => Ok(value.and_then(|value| usize::try_from(value).ok())),
        };
        let since = match (number("sinceSeconds")?, query.get("sinceTime")) {
            (Some(_), Some(_)) => {
                return Err("at most one of sinceTime or sinceSeconds may be specified".into());
            }
            (Some(seconds), None) if seconds < 1 => return Err("sinceSeconds must be greater than 0".into()),
            (Some(seconds), None) => now.checked_sub(SignedDuration::from_secs(seconds)).ok(),
            (None, Some(text)) => Some(text.parse().map_err(|_| format!("invalid sinceTime: {text:?}"))?),
            (None, None) => None,
        };
        Ok(Self {
            follow: query.is("follow"),
            tail: whole("tailLines", 0)?,
            since,
            timestamps: query.is("timestamps"),
            limit: whole("limitBytes", 1)?,
            previous: query.is("previous"),
            stream: match query.get("stream") {
                Some("Stdout") => Some("stdout"),
                Some("Stderr") => Some("stderr"),
                _ => None,
            },
        })
    }
}

/// Answers with a container's log.
pub(super) async fn serve(
    kubelet: &Arc<Kubelet>,
    namespace: &str,
    pod: &str,
    container: &str,
    query: &Query,
) -> Response<Body> {
    let options = match Options::parse(query, Timestamp::now()) {
        Ok(options) => options,
        Err(why) => return text(StatusCode::BAD_REQUEST, why),
    };
    let Some((spec, state)) = kubelet.pods.by_name(namespace, pod) else {
        return text(StatusCode::NOT_FOUND, format!("pod \"{pod}\" does not exist\n"));
    };
    if crate::pod::container(&spec, container).is_none() {
        let why = format!("container \"{container}\" not found in pod \"{pod}\"\n");
        return text(StatusCode::NOT_FOUND, why);
    }
    let (id, path) = match find(kubelet, &state, pod, container, options.previous) {
        Ok(found) => found,
        Err(why) => return text(StatusCode::BAD_REQUEST, why),
    };
    let (chunks, receiver) = mpsc::channel(CHUNKS);
    let reader = Reader { path, id, container: container.to_owned(), state, options, chunks };
    kubelet.spawn(async move {
        if let Err(error) = reader.run().await {
            tracing::debug!(%error, "reading a container's log");
        }
    });
    let stream = StreamBody::new(ReceiverStream::new(receiver));
    let mut response = Response::new(BodyExt::boxed(stream));
    let kind = http::HeaderValue::from_static("text/plain");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}

/// Finds the log of a container's present or previous run. An error is upstream's sentence.
fn find(
    kubelet: &Kubelet,
    state: &PodState,
    pod: &str,
    container: &str,
    previous: bool,
) -> Result<(String, PathBuf), String> {
    let observed = state.observed.lock();
    let mut traces = observed.containers.iter().filter(|trace| trace.name == container);
    let waiting = || {
        let status = state.status.lock();
        let all = status.container_statuses.iter().chain(&status.init_container_statuses).flatten();
        let found = all.into_iter().find(|status| status.name == container);
        let waiting = found.and_then(|status| status.state.as_ref()?.waiting.clone());
        let reason = waiting.as_ref().and_then(|waiting| waiting.reason.clone());
        let reason = reason.unwrap_or_else(|| "ContainerCreating".to_owned());
        match waiting.and_then(|waiting| waiting.message) {
            Some(message)
                if matches!(
                    reason.as_str(),
                    "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "InvalidImageName"
                ) =>
            {
                format!("container \"{container}\" in pod \"{pod}\" is waiting to start: {message}")
            }
            _ => format!("container \"{container}\" in pod \"{pod}\" is waiting to start: {reason}"),
        }
    };
    let latest = traces.next();
    let trace = match previous {
        false => latest.filter(|latest| latest.state != State::Created).ok_or_else(waiting)?,
        true => {
            // A container that has ended and not been started again is its own previous run.
            let ended = latest.filter(|latest| latest.state == State::Exited && latest.restart_count > 0);
            traces.next().or(ended).ok_or_else(|| {
                format!("previous terminated container \"{container}\" in pod \"{pod}\" not found")
            })?
        }
    };
    let folder = kubelet.settings.log_dir(&state.names);
    Ok((trace.id.clone(), folder.join(crate::container::log_path(container, trace.restart_count))))
}

struct Reader {
    path: PathBuf,
    id: String,
    container: String,
    state: Arc<PodState>,
    options: Options,
    chunks: mpsc::Sender<Result<Frame<Bytes>, std::io::Error>>,
}

impl Reader {
    async fn run(self) -> std::io::Result<()> {
        let mut log = match Log::open(&self.path, self.options.tail) {
            Ok(log) => log,
            // Rotated or removed a moment ago: nothing to show.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !self.options.follow => {
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut listener =
            if self.options.follow { self.path.parent().and_then(listen::modified) } else { None };
        let mut filter = Filter::new(self.options.clone());
        loop {
            // Asked before the read: what a container wrote before it ended is then surely read.
            let running = self.is_running();
            loop {
                let (read, bytes) =
                    tokio::task::spawn_blocking(move || log.read()).await.map_err(std::io::Error::other)?;
                log = read;
                let bytes = bytes?;
                let at_end = bytes.is_empty();
                let shown = filter.take(&bytes);
                if !shown.is_empty() && self.chunks.send(Ok(Frame::data(shown.into()))).await.is_err() {
                    return Ok(());
                }
                if filter.is_full() {
                    return Ok(());
                }
                if at_end {
                    break;
                }
            }
            if !self.options.follow || !running {
                return Ok(());
            }
            if log.follow_rotation(&self.path) {
                continue;
            }
            if !self.wait(listener.as_mut()).await {
                return Ok(());
            }
        }
    }

    fn is_running(&self) -> bool {
        let observed = self.state.observed.lock();
        let own = observed.containers.iter().find(|trace| trace.id == self.id);
        own.is_some_and(|trace| trace.state == State::Running && trace.name == self.container)
    }

    /// Waits for more. Answers false when nobody reads any longer.
    async fn wait(&self, listener: Option<&mut Listener>) -> bool {
        tokio::select! {
            () = listen::changed(listener) => true,
            () = tokio::time::sleep(LOOK) => true,
            () = self.chunks.closed() => false,
        }
    }
}

/// A log file that is read on.
struct Log {
    file: File,
    inode: u64,
}

impl Log {
    fn open(path: &Path, tail: Option<usize>) -> std::io::Result<Self> {
        let mut file = File::open(path)?;
        let inode = file.metadata()?.ino();
        if let Some(lines) = tail {
            let start = tail_start(&mut file, lines)?;
            file.seek(SeekFrom::Start(start))?;
        }
        Ok(Self { file, inode })
    }

    fn read(mut self) -> (Self, std::io::Result<Vec<u8>>) {
        let mut bytes = vec![0; READ];
        let read = self.file.read(&mut bytes).map(|count| {
            bytes.truncate(count);
            bytes
        });
        (self, read)
    }

    /// Goes over to the new file when the log was rotated. Answers whether it was.
    fn follow_rotation(&mut self, path: &Path) -> bool {
        let Ok(file) = File::open(path) else { return false };
        match file.metadata() {
            Ok(metadata) if metadata.ino() != self.inode => {
                *self = Self { inode: metadata.ino(), file };
                true
            }
            _ => false,
        }
    }
}

/// Finds where the last so many lines of a file begin.
pub fn tail_start(file: &mut File, lines: usize) -> std::io::Result<u64> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut end = length;
    let mut found = 0;
    let mut block = vec![0; READ];
    while end > 0 {
        let size = u64::try_from(READ).unwrap_or(u64::MAX).min(end);
        file.seek(SeekFrom::Start(end - size))?;
        let block = &mut block[..usize::try_from(size).unwrap_or(READ)];
        file.read_exact(block)?;
        for (index, _) in block.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let after = end - size + u64::try_from(index).unwrap_or_default() + 1;
            // The last line end of the file ends the last line and begins none.
            if after == length {
                continue;
            }
            found += 1;
            if found == lines {
                return Ok(after);
            }
        }
        end -= size;
    }
    Ok(if lines == 0 { length } else { 0 })
}

/// Turns log entries into what was asked for.
pub struct Filter {
    options: Options,
    rest: Vec<u8>,
    left: Option<usize>,
    in_line: bool,
}

impl Filter {
    fn new(options: Options) -> Self {
        Self { left: options.limit, options, rest: Vec::new(), in_line: false }
    }

    /// What a request's query asks for; an error is for the one who asked.
    pub fn of_query(query: &str, now: Timestamp) -> Result<Self, String> {
        Options::parse(&Query::parse(query), now).map(Self::new)
    }

    /// Whether as much was shown as was asked for.
    pub fn is_full(&self) -> bool {
        self.left == Some(0)
    }

    /// Takes the next piece of a log; gives what is shown of it.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.rest.extend_from_slice(bytes);
        let mut shown = Vec::new();
        let rest = std::mem::take(&mut self.rest);
        let mut start = 0;
        while let Some(length) = memchr(&rest[start..]) {
            self.line(&rest[start..start + length + 1], &mut shown);
            start += length + 1;
        }
        self.rest = rest[start..].to_vec();
        if self.rest.len() > MAX_LINE {
            shown.append(&mut self.rest);
        }
        if let Some(left) = &mut self.left {
            shown.truncate(*left);
            *left -= shown.len();
        }
        shown
    }

    fn line(&mut self, line: &[u8], shown: &mut Vec<u8>) {
        let Some(entry) = parse(line) else { return };
        if self.options.since.is_some_and(|since| entry.time < since)
            || self.options.stream.is_some_and(|stream| entry.stream != stream)
        {
            return;
        }
        if self.options.timestamps && !self.in_line {
            shown.extend_from_slice(entry.stamp.as_bytes());
            shown.push(b' ');
        }
        shown.extend_from_slice(entry.content);
        self.in_line = entry.partial;
    }
}

fn memchr(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n')
}

/// Answers with a file or a listing below `/var/log`.
pub(super) async fn files(parts: &[&str]) -> Response<Body> {
    let root = Path::new("/var/log");
    let mut path = root.to_owned();
    for part in parts {
        if matches!(*part, "." | "..") {
            return text(StatusCode::BAD_REQUEST, "invalid path");
        }
        path.push(part);
    }
    let read = tokio::task::spawn_blocking(move || -> std::io::Result<Response<Body>> {
        // A link may not lead out.
        let path = path.canonicalize()?;
        if !path.starts_with(root.canonicalize()?) {
            return Ok(text(StatusCode::NOT_FOUND, "404 page not found\n"));
        }
        if path.is_dir() {
            let mut names = Vec::new();
            for entry in std::fs::read_dir(path)?.flatten() {
                let slash = if entry.path().is_dir() { "/" } else { "" };
                let name = format!("{}{slash}", entry.file_name().to_string_lossy());
                names.push(format!("<a href=\"{name}\">{name}</a>\n"));
            }
            names.sort();
            return Ok(typed(
                StatusCode::OK,
                "text/html; charset=utf-8",
                format!("<pre>\n{}</pre>\n", names.concat()),
            ));
        }
        // The end of a long file is what is looked for.
        const MAX: u64 = 8 << 20;
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(MAX)))?;
        let mut bytes = Vec::new();
        file.take(MAX).read_to_end(&mut bytes)?;
        Ok(text(StatusCode::OK, bytes))
    });
    match read.await {
        Ok(Ok(response)) => response,
        _ => text(StatusCode::NOT_FOUND, "404 page not found\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries() {
        let entry = parse(b"2026-01-01T00:00:00.123456789Z stdout F hello world\n").unwrap();
        assert_eq!((entry.stream, entry.content, entry.partial), ("stdout", &b"hello world\n"[..], false));
        let entry = parse(b"2026-01-01T00:00:00+02:00 stderr P part\n").unwrap();
        assert_eq!((entry.content, entry.partial), (&b"part"[..], true));
        let entry = parse(b"2026-01-01T00:00:00Z stdout F \n").unwrap();
        assert_eq!(entry.content, b"\n");
        for broken in [
            &b"2026-01-01T00:00:00Z stdout F no end"[..],
            b"x stdout F y\n",
            b"\n",
            b"2026-01-01T00:00:00Z other F y\n",
        ] {
            assert_eq!(parse(broken), None);
        }
    }

    fn shown(options: Options, log: &str) -> String {
        let mut filter = Filter::new(options);
        // In small pieces, as a file being written comes.
        let pieces: Vec<Vec<u8>> = log.as_bytes().chunks(7).map(|piece| filter.take(piece)).collect();
        String::from_utf8(pieces.concat()).unwrap()
    }

    const LOG: &str = "2026-01-01T00:00:01Z stdout F one\n2026-01-01T00:00:02Z stderr P tw\n\
        2026-01-01T00:00:02Z stderr F o\n2026-01-01T00:00:03Z stdout F three\n";

    #[test]
    fn options_choose_what_is_shown() {
        assert_eq!(shown(Options::default(), LOG), "one\ntwo\nthree\n");
        let since = "2026-01-01T00:00:02Z".parse().ok();
        assert_eq!(shown(Options { since, ..Options::default() }, LOG), "two\nthree\n");
        assert_eq!(
            shown(Options { timestamps: true, ..Options::default() }, LOG),
            "2026-01-01T00:00:01Z one\n2026-01-01T00:00:02Z two\n2026-01-01T00:00:03Z three\n"
        );
        assert_eq!(shown(Options { limit: Some(5), ..Options::default() }, LOG), "one\nt");
        assert_eq!(shown(Options { stream: Some("stderr"), ..Options::default() }, LOG), "two\n");
    }

    #[test]
    fn the_tail_is_found_from_the_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "a\nb\nc\n").unwrap();
        let start = |lines| tail_start(&mut File::open(file.path()).unwrap(), lines).unwrap();
        assert_eq!([start(0), start(1), start(2), start(3), start(9)], [6, 4, 2, 0, 0]);
        std::fs::write(file.path(), format!("{}\nb\nc", "a".repeat(100_000))).unwrap();
        assert_eq!([start(1), start(2), start(3)], [100_003, 100_001, 0]);
    }

    #[test]
    fn options_are_checked() {
        let parse = |query: &str| Options::parse(&Query::parse(query), Timestamp::UNIX_EPOCH);
        assert!(
            parse("tailLines=-1").is_err() && parse("limitBytes=0").is_err() && parse("sinceTime=x").is_err()
        );
        assert!(parse("sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z").is_err());
        assert_eq!(parse("tailLines=3&follow=true").unwrap().tail, Some(3));
    }
}
