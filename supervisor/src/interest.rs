// SPDX-License-Identifier: Apache-2.0
//! Which calls the rules in force need, beyond those that are always watched, and with which registers.
//!
//! What a register decides is left to the kernel: a call is notified only with registers for which some rule could match.
//! Each value of a register is tried out on the rules with everything else unknown, so that nothing a rule could match is
//! left out.

use policy::{Comparison, Mode, RegisterTest, Syscall, Watched};
use rules::{Argument, EventType, EvtField, FdField, Field, Knowledge, PartialEvent, Ruleset, Value};

use crate::{
    decode::{Call, Enumeration, SOCK_PACKET},
    in_force::InForce,
};

/// Values of an enumeration that are tried one by one; larger ones are always notified. The kernel's address families and
/// the common requests of ptrace are below.
const ENUMERATED: u64 = 64;
/// Alternatives that one call may have: the kernel tries them one after the other.
const MAX_TESTS: usize = 8;

/// The calls that `ruleset` needs beyond the base set.
fn of(ruleset: &Ruleset) -> Vec<Watched> {
    let needed = policy::watched(ruleset.event_types()).filter(|syscall| !policy::is_base(syscall.name));
    needed.filter_map(|syscall| watch(ruleset, syscall)).collect()
}

/// The calls that what is in force needs beyond those that the mode needs in any case.
pub(crate) fn of_all(in_force: &InForce, mode: Mode) -> Vec<Watched> {
    let is_added = mode == Mode::Audit && in_force.performs_opens(mode);
    let added = if is_added { policy::opening_unseen() } else { Vec::new() };
    policy::merged(of(&in_force.ruleset).into_iter().chain(added))
}

/// The same with what is only good to know: calls that are to come after something else, and by whom a task poses.
pub(crate) fn with_helpful(in_force: &InForce, mode: Mode) -> Vec<Watched> {
    policy::merged(of_all(in_force, mode).into_iter().chain(helpful(in_force.performs_opens(mode), mode)))
}

fn helpful(performs_opens: bool, mode: Mode) -> Vec<Watched> {
    let after_closes = if performs_opens && mode == Mode::Audit { policy::after_closes() } else { Vec::new() };
    let listening = performs_opens.then(policy::before_listening);
    let posing = [policy::posing(), policy::hooking()].map(|call| Watched { is_optional: true, ..call });
    after_closes.into_iter().chain(listening).chain(posing).collect()
}

/// The calls of `needed` that a profile with `trapped` does not notify, or not all of them.
pub(crate) fn missing<'a>(needed: &'a [Watched], trapped: &[Watched]) -> Vec<&'a str> {
    let is_trapped = |needed: &Watched| {
        trapped.iter().any(|trapped| {
            let covers = |test: &RegisterTest| trapped.when.contains(test);
            let is_covered = trapped.when.is_empty() || !needed.when.is_empty() && needed.when.iter().all(covers);
            trapped.name == needed.name && is_covered
        })
    };
    needed.iter().filter(|needed| !is_trapped(needed)).map(|needed| needed.name.as_str()).collect()
}

fn watch(ruleset: &Ruleset, syscall: &Syscall) -> Option<Watched> {
    let call = Call::of_type(syscall.event_type);
    let can_match = |known: Known| ruleset.can_match(&RegisterEvent { event_type: call.event_type(), known });
    if !can_match(Known::Nothing) {
        return None;
    }
    let watched = |when| Some(Watched { when, ..Watched::always(syscall.name) });
    if let Some(register) = call.address_register()
        && !can_match(Known::NoAddress)
    {
        return watched(vec![test(register, Comparison::NotEqual, 0)]);
    }
    let enumerated = call.layout().sources.iter().zip(0..).find_map(|(source, parameter)| {
        let (register, values) = source.enumeration()?;
        Some((parameter, register, values))
    });
    let Some((parameter, register, values)) = enumerated else { return watched(Vec::new()) };
    let value_matches = |value: &u64| can_match(Known::Enumerated { parameter, value: *value, values });
    let matching = (0..ENUMERATED).filter(value_matches).take(MAX_TESTS);
    let mut tests: Vec<_> = matching.map(|value| test(register, Comparison::Equal, value)).collect();
    tests.push(test(register, Comparison::AtLeast, ENUMERATED));
    let (inet, packet) = (u64::from(libc::AF_INET.unsigned_abs()), u64::from(libc::AF_PACKET.unsigned_abs()));
    if call.layout().name == "socket" && value_matches(&packet) && !value_matches(&inet) {
        tests.extend(packet_types());
    }
    watched(if tests.len() > MAX_TESTS { Vec::new() } else { tests })
}

/// The types by which a socket of IPv4 is one of packets, with the flags that may stand beside them; behind the last one there
/// is nothing but registers of which the kernel ignores the upper half.
fn packet_types() -> [RegisterTest; 4] {
    let [nonblock, cloexec] = [libc::SOCK_NONBLOCK, libc::SOCK_CLOEXEC].map(|flag| u64::from(flag.unsigned_abs()));
    let equal = |flags| test(1, Comparison::Equal, SOCK_PACKET | flags);
    [equal(0), equal(nonblock), equal(cloexec), test(1, Comparison::AtLeast, SOCK_PACKET | nonblock | cloexec)]
}

fn test(register: usize, comparison: Comparison, value: u64) -> RegisterTest {
    RegisterTest { register: u32::try_from(register).unwrap_or(u32::MAX), comparison, value }
}

