// SPDX-License-Identifier: Apache-2.0
//! Constants about the network: addresses, networks, ports and service names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// An address. *Falco:* a dot means IPv4, so `::ffff:1.2.3.4` is refused.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    if text.contains('.') {
        text.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
    } else {
        text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
    }
}

/// A network; the prefix length is mandatory, bits behind it do not matter.
pub(super) fn network(text: &str) -> Option<IpNet> {
    let (base, length) = text.split_once('/')?;
    let length: u8 = length.parse().ok()?;
    match address(base)? {
        IpAddr::V4(base) => Ipv4Net::new(base, length).ok().map(|net| IpNet::V4(net.trunc())),
        IpAddr::V6(base) => Ipv6Net::new(base, length).ok().map(|net| IpNet::V6(net.trunc())),
    }
}

/// A port number or the name of a service.
pub(super) fn port(text: &str) -> Option<u16> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    SERVICES.iter().find(|(name, _)| *name == text).map(|(_, port)| *port)
}

/// Names that `/etc/services` has everywhere, so that loading a rule does not depend on the machine.
const SERVICES: &[(&str, u16)] = &[
    ("echo", 7),
    ("discard", 9),
    ("daytime", 13),
    ("chargen", 19),
    ("ftp-data", 20),
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("time", 37),
    ("whois", 43),
    ("tacacs", 49),
    ("domain", 53),
    ("bootps", 67),
    ("bootpc", 68),
    ("tftp", 69),
    ("gopher", 70),
    ("finger", 79),
    ("http", 80),
    ("kerberos", 88),
    ("pop3", 110),
    ("sunrpc", 111),
    ("ntp", 123),
    ("netbios-ns", 137),
    ("netbios-dgm", 138),
    ("netbios-ssn", 139),
    ("imap2", 143),
    ("imap", 143),
    ("snmp", 161),
    ("snmp-trap", 162),
    ("bgp", 179),
    ("irc", 194),
    ("ldap", 389),
    ("https", 443),
    ("microsoft-ds", 445),
    ("submissions", 465),
    ("isakmp", 500),
    ("exec", 512),
    ("login", 513),
    ("shell", 514),
    ("syslog", 514),
    ("printer", 515),
    ("submission", 587),
    ("ipp", 631),
    ("ldaps", 636),
    ("rsync", 873),
    ("ftps", 990),
    ("imaps", 993),
    ("pop3s", 995),
    ("socks", 1080),
    ("openvpn", 1194),
    ("ms-sql-s", 1433),
    ("nfs", 2049),
    ("mysql", 3306),
    ("ms-wbt-server", 3389),
    ("svn", 3690),
    ("epmd", 4369),
    ("sip", 5060),
    ("sip-tls", 5061),
    ("xmpp-client", 5222),
    ("postgresql", 5432),
    ("amqp", 5672),
    ("x11", 6000),
    ("redis", 6379),
    ("ircd", 6667),
    ("http-alt", 8080),
    ("zabbix-agent", 10050),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_have_one_form_each() {
        assert!(address("10.0.0.1").is_some() && address("::1").is_some());
        assert!(address("10.0.0.0/8").is_none() && address("::ffff:1.2.3.4").is_none());
        assert!(network("142.251.0.0/4").is_some() && network("10.0.0.1").is_none() && network("1::/129").is_none());
        assert_eq!((port("https"), port("70000"), port("nothing")), (Some(443), None, None));
    }
}
