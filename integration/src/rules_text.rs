// SPDX-License-Identifier: Apache-2.0
//! Rule texts that more than one test uses.

/// The rule of the first scenario, as its author wrote it.
pub const FIRST_SCENARIO: &str = r#"
- rule: spawned_process_in_test_container
  desc: A process was spawned in the falco test container.
  condition: container.name = "falco-ornek-konteynir" and evt.type = execve
  output: "BIZIM ORNEGIMIZ - %evt.time,%user.uid,%proc.name,%container.id,%container.name"
  priority: WARNING
"#;

/// Reports what the workloads do: opens below /probe, and executions of /bin/nothing.
pub const PROBES: &str = r"
- rule: opened
  desc: A file below /probe was opened.
  condition: evt.type in (open, openat, openat2, creat) and fd.name startswith /probe/
  output: opened %fd.name by %proc.name %proc.cmdline %proc.pid %proc.vpid %evt.type
  priority: NOTICE

- rule: executed
  desc: The program that does nothing was executed.
  condition: evt.type in (execve, execveat) and proc.name = nothing
  output: executed %proc.cmdline as %proc.name %proc.exepath %proc.pid %proc.vpid
  priority: NOTICE
";

/// Denies an open that nobody makes, so that opens are performed.
pub const NEVER: &str = "
- rule: never
  desc: It makes opens worth performing.
  condition: evt.type in (open, openat) and fd.name = /never
  output: opened %fd.name
  priority: NOTICE
  action: deny
";

/// Denies what no test touches: opens and executions below /unrelated, names below /tmp/unrelated, and one connection.
pub const UNRELATED: &str = r"
- rule: unrelated open
  desc: A file below /unrelated was opened.
  condition: evt.type in (open, openat, openat2, creat) and fd.name startswith /unrelated/
  output: opened %fd.name
  priority: NOTICE

- rule: unrelated exec
  desc: A program below /unrelated was executed.
  condition: evt.type in (execve, execveat) and proc.exepath startswith /unrelated/
  output: executed %proc.exepath
  priority: NOTICE

- rule: unrelated name
  desc: A name below /tmp/unrelated was made, moved, removed or changed.
  condition: >
    evt.type in (mkdir, mkdirat, rmdir, unlink, unlinkat, rename, renameat, renameat2, link, linkat, symlink, symlinkat,
                 mknod, mknodat, chmod, fchmodat, chown, lchown, fchownat)
    and (fs.path.name startswith /tmp/unrelated or fs.path.source startswith /tmp/unrelated
         or fs.path.target startswith /tmp/unrelated)
  output: changed %evt.type
  priority: NOTICE

- rule: unrelated connection
  desc: Somebody connected to a socket that nobody has.
  condition: evt.type = connect and fd.name = /tmp/unrelated
  output: connected %fd.name
  priority: NOTICE
";
