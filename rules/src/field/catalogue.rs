// SPDX-License-Identifier: Apache-2.0
//! Every field name a condition or an output may use: one row per field with its type, argument, flags and meaning.
//!
//! Names, types and arguments are those of Falco 0.44.1 (`falco --list`) and of its container plugin 0.7.1; rows marked
//! as Lanner's own exist only here. A row's [`Availability`] says how a supervisor that sees a call before the kernel runs
//! it can know the value.

use super::{ArgumentRule, Availability, Description, Field, Flags, Type};

/// Declares one enum per field class and the table that describes every variant.
macro_rules! fields {
    ($($(#[$family_doc:meta])* $family:ident($name:ident) {
        $($variant:ident = $text:literal, $type:ident, $argument:ident, $flags:expr, $availability:ident $(($reason:literal))?, $doc:literal;)*
    })*) => {
        $(
            $(#[$family_doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
            pub enum $name {
                $(#[doc = concat!("`", $text, "`: ", $doc, ".")] $variant,)*
            }
        )*

        /// All fields, class by class, in the order of Falco's own listing.
        pub(super) static CATALOGUE: &[Description] = &[
            $($(Description {
                field: Field::$family($name::$variant),
                name: $text,
                value_type: Type::$type,
                argument: ArgumentRule::$argument,
                flags: $flags,
                availability: Availability::$availability $(($reason))?,
                doc: $doc,
            },)*)*
        ];
    };
}

fields! {
    /// Fields of the event itself.
    Evt(EvtField) {
        Num = "evt.num", Uint64, Unused, Flags::NONE, Entry, "number of the event, from 1; `evt.num = 0` is never true";
        Time = "evt.time", Text, Unused, Flags::NONE, Entry, "local time as HH:MM:SS.nnnnnnnnn; nanoseconds since the epoch among typed output fields";
        TimeS = "evt.time.s", Text, Unused, Flags::NONE, Entry, "local time as HH:MM:SS";
        TimeIso8601 = "evt.time.iso8601", Text, Unused, Flags::NONE, Entry, "UTC as YYYY-MM-DDTHH:MM:SS.nnnnnnnnn+0000; nanoseconds since the epoch among typed output fields";
        Datetime = "evt.datetime", Text, Unused, Flags::NONE, Entry, "local date and time with nanoseconds";
        DatetimeS = "evt.datetime.s", Text, Unused, Flags::NONE, Entry, "local date and time without a fraction";
        Rawtime = "evt.rawtime", AbsoluteTime, Unused, Flags::NONE, Entry, "nanoseconds since the epoch";
        RawtimeS = "evt.rawtime.s", AbsoluteTime, Unused, Flags::NONE, Entry, "seconds since the epoch";
        RawtimeNs = "evt.rawtime.ns", AbsoluteTime, Unused, Flags::NONE, Entry, "nanoseconds within the second";
        Reltime = "evt.reltime", RelativeTime, Unused, Flags::NONE, Entry, "nanoseconds since the first event";
        ReltimeS = "evt.reltime.s", RelativeTime, Unused, Flags::NONE, Entry, "seconds since the first event";
        ReltimeNs = "evt.reltime.ns", RelativeTime, Unused, Flags::NONE, Entry, "nanoseconds within the second of `evt.reltime`";
        Pluginname = "evt.pluginname", Text, Unused, Flags::NONE, Never("belongs to events of plugins, and Lanner has none"), "name of the plugin that made the event; system calls have none";
        Plugininfo = "evt.plugininfo", Text, Unused, Flags::NONE, Never("belongs to events of plugins, and Lanner has none"), "summary by the plugin that made the event; system calls have none";
        Source = "evt.source", Text, Unused, Flags::NONE, Entry, "source of the event: `syscall`";
        IsAsync = "evt.is_async", Bool, Unused, Flags::NONE, Entry, "whether the event came from a plugin by itself; false for system calls";
        Asynctype = "evt.asynctype", Text, Unused, Flags::NONE, Never("belongs to events of plugins, and Lanner has none"), "kind of an event that a plugin made by itself; system calls have none";
        Hostname = "evt.hostname", Text, Unused, Flags::NONE, Entry, "name of the host, or what FALCO_HOSTNAME says";
        Latency = "evt.latency", RelativeTime, Unused, Flags::DEPRECATED, Deprecated, "time between the two halves of a call, which Falco no longer knows";
        LatencyS = "evt.latency.s", RelativeTime, Unused, Flags::DEPRECATED, Deprecated, "seconds of `evt.latency`";
        LatencyNs = "evt.latency.ns", RelativeTime, Unused, Flags::DEPRECATED, Deprecated, "nanoseconds within the second of `evt.latency`";
        LatencyQuantized = "evt.latency.quantized", Uint64, Unused, Flags::TABLE_ONLY.with(Flags::DEPRECATED), Deprecated, "`evt.latency` on a logarithmic scale";
        LatencyHuman = "evt.latency.human", Text, Unused, Flags::DEPRECATED, Deprecated, "`evt.latency` with a unit";
        Deltatime = "evt.deltatime", RelativeTime, Unused, Flags::NONE, Entry, "nanoseconds since the previous event";
        DeltatimeS = "evt.deltatime.s", RelativeTime, Unused, Flags::NONE, Entry, "seconds since the previous event";
        DeltatimeNs = "evt.deltatime.ns", RelativeTime, Unused, Flags::NONE, Entry, "nanoseconds within the second of `evt.deltatime`";
        Outputtime = "evt.outputtime", Text, Unused, Flags::PRINT_ONLY, Entry, "time of the event as alerts print it";
        Dir = "evt.dir", Text, Unused, Flags::DEPRECATED, Entry, "direction of the event: always that of a finished call, written as a less-than sign";
        Type = "evt.type", Text, Unused, Flags::NONE, Entry, "name of the event type; constants are checked when rules are loaded";
        TypeIs = "evt.type.is", Uint32, Required, Flags::NONE, Entry, "1 if the event has the type in the argument, as in `evt.type.is.open`";
        SyscallType = "syscall.type", Text, Unused, Flags::NONE, Entry, "name of the system call; other events have none";
        Category = "evt.category", Text, Unused, Flags::NONE, Entry, "category of the event: file, net, process, memory, ..";
        Cpu = "evt.cpu", Int16, Unused, Flags::NONE, Entry, "number of the CPU that made the call";
        Args = "evt.args", Text, Unused, Flags::NONE, Predicted, "all parameters as `name=value name=value`";
        Arg = "evt.arg", Text, Required, Flags::NONE, Entry, "one parameter as text, by position or name";
        Rawarg = "evt.rawarg", Dynamic, Required, Flags::NO_RHS.with(Flags::NO_TRANSFORMER), Entry, "one parameter in its own type, by name";
        Info = "evt.info", Text, Unused, Flags::NONE, Predicted, "the same as `evt.args`";
        Buffer = "evt.buffer", Bytes, Unused, Flags::NONE, Entry, "data that is read, written, received or sent";
        Buflen = "evt.buflen", Uint64, Unused, Flags::NONE, Entry, "length of `evt.buffer`";
        Res = "evt.res", Text, Unused, Flags::NONE, Predicted, "`SUCCESS`, or the name of the error";
        Rawres = "evt.rawres", Int64, Unused, Flags::NONE, Predicted, "result of the call as a number";
        Failed = "evt.failed", Bool, Unused, Flags::NONE, Predicted, "whether the call failed";
        IsIo = "evt.is_io", Bool, Unused, Flags::NONE, Entry, "whether the event reads or writes a descriptor";
        IsIoRead = "evt.is_io_read", Bool, Unused, Flags::NONE, Entry, "whether the event reads a descriptor";
        IsIoWrite = "evt.is_io_write", Bool, Unused, Flags::NONE, Entry, "whether the event writes a descriptor";
        IoDir = "evt.io_dir", Text, Unused, Flags::NONE, Entry, "`read` or `write`";
        IsWait = "evt.is_wait", Bool, Unused, Flags::NONE, Entry, "whether the event blocks the thread, as sleep and poll do";
        WaitLatency = "evt.wait_latency", RelativeTime, Unused, Flags::DEPRECATED, Deprecated, "time a thread waited, which Falco no longer knows";
        IsSyslog = "evt.is_syslog", Bool, Unused, Flags::NONE, Stateful, "whether the event writes to /dev/log";
        Count = "evt.count", Uint32, Unused, Flags::NONE, Entry, "1 for every event";
        CountError = "evt.count.error", Uint32, Unused, Flags::NONE, Predicted, "1 if the call failed, 0 if not";
        CountErrorFile = "evt.count.error.file", Uint32, Unused, Flags::NONE, Predicted, "1 if a call on a file failed, 0 if not";
        CountErrorNet = "evt.count.error.net", Uint32, Unused, Flags::NONE, Predicted, "1 if a call on the network failed, 0 if not";
        CountErrorMemory = "evt.count.error.memory", Uint32, Unused, Flags::NONE, Predicted, "1 if a call on memory failed, 0 if not";
        CountErrorOther = "evt.count.error.other", Uint32, Unused, Flags::NONE, Predicted, "1 if another call failed, 0 if not";
        CountExit = "evt.count.exit", Uint32, Unused, Flags::NONE, Entry, "1 for events of finished calls";
        CountProcinfo = "evt.count.procinfo", Uint32, Unused, Flags::TABLE_ONLY, Deprecated, "procinfo bookkeeping";
        CountThreadinfo = "evt.count.threadinfo", Uint32, Unused, Flags::TABLE_ONLY, Deprecated, "procinfo bookkeeping";
        Around = "evt.around", Uint64, Required, Flags::NO_RHS.with(Flags::NO_TRANSFORMER).with(Flags::FILTER_ONLY), Entry, "distance in milliseconds to the time in the argument, which is nanoseconds since the epoch; `evt.around[T] = D` holds for events at most D away from T";
        Abspath = "evt.abspath", Text, Required, Flags::NONE, Entry, "absolute path of the call; the arguments `src` and `dst` name those of calls with two";
        BuflenIn = "evt.buflen.in", Uint64, Unused, Flags::TABLE_ONLY, AfterCall, "bytes read";
        BuflenOut = "evt.buflen.out", Uint64, Unused, Flags::TABLE_ONLY, Predicted, "bytes that are written or sent";
        BuflenFile = "evt.buflen.file", Uint64, Unused, Flags::TABLE_ONLY, AfterCall, "file bytes";
        BuflenFileIn = "evt.buflen.file.in", Uint64, Unused, Flags::TABLE_ONLY, AfterCall, "file bytes read";
        BuflenFileOut = "evt.buflen.file.out", Uint64, Unused, Flags::TABLE_ONLY, Predicted, "bytes that are written to a file";
        BuflenNet = "evt.buflen.net", Uint64, Unused, Flags::TABLE_ONLY, AfterCall, "network bytes";
        BuflenNetIn = "evt.buflen.net.in", Uint64, Unused, Flags::TABLE_ONLY, AfterCall, "network bytes received";
        BuflenNetOut = "evt.buflen.net.out", Uint64, Unused, Flags::TABLE_ONLY, Predicted, "bytes that are sent to an IP socket";
        IsOpenRead = "evt.is_open_read", Bool, Unused, Flags::NONE, Entry, "whether a file is opened for reading";
        IsOpenWrite = "evt.is_open_write", Bool, Unused, Flags::NONE, Entry, "whether a file is opened for writing";
        InfraDockerName = "evt.infra.docker.name", Text, Unused, Flags::TABLE_ONLY, Deprecated, "name of an old docker event";
        InfraDockerContainerId = "evt.infra.docker.container.id", Text, Unused, Flags::TABLE_ONLY, Deprecated, "container of an old docker event";
        InfraDockerContainerName = "evt.infra.docker.container.name", Text, Unused, Flags::TABLE_ONLY, Deprecated, "container name of an old docker event";
        InfraDockerContainerImage = "evt.infra.docker.container.image", Text, Unused, Flags::TABLE_ONLY, Deprecated, "image of an old docker event";
        IsOpenExec = "evt.is_open_exec", Bool, Unused, Flags::NONE, Entry, "whether an open may create a file with an execute bit";
        IsOpenCreate = "evt.is_open_create", Bool, Unused, Flags::NONE, Predicted, "whether an open creates the file";
    }

    /// Fields of the calling process.
    Proc(ProcField) {
        Exe = "proc.exe", Text, Unused, Flags::NONE, Entry, "first argument of the program as passed; for a script the interpreter's path";
        Pexe = "proc.pexe", Text, Unused, Flags::NONE, Entry, "proc.exe of the parent";
        Aexe = "proc.aexe", Text, Optional, Flags::NO_RHS.with(Flags::NO_TRANSFORMER), Entry, "`proc.exe` of an ancestor by number, or of any";
        Exepath = "proc.exepath", Text, Unused, Flags::NONE, Entry, "path of the executable as the kernel resolved it";
        Pexepath = "proc.pexepath", Text, Unused, Flags::NONE, Entry, "`proc.exepath` of the parent";
        Aexepath = "proc.aexepath", Text, Optional, Flags::NO_RHS.with(Flags::NO_TRANSFORMER), Entry, "`proc.exepath` of an ancestor by number, or of any";
        Name = "proc.name", Text, Unused, Flags::NONE, Entry, "name of the process, 15 bytes at most; on exec that of the new program";
        Pname = "proc.pname", Text, Unused, Flags::NONE, Entry, "name of the parent";
        Aname = "proc.aname", Text, Optional, Flags::NO_RHS.with(Flags::NO_TRANSFORMER), Entry, "name of an ancestor by number, 0 being the process itself, or of any ancestor";
        Args = "proc.args", Text, Optional, Flags::NONE, Entry, "arguments after the first, joined by blanks; with a number one of them";
        Aargs = "proc.aargs", Text, Optional, Flags::NONE, Entry, "`proc.args` of an ancestor by number, or of any";
        Cmdline = "proc.cmdline", Text, Unused, Flags::NONE, Entry, "name and arguments, joined by blanks";
        Pcmdline = "proc.pcmdline", Text, Unused, Flags::NONE, Entry, "`proc.cmdline` of the parent";
        Acmdline = "proc.acmdline", Text, Optional, Flags::NO_RHS.with(Flags::NO_TRANSFORMER), Entry, "`proc.cmdline` of an ancestor by number, or of any";
        Cmdnargs = "proc.cmdnargs", Uint64, Unused, Flags::NONE, Entry, "number of arguments after the first";
        Cmdlenargs = "proc.cmdlenargs", Uint64, Unused, Flags::NONE, Entry, "length of all arguments after the first, without blanks between them";
        Exeline = "proc.exeline", Text, Unused, Flags::NONE, Entry, "all arguments, joined by blanks";
        Env = "proc.env", Text, Optional, Flags::NONE, Entry, "environment, joined by blanks; with a name one variable";
        Aenv = "proc.aenv", Text, Optional, Flags::NO_RHS.with(Flags::NO_TRANSFORMER), Entry, "`proc.env` of an ancestor by number, or one variable of any ancestor by name";
        Cwd = "proc.cwd", Text, Unused, Flags::NONE, Entry, "working directory, with a slash at the end";
        Loginshellid = "proc.loginshellid", Int64, Unused, Flags::NONE, Entry, "pid of the oldest shell ancestor";
        Tty = "proc.tty", Uint32, Unused, Flags::NONE, Entry, "controlling tty number, 0 if none";
        Pid = "proc.pid", Int64, Unused, Flags::NONE, Entry, "thread-group id, host pid namespace";
        Ppid = "proc.ppid", Int64, Unused, Flags::NONE, Entry, "parent pid";
        Apid = "proc.apid", Int64, Optional, Flags::NO_RHS.with(Flags::NO_TRANSFORMER), Entry, "pid of ancestor N / any";
        Vpid = "proc.vpid", Int64, Unused, Flags::NONE, Entry, "pid inside its own pid namespace";
        Pvpid = "proc.pvpid", Int64, Unused, Flags::NONE, Entry, "parent's pid in its pid namespace";
        Sid = "proc.sid", Int64, Unused, Flags::NONE, Entry, "session id (namespace view)";
        Sname = "proc.sname", Text, Unused, Flags::NONE, Entry, "comm of the session leader";
        SidExe = "proc.sid.exe", Text, Unused, Flags::NONE, Entry, "argv(0) of the session leader";
        SidExepath = "proc.sid.exepath", Text, Unused, Flags::NONE, Entry, "exepath of the session leader";
        Vpgid = "proc.vpgid", Int64, Unused, Flags::NONE, Entry, "process group id in its namespace";
        VpgidName = "proc.vpgid.name", Text, Unused, Flags::NONE, Entry, "comm of that group's leader";
        VpgidExe = "proc.vpgid.exe", Text, Unused, Flags::NONE, Entry, "argv(0) of that leader";
        VpgidExepath = "proc.vpgid.exepath", Text, Unused, Flags::NONE, Entry, "exepath of that leader";
        Pgid = "proc.pgid", Int64, Unused, Flags::NONE, Entry, "process group id, host view";
        PgidName = "proc.pgid.name", Text, Unused, Flags::NONE, Entry, "comm of the group leader";
        PgidExe = "proc.pgid.exe", Text, Unused, Flags::NONE, Entry, "argv(0) of the group leader";
        PgidExepath = "proc.pgid.exepath", Text, Unused, Flags::NONE, Entry, "exepath of the group leader";
        Duration = "proc.duration", RelativeTime, Unused, Flags::NONE, Entry, "ns since process start (clone)";
        PpidDuration = "proc.ppid.duration", RelativeTime, Unused, Flags::NONE, Entry, "ns since parent start";
        PidTs = "proc.pid.ts", RelativeTime, Unused, Flags::NONE, Entry, "process start, epoch ns";
        PpidTs = "proc.ppid.ts", RelativeTime, Unused, Flags::NONE, Entry, "parent start, epoch ns";
        IsExeWritable = "proc.is_exe_writable", Bool, Unused, Flags::NONE, Predicted, "the executable is writable by the user running it";
        IsExeUpperLayer = "proc.is_exe_upper_layer", Bool, Unused, Flags::NONE, Predicted, "executable lives in the overlayfs upper layer";
        IsExeLowerLayer = "proc.is_exe_lower_layer", Bool, Unused, Flags::NONE, Predicted, "executable lives in the lower layer";
        IsExeFromMemfd = "proc.is_exe_from_memfd", Bool, Unused, Flags::NONE, Predicted, "executable is a memfd (/memfd:...)";
        IsSidLeader = "proc.is_sid_leader", Bool, Unused, Flags::NONE, Entry, "sid == vpid";
        IsVpgidLeader = "proc.is_vpgid_leader", Bool, Unused, Flags::NONE, Entry, "vpgid == vpid";
        IsPgidLeader = "proc.is_pgid_leader", Bool, Unused, Flags::NONE, Entry, "pgid == pid";
        ExeIno = "proc.exe_ino", Int64, Unused, Flags::NONE, Predicted, "inode of the executable";
        ExeInoCtime = "proc.exe_ino.ctime", AbsoluteTime, Unused, Flags::NONE, Predicted, "ctime of that inode, ns";
        ExeInoMtime = "proc.exe_ino.mtime", AbsoluteTime, Unused, Flags::NONE, Predicted, "mtime of that inode, ns";
        ExeInoCtimeDurationProcStart = "proc.exe_ino.ctime_duration_proc_start", AbsoluteTime, Unused, Flags::NONE, Predicted, "start time minus ctime, when ctime is earlier";
        ExeInoCtimeDurationPidnsStart = "proc.exe_ino.ctime_duration_pidns_start", AbsoluteTime, Unused, Flags::NONE, Predicted, "ctime minus pid-namespace start, when later";
        PidnsInitStartTs = "proc.pidns_init_start_ts", Uint64, Unused, Flags::NONE, Entry, "start of pid 1 of the pid namespace, epoch ns";
        Fdopencount = "proc.fdopencount", Uint64, Unused, Flags::NONE, Entry, "open fds of the process";
        Fdlimit = "proc.fdlimit", Int64, Unused, Flags::NONE, Entry, "fd limit";
        Fdusage = "proc.fdusage", Double, Unused, Flags::NONE, Entry, "open/limit ratio";
        Vmsize = "proc.vmsize", Uint64, Unused, Flags::NONE, Entry, "virtual size, kB";
        Vmrss = "proc.vmrss", Uint64, Unused, Flags::NONE, Entry, "resident size, kB";
        Vmswap = "proc.vmswap", Uint64, Unused, Flags::NONE, Entry, "swapped size, kB";
        Nthreads = "proc.nthreads", Uint64, Unused, Flags::NONE, Entry, "live threads including leader";
        Nchilds = "proc.nchilds", Uint64, Unused, Flags::NONE, Entry, "live threads without the leader";
        StdinType = "proc.stdin.type", Text, Unused, Flags::NONE, Entry, "type word of fd 0";
        StdoutType = "proc.stdout.type", Text, Unused, Flags::NONE, Entry, "type word of fd 1";
        StderrType = "proc.stderr.type", Text, Unused, Flags::NONE, Entry, "type word of fd 2";
        StdinName = "proc.stdin.name", Text, Unused, Flags::NONE, Entry, "name of fd 0 (path or tuple)";
        StdoutName = "proc.stdout.name", Text, Unused, Flags::NONE, Entry, "name of fd 1";
        StderrName = "proc.stderr.name", Text, Unused, Flags::NONE, Entry, "name of fd 2";
    }

    /// Fields of the calling thread.
    Thread(ThreadField) {
        CapPermitted = "thread.cap_permitted", Text, Unused, Flags::NONE, Entry, "capability names joined by space";
        CapInheritable = "thread.cap_inheritable", Text, Unused, Flags::NONE, Entry, "same, inheritable set";
        CapEffective = "thread.cap_effective", Text, Unused, Flags::NONE, Entry, "same, effective set";
        Pfmajor = "thread.pfmajor", Uint64, Unused, Flags::NONE, Entry, "major faults";
        Pfminor = "thread.pfminor", Uint64, Unused, Flags::NONE, Entry, "minor faults";
        Tid = "thread.tid", Int64, Unused, Flags::NONE, Entry, "thread id, host view";
        Ismain = "thread.ismain", Bool, Unused, Flags::NONE, Entry, "tid == pid";
        Vtid = "thread.vtid", Int64, Unused, Flags::NONE, Entry, "thread id in its pid namespace";
        Nametid = "thread.nametid", Text, Unused, Flags::TABLE_ONLY, Deprecated, "name+tid, table only";
        Exectime = "thread.exectime", RelativeTime, Unused, Flags::NONE, Never("belongs to events of the scheduler, which are no calls"), "scheduler-switch events only";
        Totexectime = "thread.totexectime", RelativeTime, Unused, Flags::NONE, Never("belongs to events of the scheduler, which are no calls"), "scheduler-switch events only";
        Cgroups = "thread.cgroups", Text, Unused, Flags::NONE, Entry, "all cgroups as text";
        Cgroup = "thread.cgroup", Text, Required, Flags::NONE, Entry, "cgroup of one subsystem (thread.cgroup.cpuacct)";
        Cpu = "thread.cpu", Double, Unused, Flags::NONE, Never("is measured between two events of the scheduler, which are no calls"), "CPU % of the last second";
        CpuUser = "thread.cpu.user", Double, Unused, Flags::NONE, Never("is measured between two events of the scheduler, which are no calls"), "user CPU %";
        CpuSystem = "thread.cpu.system", Double, Unused, Flags::NONE, Never("is measured between two events of the scheduler, which are no calls"), "system CPU %";
        Vmsize = "thread.vmsize", Uint64, Unused, Flags::NONE, Entry, "kB, main thread only";
        Vmrss = "thread.vmrss", Uint64, Unused, Flags::NONE, Entry, "kB, main thread only";
        VmsizeB = "thread.vmsize.b", Uint64, Unused, Flags::TABLE_ONLY, Deprecated, "table only";
        VmrssB = "thread.vmrss.b", Uint64, Unused, Flags::TABLE_ONLY, Deprecated, "table only";
    }

    /// Fields of the effective user.
    User(UserField) {
        Uid = "user.uid", Uint32, Unused, Flags::NONE, Entry, "effective uid, host view";
        Name = "user.name", Text, Unused, Flags::NONE, Entry, "name of the effective user, looked up in the container; `root` for 0";
        Homedir = "user.homedir", Text, Unused, Flags::NONE, Entry, "home directory";
        Shell = "user.shell", Text, Unused, Flags::NONE, Entry, "login shell";
        Loginuid = "user.loginuid", Int64, Unused, Flags::NONE, Entry, "audit login uid, -1 when unset";
        Loginname = "user.loginname", Text, Unused, Flags::NONE, Entry, "name of loginuid";
    }

    /// Fields of the effective group.
    Group(GroupField) {
        Gid = "group.gid", Uint32, Unused, Flags::NONE, Entry, "gid";
        Name = "group.name", Text, Unused, Flags::NONE, Entry, "group name";
    }

    /// Fields of the event's file descriptor.
    Fd(FdField) {
        Num = "fd.num", Int64, Unused, Flags::NONE, Entry, "the event's fd number (open: the returned fd, negative on failure)";
        Type = "fd.type", Text, Unused, Flags::NONE, Entry, "kind of the descriptor: file, directory, ipv4, ipv6, unix, pipe, event, signalfd, eventpoll, inotify, bpf, userfaultfd, io_uring, memfd or pidfd";
        Typechar = "fd.typechar", Text, Unused, Flags::NONE, Entry, "kind of the descriptor in one letter: f d 4 6 u p e s l i b r m o";
        Name = "fd.name", Text, Unused, Flags::NONE, Entry, "absolute path of the file without following links, or both ends of a connection";
        Directory = "fd.directory", Text, Unused, Flags::NONE, Entry, "path up to the last slash";
        Filename = "fd.filename", Text, Unused, Flags::NONE, Entry, "last component of the path; absent if the open failed";
        Ip = "fd.ip", Ip, Unused, Flags::NO_RHS.with(Flags::NO_TRANSFORMER).with(Flags::FILTER_ONLY), Entry, "address of client or server; `!=` asks that both differ";
        Cip = "fd.cip", Ip, Unused, Flags::NONE, Predicted, "client address";
        Sip = "fd.sip", Ip, Unused, Flags::NONE, Entry, "server address";
        Lip = "fd.lip", Ip, Unused, Flags::NONE, Predicted, "local address";
        Rip = "fd.rip", Ip, Unused, Flags::NONE, Entry, "remote address";
        Port = "fd.port", Port, Unused, Flags::NO_RHS.with(Flags::NO_TRANSFORMER).with(Flags::FILTER_ONLY), Entry, "port of client or server; `!=` asks that both differ";
        Cport = "fd.cport", Port, Unused, Flags::NONE, Predicted, "client port";
        Sport = "fd.sport", Port, Unused, Flags::NONE, Entry, "server port";
        Lport = "fd.lport", Port, Unused, Flags::NONE, Predicted, "local port";
        Rport = "fd.rport", Port, Unused, Flags::NONE, Entry, "remote port";
        L4proto = "fd.l4proto", Text, Unused, Flags::NONE, Stateful, "transport protocol: tcp, udp, icmp or raw";
        Sockfamily = "fd.sockfamily", Text, Unused, Flags::NONE, Entry, "ip or unix";
        IsServer = "fd.is_server", Bool, Unused, Flags::NONE, Stateful, "this process is the server side";
        Uid = "fd.uid", Text, Unused, Flags::NONE, Entry, "fd number + tid";
        Containername = "fd.containername", Text, Unused, Flags::NONE, Entry, "container id + ':' + fd.name";
        Containerdirectory = "fd.containerdirectory", Text, Unused, Flags::NONE, Entry, "container id + ':' + directory";
        Proto = "fd.proto", Port, Unused, Flags::NO_RHS.with(Flags::NO_TRANSFORMER).with(Flags::FILTER_ONLY), Entry, "port of client or server by the name of its service";
        Cproto = "fd.cproto", Text, Unused, Flags::NONE, Predicted, "service name of client port";
        Sproto = "fd.sproto", Text, Unused, Flags::NONE, Entry, "service name of server port";
        Lproto = "fd.lproto", Text, Unused, Flags::NONE, Predicted, "service name of local port";
        Rproto = "fd.rproto", Text, Unused, Flags::NONE, Entry, "service name of remote port";
        Net = "fd.net", Net, Unused, Flags::NO_RHS.with(Flags::NO_TRANSFORMER).with(Flags::FILTER_ONLY), Entry, "network of client or server address; `!=` asks that both are outside";
        Cnet = "fd.cnet", Net, Unused, Flags::NO_RHS.with(Flags::NO_TRANSFORMER).with(Flags::FILTER_ONLY), Predicted, "client address in network";
        Snet = "fd.snet", Net, Unused, Flags::NO_RHS.with(Flags::NO_TRANSFORMER).with(Flags::FILTER_ONLY), Entry, "server address in network";
        Lnet = "fd.lnet", Net, Unused, Flags::NO_RHS.with(Flags::NO_TRANSFORMER).with(Flags::FILTER_ONLY), Predicted, "local address in network";
        Rnet = "fd.rnet", Net, Unused, Flags::NO_RHS.with(Flags::NO_TRANSFORMER).with(Flags::FILTER_ONLY), Entry, "remote address in network";
        Connected = "fd.connected", Bool, Unused, Flags::NONE, Stateful, "socket is connected (false after a failed connect)";
        NameChanged = "fd.name_changed", Bool, Unused, Flags::NONE, Stateful, "the event changed the fd's tuple (first packet to a new UDP peer)";
        CipName = "fd.cip.name", Text, Unused, Flags::NO_RHS.with(Flags::NO_TRANSFORMER), Stateful, "which of the names that rules compare this field with stand for the client's address; names are resolved in the background";
        SipName = "fd.sip.name", Text, Unused, Flags::NO_RHS.with(Flags::NO_TRANSFORMER), Stateful, "which of the names that rules compare this field with stand for the server's address; names are resolved in the background";
        LipName = "fd.lip.name", Text, Unused, Flags::NO_RHS.with(Flags::NO_TRANSFORMER), Stateful, "which of the names that rules compare this field with stand for the local address; names are resolved in the background";
        RipName = "fd.rip.name", Text, Unused, Flags::NO_RHS.with(Flags::NO_TRANSFORMER), Stateful, "which of the names that rules compare this field with stand for the remote address; names are resolved in the background";
        Dev = "fd.dev", Int32, Unused, Flags::NONE, Predicted, "device number of the file";
        DevMajor = "fd.dev.major", Int32, Unused, Flags::NONE, Predicted, "major part";
        DevMinor = "fd.dev.minor", Int32, Unused, Flags::NONE, Predicted, "minor part";
        Ino = "fd.ino", Int64, Unused, Flags::NONE, Predicted, "inode number";
        Nameraw = "fd.nameraw", Text, Unused, Flags::NONE, Entry, "path as passed to the call";
        Types = "fd.types", TextList, Optional, Flags::NO_RHS, Entry, "kinds of all descriptors of the process, or of one by number";
        IsUpperLayer = "fd.is_upper_layer", Bool, Unused, Flags::NONE, Predicted, "opened file lives in the overlay upper layer";
        IsLowerLayer = "fd.is_lower_layer", Bool, Unused, Flags::NONE, Predicted, "opened file lives in a lower layer";
        Realpath = "fd.realpath", Text, Unused, Flags::NONE, Stateful, "the file that the path really names, symlinks resolved inside the container's root (Lanner's own)";
    }

    /// Fields of path arguments.
    FsPath(FsPathField) {
        Name = "fs.path.name", Text, Unused, Flags::NONE, Entry, "absolute path of a file-path event (open, unlink, chmod, mkdir, ...; success only)";
        Nameraw = "fs.path.nameraw", Text, Unused, Flags::NONE, Entry, "path as given";
        Source = "fs.path.source", Text, Unused, Flags::NONE, Entry, "absolute source path of two-path events (rename, link, symlink, copy)";
        Sourceraw = "fs.path.sourceraw", Text, Unused, Flags::NONE, Entry, "source as given";
        Target = "fs.path.target", Text, Unused, Flags::NONE, Entry, "absolute target path";
        Targetraw = "fs.path.targetraw", Text, Unused, Flags::NONE, Entry, "target as given";
    }

    /// Fields of poll sets.
    FdList(FdListField) {
        Nums = "fdlist.nums", Text, Unused, Flags::NONE, Entry, "descriptors of a poll or ppoll, joined by commas";
        Names = "fdlist.names", Text, Unused, Flags::NONE, Stateful, "their names";
        Cips = "fdlist.cips", Text, Unused, Flags::NONE, Stateful, "their client addresses";
        Sips = "fdlist.sips", Text, Unused, Flags::NONE, Stateful, "their server addresses";
        Cports = "fdlist.cports", Text, Unused, Flags::NONE, Stateful, "their client ports";
        Sports = "fdlist.sports", Text, Unused, Flags::NONE, Stateful, "their server ports";
    }

    /// Fields of helpers.
    Util(UtilField) {
        Cnt = "util.cnt", Uint64, Unused, Flags::NONE, Entry, "incrementing counter";
    }

    /// Fields of the container.
    Container(ContainerField) {
        Id = "container.id", Text, Unused, Flags::SUGGESTED, Container, "first 12 digits of the container's id; `host` outside of containers";
        FullId = "container.full_id", Text, Unused, Flags::NONE, Container, "full id";
        Name = "container.name", Text, Unused, Flags::SUGGESTED, Container, "name of the container as its engine knows it; `host` outside of containers";
        Image = "container.image", Text, Unused, Flags::NONE, Container, "image reference";
        ImageId = "container.image.id", Text, Unused, Flags::NONE, Container, "image id, without its algorithm: where Docker or CRI-O run the container";
        Type = "container.type", Text, Unused, Flags::NONE, Container, "engine of the container: docker, cri-o, containerd, podman, ..";
        Privileged = "container.privileged", Bool, Unused, Flags::NONE, Container, "container runs privileged";
        Mounts = "container.mounts", Text, Unused, Flags::NONE, Container, "all mounts as `source:dest:mode:rw:propagation`, joined by commas";
        Mount = "container.mount", Text, IndexOrKey, Flags::NONE, Container, "one mount by number or source, which may be a glob";
        MountSource = "container.mount.source", Text, IndexOrKey, Flags::NONE, Container, "source of a mount by number or destination";
        MountDest = "container.mount.dest", Text, IndexOrKey, Flags::NONE, Container, "destination of a mount by number or source";
        MountMode = "container.mount.mode", Text, IndexOrKey, Flags::NONE, Container, "mode of a mount by number or source";
        MountRdwr = "container.mount.rdwr", Text, IndexOrKey, Flags::NONE, Container, "whether a mount is writable, by number or source";
        MountPropagation = "container.mount.propagation", Text, IndexOrKey, Flags::NONE, Container, "propagation of a mount by number or source";
        ImageRepository = "container.image.repository", Text, Unused, Flags::SUGGESTED, Container, "image name without tag";
        ImageTag = "container.image.tag", Text, Unused, Flags::SUGGESTED, Container, "image tag";
        ImageDigest = "container.image.digest", Text, Unused, Flags::NONE, Container, "repo digest";
        Healthcheck = "container.healthcheck", Text, Unused, Flags::NONE, Deprecated, "configured health check, which Falco no longer knows";
        LivenessProbe = "container.liveness_probe", Text, Unused, Flags::NONE, Deprecated, "configured liveness probe, which Falco no longer knows";
        ReadinessProbe = "container.readiness_probe", Text, Unused, Flags::NONE, Deprecated, "configured readiness probe, which Falco no longer knows";
        StartTs = "container.start_ts", AbsoluteTime, Unused, Flags::NONE, Entry, "pid-namespace start, epoch ns";
        Duration = "container.duration", RelativeTime, Unused, Flags::NONE, Entry, "ns since start";
        Ip = "container.ip", Text, Unused, Flags::NONE, Never("is told to the engine by a network plugin, and the container's OCI spec does not have it"), "primary IPv4";
        CniJson = "container.cni.json", Text, Unused, Flags::NONE, Never("is a network plugin's answer to the engine, and the container's OCI spec does not have it"), "CNI result JSON";
        HostPid = "container.host_pid", Bool, Unused, Flags::NONE, Container, "host pid namespace";
        HostNetwork = "container.host_network", Bool, Unused, Flags::NONE, Container, "host network namespace";
        HostIpc = "container.host_ipc", Bool, Unused, Flags::NONE, Container, "host ipc namespace";
        Label = "container.label", Text, Key, Flags::NONE, Container, "one label";
        Labels = "container.labels", Text, Unused, Flags::NONE, Container, "all labels";
        IsContainerHealthcheck = "proc.is_container_healthcheck", Bool, Unused, Flags::NONE, Deprecated, "whether the process is a health check, which Falco no longer knows";
        IsContainerLivenessProbe = "proc.is_container_liveness_probe", Bool, Unused, Flags::NONE, Deprecated, "whether the process is a liveness probe, which Falco no longer knows";
        IsContainerReadinessProbe = "proc.is_container_readiness_probe", Bool, Unused, Flags::NONE, Deprecated, "whether the process is a readiness probe, which Falco no longer knows";
    }

    /// Fields of the pod.
    K8s(K8sField) {
        PodName = "k8s.pod.name", Text, Unused, Flags::SUGGESTED, Container, "pod name";
        NsName = "k8s.ns.name", Text, Unused, Flags::SUGGESTED, Container, "namespace";
        PodId = "k8s.pod.id", Text, Unused, Flags::NONE, Container, "legacy alias of pod uid";
        PodUid = "k8s.pod.uid", Text, Unused, Flags::NONE, Container, "pod uid";
        PodSandboxId = "k8s.pod.sandbox_id", Text, Unused, Flags::NONE, Container, "12-char sandbox id";
        PodFullSandboxId = "k8s.pod.full_sandbox_id", Text, Unused, Flags::NONE, Container, "full sandbox id";
        PodLabel = "k8s.pod.label", Text, Key, Flags::NONE, Container, "one pod label: under CRI-O, containerd keeps them to itself";
        PodLabels = "k8s.pod.labels", Text, Unused, Flags::NONE, Container, "all pod labels but those of Kubernetes itself: under CRI-O, containerd keeps them to itself";
        PodIp = "k8s.pod.ip", Text, Unused, Flags::NONE, Never("is told to the engine by a network plugin, and the container's OCI spec does not have it"), "pod IPv4";
        PodCniJson = "k8s.pod.cni.json", Text, Unused, Flags::NONE, Never("is a network plugin's answer to the engine, and the container's OCI spec does not have it"), "CNI JSON";
        RcName = "k8s.rc.name", Text, Unused, Flags::NONE, Deprecated, "no data source any more";
        RcId = "k8s.rc.id", Text, Unused, Flags::NONE, Deprecated, "no data source any more";
        RcLabel = "k8s.rc.label", Text, Key, Flags::NONE, Deprecated, "no data source any more";
        RcLabels = "k8s.rc.labels", Text, Unused, Flags::NONE, Deprecated, "no data source any more";
        SvcName = "k8s.svc.name", Text, Unused, Flags::NONE, Deprecated, "no data source any more";
        SvcId = "k8s.svc.id", Text, Unused, Flags::NONE, Deprecated, "no data source any more";
        SvcLabel = "k8s.svc.label", Text, Key, Flags::NONE, Deprecated, "no data source any more";
        SvcLabels = "k8s.svc.labels", Text, Unused, Flags::NONE, Deprecated, "no data source any more";
        NsId = "k8s.ns.id", Text, Unused, Flags::NONE, Deprecated, "no data source any more";
        NsLabel = "k8s.ns.label", Text, Key, Flags::NONE, Deprecated, "no data source any more";
        NsLabels = "k8s.ns.labels", Text, Unused, Flags::NONE, Deprecated, "no data source any more";
        RsName = "k8s.rs.name", Text, Unused, Flags::NONE, Deprecated, "no data source any more";
        RsId = "k8s.rs.id", Text, Unused, Flags::NONE, Deprecated, "no data source any more";
        RsLabel = "k8s.rs.label", Text, Key, Flags::NONE, Deprecated, "no data source any more";
        RsLabels = "k8s.rs.labels", Text, Unused, Flags::NONE, Deprecated, "no data source any more";
        DeploymentName = "k8s.deployment.name", Text, Unused, Flags::NONE, Deprecated, "no data source any more";
        DeploymentId = "k8s.deployment.id", Text, Unused, Flags::NONE, Deprecated, "no data source any more";
        DeploymentLabel = "k8s.deployment.label", Text, Key, Flags::NONE, Deprecated, "no data source any more";
        DeploymentLabels = "k8s.deployment.labels", Text, Unused, Flags::NONE, Deprecated, "no data source any more";
    }

    /// Fields of Lanner's own decision.
    Lanner(LannerField) {
        Mode = "lanner.mode", Text, Unused, Flags::PRINT_ONLY, Entry, "audit or enforce (Lanner's own)";
        Action = "lanner.action", Text, Unused, Flags::PRINT_ONLY, Entry, "strictest action that the matching rules ask for: alert, deny or kill (Lanner's own)";
        Verdict = "lanner.verdict", Text, Unused, Flags::PRINT_ONLY, Entry, "what was done: allow, deny or kill (Lanner's own)";
    }
}
