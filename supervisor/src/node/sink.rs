// SPDX-License-Identifier: Apache-2.0
//! Where lines go: standard output, a file, the system's log.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::{fs::OpenOptionsExt, net::UnixDatagram},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::{Timestamp, tz::TimeZone};

use crate::{alert::Alert, config::FileSink};

/// The system's log.
pub(super) const SYSLOG_SOCKET: &str = "/dev/log";

/// Facility `user`, as with Falco, in the place where syslog wants it.
const FACILITY_USER: u8 = 1 << 3;

/// A reader of the system's log that takes longer is tried again, so that a stop need not wait for it.
const SYSLOG_TIMEOUT: Duration = Duration::from_secs(1);

/// A datagram that is refused at this size is refused for another reason than its size.
const SYSLOG_LEAST_BYTES: usize = 480;

/// A place for lines. A failed line is given again.
pub(super) trait Sink: Send {
    /// Takes one line, given without newline; it has left this process when this returns.
    fn deliver(&mut self, alert: &Alert, line: &str) -> io::Result<()>;

    /// Closes what a rotation may have renamed.
    fn reopen(&mut self) {}
}

/// Standard output.
#[derive(Debug)]
pub(super) struct Stdout;

impl Sink for Stdout {
    fn deliver(&mut self, _: &Alert, line: &str) -> io::Result<()> {
        let mut output = io::stdout().lock();
        output.write_all(line.as_bytes())?;
        output.write_all(b"\n")?;
        output.flush()
    }
}

/// A file that lines are appended to.
#[derive(Debug)]
pub(super) struct AppendedFile {
    options: FileSink,
    open: Option<File>,
    /// The last write ended inside a line.
    is_torn: bool,
}

impl AppendedFile {
    pub(super) fn new(options: FileSink) -> Self {
        Self { options, open: None, is_torn: false }
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(line.len().saturating_add(2));
        if self.is_torn {
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        let file = match &mut self.open {
            Some(file) => file,
            closed @ None => closed.insert(open_to_append(&self.options.path)?),
        };
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let written = file.write(rest)?;
            rest = rest.get(written..).unwrap_or_default();
            self.is_torn = !rest.is_empty();
        }
        Ok(())
    }
}

impl Sink for AppendedFile {
    fn deliver(&mut self, _: &Alert, line: &str) -> io::Result<()> {
        let written = self.write(line);
        if written.is_err() || !self.options.keep_open {
            self.open = None;
        }
        written
    }

    fn reopen(&mut self) {
        self.open = None;
    }
}

fn open_to_append(path: &Path) -> io::Result<File> {
    // Alerts quote command lines, which may hold secrets.
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

/// The system's log, in the form of RFC 3164.
#[derive(Debug)]
pub(super) struct Syslog {
    path: PathBuf,
    zone: TimeZone,
    socket: Option<UnixDatagram>,
}

impl Syslog {
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), zone: TimeZone::system(), socket: None }
    }

    fn send(&mut self, message: &str) -> io::Result<()> {
        let socket = match &mut self.socket {
            Some(socket) => socket,
            closed @ None => closed.insert(connect(&self.path)?),
        };
        let mut message = message;
        loop {
            match socket.send(message.as_bytes()) {
                // The reader decides how much it takes: the beginning of an alert is better than none.
                Err(error) if is_too_long(&error) && message.len() > SYSLOG_LEAST_BYTES => {
                    message = message.get(..message.floor_char_boundary(message.len() / 2)).unwrap_or_default();
                }
                sent => return sent.map(drop),
            }
        }
    }
}

impl Sink for Syslog {
    fn deliver(&mut self, alert: &Alert, line: &str) -> io::Result<()> {
        let now = self.zone.to_datetime(Timestamp::now()).strftime("%b %e %H:%M:%S").to_string();
        let number = FACILITY_USER | alert.priority.severity();
        let message = format!("<{number}>{now} lanner[{}]: {line}", std::process::id());
        let sent = self.send(&message);
        if sent.is_err() {
            self.socket = None; // its reader may have been restarted, and has a new socket then
        }
        sent
    }
}

fn connect(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    socket.set_write_timeout(Some(SYSLOG_TIMEOUT))?;
    Ok(socket)
}

fn is_too_long(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EMSGSIZE) || error.kind() == ErrorKind::OutOfMemory
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn alert() -> Alert {
        let record = br#"{"time":1,"rule":"R","priority":"Warning","source":"syscall","hostname":"h","message":"m"}"#;
        Alert::parse(record).unwrap()
    }

    #[test]
    fn the_systems_log_gets_priority_name_and_pid() -> io::Result<()> {
        let scratch = tempfile::tempdir()?;
        let path = scratch.path().join("log");
        let reader = UnixDatagram::bind(&path)?;
        let mut sink = Syslog::new(&path);
        sink.deliver(&alert(), "10:00:00.000000000: Warning m")?;
        let mut buffer = [0_u8; 512];
        let length = reader.recv(&mut buffer)?;
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        let (head, tail) = text.split_once(" lanner[").unwrap();
        assert!(head.starts_with("<12>") && head.len() == "<12>Nov 23 10:15:02".len(), "{head}");
        assert_eq!(tail, format!("{}]: 10:00:00.000000000: Warning m", std::process::id()));
        Ok(())
    }

    #[test]
    fn a_restarted_reader_of_the_systems_log_is_found_again() -> io::Result<()> {
        let scratch = tempfile::tempdir()?;
        let path = scratch.path().join("log");
        let mut sink = Syslog::new(&path);
        assert!(sink.deliver(&alert(), "nobody listens").is_err());
        let first = UnixDatagram::bind(&path)?;
        sink.deliver(&alert(), "first")?;
        drop(first);
        fs::remove_file(&path)?;
        let second = UnixDatagram::bind(&path)?;
        assert!(sink.deliver(&alert(), "lost reader").is_err());
        sink.deliver(&alert(), "second")?;
        let mut buffer = [0_u8; 512];
        let length = second.recv(&mut buffer)?;
        assert!(buffer[..length].ends_with(b"second"));
        Ok(())
    }

    #[test]
    fn a_line_too_long_for_a_datagram_is_cut_rather_than_tried_for_ever() -> io::Result<()> {
        let scratch = tempfile::tempdir()?;
        let path = scratch.path().join("log");
        let reader = UnixDatagram::bind(&path)?;
        Syslog::new(&path).deliver(&alert(), &"é".repeat(2 << 20))?;
        let mut buffer = vec![0_u8; 8 << 20];
        let length = reader.recv(&mut buffer)?;
        assert!(length > 4096 && std::str::from_utf8(&buffer[..length]).is_ok());
        Ok(())
    }

    #[test]
    fn a_file_kept_open_follows_a_rename_only_when_told() -> io::Result<()> {
        let scratch = tempfile::tempdir()?;
        let (path, old) = (scratch.path().join("alerts"), scratch.path().join("alerts.1"));
        for (keep_open, expected_old, expected_new) in [(true, "a\nb\n", "c\n"), (false, "a\n", "b\nc\n")] {
            let mut sink = AppendedFile::new(FileSink { path: path.clone(), keep_open });
            sink.deliver(&alert(), "a")?;
            fs::rename(&path, &old)?;
            sink.deliver(&alert(), "b")?;
            sink.reopen();
            sink.deliver(&alert(), "c")?;
            assert_eq!(
                (fs::read_to_string(&old)?.as_str(), fs::read_to_string(&path)?.as_str()),
                (expected_old, expected_new)
            );
            fs::remove_file(&path)?;
        }
        Ok(())
    }
}
