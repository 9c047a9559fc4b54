// SPDX-License-Identifier: Apache-2.0
//! Wake-ups of targets, and what they cost: an open that is performed, and an exec that is followed, let the target go on by
//! waking it on another CPU. Where that one is idle and has gone to sleep, or has left to a hypervisor, waking it takes
//! longer than all the rest.
//!
//! While a container makes many such calls, the kernel is asked not to let idle CPUs sleep so deeply, as profiles for low
//! latency do for the whole time (`PM QoS`, `Documentation/admin-guide/pm/cpuidle.rst` and
//! `Documentation/power/pm_qos_interface.rst` of the kernel). Whatever can run ends an idle CPU's waiting at once, so that
//! this takes no time from anybody, and the kernel forgets it with the process that asked.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    mem,
    os::fd::{AsFd, BorrowedFd},
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use nix::sys::{
    time::TimeSpec,
    timer::TimerSetTimeFlags,
    timerfd::{ClockId, Expiration, TimerFd, TimerFlags},
};

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
/// When it is tried again where nothing can be asked for.
const LATER: Duration = Duration::from_mins(1);
/// CPUs of a guest up to which idle ones may be kept from halting. In a larger one many more would be kept awake than the
/// calls of one container need.
const MAX_AWAKE: usize = 8;

/// Where a process says how many microseconds it may take to wake a CPU, as long as it has this open. Read, it says what holds.
const REQUESTS: &str = "/dev/cpu_dma_latency";
const SYSTEM: &str = "/sys";

/// How many there were, from all threads.
#[derive(Debug)]
pub(crate) struct WakeUps {
    count: AtomicU64,
    since: Instant,
    /// When the last batch was full, in nanoseconds after `since`.
    filled: AtomicU64,
    /// Whether [`LatencyLimit`] has been told and is at it, or is never told.
    is_told: AtomicBool,
    timer: TimerFd,
}

impl WakeUps {
    /// Counted so that [`LatencyLimit`] is told of them, if `is_wanted`.
    pub(crate) fn new(is_wanted: bool) -> io::Result<Self> {
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)?;
        let (count, filled) = Default::default();
        Ok(Self { count, since: Instant::now(), filled, is_told: AtomicBool::new(!is_wanted), timer })
    }

    /// To be called when a target was woken, or will be.
    pub(crate) fn add(&self, count: u64) {
        let before = self.count.fetch_add(count, Ordering::Relaxed);
        if before / BATCH == before.wrapping_add(count) / BATCH || self.is_told.load(Ordering::Relaxed) {
            return;
        }
        let now = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let took = now.saturating_sub(self.filled.swap(now, Ordering::Relaxed));
        if Duration::from_nanos(took) <= BATCH_TIME && !self.is_told.swap(true, Ordering::AcqRel) {
            self.look_in(Duration::from_nanos(1));
        }
    }

    fn look_in(&self, pause: Duration) {
        let due = Expiration::OneShot(TimeSpec::from_duration(pause));
        if let Err(error) = self.timer.set(due, TimerSetTimeFlags::empty()) {
            tracing::error!(%error, "idle CPUs stay as they are");
        }
    }
}

