// SPDX-License-Identifier: Apache-2.0
//! Calls that containers make all day, with everything a rule may ask about them; values are borrowed, nothing is computed.

use std::fmt;

use rules::{
    Argument, ContainerField, Event, EventType, EvtField, FdField, Field, FsPathField, K8sField, ProcField,
    ThreadField, UserField, Value,
};

/// One call of a container's process.
#[derive(Debug)]
pub(crate) struct Call {
    event_type: EventType,
    facts: &'static Facts,
}

/// What can be asked about a call.
#[derive(Debug)]
struct Facts {
    event_type: &'static str,
    /// The path that is opened or executed.
    path: &'static str,
    /// Whether it is opened for writing.
    writes: bool,
    name: &'static str,
    exepath: &'static str,
    arguments: &'static str,
    cmdline: &'static str,
    cwd: &'static str,
    /// Names of the ancestors, the parent first.
    ancestors: &'static [&'static str],
    user: &'static str,
    uid: u32,
    image: &'static str,
    namespace: &'static str,
}

impl Call {
    /// Opens that none of the rules is about.
    pub(crate) fn opens() -> Vec<Self> {
        OPENS.iter().map(Self::new).collect()
    }

    /// Execs that none of the rules is about.
    pub(crate) fn execs() -> Vec<Self> {
        EXECS.iter().map(Self::new).collect()
    }

    fn new(facts: &'static Facts) -> Self {
        Self { event_type: EventType::from_name(facts.event_type).unwrap(), facts }
    }
}

/// Shown in failures: who calls what.
impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} by {}", self.facts.event_type, self.facts.path, self.facts.name)
    }
}

const PYTHON: Facts = Facts {
    event_type: "openat",
    path: "/usr/lib/python3.11/encodings/utf_8.py",
    writes: false,
    name: "python3",
    exepath: "/usr/bin/python3.11",
    arguments: "-m gunicorn shop.wsgi:application --workers 4",
    cmdline: "python3 -m gunicorn shop.wsgi:application --workers 4",
    cwd: "/srv/shop/",
    ancestors: &["gunicorn", "tini"],
    user: "shop",
    uid: 1000,
    image: "registry.example.net/shop/web",
    namespace: "shop",
};

const NGINX: Facts = Facts {
    path: "/usr/share/nginx/html/assets/index-4f2c9a.js",
    name: "nginx",
    exepath: "/usr/sbin/nginx",
    arguments: "-g daemon off;",
    cmdline: "nginx -g daemon off;",
    cwd: "/",
    ancestors: &["nginx"],
    user: "nginx",
    uid: 101,
    image: "docker.io/library/nginx",
    namespace: "web",
    ..PYTHON
};

const POSTGRES: Facts = Facts {
    path: "/var/lib/postgresql/data/base/16384/2619_fsm",
    writes: true,
    name: "postgres",
    exepath: "/usr/lib/postgresql/16/bin/postgres",
    arguments: "-D /var/lib/postgresql/data",
    cmdline: "postgres -D /var/lib/postgresql/data",
    cwd: "/var/lib/postgresql/data/",
    ancestors: &["postgres"],
    user: "postgres",
    uid: 999,
    image: "docker.io/library/postgres",
    namespace: "databases",
    ..PYTHON
};

const CAT: Facts = Facts {
    path: "/tmp/data/file-of-some-length.txt",
    name: "cat",
    exepath: "/bin/cat",
    arguments: "/tmp/data/file-of-some-length.txt",
    cmdline: "cat /tmp/data/file-of-some-length.txt",
    cwd: "/tmp/data/",
    ancestors: &["entrypoint.sh", "tini"],
    user: "root",
    uid: 0,
    image: "docker.io/library/busybox",
    namespace: "default",
    ..PYTHON
};