/// What one register says about an event.
#[derive(Debug, Clone, Copy)]
enum Known {
    Nothing,
    /// The call gives its socket no address.
    NoAddress,
    /// A parameter's value.
    Enumerated {
        parameter: usize,
        value: u64,
        values: Enumeration,
    },
}

/// An event of which nothing but its type and one register is known.
#[derive(Debug)]
struct RegisterEvent {
    event_type: EventType,
    known: Known,
}

impl PartialEvent for RegisterEvent {
    fn event_type(&self) -> EventType {
        self.event_type
    }

    fn knowledge(&self, field: Field, argument: &Argument) -> Knowledge<'_> {
        match (self.known, field) {
            // See `CallEvent::names_new_end`.
            (Known::NoAddress, Field::Fd(FdField::NameChanged)) => Knowledge::Known(Some(Value::Bool(false))),
            (Known::Enumerated { parameter, value, values }, Field::Evt(EvtField::Arg))
                if self.event_type.parameter(argument) == Some(parameter) =>
            {
                let text = crate::event::enumerated_text(u32::try_from(value).unwrap_or(u32::MAX), values);
                Knowledge::Known(Some(Value::Text(text.into())))
            }
            _ => Knowledge::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use rules::{LoadOptions, Loader};

    use super::*;

    fn ruleset(condition: &str) -> Ruleset {
        let rule = format!("- rule: r\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO\n");
        let mut loader = Loader::new(LoadOptions::default());
        loader.add("r.yaml", rule.as_bytes());
        loader.finish().ruleset.unwrap()
    }

    /// A call with its tests: register, comparison, value.
    type Expected<'a> = (&'a str, &'a [(usize, Comparison, u64)]);

    #[track_caller]
    fn check(condition: &str, expected: &[Expected<'_>]) {
        let watched = |(name, tests): &Expected<'_>| Watched {
            when: tests.iter().map(|(register, how, value)| test(*register, *how, *value)).collect(),
            ..Watched::always(name)
        };
        let expected: Vec<_> = expected.iter().map(watched).collect();
        assert_eq!(of(&ruleset(condition)), expected, "{condition}");
    }

    #[test]
    fn calls_are_left_to_the_kernel_where_registers_decide() {
        use Comparison::{AtLeast, Equal, NotEqual};
        check("evt.type = execve", &[]);
        check("evt.type in (open, chdir)", &[("chdir", &[])]);
        let packets = [
            (0, Equal, 17),
            (0, AtLeast, 64),
            (1, Equal, 10),
            (1, Equal, 0x80a),
            (1, Equal, 0x8_000a),
            (1, AtLeast, 0x8_080a),
        ];
        check("evt.type = socket and evt.arg.domain = AF_PACKET", &[("socket", &packets)]);
        check("evt.type = socket and evt.arg[1] = AF_PACKET", &[("socket", &packets)]);
        check("evt.type = socket and evt.arg.domain = AF_INET", &[("socket", &[(0, Equal, 2), (0, AtLeast, 64)])]);
        check("evt.type = socket and evt.arg.domain = AF_ALG", &[("socket", &[(0, Equal, 38), (0, AtLeast, 64)])]);
        check("evt.type = socket and not evt.arg.domain in (AF_UNIX, AF_INET)", &[("socket", &[])]);
        check("evt.type = socket and proc.name = nc", &[("socket", &[])]);
        check("evt.type = sendto and fd.name_changed = true", &[("sendto", &[(4, NotEqual, 0)])]);
        check("evt.type = sendto and fd.sport = 53", &[("sendto", &[])]);
        check("evt.type = recvfrom and fd.name_changed = true", &[("recvfrom", &[(4, NotEqual, 0)])]);
        check("evt.type = prctl and evt.arg.option = PR_SET_MM", &[("prctl", &[(0, Equal, 35), (0, AtLeast, 64)])]);
        check(
            "evt.type = setsockopt and evt.arg.level = SOL_TCP",
            &[("setsockopt", &[(1, Equal, 6), (1, AtLeast, 64)])],
        );
        check("evt.type = connect and evt.type = socket", &[]);
        check("evt.type = setuid", &[("setuid", &[]), ("setuid32", &[])]);
    }

    #[test]
    fn who_begins_to_listen_is_seen_only_where_opens_are_performed() {
        let names = |performs, mode| helpful(performs, mode).into_iter().map(|call| call.name).collect::<Vec<_>>();
        assert_eq!(names(false, Mode::Enforce), ["prctl", "bpf"]);
        assert_eq!(names(false, Mode::Audit), ["prctl", "bpf"]);
        assert_eq!(names(true, Mode::Enforce), ["inotify_add_watch", "prctl", "bpf"]);
        assert!(names(true, Mode::Audit).contains(&"inotify_add_watch".to_owned()));
        let bits: Vec<_> = policy::before_listening().when.iter().map(|test| test.value).collect();
        assert_eq!(bits, [libc::IN_CLOSE_WRITE, libc::IN_CLOSE_NOWRITE].map(u64::from));
    }

    #[test]
    fn a_call_is_missing_where_it_is_trapped_for_less() {
        let watched = |name: &str, when: &[RegisterTest]| Watched { when: when.to_vec(), ..Watched::always(name) };
        let [one, two] = [1, 2].map(|value| test(0, Comparison::Equal, value));
        let needed = [watched("socket", &[one]), watched("connect", &[]), watched("chmod", &[])];
        let trapped = [watched("socket", &[one, two]), watched("connect", &[one])];
        assert_eq!(missing(&needed, &trapped), ["connect", "chmod"]);
    }
}
