// SPDX-License-Identifier: Apache-2.0
//! The attacks as data.

use crate::{
    attack::{Attack, Trace, bypass, race},
    stage::Setting::{Administrator, Privileged, User, UserNamespace, UserOfNamespace},
};

const KEY: Trace = Trace::Opened("/secret/key");
const MADE: Trace = Trace::Opened("/secret/made");
const LOG: Trace = Trace::Opened("/secret/log");
const SCRIPT: Trace = Trace::Opened("/secret/script");
const LOADED: Trace = Trace::Opened("/secret/loaded");
const GUARDED: Trace = Trace::Written("/guarded/file");
const PROGRAM: Trace = Trace::Executed("/banned/program");
const DROPPED: Trace = Trace::Executed("executed");
const NAME: Trace = Trace::Changed("/secret/made");
const HANDLE: Trace = Trace::Refused("Lanner internal: open by handle");
const LISTENER: Trace = Trace::Refused("Lanner internal: opens by listening");
const POSING: Trace = Trace::Refused("Lanner internal: posing");
const HOOK: Trace = Trace::Refused("Lanner internal: program on a control group");
const RING: Trace = Trace::Refused("Lanner internal: io_uring");

const LATE: &str = "an answer may be late on a busy machine";
const ITS_OWN: &str = "what is continued looks for itself";

