//! Lines for systemd's journal: it keeps the time itself, and takes a line's priority from a number before it.

use std::{
    fmt, io,
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// Whether the journal reads standard error: systemd names the stream it made in `JOURNAL_STREAM`.
pub fn reads_stderr() -> bool {
    std::env::var("JOURNAL_STREAM").is_ok_and(|named| stream().is_some_and(|own| own == named))
}

/// Standard error as systemd would name it: device and inode.
fn stream() -> Option<String> {
    let file = io::stderr().as_fd().try_clone_to_owned().ok().map(std::fs::File::from)?;
    let metadata = file.metadata().ok()?;
    Some(format!("{}:{}", metadata.dev(), metadata.ino()))
}

/// The priority of syslog.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// One line an event: priority, spans, message and fields.
pub struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        // A message of several lines stays one entry of one priority.
        let mut text = String::new();
        context.field_format().format_fields(Writer::new(&mut text), event)?;
        write!(writer, "<{}>", priority(*event.metadata().level()))?;
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            write!(writer, "{}: ", span.name())?;
        }
        writeln!(writer, "{}", text.replace('\n', "\\n"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::{fmt, layer::SubscriberExt as _};

    use super::Lines;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_has_a_priority_and_no_time() {
        let written = Written::default();
        let to = written.clone();
        let layer = fmt::layer().with_writer(move || to.clone()).event_format(Lines).with_ansi(false);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info!(version = "v1", "ready");
            tracing::warn!("first\nsecond");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text, "<6>ready version=\"v1\"\n<4>first\\nsecond\n");
    }
}