const OPENS: &[Facts] = &[
    PYTHON,
    NGINX,
    POSTGRES,
    CAT,
    Facts { path: "/etc/ld.so.cache", ..CAT },
    Facts { path: "/lib/x86_64-linux-gnu/libc.so.6", ..NGINX },
    Facts { path: "/srv/shop/media/uploads/2026/11/picture-000118.jpg", writes: true, ..PYTHON },
    Facts { path: "/var/lib/postgresql/data/pg_wal/000000010000000000000042", ..POSTGRES },
    Facts {
        path: "/app/node_modules/express/lib/router/index.js",
        name: "node",
        exepath: "/usr/local/bin/node",
        arguments: "--max-old-space-size=512 /app/server.js",
        cmdline: "node --max-old-space-size=512 /app/server.js",
        cwd: "/app/",
        ancestors: &["npm start", "tini"],
        ..PYTHON
    },
    Facts {
        path: "/data/temp-7.rdb",
        writes: true,
        name: "redis-server",
        exepath: "/usr/local/bin/redis-server",
        arguments: "*:6379",
        cmdline: "redis-server *:6379",
        cwd: "/data/",
        ancestors: &[],
        image: "docker.io/library/redis",
        ..POSTGRES
    },
];

const EXECS: &[Facts] = &[
    Facts { event_type: "execve", path: "/usr/bin/python3.11", ancestors: &["tini"], ..PYTHON },
    Facts { event_type: "execve", path: "/bin/cat", ..CAT },
    Facts {
        event_type: "execve",
        path: "/usr/bin/pg_isready",
        writes: false,
        name: "pg_isready",
        exepath: "/usr/lib/postgresql/16/bin/pg_isready",
        arguments: "-q -U shop",
        cmdline: "pg_isready -q -U shop",
        ancestors: &["containerd-shim"],
        ..POSTGRES
    },
    Facts {
        event_type: "execve",
        path: "/usr/bin/git",
        name: "git",
        exepath: "/usr/bin/git",
        arguments: "rev-parse --short HEAD",
        cmdline: "git rev-parse --short HEAD",
        ancestors: &["make", "runner", "tini"],
        ..PYTHON
    },
];

#[expect(clippy::unnecessary_wraps, reason = "it ends most arms below")]
fn text(text: &str) -> Option<Value<'_>> {
    Some(Value::text(text.as_bytes()))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "of most fields these calls have nothing")]
impl Event for Call {
    fn event_type(&self) -> EventType {
        self.event_type
    }

    fn value(&self, field: Field, argument: &Argument) -> Option<Value<'_>> {
        let facts = self.facts;
        match field {
            Field::Evt(field) => facts.evt(field, argument),
            Field::Proc(field) => facts.proc(field, argument),
            Field::Fd(field) => facts.fd(field),
            Field::FsPath(FsPathField::Name | FsPathField::Nameraw) if !facts.is_exec() => text(facts.path),
            Field::Thread(ThreadField::Vtid) => Some(Value::Int(9)),
            Field::User(field) => facts.user(field),
            Field::Container(field) => facts.container(field),
            Field::K8s(K8sField::NsName) => text(facts.namespace),
            Field::K8s(K8sField::PodName) => text("web-6d8f7c9b5-x2x9k"),
            _ => None,
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "of most fields these calls have nothing")]
impl Facts {
    fn is_exec(&self) -> bool {
        self.event_type.starts_with("exec")
    }

