// SPDX-License-Identifier: Apache-2.0
//! Opens performed for the target, so that the file that was judged is the file that the target gets.
//!
//! Answering "continue" makes the kernel read the path again: another thread may have changed it, or a link on the way.
//! So the arguments are copied once, [`locate`] finds the file they name for the target, the rules judge that file, and
//! [`Opener::open`] opens the very file that was found, for the listener to inject. All this happens with the target's
//! root directory, credentials and file mode mask, on the calling thread alone: the thread has its own file system
//! context, and the kernel's calls (not the C library's) change the credentials of one thread.
//!
//! What blocks (FIFOs, devices, files under lease) is opened by a thread of its own, see [`blocking`].
//!
//! An exec cannot be performed for somebody else; it is followed to where the new program is loaded, see [`tracer`]. Where
//! somebody else traces the task, the kernel holds it there, see [`hold`].

mod apparmor;
mod blocking;
mod confined;
mod connecting;
mod credentials;
mod devices;
mod handles;
mod hold;
mod locate;
mod means;
mod namespace;
mod naming;
mod opener;
mod procfs;
mod request;
mod surroundings;
mod terminal;
mod tracer;
mod untraced;
mod upheaval;

pub(crate) use blocking::{Blocking, Ended, Job, RESTART, Work};
pub(crate) use connecting::{Contact, Destination, forgive as forgive_connect};
use credentials::CredentialsError;
pub(crate) use credentials::Standing;
pub(crate) use devices::{DevicePolicy, DeviceRule};
pub(crate) use handles::Handles;
pub(crate) use hold::{Hold, HoldError, Holds};
pub(crate) use locate::Located;
pub(crate) use means::{Client, Errand, Finding, Means, MeansError};
pub(crate) use namespace::{forget_old_openers, prepare_openers, serve};
pub(crate) use naming::{Deed, Lasting, Name, Naming};
pub(crate) use opener::{ATTEMPTS, Afterwards, Opened, remember_host, stand_alone};
use opener::{Opener, Prepared};
pub(crate) use request::{OpenRequest, RequestError, Start};
pub(crate) use tracer::{Exec, Fate, Follow, Followed};
pub(crate) use untraced::{Untraced, UntracedCalls, Watched};
pub(crate) use upheaval::Upheaval;
