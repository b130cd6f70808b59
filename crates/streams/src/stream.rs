//! Standard input, output and the terminal joined to a container: what exec, attach and run share.

use std::io::IsTerminal;

use bytes::Bytes;
use nix::sys::termios::{self, SetArg, Termios};
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{Signal as UnixSignal, SignalKind, signal};

use cli_runtime::client::{Channels, Frame, Signal};
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::Session;

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;

/// What is joined.
#[derive(Clone, Copy)]
pub struct Streams {
    /// Send standard input.
    pub stdin: bool,
    /// There is a terminal on both sides.
    pub tty: bool,
    /// The process runs already: a terminal that seems to change its size makes it draw its prompt again.
    pub redraw: bool,
}

impl Streams {
    /// Takes the terminal away when standard input is not one, and says so.
    pub fn checked(stdin: bool, tty: bool, quiet: bool) -> Self {
        if tty && stdin && !std::io::stdin().is_terminal() {
            if !quiet {
                errln!("Unable to use a TTY - input is not a terminal or the right kind of file");
            }
            return Self { stdin, tty: false, redraw: false };
        }
        Self { stdin, tty, redraw: false }
    }

    /// The query parameters of the request.
    pub fn query(self) -> [(&'static str, &'static str); 4] {
        let on = |flag: bool| if flag { "true" } else { "" };
        [("stdin", on(self.stdin)), ("stdout", "true"), ("stderr", on(!self.tty)), ("tty", on(self.tty))]
    }
}

/// Connects to a path and copies until the process ends; its exit code becomes the error. Says whether it printed
/// anything.
pub async fn join(session: &Session, path: &str, streams: Streams) -> Result<bool> {
    let channels = session.client.websocket(path).await?;
    let _raw = if streams.tty { RawTerminal::enter() } else { None };
    copy(channels, streams).await
}

async fn copy(mut channels: Channels, streams: Streams) -> Result<bool> {
    let mut stdin = tokio::io::stdin();
    let mut reading = streams.stdin;
    let mut input = vec![0; 32 << 10];
    let mut resized = match streams.tty {
        true => Some(signal(SignalKind::window_change())?),
        false => None,
    };
    if streams.tty {
        if streams.redraw
            && let Some((width, height)) = window_size()
        {
            channels.send(Signal::Resize(width.saturating_add(1), height.saturating_add(1))).await?;
        }
        resize(&mut channels).await?;
    }
    let mut status: Option<Bytes> = None;
    let mut printed = false;
    loop {
        tokio::select! {
            frame = channels.next() => match frame? {
                Frame::Data(STDOUT, bytes) => {
                    printed |= !bytes.is_empty();
                    cli_runtime::out::bytes(&bytes);
                }
                Frame::Data(STDERR, bytes) => {
                    use std::io::Write;
                    printed |= !bytes.is_empty();
                    let _ = std::io::stderr().lock().write_all(&bytes);
                }
                Frame::Data(ERROR, bytes) => {
                    status = Some(bytes);
                    break;
                }
                Frame::Data(..) => {}
                Frame::Closed => break,
            },
            read = stdin.read(&mut input), if reading => match read {
                Ok(0) | Err(_) => {
                    reading = false;
                    channels.send(Signal::Close(STDIN)).await?;
                }
                Ok(count) => channels.send(Signal::Data(STDIN, Bytes::copy_from_slice(&input[..count]))).await?,
            },
            Some(()) = next(&mut resized) => resize(&mut channels).await?,
        }
    }
    channels.close().await;
    match status {
        Some(status) => Channels::outcome(&status).map(|()| printed),
        None => Ok(printed),
    }
}

async fn next(resized: &mut Option<UnixSignal>) -> Option<()> {
    match resized {
        Some(resized) => resized.recv().await,
        None => std::future::pending().await,
    }
}

async fn resize(channels: &mut Channels) -> Result<()> {
    match window_size() {
        Some((width, height)) => channels.send(Signal::Resize(width, height)).await,
        None => Ok(()),
    }
}

/// The terminal's columns and rows.
fn window_size() -> Option<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one winsize, which is what the pointer names, and keeps nothing.
    #[allow(unsafe_code)]
    let result = unsafe { libc::ioctl(libc::STDIN_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    (result == 0 && size.ws_col > 0).then_some((size.ws_col, size.ws_row))
}

/// The terminal in raw mode: keys go to the process as they are. Put back when dropped.
struct RawTerminal {
    saved: Termios,
}

impl RawTerminal {
    fn enter() -> Option<Self> {
        let stdin = std::io::stdin();
        let saved = termios::tcgetattr(&stdin).ok()?;
        let mut raw = saved.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(&stdin, SetArg::TCSANOW, &raw).ok()?;
        Some(Self { saved })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(std::io::stdin(), SetArg::TCSANOW, &self.saved);
    }
}

/// Picks the container that a command means, and says so when it had to choose.
pub fn container(pod: &serde_json::Value, wanted: &str, quiet: bool) -> Result<String> {
    use apimachinery::object::ObjectExt;
    let names = |field: &str| -> Vec<String> {
        pod["spec"][field]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|c| c["name"].as_str().map(str::to_string))
            .collect()
    };
    let (main, init, debug) = (names("containers"), names("initContainers"), names("ephemeralContainers"));
    if !wanted.is_empty() {
        return match main.iter().chain(&init).chain(&debug).any(|name| name == wanted) {
            true => Ok(wanted.to_string()),
            false => Err(Error::message(format!("container {wanted} is not valid for pod {}", pod.name()))),
        };
    }
    if let Some(default) =
        pod.annotation("kubectl.kubernetes.io/default-container").filter(|name| !name.is_empty())
    {
        if main.iter().any(|name| name == default) {
            return Ok(default.to_string());
        }
        errln!("Default container name \"{default}\" not found in pod {}", pod.name());
    }
    let first = main
        .first()
        .cloned()
        .ok_or_else(|| Error::message(format!("pod {} has no containers", pod.name())))?;
    if main.len() + init.len() + debug.len() > 1 && !quiet {
        let all: Vec<String> = main
            .iter()
            .cloned()
            .chain(debug.iter().map(|name| format!("{name} (ephem)")))
            .chain(init.iter().map(|name| format!("{name} (init)")))
            .collect();
        errln!("Defaulted container \"{first}\" out of: {}", all.join(", "));
    }
    Ok(first)
}
