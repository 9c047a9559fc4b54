// SPDX-License-Identifier: Apache-2.0
//! A second rule that matches the same events and prints the numbers which the recording masks.

use std::{collections::HashMap, fs, path::Path};

use integration::Alert;

const NAME: &str = "witness";
const FIELDS: &str = "%evt.type %evt.num %proc.pid %thread.tid %proc.ppid %proc.vpid %proc.pvpid %thread.vtid %proc.pgid %proc.vmsize \
                      %proc.vmrss %proc.vmswap %proc.exe_ino %proc.exe_ino.ctime %proc.exe_ino.mtime %proc.exepath \
                      %proc.pexepath %fd.dev %fd.ino %thread.cgroups";

/// The recording's rule with other fields.
pub(crate) fn rule(recorded: &Path) -> String {
    let text = fs::read_to_string(recorded).unwrap();
    let condition = text.lines().find(|line| line.trim_start().starts_with("condition:")).unwrap();
    format!("- rule: {NAME}\n  desc: the numbers\n{condition}\n  output: '{FIELDS}'\n  priority: NOTICE\n")
}

/// Fields that give a masked parameter. What is not here only has to be there.
const PARAMETERS: [(&str, &str); 11] = [
    ("tid", "thread.tid"),
    ("pid", "proc.pid"),
    ("ptid", "proc.ppid"),
    ("pgid", "proc.pgid"),
    ("vm_size", "proc.vmsize"),
    ("vm_rss", "proc.vmrss"),
    ("vm_swap", "proc.vmswap"),
    ("exe_ino", "proc.exe_ino"),
    ("dev", "fd.dev"),
    ("ino", "fd.ino"),
    ("cgroups", "thread.cgroups"),
];
const TASK: &str = "pid"; // on other events than execs it is somebody else's

/// Why the value of a masked parameter is wrong.
pub(crate) fn parameter_fault(name: &str, value: &str, witness: &Alert) -> Option<String> {
    let is_other = name == TASK && !witness.text("evt.type").starts_with("exec");
    let field = PARAMETERS.iter().find(|(parameter, _)| *parameter == name && !is_other).map(|(_, field)| *field);
    let Some(field) = field else { return value.is_empty().then(|| "it is empty".to_owned()) };
    let given = witness.fields.get(field).map(|given| match given.as_u64() {
        Some(number) if name == "dev" => format!("{number:X}"),
        _ => given.as_str().map_or_else(|| given.to_string(), str::to_owned),
    });
    let number = value.split('(').next();
    (given.as_deref() != number).then(|| format!("{value}, but {field} is {given:?}"))
}

/// Each event's alert of the recording's rule and of ours.
pub(crate) fn pairs(alerts: Vec<Alert>) -> Vec<(Alert, Alert)> {
    let (ours, recorded): (Vec<_>, Vec<_>) = alerts.into_iter().partition(|alert| alert.rule == NAME);
    assert_eq!(recorded.len(), ours.len(), "both rules match the same events");
    let pairs: Vec<_> = recorded.into_iter().zip(ours).collect();
    let apart = pairs.iter().find(|(recorded, ours)| recorded.time != ours.time);
    assert!(apart.is_none(), "alerts of two events: {apart:?}");
    pairs
}

/// How the numbers do not fit together.
pub(crate) fn complaints(events: &[(Alert, Alert)]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut last = 0;
    let mut pids: HashMap<i64, i64> = HashMap::new(); // inside to outside
    let mut programs: HashMap<i64, String> = HashMap::new(); // by pid inside
    for (alert, witness) in events {
        let number = |field| witness.number(field);
        let (inside, outside, count) = (number("proc.vpid"), number("proc.pid"), number("evt.num"));
        let parent = number("proc.pvpid");
        let mut expect = |holds: bool, what: &str| {
            if !holds {
                complaints.push(format!(
                    "{} of {}: {what}: {witness:?}",
                    alert.text("evt.type"),
                    alert.text("proc.cmdline")
                ));
            }
        };
        expect(count > last, "events are not counted upwards");
        expect(
            number("thread.tid") == outside && number("thread.vtid") == inside,
            "the only thread is not its process",
        );
        expect(*pids.entry(inside).or_insert(outside) == outside, "a process has two numbers");
        let program_of_parent = programs.get(&parent).map_or("", String::as_str);
        let is_first = inside == 1 && programs.keys().all(|pid| *pid == 1);
        expect(is_first || program_of_parent == witness.text("proc.pexepath"), "the parent runs another program");
        last = count;
        programs.insert(inside, witness.text("proc.exepath").to_owned());
    }
    complaints
}
