// SPDX-License-Identifier: Apache-2.0
//! Many rules as the teams of a large installation write them: per application and per team, with lists, macros and
//! exceptions, some about programs that every container runs, most about names that few have.

use std::fmt::Write;

/// Programs that calls of the workload come from, and many rules are about.
const PROGRAMS: &[&str] = &[
    "sh",
    "bash",
    "cat",
    "ls",
    "python3",
    "node",
    "java",
    "nginx",
    "postgres",
    "redis-server",
    "git",
    "curl",
    "wget",
    "tar",
    "find",
    "grep",
    "sed",
    "awk",
    "perl",
    "ruby",
    "php-fpm",
    "pg_isready",
    "openssl",
    "ssh",
    "gcc",
    "make",
    "npm",
];
const DIRECTORIES: &[&str] =
    &["/etc", "/usr/lib", "/var/lib", "/srv", "/opt", "/data", "/home", "/usr/share", "/app", "/tmp"];
const COMMANDS: &[&str] =
    &["--privileged", "base64 -d", "-c import", "/dev/tcp", "curl http", "chmod +x", "--no-verify", "-e exec"];
const LISTS: u32 = 80;
const MACROS: u32 = 200;

const MACROS_OF_ALL: &str = "\
- macro: opened_for_reading
  condition: (evt.type in (open, openat, openat2) and evt.is_open_read=true and fd.typechar='f' and fd.num>=0)
- macro: opened_for_writing
  condition: (evt.type in (open, openat, openat2) and evt.is_open_write=true and fd.typechar='f' and fd.num>=0)
- macro: started
  condition: (evt.type in (execve, execveat) and evt.dir=<)
- macro: in_container
  condition: (container.id != host)
- macro: connected
  condition: (evt.type=connect and fd.typechar in (4, 6))
";

/// The text of a rules file with this many rules; the same every time.
pub(crate) fn user_rules(count: u32) -> String {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut file = MACROS_OF_ALL.to_owned();
    for list in 0..LISTS {
        let length = 3 + random.below(25);
        let programs: Vec<_> = (0..length).map(|_| program(&mut random)).collect();
        writeln!(file, "- list: programs_{list}\n  items: [{}]", programs.join(", ")).unwrap();
    }
    for number in 0..MACROS {
        let condition = macro_condition(&mut random);
        writeln!(file, "- macro: team_{number}\n  condition: {condition}").unwrap();
    }
    for number in 0..count {
        let condition = condition(&mut random, number);
        writeln!(
            file,
            "- rule: Policy {number}\n  desc: generated\n  condition: >\n    {condition}\n  output: policy {number} by %proc.name on %fd.name\n  priority: WARNING\n  tags: [team_{}]",
            random.below(MACROS)
        )
        .unwrap();
        if random.below(10) < 3 {
            exceptions(&mut file, &mut random, number);
        }
    }
    file
}

/// One rule of the mix; the shares are those of hundreds.
fn condition(random: &mut Random, number: u32) -> String {
    let (list, team, application) = (random.below(LISTS), random.below(MACROS), random.below(4_000));
    let (program, other, directory) = (program(random), program(random), random.pick(DIRECTORIES));
    match random.below(100) {
        0..15 => format!(
            "opened_for_writing and in_container and fd.name startswith {directory}/app{application}/ and not proc.name in (programs_{list})"
        ),
        15..22 => format!(
            "started and in_container and team_{team} and proc.name in ({program}, {other}) and not proc.pname in (programs_{list})"
        ),
        22..28 => format!(
            "started and in_container and proc.name in (tool{application}, miner{number}) and not proc.pname in (programs_{list})"
        ),
        28..38 => format!(
            "opened_for_reading and in_container and team_{team} and fd.name in ({directory}/{program}.conf, {directory}/app{application}/secret.key)"
        ),
        38..46 => {
            format!("started and in_container and team_{team} and proc.cmdline contains \"{}\"", random.pick(COMMANDS))
        }
        46..54 => format!(
            "opened_for_reading and in_container and proc.name in (programs_{list}) and fd.name startswith {directory}/app{application} and user.uid != 0"
        ),
        54..62 => format!(
            "started and in_container and container.image.repository = registry.example.net/app{application} and proc.name != {program}"
        ),
        62..70 => format!(
            "opened_for_writing and container.image.repository endswith /app{application} and not fd.name startswith /tmp and not fd.name pmatch (/data, /var/lib/{program})"
        ),
        70..76 => format!(
            "connected and in_container and fd.sport = {} and not proc.name in (programs_{list})",
            1024 + application
        ),
        76..81 => format!(
            "started and in_container and proc.pname in (programs_{list}) and proc.name = {other} and proc.tty != 0"
        ),
        81..86 => format!(
            "opened_for_reading and in_container and fd.filename in ({program}.pem, {number}.key) and not team_{team}"
        ),
        86..90 => format!(
            "(opened_for_reading or opened_for_writing) and fd.name glob {directory}/*/app{application}/*.db and proc.name != {program}"
        ),
        90..94 => format!(
            "started and in_container and (proc.name = {program} or proc.exepath startswith {directory}/app{application}) and proc.args icontains token"
        ),
        94..97 => format!(
            "opened_for_writing and in_container and fd.name endswith .app{application} and proc.aname in (programs_{list})"
        ),
        _ => format!(
            "evt.type in (chmod, fchmodat, unlink, unlinkat, rename) and in_container and team_{team} and proc.name in ({program}, {other})"
        ),
    }
}

fn macro_condition(random: &mut Random) -> String {
    let (first, second) = (random.below(4_000), random.below(4_000));
    match random.below(4) {
        0 => format!("(k8s.ns.name in (team{first}, team{second}))"),
        1 => format!(
            "(container.image.repository in (registry.example.net/app{first}, registry.example.net/app{second}))"
        ),
        2 => format!(
            "(container.image.repository startswith registry.example.net/team{first}/ or k8s.ns.name = shared{second})"
        ),
        _ => format!("(k8s.ns.name startswith prod-{first} and container.name != sidecar)"),
    }
}

fn exceptions(file: &mut String, random: &mut Random, number: u32) {
    let (first, second) = (program(random), random.below(4_000));
    let (program, directory) = (program(random), random.pick(DIRECTORIES));
    writeln!(
        file,
        "  exceptions:\n    - name: known_{number}\n      fields: [proc.name, fd.name]\n      comps: [=, startswith]\n      values:\n        - [{first}, {directory}/cache]\n        - [{program}, /srv/app{second}]\n    - name: images_{number}\n      fields: container.image.repository\n      comps: in\n      values: [registry.example.net/app{second}]"
    )
    .unwrap();
}

/// A program of the common ones or one that hardly anybody has.
fn program(random: &mut Random) -> String {
    if random.below(4) == 0 { (*random.pick(PROGRAMS)).to_owned() } else { format!("tool{}", random.below(3_000)) }
}

/// Marsaglia's xorshift: the same rules on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from((self.0 >> 11) % u64::from(limit)).unwrap()
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[usize::try_from(self.below(u32::try_from(items.len()).unwrap())).unwrap()]
    }
}
