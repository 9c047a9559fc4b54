// SPDX-License-Identifier: Apache-2.0
//! What all watches of one container share.

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use policy::Mode;

use crate::{
    counters::Counters,
    diagnostics::Throttle,
    enforce::{DevicePolicy, Holds, Upheaval},
    event::Context,
    event_log::EventLog,
    handing_over::{HandingOver, Meetings},
    in_force::InForce,
    internal_alert::InternalAlert,
    wake_ups::WakeUps,
};

/// Fixed at start, but for the rules in force.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The container's identity, its processes and accounts, and the clock.
    pub(crate) context: Context,
    /// Audit or enforce, for the container's whole life.
    pub(crate) mode: Mode,
    /// Whether the kernel holds signals back while a received call waits for its answer.
    pub(crate) is_wait_killable: bool,
    /// The rules; one event sees one version.
    pub(crate) in_force: ArcSwap<InForce>,
    /// Where alerts go before their call proceeds.
    pub(crate) log: EventLog,
    /// What the container's tasks have done to their groups, roots and namespaces.
    pub(crate) upheaval: Upheaval,
    /// The device files that the container may open.
    pub(crate) devices: Arc<DevicePolicy>,
    /// What keeps processes from the programs that they execute.
    pub(crate) holds: Holds,
    /// Files on their way to a target.
    pub(crate) handing_over: HandingOver,
    /// Those of them that somebody may have the other end of.
    pub(crate) meetings: Meetings,
    /// What waking targets may be worth.
    pub(crate) wake_ups: WakeUps,
    /// For `lanner ps`.
    pub(crate) counters: Counters,
    /// What is told of calls that get the failure verdict, and of alerts that cannot be written.
    pub(crate) told_failure: Throttle,
    pub(crate) told_lost_alert: Throttle,
    /// The last alert of our own that could not be written.
    pub(crate) unwritten: Mutex<Option<InternalAlert>>,
}