pub(crate) static ATTACKS: &[Attack] = &[
    // An argument changes in the caller's memory.
    race("attack_flip open thread", KEY),
    race("attack_flip open thread", KEY).within(User),
    race("attack_flip openat thread", KEY),
    race("attack_flip openat thread", KEY).within(UserNamespace),
    race("attack_flip openat2 thread", KEY),
    race("attack_flip creat thread", MADE),
    race("attack_flip creat thread", MADE).within(User),
    race("attack_flip exclusive thread", MADE),
    race("attack_flip truncation thread", LOG),
    race("attack_flip flags thread", GUARDED),
    race("attack_flip resolve thread", KEY).without_decoy(), // `fd.name` is the same text, as Falco has it
    bypass("attack_flip path-flag thread", KEY),
    race("attack_flip i386-open thread", KEY),
    race("attack_flip i386-openat thread", KEY),
    race("attack_flip i386-openat2 thread", KEY),
    race("attack_flip i386-creat thread", MADE),
    race("attack_flip x32 thread", KEY),
    // A call that a signal interrupts is made anew: two calls, of which the log may name both.
    race("attack_flip open storm", KEY).calling(2),
    race("attack_flip creat storm", MADE).calling(2),
    race("attack_flip exclusive storm", MADE).calling(2),
    race("attack_flip openat signal", KEY).calling(2).no_race("the handler runs before the call is made anew"),
    race("attack_flip openat remap", KEY),
    race("attack_flip openat shared", KEY),
    race("attack_flip openat vm", KEY),
    race("attack_flip openat mem", KEY),
    race("attack_flip openat ptrace", KEY),
    // The file system changes.
    race("attack_link symlink", KEY),
    race("attack_link symlink", KEY).within(UserNamespace),
    race("attack_link folder", KEY),
    race("attack_link exchange-file", KEY),
    race("attack_link exchange-folder", KEY),
    race("attack_link moved", KEY),
    race("attack_link moved-directory", KEY),
    race("attack_link climbing", KEY),
    race("attack_link dangling", MADE),
    race("attack_link mounted-file", KEY).within(Privileged),
    race("attack_link mounted-folder", KEY).within(Privileged),
    // What a path starts from changes.
    race("attack_descriptor directory", KEY),
    race("attack_descriptor path-directory", KEY),
    race("attack_descriptor working", KEY),
    race("attack_descriptor root", KEY).within(Privileged),
    race("attack_descriptor magic", KEY),
    race("attack_descriptor reopened", KEY).calling(2),
    race("attack_descriptor below", KEY)
        .calling(2)
        .no_race("the folder may be opened, and the file is judged by its own open"),
    // Other names.
    race("attack_alias root", KEY),
    race("attack_alias root", KEY).within(User),
    race("attack_alias thread", KEY),
    race("attack_alias task", KEY),
    race("attack_alias pid", KEY),
    race("attack_alias working", KEY),
    race("attack_alias sibling", KEY),
    race("attack_alias descriptor", KEY),
    race("attack_alias device", KEY),
    race("attack_alias mounted", KEY).within(Privileged),
    race("attack_alias symlink", KEY).of_text(),
    race("attack_alias climbing", KEY).of_text(),
    race("attack_alias hardlink", KEY),
    race("attack_alias deep-hardlink", KEY),
    race("attack_alias removed-hardlink", KEY),
    race("attack_alias flickering-hardlink", KEY).calling(1000),
    race("attack_alias bind", KEY).within(Privileged),
    race("attack_alias bind-folder", KEY).within(Privileged),
    race("attack_alias bind-made", MADE).within(Privileged),
    race("attack_alias namespace", KEY).within(User),
    bypass("attack_alias chroot", KEY).within(Privileged).of_text(),
    bypass("attack_alias namespace-chroot", KEY).within(User).of_text(),
    bypass("attack_alias pivot", KEY).within(User),
    race("attack_alias long", KEY).no_race("a checker that reads to the end sees the file"),
    race("attack_alias edge", KEY).no_race("a checker that reads to the end of the page sees the file"),
    race("attack_alias deep", KEY),
    // Ways past the calls that are watched.
    bypass("attack_ring openat", RING),
    bypass("attack_ring openat2", RING),
    bypass("attack_handle", HANDLE).within(Privileged),
    bypass("attack_listener", LISTENER).within(Privileged),
    bypass("attack_reader", SCRIPT).within(User),
    bypass("attack_reader", SCRIPT).within(User).of_opens(),
    bypass("attack_pose", POSING).within(User),
    bypass("attack_hook", HOOK).within(Privileged),
    // The attacker decides when the checker goes on.
    race("attack_stall swap", Trace::Nothing).within(Privileged),
    race("attack_stall path", Trace::Nothing).within(Privileged).may_win(LATE),
    race("attack_stall argument", Trace::Nothing).within(Privileged).may_win(LATE),
    race("attack_stall lease", Trace::Nothing).no_race("what is continued blocks in its own task").may_win(LATE),
    race("attack_stall fifo", Trace::Nothing).no_race("what is continued blocks in its own task").may_win(LATE),
    race("attack_stall sibling", Trace::Nothing).no_race("what is continued blocks in its own task").may_win(LATE),
    // Names that mean something else for whoever opens in the caller's stead.
    race("attack_self self", Trace::Nothing).no_race(ITS_OWN),
    race("attack_self thread", Trace::Nothing).no_race(ITS_OWN),
    race("attack_self climbing", Trace::Nothing).no_race(ITS_OWN),
    race("attack_self link", Trace::Nothing).no_race(ITS_OWN),
    race("attack_self working", Trace::Nothing).no_race(ITS_OWN),
    race("attack_self directory", Trace::Nothing).no_race(ITS_OWN),
    race("attack_self mounted", Trace::Nothing).no_race(ITS_OWN).within(Privileged),
    race("attack_self turning", Trace::Nothing).no_race(ITS_OWN),
    race("attack_self network", Trace::Nothing).no_race(ITS_OWN),
    race("attack_self network", Trace::Nothing).no_race(ITS_OWN).within(Privileged),
    race("attack_self tunnel", Trace::Nothing).no_race(ITS_OWN).within(Privileged),
    race("attack_self moving-tunnel", Trace::Nothing).no_race(ITS_OWN).within(Privileged),
    race("attack_self self", Trace::Nothing).sharing_processes(),
    race("attack_self thread", Trace::Nothing).sharing_processes(),
    race("attack_self link", Trace::Nothing).sharing_processes(),
    race("attack_self working", Trace::Nothing).sharing_processes(),
    race("attack_self turning", Trace::Nothing).sharing_processes(),
    // Whoever works for the caller takes on its rights for a while.
    bypass("attack_supervisor lanner trace", Trace::Nothing).sharing_processes(),
    bypass("attack_supervisor lanner memory", Trace::Nothing).sharing_processes(),
    bypass("attack_supervisor lanner handle", Trace::Nothing).sharing_processes(),
    bypass("attack_supervisor lanner bound", Trace::Nothing).sharing_processes().within(Administrator),
    bypass("attack_supervisor lanner covered", Trace::Nothing).sharing_processes().within(Administrator),
    bypass("attack_supervisor lanner descriptors", Trace::Nothing).sharing_processes(),
    bypass("attack_supervisor lanner root", Trace::Nothing).sharing_processes(),
    bypass("attack_supervisor lanner trace", Trace::Nothing).sharing_processes().within(User),
    bypass("attack_supervisor lanner memory", Trace::Nothing).sharing_processes().within(User),
    bypass("attack_supervisor lanner signal", Trace::Nothing).sharing_processes().within(User),
    // The rights of a program that takes over the caller's number.
    race("attack_takeover open", Trace::Nothing).within(User).no_race(ITS_OWN),
    race("attack_takeover create", Trace::Nothing).within(User).no_race(ITS_OWN),
    race("attack_takeover create", Trace::Nothing).within(UserOfNamespace).no_race(ITS_OWN),
    race("attack_takeover mkdir", Trace::Nothing).of_names().within(User).no_race(ITS_OWN),
    race("attack_takeover mkdir", Trace::Nothing).of_names().within(UserOfNamespace).no_race(ITS_OWN),
    race("attack_peer own", Trace::Nothing).of_names().within(Privileged).no_race(ITS_OWN),
    race("attack_peer namespace", Trace::Nothing).of_names().within(Privileged).no_race(ITS_OWN),
    race("attack_peer namespace", Trace::Nothing).of_names().no_race(ITS_OWN),
    race("attack_peer namespace", Trace::Nothing).of_names().within(User).no_race(ITS_OWN),
    // Calls that open nothing.
    race("attack_name link", NAME).of_names(),
    race("attack_name linkat", NAME).of_names(),
    race("attack_name rename", NAME).of_names(),
    race("attack_name symlink", NAME).of_names(),
    race("attack_name mkdir", NAME).of_names(),
    race("attack_name mkdir", NAME).of_names().within(User),
    race("attack_name mkdir", NAME).of_names().within(UserNamespace),
    race("attack_name mknod", NAME).of_names(),
    race("attack_name working", NAME).of_names(),
    race("attack_name chmod", Trace::Changed("/secret/log")).of_names(),
    race("attack_name unix", Trace::Connected("/secret/socket")).of_names(),
    race("attack_name unix", Trace::Connected("/secret/socket")).of_names().within(UserNamespace),
    race("attack_name tcp", Trace::Connected(":7777")).of_names(),
    // Executions.
    race("attack_exec path", PROGRAM),
    race("attack_exec path", PROGRAM).within(User),
    race("attack_exec path", PROGRAM).within(UserNamespace),
    race("attack_exec at", PROGRAM),
    race("attack_exec i386", PROGRAM),
    race("attack_exec i386-at", PROGRAM),
    race("attack_exec vfork", PROGRAM),
    race("attack_exec threads", PROGRAM).calling(8),
    race("attack_exec traced", PROGRAM),
    race("attack_exec traced", PROGRAM).within(User),
    race("attack_exec traced", PROGRAM).within(UserNamespace),
    race("attack_exec traced-many", PROGRAM).calling(8),
    race("attack_exec seized", PROGRAM),
    race("attack_exec traced", PROGRAM)
        .under("enforce: {traced_execs: allow}\n")
        .may_win("what somebody else traces and nobody holds is not stopped before its first instruction"),
    race("attack_exec traced", PROGRAM).under("enforce: {traced_execs: deny}\n").without_decoy(),
    race("attack_exec handler", PROGRAM).calling(2).no_race("the handler runs before the call is made anew"),
    race("attack_exec traced-handler", PROGRAM).calling(2).no_race("the handler runs before the call is made anew"),
    race("attack_exec script", Trace::Executed("/banned/script")),
    race("attack_exec argument", Trace::Executed("--banned")),
    race("attack_exec pointer", Trace::Executed("--banned")),
    race("attack_exec descriptor", PROGRAM),
    race("attack_exec empty", PROGRAM),
    race("attack_exec magic", PROGRAM),
    race("attack_exec memfd", Trace::Executed("memfd:copy")),
    race("attack_exec working", PROGRAM),
    race("attack_image symlink", PROGRAM),
    race("attack_image symlink", PROGRAM).within(User),
    race("attack_image exchange", PROGRAM),
    race("attack_image interpreter", PROGRAM),
    race("attack_image interpreter-link", PROGRAM),
    race("attack_image script-link", SCRIPT),
    race("attack_image loader", LOADED).without_decoy(),
    bypass("attack_image root", PROGRAM),
    bypass("attack_image working", PROGRAM),
    bypass("attack_image chroot", PROGRAM).within(Privileged).of_text(),
    bypass("attack_image memfd", Trace::Executed("memfd:copy")),
    bypass("attack_image self", Trace::Executed("/banned/self")),
    bypass("attack_image carrier", LOADED),
    bypass("attack_image carrier", LOADED).within(UserNamespace),
    bypass("attack_image carrier", LOADED).of_opens(),
    bypass("attack_served carrier", LOADED).within(Privileged),
    // What is renamed may have one name before it is loaded and another one after: two alerts.
    race("attack_layer renamed", DROPPED).of_layers().calling(2),
    race("attack_layer changed", DROPPED).of_layers().calling(2),
    race("attack_layer namespace", DROPPED).of_layers().within(User),
    race("attack_layer bound", DROPPED).of_layers().within(Privileged),
    race("attack_layer shown", DROPPED).of_layers().within(User),
];
