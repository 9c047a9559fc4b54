// SPDX-License-Identifier: Apache-2.0
//! Alerts about Lanner itself, beside those of rules: in the same log, with source `internal`, as Falco's own.

use std::sync::PoisonError;

use policy::Mode;
use rules::Priority;

use crate::{
    alert::{AlertRecord, INTERNAL_SOURCE},
    container::short_id,
    counters::Counter,
    decode::Dodge,
    diagnostics,
    event_log::EventLog,
    shared::Shared,
    unix_time::unix_time,
};

/// Whom an alert is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    /// The node's name.
    pub(crate) hostname: &'a str,
    /// The container's full id.
    pub(crate) container: &'a str,
    /// Its name, where somebody knows it.
    pub(crate) name: Option<&'a str>,
}

/// One alert that no rule raised.
#[derive(Debug)]
pub(crate) struct InternalAlert {
    rule: &'static str,
    priority: Priority,
    message: String,
}

impl InternalAlert {
    /// New rules or a new configuration do not load.
    pub(crate) fn reload_failed(cause: &str) -> Self {
        Self {
            rule: "Lanner internal: reload failure",
            priority: Priority::Critical,
            message: format!("The rules in force stay, because the new ones do not load: {cause}"),
        }
    }

    /// An audited container starts without rules.
    pub(crate) fn no_rules(cause: &str) -> Self {
        Self {
            rule: "Lanner internal: no rules in force",
            priority: Priority::Critical,
            message: format!("The container is audited without rules until they load: {cause}"),
        }
    }

    /// A container called `io_uring_setup`, whose operations no listener sees.
    pub(crate) fn io_uring(pid: u32) -> Self {
        Self {
            rule: "Lanner internal: io_uring",
            priority: Priority::Warning,
            message: format!("Process {pid} sets up io_uring: files it opens through the ring are not seen"),
        }
    }

    /// A task that may be in a Landlock domain opens a file, in audit mode.
    pub(crate) fn landlock(pid: u32) -> Self {
        Self {
            rule: "Lanner internal: opens not verified",
            priority: Priority::Warning,
            message: format!(
                "Process {pid} opens a file after Landlock came into use: from now on the container's opens are logged by \
                 their arguments alone"
            ),
        }
    }

    /// A call that nothing could be decided or recorded about; `calls` were so by now. Told once a second, and when it is over.
    pub(crate) fn not_judged(why: &str, calls: u64, mode: Mode) -> Self {
        let verdict = match mode {
            Mode::Audit => "passed unjudged or unrecorded",
            Mode::Enforce => "failed",
        };
        Self {
            rule: "Lanner internal: call not judged",
            priority: Priority::Critical,
            message: format!("A call {verdict}, the {calls}. of this container: {why}"),
        }
    }

    /// New rules need calls that the container's profile, which is fixed at its start, does not notify.
    pub(crate) fn untrapped(calls: &[&str]) -> Self {
        Self {
            rule: "Lanner internal: calls not watched",
            priority: Priority::Warning,
            message: format!(
                "The new rules need calls that this container is not watched for; they apply to containers that start \
                 from now on: {}",
                calls.join(", ")
            ),
        }
    }

    /// A container went, or wanted to go, past what rules can judge.
    pub(crate) fn dodge(pid: u32, dodge: Dodge, mode: Mode) -> Self {
        let (rule, deed, why) = match dodge {
            Dodge::OpenByHandle => ("Lanner internal: open by handle", "opens a file by handle", "no path leads to it"),
            Dodge::OpenByListener => (
                "Lanner internal: opens by listening",
                "is given files that others open (fanotify)",
                "no path leads to them",
            ),
            Dodge::Hooking => (
                "Lanner internal: program on a control group",
                "attaches a program to a control group (bpf)",
                "it would change what its sockets say and where they connect to",
            ),
            Dodge::Posing => (
                "Lanner internal: posing",
                "changes which program it shows (PR_SET_MM)",
                "rules and alerts would name another one than it runs",
            ),
        };
        let verdict = match mode {
            Mode::Audit => "is not judged",
            Mode::Enforce => "fails",
        };
        let message = format!("Process {pid} {deed}, which {verdict}: {why}");
        Self { rule, priority: Priority::Warning, message }
    }

    /// The exec of the alert `id` ran something else, about which no rule has anything to say.
    pub(crate) fn exec_replaced(id: &str, program: &[u8]) -> Self {
        let program = rules::sanitize(program);
        Self {
            rule: "Lanner internal: exec replaced",
            priority: Priority::Warning,
            message: format!("The exec of alert {id} ran {program}: its arguments or its file changed meanwhile"),
        }
    }

    /// An exec that cannot be followed to the program that it loads.
    pub(crate) fn exec_unverified(pid: u32, mode: Mode) -> Self {
        let verdict = match mode {
            Mode::Audit => "is logged by its arguments alone",
            Mode::Enforce => "fails",
        };
        Self {
            rule: "Lanner internal: exec not verified",
            priority: Priority::Warning,
            message: format!("Process {pid} executes a program, which {verdict}: it cannot be followed"),
        }
    }

