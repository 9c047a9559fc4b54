// SPDX-License-Identifier: Apache-2.0
//! Wake-ups of targets, and what they cost: an open that is performed, and an exec that is followed, let the target go on by
//! waking it on another CPU. Where that one is idle and has gone to sleep, or has left to a hypervisor, waking it takes
//! longer than all the rest.
//!
//! While a container makes many such calls, the kernel is asked not to let idle CPUs sleep so deeply, as profiles for low
//! latency do for the whole time (`PM QoS`, `Documentation/admin-guide/pm/cpuidle.rst` and
//! `Documentation/power/pm_qos_interface.rst` of the kernel). Whatever can run ends an idle CPU's waiting at once, and the
//! kernel forgets it with the thread that asked.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::fd::{AsFd, BorrowedFd},
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::{diagnostics, sys::leave_descriptors};

/// Wake-ups of an open that is performed.
pub(crate) const OF_OPEN: u64 = 1;
/// Wake-ups of an exec that is followed: by the answer, for the stop, and when it goes on.
pub(crate) const OF_EXEC: u64 = 3;
/// So many in so short a time begin a request: 2000 a second, each of which may save some 30 µs.
const BATCH: u64 = 16;
const BATCH_TIME: Duration = Duration::from_millis(8);
/// A request lasts as long as there are so many between two looks.
const FEWEST: u64 = 10;
const LOOK: Duration = Duration::from_millis(5);
/// CPUs of a guest up to which idle ones may be kept from halting. In a larger one many more would be kept awake than the
/// calls of one container need.
const MAX_AWAKE: usize = 8;
/// The thread that holds a request does nothing but look.
const STACK_BYTES: usize = 64 << 10;

/// Where it is said how many microseconds it may take to wake a CPU, for as long as this is open. Read, it says what holds.
const REQUESTS: &str = "/dev/cpu_dma_latency";
const SYSTEM: &str = "/sys";

/// How many there were, from all threads, and a sign that is given when there are many.
#[derive(Debug)]
pub(crate) struct WakeUps {
    /// On its own, for a thread that can use no descriptor of ours, nor close one.
    pace: Arc<Pace>,
    sign: EventFd,
}

#[derive(Debug)]
struct Pace {
    count: AtomicU64,
    since: Instant,
    /// When the last batch was full, in nanoseconds after `since`.
    filled: AtomicU64,
    /// Whether it was told that there are many, until there are few; for ever where that is of no use.
    is_told: AtomicBool,
}

impl WakeUps {
    /// Counted so that it is told when there are many, if `is_wanted`.
    pub(crate) fn new(is_wanted: bool) -> io::Result<Self> {
        let sign = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let (count, filled) = Default::default();
        let pace = Pace { count, since: Instant::now(), filled, is_told: AtomicBool::new(!is_wanted) };
        Ok(Self { pace: Arc::new(pace), sign })
    }

    /// To be called when a target was woken, or will be.
    pub(crate) fn add(&self, count: u64) {
        if self.pace.becomes_fast(count)
            && let Err(error) = self.sign.write(1)
        {
            tracing::error!(%error, "idle CPUs stay as they are");
        }
    }

    /// Whether there are many now; says so once.
    pub(crate) fn are_many(&self) -> bool {
        self.sign.read().is_ok()
    }

    /// Has a thread keep idle CPUs from sleeping deeply for as long as there are many. To be called from a thread with the
    /// host's root directory, when [`Self::are_many`].
    pub(crate) fn keep_cpus_awake(&self) {
        let pace = Arc::clone(&self.pace);
        let keeper = thread::Builder::new().name("idle-cpus".to_owned()).stack_size(STACK_BYTES);
        if let Err(error) = keeper.spawn(move || pace.keep_cpus_awake()) {
            tracing::warn!(%error, "idle CPUs stay as they are");
        }
    }
}

impl AsFd for WakeUps {
    /// Readable when there are many.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sign.as_fd()
    }
}

