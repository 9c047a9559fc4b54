// SPDX-License-Identifier: Apache-2.0
//! What a supervisor puts in place before it answers: configuration, rules, identity, log, counters.

use std::{
    io,
    os::fd::BorrowedFd,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use arc_swap::ArcSwap;
use policy::{Mode, Watched};
use rules::Rule;

use crate::{
    config::{Config, ConfigError, TracedExecs, rules_files},
    container::{self, Identity, LoadIdentityError},
    control::ControlError,
    counters::{Counter, Counters, CountersError},
    descriptor_limit,
    diagnostics::{self, Throttle},
    enforce::{DevicePolicy, HoldError, Holds, Upheaval, prepare_openers, remember_host},
    event::Context,
    event_log::{EventLog, EventLogError},
    handing_over::{HandingOver, Meetings},
    in_force::{InForce, RulesError},
    interest,
    internal_alert::InternalAlert,
    reload::ChangeWatcher,
    run_directory::{Plan, RunDirectory, RunDirectoryError},
    shared::Shared,
    sources::{Sources, SourcesError},
    sys::{self, SyscallError},
    wake_ups::WakeUps,
};

/// Everything in place.
#[derive(Debug)]
pub(crate) struct Beginning {
    pub(crate) shared: Shared,
    pub(crate) changes: ChangeWatcher,
    /// The texts in force, if rules are.
    pub(crate) sources: Option<Sources>,
    /// The calls that the rules need beyond the base set.
    pub(crate) watched: Vec<Watched>,
    /// Why the files do not load, where they do not; it has been reported.
    pub(crate) failure: Option<String>,
    /// Our own log, which standard error is.
    pub(crate) log: PathBuf,
}

/// Why no container can be supervised.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// No usable configuration.
    #[error("cannot use the configuration")]
    Config(#[from] ConfigError),
    /// Configuration or rule files cannot be read.
    #[error(transparent)]
    Sources(#[from] SourcesError),
    /// The rules do not load.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// There is nothing to watch for: a mistyped path, or a file that something has emptied.
    #[error("no rule is enabled in {0}")]
    NoRules(String),
    /// Its calls would fail for want of descriptors.
    #[error("the limit of open files is {0}, which is too low to perform calls for a container (RLIMIT_NOFILE)")]
    Descriptors(u64),
    /// The run directory is not as the shim makes it.
    #[error(transparent)]
    Directory(#[from] RunDirectoryError),
    /// The container's identity cannot be read.
    #[error("cannot tell who the container is")]
    Identity(#[from] LoadIdentityError),
    /// What is performed for the container would not be confined as it is.
    #[error(
        "the container's calls cannot be performed under its SELinux label `{0}`: run it without one, or in audit mode \
         without `verify: all`"
    )]
    Labelled(String),
    /// Alerts would have nowhere to go.
    #[error(transparent)]
    EventLog(#[from] EventLogError),
    /// The counters cannot be mapped.
    #[error(transparent)]
    Counters(#[from] CountersError),
    /// A system call failed.
    #[error(transparent)]
    Syscall(#[from] SyscallError),
    /// Nothing could be recorded of what is held.
    #[error(transparent)]
    Holds(#[from] HoldError),
    /// Files of the host cannot be told from those of a container.
    #[error("cannot open the host's root directory and our descriptors")]
    Host(#[source] io::Error),
    /// Nobody could be told when to look after idle CPUs.
    #[error("cannot make a timer")]
    Timer(#[source] io::Error),
    /// Standard input is no socket of ours.
    #[error("cannot take over the control socket")]
    ControlSocket(#[source] io::Error),
    /// The guard cannot be spoken with.
    #[error("cannot speak with the guard")]
    Control(#[from] ControlError),
    /// The guard's first message is another one.
    #[error("the guard did not say how to begin")]
    NoBegin,
}

/// Fails where calls would be performed for a container whose label nobody else can take on.
pub(crate) fn check_label(in_force: &InForce, mode: Mode, directory: &Path) -> Result<(), StartError> {
    if mode == Mode::Audit && !in_force.performs_opens(mode) {
        return Ok(());
    }
    container::enforced_label(directory)?.map_or(Ok(()), |label| Err(StartError::Labelled(label)))
}

/// Which rules a supervisor begins with.
struct Choice {
    config: Config,
    in_force: InForce,
    sources: Option<Sources>,
    /// Why the files do not load, and what the log must say about it.
    failure: Option<(String, InternalAlert)>,
}

impl Beginning {
    /// Puts everything in place; `inherited` are the texts that were in force under a predecessor.
    pub(crate) fn prepare(
        directory: &Path,
        config_path: &Path,
        inherited: Option<BorrowedFd<'_>>,
    ) -> Result<Self, StartError> {
        sys::check_structure_sizes()?;
        sys::prepare_interrupts()?;
        remember_host().and_then(|()| prepare_openers()).map_err(StartError::Host)?;
        let has_descriptors = descriptor_limit::raise();
        let directory = RunDirectory::new(directory);
        let Plan { mode, wait_killable, exposed, .. } = directory.plan()?;
        if mode == Mode::Enforce && !has_descriptors {
            return Err(StartError::Descriptors(descriptor_limit::current()));
        }
        let mut changes = ChangeWatcher::new();
        changes.cover_file(config_path, &[]);
        let Choice { config, in_force, sources, failure } = choose(config_path, inherited, mode)?;
        if failure.is_some() {
            // What is in force names what the configuration may not say any more, the event log for one.
            changes.cover(&config);
            changes.cover_file(config_path, &[]);
        }
        check_label(&in_force, mode, directory.path())?;
        let watched = interest::with_helpful(&in_force, mode);
        let counters = Counters::open(&directory.counters())?;
        counters.add(Counter::Starts, 1);
        let mut shared = Shared {
            context: Context::new(Identity::load(directory.path())?),
            mode,
            // The shim asks for the flag only where the kernel knows it too.
            is_wait_killable: wait_killable && sys::supports_wait_killable(),
            in_force: ArcSwap::from_pointee(in_force),
            log: EventLog::open(&config.event_log)?,
            upheaval: Upheaval::new(mode == Mode::Enforce),
            holds: Holds::new(directory.path(), exposed)?,
            handing_over: HandingOver::default(),
            meetings: Meetings::default(),
            wake_ups: WakeUps::new(config.limit_cpu_latency).map_err(StartError::Timer)?,
            devices: Arc::new(DevicePolicy::new(container::device_rules(directory.path())?)),
            counters,
            told_failure: Throttle::default(),
            told_lost_alert: Throttle::default(),
            unwritten: Mutex::default(),
        };
        let failure = failure.map(|(cause, alert)| {
            alert.write(&shared);
            cause
        });
        end_abandoned(&mut shared);
        warn_of_holds(&shared);
        Ok(Self { shared, changes, sources, watched, failure, log: config.log })
    }
}

/// Says at the beginning what would else be told when somebody starts a debugger.
fn warn_of_holds(shared: &Shared) {
    if shared.in_force.load().traced_execs(shared.mode) == TracedExecs::Hold
        && let Err(error) = shared.holds.check()
    {
        tracing::warn!(
            error = diagnostics::chain(&error),
            "execs of traced tasks will fail, since nothing can be held"
        );
    }
}

/// Programs that a predecessor held when it died were not judged, and nobody else lets them go.
fn end_abandoned(shared: &mut Shared) {
    match shared.holds.end_abandoned() {
        Ok(processes) => {
            for process in processes {
                InternalAlert::exec_unseen(process, "was killed, since a supervisor died that held it").write(shared);
            }
        }
        Err(error) => tracing::error!(%error, "what a supervisor held that died cannot be ended"),
    }
}

/// The files if they load, else what was in force under a predecessor, else, in audit mode, no rules at all.
fn choose(config_path: &Path, inherited: Option<BorrowedFd<'_>>, mode: Mode) -> Result<Choice, StartError> {
    let error = match load_files(config_path) {
        Ok((config, sources, in_force)) => {
            return Ok(Choice { config, in_force, sources: Some(sources), failure: None });
        }
        Err(error) => error,
    };
    let cause = diagnostics::chain(&error);
    if let Some(inherited) = inherited {
        let (config, sources) = Sources::from_memfd(inherited)?;
        let (in_force, _report) = InForce::load(&config, &sources)?;
        let alert = InternalAlert::reload_failed(&cause);
        let failure = Some((cause, alert));
        return Ok(Choice { config, in_force, sources: Some(sources), failure });
    }
    if mode == Mode::Enforce {
        return Err(error);
    }
    let (config, _notices) = Config::load(config_path, &[])?;
    let in_force = InForce::empty(&config);
    let alert = InternalAlert::no_rules(&cause);
    Ok(Choice { config, in_force, sources: None, failure: Some((cause, alert)) })
}

/// Reads and compiles what the files say now.
pub(crate) fn load_files(config_path: &Path) -> Result<(Config, Sources, InForce), StartError> {
    let (config, sources) = Sources::read(config_path)?;
    let (in_force, report) = InForce::load(&config, &sources).inspect_err(|error| tracing::error!("{}", error.0))?;
    if report.has_warnings() {
        tracing::debug!(%report, "the rules load with warnings");
    }
    for idle in InForce::idle_actions(&config, &in_force.ruleset) {
        tracing::warn!("{idle}");
    }
    // Falco's files may be missing one by one, but without any rule a container would be free without a word.
    if !in_force.ruleset.rules().iter().any(Rule::is_enabled) {
        return Err(StartError::NoRules(rules_files::describe(&config.rules.entries)));
    }
    Ok((config, sources, in_force))
}