    fn evt(&self, field: EvtField, argument: &Argument) -> Option<Value<'_>> {
        match field {
            EvtField::Num => Some(Value::Uint(7)),
            EvtField::Res => text("SUCCESS"),
            EvtField::Rawres => Some(Value::Int(3)),
            EvtField::Failed => Some(Value::Bool(false)),
            EvtField::Dir => text("<"),
            EvtField::IsOpenRead => (!self.is_exec()).then_some(Value::Bool(!self.writes)),
            EvtField::IsOpenWrite => (!self.is_exec()).then_some(Value::Bool(self.writes)),
            EvtField::IsOpenCreate | EvtField::IsOpenExec => (!self.is_exec()).then_some(Value::Bool(false)),
            EvtField::Arg | EvtField::Rawarg => match argument {
                Argument::Key(name) if &**name == "flags" && self.is_exec() => text("EXE_LOWER_LAYER"),
                Argument::Key(name) if &**name == "flags" => text(if self.writes { "O_WRONLY" } else { "O_RDONLY" }),
                Argument::Key(name) if matches!(&**name, "path" | "name" | "pathname" | "filename") => text(self.path),
                Argument::Unused | Argument::Index(_) | Argument::Key(_) => None,
            },
            _ => None,
        }
    }

    fn proc(&self, field: ProcField, argument: &Argument) -> Option<Value<'_>> {
        match field {
            ProcField::Name => text(self.name),
            ProcField::Exe | ProcField::Exepath => text(self.exepath),
            ProcField::Pname | ProcField::Pexe | ProcField::Pexepath | ProcField::Pcmdline => {
                text(self.ancestors.first()?)
            }
            ProcField::Aname | ProcField::Aexe | ProcField::Aexepath | ProcField::Acmdline => match argument {
                Argument::Index(0) => text(self.name),
                Argument::Index(index) => text(self.ancestors.get(usize::try_from(*index).ok()?.checked_sub(1)?)?),
                // A list of values needs memory; nobody may ask for it unless cheaper checks let the call pass.
                Argument::Unused | Argument::Key(_) => {
                    Some(Value::Any(self.ancestors.iter().map(|name| Value::text(name.as_bytes())).collect()))
                }
            },
            ProcField::Args => text(self.arguments),
            ProcField::Cmdline | ProcField::Exeline => text(self.cmdline),
            ProcField::Cwd => text(self.cwd),
            ProcField::Env => text("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/"),
            ProcField::Tty => Some(Value::Uint(0)),
            ProcField::Pid | ProcField::Vpid => Some(Value::Int(9)),
            ProcField::Ppid | ProcField::Pvpid | ProcField::Sid | ProcField::Vpgid => Some(Value::Int(1)),
            ProcField::Sname => text(self.ancestors.last()?),
            ProcField::IsExeUpperLayer
            | ProcField::IsExeWritable
            | ProcField::IsExeFromMemfd
            | ProcField::IsSidLeader => Some(Value::Bool(false)),
            ProcField::IsExeLowerLayer => Some(Value::Bool(true)),
            ProcField::StdinType | ProcField::StdoutType => text("file"),
            ProcField::Duration => Some(Value::Int(86_400_000_000_000)),
            _ => None,
        }
    }

    fn fd(&self, field: FdField) -> Option<Value<'_>> {
        if self.is_exec() {
            return None;
        }
        let (directory, filename) = self.path.rsplit_once('/')?;
        match field {
            FdField::Num => Some(Value::Int(3)),
            FdField::Type => text("file"),
            FdField::Typechar => text("f"),
            FdField::Name | FdField::Nameraw | FdField::Realpath => text(self.path),
            FdField::Directory => text(directory),
            FdField::Filename => text(filename),
            FdField::IsUpperLayer => Some(Value::Bool(self.writes)),
            FdField::IsLowerLayer => Some(Value::Bool(!self.writes)),
            _ => None,
        }
    }

    fn user(&self, field: UserField) -> Option<Value<'_>> {
        match field {
            UserField::Name => text(self.user),
            UserField::Uid => Some(Value::Uint(u64::from(self.uid))),
            UserField::Loginuid => Some(Value::Int(-1)),
            UserField::Loginname => text("<NA>"),
            _ => None,
        }
    }

    fn container(&self, field: ContainerField) -> Option<Value<'_>> {
        match field {
            ContainerField::Id => text("0123456789ab"),
            ContainerField::Name => text("web"),
            ContainerField::ImageRepository | ContainerField::Image => text(self.image),
            ContainerField::ImageTag => text("1.27.3"),
            ContainerField::Type => text("containerd"),
            ContainerField::Privileged | ContainerField::HostPid | ContainerField::HostNetwork => {
                Some(Value::Bool(false))
            }
            ContainerField::StartTs => Some(Value::Uint(1_790_000_000_000_000_000)),
            ContainerField::Duration => Some(Value::Int(86_400_000_000_000)),
            _ => None,
        }
    }
}
