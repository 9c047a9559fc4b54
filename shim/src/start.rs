// SPDX-License-Identifier: Apache-2.0
//! Prepares a container's supervision: mode, run directory, guard, profile. What happens when a step fails is the
//! caller's to decide, by the mode that the [`Refusal`] carries.

use std::{
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use policy::{Arch, Mode, Plan, ProfileError, UnknownMode, Watched};
use serde_json::{Value, json};
use settings::{Settings, SettingsError};

use crate::{
    args::Invocation,
    bundle::{Bundle, BundleError},
    conmon, features,
    guard::{self, GuardError, Ready, Started},
    run_directory::{RunDirectory, RunDirectoryError},
};

/// A command that starts a container.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    pub(crate) invocation: &'a Invocation,
    pub(crate) settings: &'a Settings,
    pub(crate) runtime: &'a Path,
    /// What the operator asks for; the container may ask for more.
    pub(crate) mode: Mode,
}

/// A container that cannot be supervised: in audit mode it starts all the same, in enforce mode it does not.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) mode: Mode,
    pub(crate) cause: StartError,
}

/// Why a container cannot be supervised.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error("the annotation `lanner.dev/mode` is `{value}`: use audit or enforce")]
    Annotation { value: String },
    #[error("the annotation `{name}` makes crun {effect}: remove it")]
    Evading { name: &'static str, effect: &'static str },
    #[error("a restored container has the seccomp filters of its checkpoint, and no listener for them")]
    Restored,
    #[error("`{id}` is not a container id of letters, digits and `_+-.`")]
    Id { id: String },
    #[error("the path `{}` is not valid UTF-8, which an OCI configuration must be", path.display())]
    NotUtf8 { path: PathBuf },
    #[error(transparent)]
    RunDirectory(#[from] RunDirectoryError),
    #[error(transparent)]
    Profile(#[from] ProfileError),
    #[error(transparent)]
    Guard(#[from] GuardError),
}

impl Start<'_> {
    /// Patches the bundle and leaves a guard that listens, or leaves the bundle as it is.
    pub(crate) fn prepare(&self) -> Result<(), Refusal> {
        let refusal = |mode, cause: StartError| Refusal { mode, cause };
        let bundle = Bundle::open(self.invocation).map_err(|error| refusal(self.mode, error.into()))?;
        let Some(mut bundle) = bundle else { return Ok(()) };
        // Only somebody who wants to be stricter writes the annotation, so a misspelt one must not pass as milder.
        let asked = annotated(&bundle).map_err(|error| refusal(Mode::Enforce, error))?;
        let mode = self.mode.tighten(asked);
        self.supervise(&mut bundle, mode).map_err(|cause| {
            // An audited container starts all the same, which the low-level runtime refuses where the profile of an earlier
            // start names a listener that is gone.
            let reclaimed = if mode == Mode::Audit { self.reclaim(&mut bundle) } else { Ok(()) };
            refusal(mode, reclaimed.err().unwrap_or(cause))
        })
    }

    fn reclaim(&self, bundle: &mut Bundle) -> Result<(), StartError> {
        let run_dir = text(&self.settings.run_dir)?;
        let unpatched = bundle.seccomp().and_then(|profile| policy::unpatched(profile, run_dir));
        unpatched.map_or(Ok(()), |profile| Ok(bundle.write_seccomp(profile)?))
    }

    fn supervise(&self, bundle: &mut Bundle, mode: Mode) -> Result<(), StartError> {
        // CRIU makes the processes anew with the filters they had; the profile in the bundle is for `exec` alone.
        if self.invocation.restores {
            return Err(StartError::Restored);
        }
        let id = self.id()?;
        bundle.check_spelling()?;
        self.refuse_evasion(bundle)?;
        let directory = RunDirectory::make(&self.settings.run_dir, id)?;
        let (profile, guard) = match self.profile(bundle, &directory, id, mode) {
            Ok(prepared) => prepared,
            Err(error) => {
                directory.discard();
                return Err(error);
            }
        };
        // From here the directory is the guard's, which leaves by itself when no container follows.
        bundle.write_seccomp(profile)?;
        guard.settle().map_err(|error| bundle.restore().err().map_or_else(|| error.into(), StartError::from))
    }

    /// Refuses annotations that would leave the listener without the container's calls. runc knows none of them, and
    /// whoever writes one must not get out of supervision there.
    fn refuse_evasion(&self, bundle: &Bundle) -> Result<(), StartError> {
        match bundle.evading_annotation() {
            Some((name, effect)) if !features::is_runc(self.runtime) => Err(StartError::Evading { name, effect }),
            Some(_) | None => Ok(()),
        }
    }

    /// The container's new profile, with the guard that it needs running.
    fn profile(
        &self,
        bundle: &Bundle,
        directory: &RunDirectory,
        id: &str,
        mode: Mode,
    ) -> Result<(Value, Started), StartError> {
        let wait_killable = features::has_wait_killable(self.runtime, &self.settings.run_dir);
        // A profile that cannot be combined is found before there is a guard to stop.
        self.patched(bundle, directory, mode, &Ready::default())?;
        directory.write("plan.json", self.plan(bundle, id, mode, wait_killable)?.to_string().as_bytes())?;
        directory.write("spec.json", &bundle.original)?;
        let (mut ready, started) = guard::start(directory.path(), self.settings)?;
        ready.wait_killable &= wait_killable;
        Ok((self.patched(bundle, directory, mode, &ready)?, started))
    }

    fn patched(
        &self,
        bundle: &Bundle,
        directory: &RunDirectory,
        mode: Mode,
        ready: &Ready,
    ) -> Result<Value, StartError> {
        let listener = directory.path().join("listener");
        let enforced = match mode {
            Mode::Enforce => policy::enforced(),
            Mode::Audit => Vec::new(),
        };
        let always = policy::BASE.iter().map(|name| Watched::always(name));
        let watched = policy::merged(always.chain(enforced).chain(ready.watched.iter().cloned()));
        let plan = Plan {
            listener_path: text(&listener)?,
            run_dir: text(&self.settings.run_dir)?,
            mode,
            watched: &watched,
            flags: if ready.wait_killable { &[features::WAIT_KILLABLE] } else { &[] },
            architectures: Arch::of_host(),
        };
        Ok(policy::patched(bundle.seccomp(), &plan)?)
    }

    fn plan(&self, bundle: &Bundle, id: &str, mode: Mode, wait_killable: bool) -> Result<Value, StartError> {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(json!({
            "id": id,
            "mode": mode,
            "bundle": text(&bundle.folder)?,
            "runtime": text(self.runtime)?,
            "name": conmon::container_name(),
            "started": u64::try_from(started.as_nanos()).unwrap_or(u64::MAX),
            "wait_killable": wait_killable,
            // Nobody is held in audit mode.
            "exposed": mode == Mode::Enforce && bundle.is_exposed(),
        }))
    }

    /// The id, which becomes the name of a directory: runc's characters, and not one of the names with a meaning.
    fn id(&self) -> Result<&str, StartError> {
        let id = self.invocation.id.as_deref().unwrap_or_default();
        let is_plain = |character: char| character.is_ascii_alphanumeric() || "_+-.".contains(character);
        match id.to_str() {
            Some(text) if text.chars().all(is_plain) && !text.is_empty() && !text.starts_with('.') => Ok(text),
            _ => Err(StartError::Id { id: id.display().to_string() }),
        }
    }
}

/// The mode that the container asks for.
fn annotated(bundle: &Bundle) -> Result<Mode, StartError> {
    let Some(value) = bundle.mode_annotation() else { return Ok(Mode::Audit) };
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.parse().map_err(|UnknownMode| StartError::Annotation { value: text })
}

fn text(path: &Path) -> Result<&str, StartError> {
    path.to_str().ok_or_else(|| StartError::NotUtf8 { path: path.to_owned() })
}
