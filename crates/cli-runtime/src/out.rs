//! Writing to standard output and standard error, where a closed pipe ends the command quietly.

use std::fmt::Arguments;
use std::io::{self, Write};

/// Writes text to standard output.
#[macro_export]
macro_rules! out {
    ($($part:tt)*) => { $crate::out::to_stdout(format_args!($($part)*)) };
}
/// Writes a line to standard output.
#[macro_export]
macro_rules! outln {
    () => { $crate::out::to_stdout(format_args!("\n")) };
    ($($part:tt)*) => { $crate::out::to_stdout(format_args!("{}\n", format_args!($($part)*))) };
}
/// Writes a line to standard error.
#[macro_export]
macro_rules! errln {
    ($($part:tt)*) => { $crate::out::to_stderr(format_args!("{}\n", format_args!($($part)*))) };
}

/// Writes to standard output; a reader that has gone away ends the process as SIGPIPE would.
pub fn to_stdout(text: Arguments<'_>) {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_fmt(text).and_then(|()| stdout.flush());
    if written.is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        std::process::exit(141);
    }
}

/// Writes bytes to standard output as they are.
pub fn bytes(bytes: &[u8]) {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    if written.is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        std::process::exit(141);
    }
}

/// Writes to standard error, at once: what several processes say to one terminal does not run into one another. There
/// is nowhere left to report a failure to.
pub fn to_stderr(text: Arguments<'_>) {
    let _ = io::stderr().lock().write_all(text.to_string().as_bytes());
}
