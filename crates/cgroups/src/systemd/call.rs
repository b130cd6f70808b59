//! A connection to systemd's own socket, and the calls that slices need.

use std::{
    collections::VecDeque,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};

use super::SystemdError;
use super::message::{self, Body, FIXED, Kind, Property, Received};

/// The error of starting a unit that runs.
pub const EXISTS: &str = "org.freedesktop.systemd1.UnitExists";
/// The error of a unit that systemd does not know.
pub const UNKNOWN: &str = "org.freedesktop.systemd1.NoSuchUnit";

/// How long a job may take: upstream's driver waits as long.
const PATIENCE: Duration = Duration::from_secs(30);
/// A line of the handshake is far shorter.
const LONGEST_LINE: u64 = 4096;

/// A connection. One for each task: systemd may have been started anew between two.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<UnixStream>,
    serial: u32,
    /// Signals that came before the answer that was waited for.
    signals: VecDeque<Vec<u8>>,
}

impl Connection {
    /// Connects and says who this is, which the kernel confirms to systemd.
    pub fn open(socket: &Path) -> Result<Self, SystemdError> {
        let stream = UnixStream::connect(socket)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut connection = Self { stream: BufReader::new(stream), serial: 0, signals: VecDeque::new() };
        let user = nix::unistd::geteuid().to_string();
        let name: String = user.bytes().map(|digit| format!("{digit:02x}")).collect();
        connection.write(format!("\0AUTH EXTERNAL {name}\r\n").as_bytes())?;
        let mut answer = String::new();
        connection.stream.by_ref().take(LONGEST_LINE).read_line(&mut answer)?;
        if !answer.starts_with("OK ") {
            return Err(SystemdError::Refused { name: "AUTH".into(), text: answer.trim_end().to_owned() });
        }
        connection.write(b"BEGIN\r\n")?;
        Ok(connection)
    }

    /// Starts a unit that has no file and waits until it runs.
    pub fn start_transient_unit(&mut self, unit: &str, properties: &[Property]) -> Result<(), SystemdError> {
        let mut body = Body::default();
        body.text(unit);
        body.text("replace");
        body.properties(properties);
        body.nothing();
        let job = self.call("StartTransientUnit", "ssa(sv)a(sa(sv))", &body)?;
        self.done(&job)
    }

    /// Stops a unit and waits until it is.
    pub fn stop_unit(&mut self, unit: &str) -> Result<(), SystemdError> {
        let mut body = Body::default();
        body.text(unit);
        body.text("replace");
        let job = self.call("StopUnit", "ss", &body)?;
        self.done(&job)
    }

    /// Sets properties of a unit until the machine's next start.
    pub fn set_unit_properties(&mut self, unit: &str, properties: &[Property]) -> Result<(), SystemdError> {
        let mut body = Body::default();
        body.text(unit);
        body.flag(true);
        body.properties(properties);
        self.call("SetUnitProperties", "sba(sv)", &body).map(drop)
    }

