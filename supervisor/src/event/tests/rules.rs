// SPDX-License-Identifier: Apache-2.0
//! Rules see these events: the first scenario, and Falco's own rules.

use std::path::PathBuf;

use ::rules::{LoadOptions, Loader, Ruleset};

use super::{
    context, event,
    stopped::{Stopped, is, shell},
    text,
};
use crate::event::CallEvent;

fn load(name: &str, content: &[u8]) -> Ruleset {
    let mut loader = Loader::new(LoadOptions::default());
    loader.add(name, content);
    loader.finish().ruleset.expect("the rules load")
}

/// `rule: output` for each match.
fn alerts(rules: &Ruleset, event: &CallEvent<'_>) -> Vec<String> {
    let mut alerts = Vec::new();
    rules.evaluate(event, &mut |rule| {
        let mut line = format!("{}: ", rule.name());
        rule.output().render(event, &mut line);
        alerts.push(line);
    });
    alerts
}

#[test]
fn the_first_scenario_prints_its_line() {
    let rules = load(
        "local.yaml",
        br#"
- rule: spawned_process_in_test_container
  desc: A process was spawned in the test container.
  condition: container.name = "test" and evt.type = execve
  output: "BIZIM ORNEGIMIZ - %evt.time,%user.uid,%proc.name,%container.id,%container.name"
  priority: WARNING
"#,
    );
    let mut shell = shell("kill -STOP $$; exec cat /etc/shadow");
    shell.env_clear().env("PATH", "/bin");
    let (context, stopped) = (context(), Stopped::start(shell, is(libc::SYS_execve)));
    let event = event(&context, &stopped);
    let time = text(&event, "evt.time").unwrap();
    let line = format!("BIZIM ORNEGIMIZ - {time},0,cat,0123456789ab,test");
    let found = alerts(&rules, &event);
    assert!(found.len() == 1 && found[0].contains(&line), "{found:?}");
}

#[test]
fn falcos_own_rules_find_a_read_of_a_sensitive_file() {
    let shared = std::env::var_os("LANNER_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")), PathBuf::from);
    let Ok(stock) = std::fs::read(shared.join("falco/rules/falco_rules.yaml")) else {
        println!("skipped: no stock rules");
        return;
    };
    let rules = load("falco_rules.yaml", &stock);
    let mut shell = shell("kill -STOP $$; exec cat /etc/./shadow");
    shell.env_clear().env("PATH", "/bin");
    let context = context();
    let mut stopped = Stopped::start(shell, is(libc::SYS_openat));
    while text(&event(&context, &stopped), "fd.name").as_deref() != Some("/etc/shadow") {
        let event = event(&context, &stopped);
        assert_eq!(alerts(&rules, &event), [""; 0], "{:?}", text(&event, "fd.name"));
        assert!(stopped.advance(is(libc::SYS_openat)));
    }
    let found = alerts(&rules, &event(&context, &stopped));
    assert_eq!(found.len(), 1, "{found:?}");
    let line = &found[0];
    assert!(line.starts_with("Read sensitive file untrusted: "), "{line}");
    for part in ["file=/etc/shadow", "process=cat", "command=cat /etc/./shadow", "user=root", "user_uid=0"] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    assert!(!line.contains("<NA>") || line.contains("user_loginuid=-1"), "{line}");
}