impl AsFd for WakeUps {
    /// Readable when [`LatencyLimit::look`] is due.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}

/// The limit of CPUs' latency that is asked for, by a thread with the host's root directory.
#[derive(Debug, Default)]
pub(crate) enum LatencyLimit {
    #[default]
    None,
    /// One, since there were so many wake-ups.
    Held { request: File, seen: u64 },
    /// None, because there is none to be had.
    Refused,
}

impl LatencyLimit {
    /// To be called when [`WakeUps`] are readable: asks for a limit, keeps it, or gives it up.
    pub(crate) fn look(&mut self, wake_ups: &WakeUps) {
        let WakeUps { count, is_told, timer, .. } = wake_ups;
        if timer.wait().is_err() {
            // Nothing is due.
            return;
        }
        let seen = count.load(Ordering::Relaxed);
        let (next, pause) = match mem::take(self) {
            Self::None => match begin() {
                Some(request) => (Self::Held { request, seen }, Some(LOOK)),
                None => (Self::Refused, Some(LATER)),
            },
            Self::Held { request, seen: before } if seen.wrapping_sub(before) >= FEWEST => {
                (Self::Held { request, seen }, Some(LOOK))
            }
            Self::Held { .. } | Self::Refused => (Self::None, None),
        };
        *self = next;
        match pause {
            Some(pause) => wake_ups.look_in(pause),
            None => is_told.store(false, Ordering::Release),
        }
    }
}

fn begin() -> Option<File> {
    let latency = wanted(Path::new(SYSTEM))?;
    let request = OpenOptions::new().write(true).open(REQUESTS).and_then(|mut request| {
        request.write_all(&latency.to_ne_bytes())?;
        Ok(request)
    });
    request.inspect_err(|error| tracing::warn!(%error, "a short latency of CPUs cannot be asked for")).ok()
}

/// How many microseconds it may take to wake a CPU, where something is gained by asking; `system` is where sysfs is.
fn wanted(system: &Path) -> Option<i32> {
    let read = |path: &str| fs::read_to_string(system.join(path)).ok().map(|text| text.trim().to_owned());
    let number = |path: &str| read(path)?.parse::<i32>().ok();
    let driver = read("devices/system/cpu/cpuidle/current_driver")?;
    if driver == "haltpoll" {
        // A guest's idle CPUs leave to the hypervisor, which no latency tells of. By default the kernel has them look for
        // work before they do, and that is enough.
        let polls = read("devices/system/cpu/cpuidle/current_governor")? == "haltpoll"
            && number("module/haltpoll/parameters/guest_halt_poll_ns")? > 0;
        let cpus = count(&read("devices/system/cpu/online")?)?;
        return (!polls && cpus <= MAX_AWAKE).then_some(0);
    }
    // The shallowest sleep; one that takes no time to wake from is none.
    let states = (0..).map_while(|state| number(&format!("devices/system/cpu/cpu0/cpuidle/state{state}/latency")));
    let sleeps: Vec<i32> = states.filter(|latency| *latency > 0).collect();
    let shallowest = sleeps.iter().copied().min()?;
    sleeps.iter().any(|latency| *latency > shallowest).then_some(shallowest)
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
    use std::thread;

    use super::*;

    const CPU: &str = "devices/system/cpu/cpuidle";
    const HALT_POLL: &str = "module/haltpoll/parameters/guest_halt_poll_ns";

    /// What is asked for where sysfs has these files.
    fn wanted_with(files: &[(&str, &str)], states: &[&str]) -> Option<i32> {
        let system = tempfile::tempdir().unwrap();
        let states = states.iter().enumerate();
        let states =
            states.map(|(state, latency)| (format!("devices/system/cpu/cpu0/cpuidle/state{state}/latency"), latency));
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), text));
        for (path, text) in files.chain(states) {
            let path = system.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{text}\n")).unwrap();
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
            wanted_with(&files, &["0", "1"])
        };
        let machine = |states| wanted_with(&[(driver, "intel_idle"), (online, "0-127")], states);
        assert_eq!(guest("haltpoll", "0", "0-1"), Some(0));
        assert_eq!(guest("menu", "200000", "0-3,6"), Some(0));
        assert_eq!(guest("haltpoll", "200000", "0-1"), None);
        assert_eq!(guest("haltpoll", "0", "0-8"), None);
        assert_eq!(machine(&["0", "2", "10", "133"]), Some(2));
        assert_eq!(machine(&["1", "85"]), Some(1));
        assert_eq!(machine(&["0", "2"]), None);
        assert_eq!(wanted_with(&[(driver, "none")], &[]), None);
        assert_eq!(wanted_with(&[], &["0", "2", "133"]), None);
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
            thread::sleep(LOOK);
            wake_ups.timer.wait().is_ok()
        };
        assert!(!is_told_of(&wake_ups, 4, BATCH - 1, BATCH_TIME * 2));
        assert!(is_told_of(&wake_ups, BATCH, OF_EXEC, Duration::ZERO));
        assert!(!is_told_of(&wake_ups, BATCH, OF_EXEC, Duration::ZERO));
        assert!(!is_told_of(&WakeUps::new(false).unwrap(), BATCH, OF_EXEC, Duration::ZERO));
    }

    #[test]
    fn a_limit_lasts_as_long_as_there_are_many() {
        let wake_ups = WakeUps::new(true).unwrap();
        let mut limit = LatencyLimit::Held { request: File::open("/dev/null").unwrap(), seen: 0 };
        wake_ups.is_told.store(true, Ordering::Release);
        wake_ups.look_in(LOOK);
        for count in [FEWEST, FEWEST, FEWEST - 1] {
            assert!(matches!(limit, LatencyLimit::Held { .. }) && wake_ups.is_told.load(Ordering::Acquire));
            wake_ups.add(count);
            thread::sleep(LOOK * 2);
            limit.look(&wake_ups);
        }
        assert!(matches!(limit, LatencyLimit::None) && !wake_ups.is_told.load(Ordering::Acquire));
        // Nothing is due any more.
        limit.look(&wake_ups);
        assert!(matches!(limit, LatencyLimit::None));
    }
}
