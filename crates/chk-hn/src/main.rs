//! An HTTP server that answers with the name of the host it runs on, and may keep a log of who asked.
//!
//! `chk-hn [ADDRESS [LOG]]`

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use nix::sys::signal::{SigSet, Signal};

/// A request's head may be this long.
const HEAD_MAX: u64 = 16 * 1024;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "0.0.0.0:80".into());
    let log = arguments.next().map(|path| Arc::from(PathBuf::from(path)));
    let listener = match TcpListener::bind(&address) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("listening on {address}: {error}");
            return ExitCode::FAILURE;
        }
    };
    // The first process of a container: a signal that it does not wait for would not reach it.
    let mut ends = SigSet::empty();
    ends.add(Signal::SIGTERM);
    ends.add(Signal::SIGINT);
    if let Err(error) = ends.thread_block() {
        eprintln!("blocking signals: {error}");
        return ExitCode::FAILURE;
    }
    std::thread::spawn(move || serve(&listener, log.as_ref()));
    match ends.wait() {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve(listener: &TcpListener, log: Option<&Arc<Path>>) {
    for stream in listener.incoming().flatten() {
        let log = log.cloned();
        std::thread::spawn(move || {
            if let Err(error) = answer(&stream, log.as_deref()) {
                eprintln!("answering: {error}");
            }
        });
    }
}

fn answer(stream: &TcpStream, log: Option<&Path>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut first = String::new();
    let mut head = BufReader::new(stream.take(HEAD_MAX));
    head.read_line(&mut first)?;
    let mut line = String::new();
    while head.read_line(&mut line)? > 2 {
        line.clear();
    }
    let host = fs::read_to_string("/proc/sys/kernel/hostname")?;
    let body = format!("{}\n", host.trim());
    println!("{} {}", stream.peer_addr()?, first.trim());
    if let Some(log) = log {
        note(log, host.trim(), stream, first.trim())?;
    }
    let length = body.len();
    (&*stream).write_all(
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
            .as_bytes(),
    )
}

/// Notes a visit. Others may write to the same file: each line is one write at the file's end.
fn note(log: &Path, host: &str, stream: &TcpStream, request: &str) -> std::io::Result<()> {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
    let line = format!("{now} {host} {} {request}\n", stream.peer_addr()?.ip());
    let mut file = fs::OpenOptions::new().create(true).append(true).open(log)?;
    file.write_all(line.as_bytes())
}
