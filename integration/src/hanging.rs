// SPDX-License-Identifier: Apache-2.0
//! A file system whose server reads a request and never answers it, as a broken network file system does: whoever made the
//! request waits for ever, and not even a kill ends that.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sys::stat::SFlag,
};

/// Operations (`linux/fuse.h`).
const LOOKUP: u32 = 1;
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const INIT: u32 = 26;
/// Those that want no answer: `FORGET` and `BATCH_FORGET`.
const FORGET: [u32; 2] = [2, 42];
/// `struct fuse_in_header`.
const HEADER: usize = 40;
/// Seconds that an answer is valid.
const HOUR: u64 = 3600;
/// No such operation, in an answer.
const UNKNOWN: i32 = -38;

/// A file that is found, and hangs when it is opened.
const FILE: &[u8] = b"file";
const FILE_NODE: u64 = 2;

/// Mounted as long as it lives; every look for a name in it hangs but for `file`, whose opening does.
#[derive(Debug)]
pub struct HangingMount {
    path: PathBuf,
    is_asked: Receiver<()>,
}

impl HangingMount {
    /// Mounts it on `path`, which is made.
    pub fn new(path: &Path) -> Self {
        fs::create_dir_all(path).expect("cannot make a mount point");
        let device = OpenOptions::new().read(true).write(true).open("/dev/fuse").expect("cannot open /dev/fuse");
        let options = format!("fd={},rootmode=40755,user_id=0,group_id=0,allow_other", device.as_raw_fd());
        mount(Some("hanging"), path, Some("fuse"), MsFlags::empty(), Some(options.as_str())).expect("cannot mount");
        let (asked, is_asked) = channel();
        thread::spawn(move || serve(device, || asked.send(()).is_ok()));
        Self { path: path.to_owned(), is_asked }
    }

    /// Waits until somebody hangs.
    #[track_caller]
    pub fn wait(&self, patience: Duration) {
        self.is_asked.recv_timeout(patience).expect("nobody asks for what hangs");
    }
}

impl Drop for HangingMount {
    fn drop(&mut self) {
        // Who hangs gets an error then.
        let ended = umount2(&self.path, MntFlags::MNT_FORCE | MntFlags::MNT_DETACH);
        ended.expect("cannot unmount a file system that hangs");
    }
}

/// Shows a directory with one file; says when somebody asks for more, and leaves that without an answer.
fn serve(mut device: File, is_asked: impl Fn() -> bool) {
    let mut request = vec![0; 1 << 18];
    // The device fails as soon as nothing is mounted any more.
    while let Ok(length) = device.read(&mut request) {
        assert!(length >= HEADER, "a request without a header");
        let [_, _, _, _, o0, o1, o2, o3, own @ ..] = request.first_chunk::<16>().expect("a header");
        let is_file = request.get(16..24) == Some(FILE_NODE.to_ne_bytes().as_slice());
        let asks_for_file = request.get(HEADER..length).is_some_and(|name| name.strip_suffix(b"\0") == Some(FILE));
        let answer = match u32::from_ne_bytes([*o0, *o1, *o2, *o3]) {
            // `struct fuse_init_out` of protocol 7.31, with no feature asked for.
            INIT => Ok([7_u32.to_ne_bytes().as_slice(), &31_u32.to_ne_bytes(), &[0; 56]].concat()),
            // `struct fuse_attr_out`, valid for an hour.
            GETATTR => Ok([HOUR.to_ne_bytes().as_slice(), &[0; 8], &attributes(is_file)].concat()),
            // `struct fuse_entry_out`, likewise.
            LOOKUP if asks_for_file => {
                let (node, hour) = (FILE_NODE.to_ne_bytes(), HOUR.to_ne_bytes());
                Ok([node.as_slice(), &[0; 8], &hour, &hour, &[0; 8], &attributes(true)].concat())
            }
            LOOKUP | OPEN if is_asked() => continue,
            operation if FORGET.contains(&operation) => continue,
            _ => Err(UNKNOWN),
        };
        let (error, content) = answer.map_or_else(|error| (error, Vec::new()), |content| (0, content));
        let whole = u32::try_from(16 + content.len()).expect("a short answer");
        let message = [whole.to_ne_bytes().as_slice(), &error.to_ne_bytes(), own, &content].concat();
        // Whoever asked may have been interrupted.
        let _sent = device.write(&message);
    }
}

/// `struct fuse_attr`: of the file, which seems to have a line, or of the root directory.
fn attributes(is_file: bool) -> Vec<u8> {
    let (inode, kind, size) = if is_file { (FILE_NODE, SFlag::S_IFREG, 100_u64) } else { (1, SFlag::S_IFDIR, 0) };
    let (mode, links) = ((kind.bits() | 0o755).to_ne_bytes(), 1_u32.to_ne_bytes());
    [inode.to_ne_bytes().as_slice(), &size.to_ne_bytes(), &[0; 44], &mode, &links, &[0; 20]].concat()
}
