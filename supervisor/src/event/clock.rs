// SPDX-License-Identifier: Apache-2.0
//! Times of events: counting them, taking them, printing them.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use nix::{
    time::{ClockId, clock_gettime},
    unistd::{SysconfVar, sysconf},
};

/// Nanoseconds of a second.
pub(super) const SECOND: u64 = 1_000_000_000;

/// When an event happened, and which one it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Unix time in ns.
    pub(crate) time: u64,
    /// 1 for the first event of this supervisor.
    pub(crate) number: u64,
    /// Time of the event before; its own for the first one.
    pub(crate) previous: u64,
}

/// Counts events and knows the zone that times are printed in.
#[derive(Debug)]
pub(crate) struct Clock {
    /// Loaded when a time is first printed: finding it may mean reading many files.
    zone: OnceLock<TimeZone>,
    started: u64,
    boot: u64,
    ticks: u64,
    events: AtomicU64,
    last: AtomicU64,
}

impl Clock {
    /// Notes the time as the beginning of the capture.
    pub(crate) fn new() -> Self {
        let started = now(ClockId::CLOCK_REALTIME);
        Self {
            zone: OnceLock::new(),
            started,
            boot: started.saturating_sub(now(ClockId::CLOCK_BOOTTIME)),
            ticks: sysconf(SysconfVar::CLK_TCK)
                .ok()
                .flatten()
                .and_then(|ticks| u64::try_from(ticks).ok())
                .unwrap_or(100),
            events: AtomicU64::new(0),
            last: AtomicU64::new(0),
        }
    }

    /// Numbers and dates the event that was received just now.
    pub(crate) fn tick(&self) -> Moment {
        self.tick_at(now(ClockId::CLOCK_REALTIME))
    }

    /// Numbers an event whose time is known.
    pub(crate) fn tick_at(&self, time: u64) -> Moment {
        let number = self.events.fetch_add(1, Ordering::Relaxed) + 1;
        let previous = self.last.swap(time, Ordering::Relaxed);
        Moment { time, number, previous: if previous == 0 { time } else { previous } }
    }

    /// Unix time in ns of a time in clock ticks since boot, as `/proc/PID/stat` has it.
    pub(super) fn of_ticks(&self, ticks: u64) -> u64 {
        let since_boot = u128::from(ticks) * u128::from(SECOND) / u128::from(self.ticks.max(1));
        self.boot.saturating_add(u64::try_from(since_boot).unwrap_or(u64::MAX))
    }

    /// Nanoseconds since the beginning of the capture.
    pub(super) fn relative(&self, time: u64) -> u64 {
        time.saturating_sub(self.started)
    }

    /// `HH:MM:SS`, with nanoseconds on request.
    pub(super) fn time(&self, time: u64, fraction: bool) -> Option<String> {
        let local = self.local(time)?;
        let (hour, minute, second) = (local.hour(), local.minute(), local.second());
        let text = format!("{hour:02}:{minute:02}:{second:02}");
        Some(if fraction { format!("{text}.{:09}", local.subsec_nanosecond()) } else { text })
    }

    /// `YYYY-MM-DD HH:MM:SS`, with nanoseconds on request.
    pub(super) fn date_time(&self, time: u64, fraction: bool) -> Option<String> {
        let date = self.local(time)?.date();
        Some(format!("{:04}-{:02}-{:02} {}", date.year(), date.month(), date.day(), self.time(time, fraction)?))
    }

    fn local(&self, time: u64) -> Option<DateTime> {
        Some(self.zone.get_or_init(TimeZone::system).to_datetime(timestamp(time)?))
    }
}

/// `YYYY-MM-DDTHH:MM:SS.nnnnnnnnn+0000`.
pub(super) fn iso_8601(time: u64) -> Option<String> {
    let utc = TimeZone::UTC.to_datetime(timestamp(time)?);
    let (date, clock) = (utc.date(), utc.time());
    let day = format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day());
    let seconds = format!("{:02}:{:02}:{:02}", clock.hour(), clock.minute(), clock.second());
    Some(format!("{day}T{seconds}.{:09}+0000", clock.subsec_nanosecond()))
}

fn timestamp(time: u64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(i128::from(time)).ok()
}

/// The clock's reading in ns; 0 for a clock that the kernel lacks.
fn now(clock: ClockId) -> u64 {
    let Ok(time) = clock_gettime(clock) else { return 0 };
    let part = |value: i64| u64::try_from(value).unwrap_or(0);
    part(time.tv_sec()).saturating_mul(SECOND).saturating_add(part(time.tv_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_print_as_falco_prints_them() {
        let clock = Clock { zone: TimeZone::fixed(jiff::tz::offset(3)).into(), ..Clock::new() };
        let time = 1_763_882_990_199_588_288;
        assert_eq!(clock.time(time, true).unwrap(), "10:29:50.199588288");
        assert_eq!(clock.time(time, false).unwrap(), "10:29:50");
        assert_eq!(clock.date_time(time, true).unwrap(), "2025-11-23 10:29:50.199588288");
        assert_eq!(iso_8601(time).unwrap(), "2025-11-23T07:29:50.199588288+0000");
    }

    #[test]
    fn events_are_numbered_from_one() {
        let clock = Clock::new();
        assert_eq!(clock.tick_at(5), Moment { time: 5, number: 1, previous: 5 });
        assert_eq!(clock.tick_at(9), Moment { time: 9, number: 2, previous: 5 });
    }

    #[test]
    fn our_own_start_is_in_the_past_and_after_boot() {
        let stat = crate::process::Process::open(std::process::id()).unwrap().stat().unwrap();
        let clock = Clock::new();
        let began = clock.of_ticks(stat.started);
        assert!(began > clock.boot && began <= clock.tick().time, "{began}");
    }
}