    /// An exec that fails because nobody stops it before its program runs, and why.
    pub(crate) fn traced_exec_denied(pid: u32, why: &str) -> Self {
        Self {
            rule: "Lanner internal: exec not verified",
            priority: Priority::Warning,
            message: format!(
                "Process {pid}, which another one of its container traces, executes a program, which fails: {why}"
            ),
        }
    }

    /// A call that mounts something fails for the sake of who is held.
    pub(crate) fn mount_refused(pid: u32, call: &str, why: &str) -> Self {
        Self {
            rule: "Lanner internal: mount refused",
            priority: Priority::Warning,
            message: format!("Process {pid} calls {call}, which fails: {why}"),
        }
    }

    /// An exec that could not be followed loaded a program which nobody saw in time; `why` is said of that program.
    pub(crate) fn exec_unseen(pid: u32, why: &str) -> Self {
        Self {
            rule: "Lanner internal: exec not verified",
            priority: Priority::Warning,
            message: format!("Process {pid}, which another one of its container traces, executed a program that {why}"),
        }
    }

    /// Of the program that an exec has loaded, something stayed unseen that a rule asks for.
    pub(crate) fn program_unseen(pid: u32, mode: Mode) -> Self {
        let verdict = match mode {
            Mode::Audit => "runs",
            Mode::Enforce => "is killed",
        };
        Self {
            rule: "Lanner internal: exec not verified",
            priority: Priority::Warning,
            message: format!(
                "Process {pid} executed a program, which {verdict}: what a rule asks for could not be seen of it"
            ),
        }
    }

    /// No supervisor can be had, and the guard answers.
    pub(crate) fn not_supervised(mode: Mode) -> Self {
        let verdict = match mode {
            Mode::Audit => "pass unseen",
            Mode::Enforce => "fail",
        };
        Self {
            rule: "Lanner internal: container not supervised",
            priority: Priority::Critical,
            message: format!("No supervisor can be started; until one can, the container's watched calls {verdict}"),
        }
    }

    /// A container runs, and its listener never came; `fate` is what became of it.
    pub(crate) fn no_listener(fate: &str) -> Self {
        Self {
            rule: "Lanner internal: container not supervised",
            priority: Priority::Critical,
            message: format!(
                "The low-level runtime has started the container without handing its listener over: {fate}"
            ),
        }
    }

    /// A supervisor is back after calls got the failure verdict.
    pub(crate) fn supervised_again(calls: u64) -> Self {
        Self {
            rule: "Lanner internal: container supervised again",
            priority: Priority::Critical,
            message: format!("A supervisor is ready again; {calls} calls were answered without one"),
        }
    }

    /// What it says.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Writes the alert about the container of `shared`; the last one that cannot be written is tried again later.
    pub(crate) fn write(self, shared: &Shared) {
        let identity = &shared.context.identity;
        let (container, name) = (&*identity.full_id, identity.known_name());
        let about = About { hostname: shared.context.hostname(), container, name };
        if self.append(&shared.log, about) {
            shared.counters.add(Counter::Alerts, 1);
        } else {
            *shared.unwritten.lock().unwrap_or_else(PoisonError::into_inner) = Some(self);
        }
    }

    /// Has the alert written in a while, unless a later one of its kind comes before, or one of another kind waits.
    pub(crate) fn write_later(self, shared: &Shared) {
        let mut unwritten = shared.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
        if unwritten.as_ref().is_none_or(|other| other.rule == self.rule) {
            *unwritten = Some(self);
        }
    }

    /// Tries the last one again that could not be written. To be called once in a while: a disk that was full may have room.
    pub(crate) fn write_again(shared: &Shared) {
        let unwritten = shared.unwritten.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(alert) = unwritten {
            alert.write(shared);
        }
    }

    /// Appends the alert to the log; `false` where it cannot be written, which our own log reports, as nobody waits for
    /// this alert.
    pub(crate) fn append(&self, log: &EventLog, about: About<'_>) -> bool {
        let time = unix_time();
        let short = short_id(about.container);
        let mut fields = serde_json::json!({ "container.id": short, "evt.time": time });
        if let (Some(fields), Some(name)) = (fields.as_object_mut(), about.name) {
            fields.insert("container.name".to_owned(), name.into());
        }
        let record = AlertRecord {
            time,
            id: &format_args!("{short}-internal-{time:x}"),
            rule: self.rule,
            priority: self.priority,
            source: INTERNAL_SOURCE,
            tags: &[],
            hostname: about.hostname,
            message: &self.message,
            fields,
            container: Some(about.container),
            container_name: about.name,
            outcome: None,
        };
        let mut line = Vec::new();
        let written = record.write_line(&mut line).map_err(|error| error.to_string());
        match written.and_then(|()| log.append(&line).map_err(|error| diagnostics::chain(&error))) {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, rule = self.rule, "an alert cannot be written");
                false
            }
        }
    }
}
