// SPDX-License-Identifier: Apache-2.0
//! Names are resolved by a server on loopback, as often as is said, and what nobody can say changes nothing.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use hickory_resolver::{
    Hosts,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts},
};

use super::{
    NameResolver, NameTable,
    lookup::{Sources, parse_servers},
    resolver::Thread,
};

/// What the server says of names: addresses, or none because it is broken. It does not know any other name.
type Zone = HashMap<&'static str, Option<Vec<IpAddr>>>;

/// A server that answers A and AAAA over UDP, and notes what it is asked.
struct Server {
    address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let server = Self { address: socket.local_addr().unwrap(), zone: Arc::default(), asked: Arc::default() };
        let (zone, asked) = (Arc::clone(&server.zone), Arc::clone(&server.asked));
        thread::spawn(move || {
            let mut packet = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut packet) {
                let (name, kind, question) = question(&packet[..length]);
                if kind == A {
                    asked.lock().unwrap().push(name.clone());
                }
                let answer = answer(&packet[..2], question, kind, zone.lock().unwrap().get(name.as_str()));
                socket.send_to(&answer, client).unwrap();
            }
        });
        server
    }

    fn set(&self, zone: &[(&'static str, Option<&[&str]>)]) {
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        *self.zone.lock().unwrap() = zone.iter().map(|(name, found)| (*name, found.map(addresses))).collect();
    }

    /// What was asked for since the last time, sorted.
    fn asked(&self) -> Vec<String> {
        let mut asked = std::mem::take(&mut *self.asked.lock().unwrap());
        asked.sort_unstable();
        asked
    }

    fn sources(&self, hosts: &str) -> Sources {
        let mut connection = ConnectionConfig::udp();
        connection.port = self.address.port();
        let mut server = NameServerConfig::udp(self.address.ip());
        server.connections = vec![connection];
        let mut options = ResolverOpts::default();
        options.attempts = 1;
        let mut known = Hosts::default();
        known.read_hosts_conf(hosts.as_bytes()).unwrap();
        Sources { hosts: known, servers: ResolverConfig::from_parts(None, Vec::new(), vec![server]), options }
    }
}

const A: u8 = 1;

/// Name, type and bytes of a packet's only question.
fn question(packet: &[u8]) -> (String, u8, &[u8]) {
    let mut labels = Vec::new();
    let mut at = 12;
    while packet[at] != 0 {
        let end = at + 1 + usize::from(packet[at]);
        labels.push(String::from_utf8(packet[at + 1..end].to_ascii_lowercase()).unwrap());
        at = end;
    }
    (labels.join("."), packet[at + 2], &packet[12..at + 5])
}

fn answer(id: &[u8], question: &[u8], kind: u8, found: Option<&Option<Vec<IpAddr>>>) -> Vec<u8> {
    const NO_SUCH_NAME: u8 = 3;
    const BROKEN: u8 = 2;
    let (code, addresses) = match found {
        None => (NO_SUCH_NAME, Vec::new()),
        Some(None) => (BROKEN, Vec::new()),
        Some(Some(addresses)) => (0, addresses.clone()),
    };
    let records = addresses.into_iter().filter(|address| address.is_ipv4() == (kind == A));
    let records = records.map(|address| {
        let bytes = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        // The question's name, type, class, an hour, length.
        [&[0xc0, 12, 0, kind, 0, 1, 0, 0, 14, 16, 0, u8::try_from(bytes.len()).unwrap()], bytes.as_slice()].concat()
    });
    let records: Vec<_> = records.collect();
    let count = u8::try_from(records.len()).unwrap();
    // A response that may recurse, one question, these answers.
    let head = [id, &[0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]].concat();
    [head, question.to_vec(), records.concat()].concat()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// `address: names` for each address.
#[track_caller]
fn check(table: &NameTable, expected: &[(&str, &[&str])]) {
    for (address, expected) in expected {
        let found = table.of(address.parse().unwrap());
        assert_eq!(found.iter().map(|name| &**name).collect::<Vec<_>>(), *expected, "{address}");
    }
}

#[test]
fn every_name_of_an_address_is_found() {
    let server = Server::start();
    server.set(&[
        ("one.test", Some(&["192.0.2.1", "192.0.2.2", "2001:db8::1"])),
        ("two.test", Some(&["192.0.2.2"])),
        ("broken.test", None),
        ("empty.test", Some(&[])),
        ("hosted.test", Some(&["192.0.2.9"])),
    ]);
    let table = Arc::new(NameTable::default());
    let hosts = "192.0.2.3 hosted.test other.test # a comment\n";
    let mut thread = Thread::new(Arc::clone(&table), || server.sources(hosts));
    let wanted =
        ["one.test", "two.test", "broken.test", "empty.test", "missing.test", "hosted.test", "192.0.2.4", "..", "a b"];
    let now = Instant::now();
    thread.set_names(names(&wanted), now);
    check(&table, &[("192.0.2.1", &[])]);
    thread.refresh(now);
    check(
        &table,
        &[
            ("192.0.2.1", &["one.test"]),
            ("192.0.2.2", &["one.test", "two.test"]),
            ("2001:db8::1", &["one.test"]),
            ("::ffff:192.0.2.1", &["one.test"]),
            ("192.0.2.3", &["hosted.test"]),
            ("192.0.2.4", &["192.0.2.4"]),
            ("192.0.2.9", &[]),
            ("0.0.0.0", &[]),
        ],
    );
}

#[test]
fn names_are_asked_for_again_the_later_the_longer_they_stay() {
    let server = Server::start();
    let table = Arc::new(NameTable::default());
    let mut thread = Thread::new(Arc::clone(&table), || server.sources(""));
    let start = Instant::now();
    server.set(&[("a.test", Some(&["192.0.2.1"]))]);
    thread.refresh(start);
    assert_eq!(server.asked().len(), 0, "no name is wanted");
    thread.set_names(names(&["a.test"]), start);
    let mut after = |seconds: u64| {
        thread.refresh(start + Duration::from_secs(seconds));
        server.asked().len()
    };
    // Found, then the same after 10, 20, 40, .. seconds.
    let rounds = [(0, 1), (9, 0), (10, 1), (29, 0), (30, 1), (70, 1), (150, 1), (310, 1), (630, 1), (949, 0), (950, 1)];
    for (seconds, expected) in rounds {
        assert_eq!(after(seconds), expected, "after {seconds}");
    }
    server.set(&[("a.test", Some(&["192.0.2.2"]))]);
    assert_eq!(after(1270), 1);
    check(&table, &[("192.0.2.1", &[]), ("192.0.2.2", &["a.test"])]);
    server.set(&[("a.test", None)]);
    assert_eq!((after(1279), after(1280) > 0), (0, true), "a change makes the next look-up early");
    check(&table, &[("192.0.2.2", &["a.test"])]);
    server.set(&[]);
    assert_eq!(after(1290), 1);
    check(&table, &[("192.0.2.2", &[])]);
}

#[test]
fn new_rules_bring_names_and_take_others_away() {
    let server = Server::start();
    server.set(&[("a.test", Some(&["192.0.2.1"])), ("b.test", Some(&["192.0.2.1"]))]);
    let table = Arc::new(NameTable::default());
    let mut thread = Thread::new(Arc::clone(&table), || server.sources(""));
    let now = Instant::now();
    for (wanted, asked, known) in [
        (&["a.test"][..], &["a.test"][..], &["a.test"][..]),
        (&["a.test", "b.test"], &["b.test"], &["a.test", "b.test"]),
        (&["b.test"], &[], &["b.test"]),
        (&[], &[], &[]),
    ] {
        thread.set_names(names(wanted), now);
        thread.refresh(now);
        assert_eq!((server.asked(), &[("192.0.2.1", known)][..]), (names(asked), &[("192.0.2.1", known)][..]));
        check(&table, &[("192.0.2.1", known)]);
    }
}

/// `localhost` is in every host's file.
#[test]
fn a_thread_resolves_in_the_background() {
    let table = Arc::new(NameTable::default());
    let mut resolver = NameResolver::new(Arc::clone(&table));
    let threads = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
        names.filter(|name| name == "names\n").count()
    };
    resolver.want(&[]);
    assert_eq!(threads(), 0, "nobody wants a name");
    resolver.want(&names(&["localhost"]));
    let until = |known: &[&str]| {
        let deadline = Instant::now() + Duration::from_mins(1);
        while table.of("127.0.0.1".parse().unwrap()).iter().map(|name| &**name).ne(known.iter().copied()) {
            assert!(Instant::now() < deadline, "not {known:?}");
            thread::sleep(Duration::from_millis(5));
        }
    };
    until(&["localhost"]);
    assert_eq!(threads(), 1);
    resolver.want(&[]);
    until(&[]);
}

#[test]
fn servers_are_those_of_the_file_or_the_host_itself() {
    for (content, servers, search, ndots, seconds) in [
        ("", &["127.0.0.1"][..], &[][..], 1, 5),
        ("nameserver 192.0.2.1\nnameserver 2001:db8::1\n", &["192.0.2.1", "2001:db8::1"], &[], 1, 5),
        ("search a.test b.test\noptions ndots:5 timeout:2\nnonsense\n", &["127.0.0.1"], &["a.test", "b.test"], 5, 2),
        ("domain a.test\nnameserver x\nnameserver 192.0.2.1", &["192.0.2.1"], &["a.test"], 1, 5),
    ] {
        let (config, options) = parse_servers(content.as_bytes());
        let found: Vec<_> = config.name_servers().iter().map(|server| server.ip.to_string()).collect();
        assert_eq!(found, servers, "{content}");
        assert_eq!(config.search().iter().map(ToString::to_string).collect::<Vec<_>>(), search, "{content}");
        assert_eq!((options.ndots, options.timeout), (ndots, Duration::from_secs(seconds)), "{content}");
    }
}
