// SPDX-License-Identifier: Apache-2.0
//! Credentials of one thread. The C library's functions change those of all threads; the kernel's calls do not.

use std::{io, ptr};

use serde::{Deserialize, Serialize};

use super::SyscallError;

/// Words of a capability set in `capset(2)`, version 3.
const WORDS: usize = 2;
/// `_LINUX_CAPABILITY_VERSION_3` of linux/capability.h; libc has no name for it.
const VERSION: u32 = 0x2008_0522;

/// `struct __user_cap_header_struct`.
#[repr(C)]
struct Header {
    version: u32,
    pid: libc::c_int,
}

/// `struct __user_cap_data_struct`: 32 capabilities of each set.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Capability sets of a task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Capabilities([Data; WORDS]);

impl Capabilities {
    /// Those of `task`, 0 being the calling thread.
    pub(crate) fn of(task: u32) -> io::Result<Self> {
        let pid = libc::c_int::try_from(task).map_err(|_error| io::Error::from_raw_os_error(libc::ESRCH))?;
        let header = Header { version: VERSION, pid };
        let mut sets = Self::default();
        // SAFETY: the call reads the header and writes two data structures, which is what version 3 has.
        let result = unsafe { libc::syscall(libc::SYS_capget, ptr::from_ref(&header), sets.0.as_mut_ptr()) };
        done(result).map(|()| sets)
    }

    /// Makes these the calling thread's.
    pub(crate) fn apply(&self) -> io::Result<()> {
        let header = Header { version: VERSION, pid: 0 };
        // SAFETY: the call reads the header and two data structures, which is what version 3 has.
        let result = unsafe { libc::syscall(libc::SYS_capset, ptr::from_ref(&header), self.0.as_ptr()) };
        done(result)
    }

    /// `self` with other effective capabilities, of which only permitted ones remain.
    pub(crate) fn with_effective(&self, effective: u64) -> Self {
        let [low, high] = [effective & u64::from(u32::MAX), effective >> u32::BITS];
        let halves = [low, high].map(|half| u32::try_from(half).unwrap_or(0));
        let mut sets = *self;
        for (data, effective) in sets.0.iter_mut().zip(halves) {
            data.effective = effective & data.permitted;
        }
        sets
    }

    /// The effective capabilities, bit n being capability n.
    pub(crate) fn effective(&self) -> u64 {
        let [low, high] = self.0;
        u64::from(low.effective) | u64::from(high.effective) << u32::BITS
    }
}

/// User or group ids of a thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ids {
    pub(crate) real: u32,
    pub(crate) effective: u32,
    pub(crate) saved: u32,
    /// What access to files is decided by.
    pub(crate) file: u32,
}

/// Makes `ids` the calling thread's user ids. Its capabilities stay as they are, see [`keep_capabilities`].
pub(crate) fn set_users(ids: Ids) -> io::Result<()> {
    set_ids(ids, libc::SYS_setresuid, libc::SYS_setfsuid)
}

/// Makes `ids` the calling thread's group ids.
pub(crate) fn set_groups_ids(ids: Ids) -> io::Result<()> {
    set_ids(ids, libc::SYS_setresgid, libc::SYS_setfsgid)
}

fn set_ids(ids: Ids, all: libc::c_long, file: libc::c_long) -> io::Result<()> {
    // SAFETY: the call takes integers and touches no memory of ours.
    done(unsafe { libc::syscall(all, ids.real, ids.effective, ids.saved) })?;
    if ids.file == ids.effective {
        return Ok(());
    }
    // The call returns the previous id, whatever it does; asking for an impossible one changes nothing and tells.
    // SAFETY: the call takes an integer and touches no memory of ours.
    unsafe { libc::syscall(file, ids.file) };
    // SAFETY: as above.
    let now = unsafe { libc::syscall(file, u32::MAX) };
    if now == libc::c_long::from(ids.file) { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EPERM)) }
}

/// Makes `groups` the calling thread's supplementary groups.
pub(crate) fn set_supplementary_groups(groups: &[u32]) -> io::Result<()> {
    // SAFETY: the call reads as many ids as it is told from the slice.
    done(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) })
}

/// Keeps the calling thread's capabilities over changes of its user ids (`SECBIT_NO_SETUID_FIXUP`).
pub(crate) fn keep_capabilities() -> Result<(), SyscallError> {
    // linux/securebits.h: SECBIT_NO_SETUID_FIXUP; libc has no name for it.
    const NO_SETUID_FIXUP: libc::c_ulong = 1 << 2;
    // SAFETY: the operation takes an integer and touches no memory of ours.
    let result = unsafe { libc::prctl(libc::PR_SET_SECUREBITS, NO_SETUID_FIXUP, 0, 0, 0) };
    if result == 0 { Ok(()) } else { Err(SyscallError::last("prctl(PR_SET_SECUREBITS)")) }
}

fn done(result: libc::c_long) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_changes_its_own_credentials_and_no_other_threads() {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: not root");
            return;
        }
        let ids = |id| Ids { real: id, effective: id, saved: id, file: id };
        std::thread::spawn(move || {
            keep_capabilities().unwrap();
            let before = Capabilities::of(0).unwrap();
            set_supplementary_groups(&[7, 8]).unwrap();
            set_groups_ids(ids(1001)).unwrap();
            set_users(Ids { file: 1002, ..ids(1000) }).unwrap();
            before.with_effective(1 << 1).apply().unwrap();
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            for line in [
                "Uid:\t1000\t1000\t1000\t1002",
                "Gid:\t1001\t1001\t1001\t1001",
                "Groups:\t7 8",
                "CapEff:\t0000000000000002",
            ] {
                assert!(status.contains(line), "{line} in {status}");
            }
            before.apply().unwrap();
            set_users(ids(0)).unwrap();
            assert_eq!(Capabilities::of(0).unwrap(), before);
        })
        .join()
        .unwrap();
        assert!(nix::unistd::geteuid().is_root());
    }
}
