// SPDX-License-Identifier: Apache-2.0
//! Reading whole files of which nobody has said how long they are: a wrong path may name a device that never ends.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

/// A file of rules: what some fifty thousand of them take.
pub(crate) const MAX_RULES: u64 = 16 << 20;

/// The file's bytes.
///
/// # Errors
///
/// As for any reading, and `FileTooLarge` for one of more than `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_all(File::open(path)?, limit)
}

/// What a stream has to its end.
///
/// # Errors
///
/// As for [`read`].
pub(crate) fn read_all(stream: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= limit) {
        return Ok(bytes);
    }
    let message = format!("there is more to read than {} MiB", limit >> 20);
    Err(io::Error::new(io::ErrorKind::FileTooLarge, message))
}

/// The text of a regular file. Anything else could have its reader wait for ever, and with it whoever waits for that.
///
/// # Errors
///
/// As for [`read`], `InvalidInput` for anything but a regular file, and `InvalidData` for one that is not UTF-8.
pub(crate) fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    String::from_utf8(read_all(file, limit)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let endless = read(Path::new("/dev/zero"), 1 << 20).unwrap_err();
        assert_eq!(
            (endless.kind(), endless.to_string().as_str()),
            (io::ErrorKind::FileTooLarge, "there is more to read than 1 MiB")
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("text");
        std::fs::write(&file, "abc").unwrap();
        let fifo = folder.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in [&fifo, Path::new("/dev/zero"), folder.path()] {
            assert_eq!(read_text(path, 3).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{}", path.display());
        }
        assert_eq!(read(&file, 3).unwrap(), b"abc");
        assert_eq!(read_text(&file, 3).unwrap(), "abc");
        assert_eq!(read(&file, 2).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        std::fs::write(&file, b"\xff").unwrap();
        assert_eq!(read_text(&file, 3).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