    /// Calls a method; gives the text its answer begins with, or an empty one.
    fn call(&mut self, member: &str, signature: &str, body: &Body) -> Result<String, SystemdError> {
        self.serial += 1;
        self.write(&message::call(self.serial, member, signature, body))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let bytes = self.receive(deadline)?;
            let received = Received::read(&bytes)?;
            match received.kind {
                Kind::Return if received.answers == Some(self.serial) => {
                    return Ok(received.body().text().unwrap_or_default().to_owned());
                }
                Kind::Error if received.answers == Some(self.serial) => {
                    let text = received.body().text().unwrap_or_default().to_owned();
                    return Err(SystemdError::Refused { name: received.name.to_owned(), text });
                }
                Kind::Signal if received.name == "JobRemoved" => self.signals.push_back(bytes),
                _ => {}
            }
        }
    }

    /// Waits until a job has ended.
    fn done(&mut self, job: &str) -> Result<(), SystemdError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let bytes = match self.signals.pop_front() {
                Some(bytes) => bytes,
                None => self.receive(deadline)?,
            };
            let received = Received::read(&bytes)?;
            if received.kind != Kind::Signal || received.name != "JobRemoved" {
                continue;
            }
            let mut body = received.body();
            body.u32()?;
            if body.text()? != job {
                continue;
            }
            body.text()?;
            return match body.text()? {
                "done" | "skipped" => Ok(()),
                other => Err(SystemdError::Job(other.to_owned())),
            };
        }
    }

    fn receive(&mut self, deadline: Instant) -> Result<Vec<u8>, SystemdError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::from(io::ErrorKind::TimedOut).into());
        }
        self.stream.get_ref().set_read_timeout(Some(left))?;
        let mut fixed = [0; FIXED];
        self.stream.read_exact(&mut fixed)?;
        let mut bytes = vec![0; message::whole(&fixed)?];
        bytes[..FIXED].copy_from_slice(&fixed);
        self.stream.read_exact(&mut bytes[FIXED..])?;
        Ok(bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SystemdError> {
        Ok(self.stream.get_mut().write_all(bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::super::message::tests::sent;
    use super::*;

    /// A manager that answers each call with these messages, and ends with the connection.
    fn manager(socket: &Path, answers: Vec<Vec<Vec<u8>>>) -> thread::JoinHandle<Vec<String>> {
        let listener = UnixListener::bind(socket).unwrap();
        thread::spawn(move || {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            assert!(line.starts_with("\0AUTH EXTERNAL 3"), "{line:?}");
            stream.get_mut().write_all(b"OK 0123456789abcdef\r\n").unwrap();
            line.clear();
            stream.read_line(&mut line).unwrap();
            assert_eq!(line, "BEGIN\r\n");
            let mut called = Vec::new();
            for answer in answers {
                let mut fixed = [0; FIXED];
                stream.read_exact(&mut fixed).unwrap();
                let mut rest = vec![0; message::whole(&fixed).unwrap() - FIXED];
                stream.read_exact(&mut rest).unwrap();
                let bytes = [&fixed[..], &rest].concat();
                let call = Received::read(&bytes).unwrap();
                called.push(format!("{} {}", call.name, call.body().text().unwrap()));
                for message in answer {
                    stream.get_mut().write_all(&message).unwrap();
                }
            }
            called
        })
    }

    fn texts(texts: &[&str]) -> Body {
        let mut body = Body::default();
        texts.iter().for_each(|text| body.text(text));
        body
    }

    fn removed(job: &str, result: &str) -> Vec<u8> {
        let mut body = Body::default();
        body.number(5);
        for text in [job, "a.slice", result] {
            body.text(text);
        }
        sent(4, None, "JobRemoved", &body)
    }

    #[test]
    fn a_call_waits_for_its_own_job_whenever_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("private");
        let manager = manager(
            &socket,
            vec![
                // The job is over before its call is answered, another's after it.
                vec![
                    removed("/job/1", "done"),
                    sent(2, Some(1), "", &texts(&["/job/1"])),
                    removed("/job/9", "failed"),
                ],
                vec![
                    sent(2, Some(2), "", &texts(&["/job/2"])),
                    removed("/job/3", "done"),
                    removed("/job/2", "failed"),
                ],
                vec![sent(3, Some(3), EXISTS, &texts(&["Unit a.slice was already loaded"]))],
                vec![sent(2, Some(4), "", &Body::default())],
            ],
        );
        let mut connection = Connection::open(&socket).unwrap();
        connection.start_transient_unit("a.slice", &[]).unwrap();
        assert!(matches!(connection.stop_unit("a.slice"), Err(SystemdError::Job(how)) if how == "failed"));
        let refused = connection.start_transient_unit("a.slice", &[]).unwrap_err();
        assert_eq!(refused.to_string(), format!("{EXISTS}: Unit a.slice was already loaded"));
        connection.set_unit_properties("a.slice", &[Property::number("TasksMax", 5)]).unwrap();
        drop(connection);
        assert_eq!(
            manager.join().unwrap(),
            [
                "StartTransientUnit a.slice",
                "StopUnit a.slice",
                "StartTransientUnit a.slice",
                "SetUnitProperties a.slice"
            ]
        );
    }

    #[test]
    fn who_is_no_manager_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("private");
        assert!(matches!(Connection::open(&socket), Err(SystemdError::Io(_))));
        let listener = UnixListener::bind(&socket).unwrap();
        let stranger = thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            stream.write_all(b"REJECTED\r\n").unwrap();
            stream
        });
        let refused = Connection::open(&socket).unwrap_err();
        assert_eq!(refused.to_string(), "AUTH: REJECTED");
        // Only now it goes: whoever speaks first meets nobody who has gone.
        drop(stranger.join().unwrap());
    }
}