impl Pace {
    /// Counts; says whether there are many now, which was not told yet.
    fn becomes_fast(&self, count: u64) -> bool {
        let before = self.count.fetch_add(count, Ordering::Relaxed);
        if before / BATCH == before.wrapping_add(count) / BATCH || self.is_told.load(Ordering::Relaxed) {
            return false;
        }
        let now = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let took = now.saturating_sub(self.filled.swap(now, Ordering::Relaxed));
        Duration::from_nanos(took) <= BATCH_TIME && !self.is_told.swap(true, Ordering::AcqRel)
    }

    fn keep_cpus_awake(&self) {
        let request = match ask() {
            Ok(Some(request)) => request,
            // Nor will there be anything to ask for later.
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(error = diagnostics::chain(&error), "idle CPUs stay as they are");
                return;
            }
        };
        self.await_few(|| thread::sleep(LOOK));
        drop(request);
        self.is_told.store(false, Ordering::Release);
    }

    /// Returns when there are few between two looks.
    fn await_few(&self, mut pause: impl FnMut()) {
        let mut before = self.count.load(Ordering::Relaxed);
        loop {
            pause();
            let count = self.count.load(Ordering::Relaxed);
            if count.wrapping_sub(before) < FEWEST {
                return;
            }
            before = count;
        }
    }
}

/// What holds for as long as it is there, and goes with the calling thread, which has no other descriptor from then on; `None`
/// where there is nothing to ask for.
fn ask() -> io::Result<Option<File>> {
    static WANTED: OnceLock<Option<i32>> = OnceLock::new();
    let Some(latency) = *WANTED.get_or_init(|| wanted(Path::new(SYSTEM))) else { return Ok(None) };
    leave_descriptors().map_err(io::Error::other)?;
    let mut request = OpenOptions::new().write(true).open(REQUESTS)?;
    request.write_all(&latency.to_ne_bytes())?;
    Ok(Some(request))
}

/// How many microseconds it may take to wake a CPU, where something is gained by asking; `system` is where sysfs is.
fn wanted(system: &Path) -> Option<i32> {
    let read = |path: &str| fs::read_to_string(system.join(path)).ok().map(|text| text.trim().to_owned());
    let driver = read("devices/system/cpu/cpuidle/current_driver")?;
    if driver == "haltpoll" {
        // A guest's idle CPUs leave to the hypervisor, which no latency tells of. By default the kernel has them look for
        // work before they do, and that is enough.
        let polls = read("devices/system/cpu/cpuidle/current_governor")? == "haltpoll"
            && read("module/haltpoll/parameters/guest_halt_poll_ns")? != "0";
        let cpus = count(&read("devices/system/cpu/online")?)?;
        return (!polls && cpus <= MAX_AWAKE).then_some(0);
    }
    let mut sleeps = Vec::new();
    for cpu in fs::read_dir(system.join("devices/system/cpu")).ok()?.flatten() {
        let sleep =
            |state: u32, file: &str| fs::read_to_string(cpu.path().join(format!("cpuidle/state{state}/{file}")));
        let is = |state, file, text: &str| sleep(state, file).is_ok_and(|content| content.trim() == text);
        let states = (0..).take_while(|state| sleep(*state, "name").is_ok());
        let allowed = states.filter(|state| !is(*state, "name", "POLL") && !is(*state, "disable", "1"));
        let latencies: Vec<i32> =
            allowed.filter_map(|state| sleep(state, "latency").ok()?.trim().parse().ok()).collect();
        sleeps.extend(latencies.iter().min().copied().zip(latencies.iter().max().copied()));
    }
    // The lightest sleep that every CPU has, as they differ on some machines; none of them at all is what 0 asks for.
    let lightest = sleeps.iter().map(|(lightest, _)| *lightest).max()?.max(1);
    sleeps.iter().any(|(_, deepest)| *deepest > lightest).then_some(lightest)
}

