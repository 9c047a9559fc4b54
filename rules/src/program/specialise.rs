// SPDX-License-Identifier: Apache-2.0
//! What remains of conditions for one event type: constants folded, chains flattened, cheap parts first.

use std::{collections::HashMap, sync::Arc};

use rustc_hash::FxBuildHasher;

use super::{
    arena::{Arena, Node, NodeId},
    build::Builder,
    group::{group_alternatives, group_exclusions},
    run::Program,
};
use crate::{
    Argument, Availability, EventType, EvtField, FdField, Field, ProcField,
    compile::{CompiledCheck, Extractor, Right},
    event_types::constant_result,
};

/// A part of a specialised condition.
#[derive(Debug, Clone)]
pub(super) enum Part {
    Constant(bool),
    Check(Arc<CompiledCheck>),
    Not(Shared),
    And(Vec<Shared>),
    Or(Vec<Shared>),
}

/// A part with its expected cost, shared by all that contain it.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) part: Arc<Part>,
    pub(super) cost: u32,
}

impl Shared {
    pub(super) fn check(check: Arc<CompiledCheck>) -> Self {
        let cost = cost(&check);
        Self { part: Arc::new(Part::Check(check)), cost }
    }

    fn constant(value: bool) -> Self {
        Self { part: Arc::new(Part::Constant(value)), cost: 0 }
    }

    pub(super) fn not(child: Self) -> Self {
        match &*child.part {
            Part::Constant(value) => Self::constant(!value),
            Part::Not(inner) => inner.clone(),
            Part::Check(_) | Part::And(_) | Part::Or(_) => Self { cost: child.cost, part: Arc::new(Part::Not(child)) },
        }
    }

    /// All or any of the children, each with whether others use it too.
    fn chain(children: Vec<(Self, bool)>, all: bool) -> Self {
        let mut kept: Vec<Self> = Vec::new();
        for (child, shared) in children {
            match &*child.part {
                Part::Constant(value) if *value == all => {}
                Part::Constant(value) => return Self::constant(*value),
                // A shared chain stays whole, so that its result is computed once.
                Part::And(inner) if all && !shared => kept.extend(inner.iter().cloned()),
                Part::Or(inner) if !all && !shared => kept.extend(inner.iter().cloned()),
                Part::Check(_) | Part::Not(_) | Part::And(_) | Part::Or(_) => kept.push(child),
            }
        }
        let mut kept = if all { group_exclusions(kept) } else { group_alternatives(kept) };
        match kept.len() {
            0 => Self::constant(all),
            1 => kept.remove(0),
            _ => {
                kept.sort_by_key(|child| child.cost);
                let costs = kept.iter().map(|child| child.cost);
                // Most events match nothing: a conjunction ends with its first part, an alternative tries all of its parts.
                let cost = if all { costs.min().unwrap_or(0) } else { costs.fold(0, u32::saturating_add) };
                Self { part: Arc::new(if all { Part::And(kept) } else { Part::Or(kept) }), cost }
            }
        }
    }
}

/// Builds the program of one event type from the conditions of the enabled rules.
pub(crate) fn specialise(arena: &Arena, conditions: &[(usize, NodeId)], event_type: EventType) -> Program {
    let users = arena.users();
    let mut specialiser = Specialiser { arena, event_type, users, known: HashMap::default() };
    let mut roots = Vec::new();
    for (rule, condition) in conditions {
        let part = specialiser.part(*condition);
        if !matches!(&*part.part, Part::Constant(false)) {
            roots.push((*rule, part));
        }
    }
    Builder::build(&roots)
}

struct Specialiser<'a> {
    arena: &'a Arena,
    event_type: EventType,
    users: Vec<usize>,
    known: HashMap<NodeId, Shared, FxBuildHasher>,
}

impl Specialiser<'_> {
    fn part(&mut self, id: NodeId) -> Shared {
        if let Some(known) = self.known.get(&id) {
            return known.clone();
        }
        let part = match self.arena.nodes.get(id) {
            None => Shared::constant(false),
            Some(Node::Check(check)) => self.check(*check),
            Some(Node::Not(child)) => Shared::not(self.part(*child)),
            Some(Node::And(children)) => self.chain(children, true),
            Some(Node::Or(children)) => self.chain(children, false),
        };
        self.known.insert(id, part.clone());
        part
    }

    fn chain(&mut self, children: &[NodeId], all: bool) -> Shared {
        let shared = |users: &[usize], child: NodeId| users.get(child).is_some_and(|users| *users > 1);
        let parts = children.iter().map(|child| (self.part(*child), shared(&self.users, *child))).collect();
        Shared::chain(parts, all)
    }

    fn check(&self, id: usize) -> Shared {
        let Some(check) = self.arena.checks.get(id) else { return Shared::constant(false) };
        match constant_result(check, self.event_type) {
            Some(value) => Shared::constant(value),
            None => Shared::check(Arc::clone(check)),
        }
    }
}

/// A rough cost of a check, dominated by where its value comes from: registers, memory of the target, files of /proc, or
/// looking for a file as the target would.
fn cost(check: &CompiledCheck) -> u32 {
    let right = match &check.right {
        Right::Constants(_) => 0,
        Right::Operand(_, right) => extraction_cost(right),
    };
    extraction_cost(&check.left) + right
}

pub(super) fn extraction_cost(extractor: &Extractor) -> u32 {
    let (field, argument) = match extractor {
        Extractor::Field(field, argument) => (*field, argument),
        Extractor::Constant(_) => return 1,
        Extractor::Call(_) => return 40,
    };
    if Field::describe(field.name()).is_some_and(|row| row.availability == Availability::Stateful) {
        return 50;
    }
    match field {
        // The flags of an open say which layer of an overlay the file lies in.
        Field::Evt(EvtField::Arg) if *argument == Argument::Key("flags".into()) => 50,
        Field::Evt(EvtField::Args | EvtField::Info)
        | Field::Fd(FdField::IsUpperLayer | FdField::IsLowerLayer)
        | Field::Proc(ProcField::IsExeUpperLayer | ProcField::IsExeLowerLayer) => 50,
        Field::Evt(EvtField::IsOpenCreate)
        | Field::Fd(FdField::Ino | FdField::Dev | FdField::DevMajor | FdField::DevMinor)
        | Field::Proc(ProcField::StdinType | ProcField::StdoutType | ProcField::StderrType) => 15,
        Field::Evt(EvtField::Arg | EvtField::Rawarg) => match argument {
            // The file is looked for.
            Argument::Key(key) if ["dev", "ino"].contains(&&**key) => 15,
            Argument::Key(_) | Argument::Index(_) | Argument::Unused => 5,
        },
        // For a category, the kind of a descriptor may have to be looked up.
        Field::Evt(EvtField::Cpu | EvtField::Category) | Field::Fd(FdField::Realpath) => 10,
        Field::Evt(_) | Field::Lanner(_) => 1,
        Field::Container(_) | Field::K8s(_) => 2,
        Field::Fd(_) | Field::FsPath(_) => 3,
        Field::Proc(ProcField::Name | ProcField::Pid | ProcField::Exepath) => 6,
        Field::Proc(ProcField::Aname | ProcField::Aexe | ProcField::Aexepath | ProcField::Acmdline) => {
            if *argument == Argument::Unused { 30 } else { 20 }
        }
        Field::Proc(ProcField::Env | ProcField::Aenv) => 30,
        Field::Proc(_) | Field::Thread(_) | Field::User(_) | Field::Group(_) | Field::FdList(_) | Field::Util(_) => 10,
    }
}