/// How many CPUs a list such as `0-3,6` names.
fn count(list: &str) -> Option<usize> {
    let length = |range: &str| {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        to.parse::<usize>().ok()?.checked_sub(from.parse().ok()?)?.checked_add(1)
    };
    list.split(',').map(length).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU: &str = "devices/system/cpu/cpuidle";
    const HALT_POLL: &str = "module/haltpoll/parameters/guest_halt_poll_ns";

    /// What is asked for where sysfs has these files, and cpu0 states of these names and latencies, `-` before disabled ones.
    fn wanted_with(files: &[(&str, &str)], states: &[(&str, &str)]) -> Option<i32> {
        let system = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = system.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{text}\n")).unwrap();
        };
        for (path, text) in files {
            write(path, text);
        }
        for (state, (name, latency)) in states.iter().enumerate() {
            let folder = format!("devices/system/cpu/cpu0/cpuidle/state{state}");
            write(&format!("{folder}/name"), name.trim_start_matches('-'));
            write(&format!("{folder}/disable"), if name.starts_with('-') { "1" } else { "0" });
            write(&format!("{folder}/latency"), latency);
        }
        wanted(system.path())
    }

    #[test]
    fn cpus_that_sleep_may_sleep_lightly_and_small_guests_do_not_halt() {
        let driver = &*format!("{CPU}/current_driver");
        let governor = &*format!("{CPU}/current_governor");
        let online = "devices/system/cpu/online";
        let guest = |governed, poll, cpus| {
            let files = [(driver, "haltpoll"), (governor, governed), (HALT_POLL, poll), (online, cpus)];
            wanted_with(&files, &[("POLL", "0"), ("haltpoll idle", "1")])
        };
        let machine = |states: &[_]| wanted_with(&[(driver, "intel_idle"), (online, "0-127")], states);
        assert_eq!(guest("haltpoll", "0", "0-1"), Some(0));
        assert_eq!(guest("menu", "200000", "0-3,6"), Some(0));
        assert_eq!(guest("haltpoll", "200000", "0-1"), None);
        assert_eq!(guest("haltpoll", "0", "0-8"), None);
        assert_eq!(machine(&[("POLL", "0"), ("C1", "2"), ("C1E", "10"), ("C6", "133")]), Some(2));
        assert_eq!(machine(&[("POLL", "0"), ("-C1", "2"), ("C1E", "10"), ("C6", "133")]), Some(10));
        assert_eq!(machine(&[("POLL", "0"), ("C1", "0"), ("C2", "30")]), Some(1));
        assert_eq!(machine(&[("WFI", "1"), ("cpu-sleep", "85")]), Some(1));
        assert_eq!(machine(&[("POLL", "0"), ("C1", "2"), ("-C6", "133")]), None);
        assert_eq!(wanted_with(&[(driver, "none")], &[]), None);
        assert_eq!(wanted_with(&[], &[("POLL", "0"), ("C1", "2"), ("C6", "133")]), None);
    }

    #[test]
    fn cpus_are_counted() {
        let lists = [("0", Some(1)), ("0-3", Some(4)), ("0-1,4,6-7", Some(5)), ("", None), ("1-0", None), ("a", None)];
        for (list, expected) in lists {
            assert_eq!(count(list), expected, "{list:?}");
        }
    }

    #[test]
    fn many_in_a_short_time_are_told_of_once_and_few_are_not() {
        let wake_ups = WakeUps::new(true).unwrap();
        // Whether it is told of so many, each of them after a pause.
        let is_told_of = |wake_ups: &WakeUps, times: u64, count: u64, pause: Duration| {
            (0..times).for_each(|_| {
                thread::sleep(pause);
                wake_ups.add(count);
            });
            wake_ups.are_many()
        };
        assert!(!is_told_of(&wake_ups, 4, BATCH - 1, BATCH_TIME * 2));
        assert!(is_told_of(&wake_ups, BATCH, OF_EXEC, Duration::ZERO));
        assert!(!is_told_of(&wake_ups, BATCH, OF_EXEC, Duration::ZERO));
        assert!(!is_told_of(&WakeUps::new(false).unwrap(), BATCH, OF_EXEC, Duration::ZERO));
    }

    #[test]
    fn they_are_many_until_they_are_few() {
        let wake_ups = WakeUps::new(true).unwrap();
        let mut counts = [FEWEST, FEWEST * 2, FEWEST, FEWEST - 1, FEWEST].into_iter();
        wake_ups.pace.await_few(|| wake_ups.add(counts.next().unwrap()));
        assert_eq!(counts.len(), 1);
    }
}
