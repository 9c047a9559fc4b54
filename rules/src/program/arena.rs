// SPDX-License-Identifier: Apache-2.0
//! The parts of all conditions, each distinct one stored once and known by a number.

use std::{collections::HashMap, sync::Arc};

use rustc_hash::{FxBuildHasher, FxHashSet};

use crate::{
    EventType,
    compile::{CompiledCheck, Environment, Problem, compile_check},
    condition::ast::{self, Expression},
    event_types::constant_result,
};

/// Memory of all regular expressions together: for hundreds that need much, or thousands of ordinary ones.
const MAX_REGEX_BYTES: usize = 256 << 20;

/// The number of a part.
pub(crate) type NodeId = usize;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Node {
    /// The number of a check.
    Check(usize),
    Not(NodeId),
    And(Box<[NodeId]>),
    Or(Box<[NodeId]>),
}

/// All parts of all conditions.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    pub(super) nodes: Vec<Node>,
    pub(super) checks: Vec<Arc<CompiledCheck>>,
    node_ids: HashMap<Node, NodeId, FxBuildHasher>,
    /// The number of each check, and whether its constants gave rise to warnings.
    check_ids: HashMap<ast::Check, (usize, bool), FxBuildHasher>,
    /// Memory of all regular expressions.
    regex_bytes: usize,
    /// The bodies of macros by name, so that a shared macro is walked once.
    macro_ids: HashMap<String, NodeId, FxBuildHasher>,
}

impl Arena {
    /// Compiles a check, or finds the one that was compiled before.
    pub(crate) fn check(
        &mut self,
        check: &ast::Check,
        environment: &Environment,
        warnings: &mut Vec<Problem>,
    ) -> Result<usize, Problem> {
        if let Some((id, suspicious)) = self.check_ids.get(check) {
            // The warnings of a repeated check belong to its new place.
            return if *suspicious { compile_check(check, environment, warnings).map(|_| *id) } else { Ok(*id) };
        }
        let before = warnings.len();
        let compiled = compile_check(check, environment, warnings)?;
        self.regex_bytes += compiled.regex_bytes();
        if self.regex_bytes > MAX_REGEX_BYTES {
            let message = format!("regular expressions of all rules take more than {MAX_REGEX_BYTES} bytes");
            return Err(Problem::new(message, &check.span.0));
        }
        let id = self.checks.len();
        self.checks.push(Arc::new(compiled));
        self.check_ids.insert(check.clone(), (id, warnings.len() > before));
        Ok(id)
    }

    /// The constants that the checks of some conditions compare fields with, by one of these operators if there are any.
    pub(crate) fn constants_of(
        &self,
        conditions: impl Iterator<Item = NodeId>,
        fields: &[&str],
        operators: &[ast::Operator],
    ) -> Vec<String> {
        let used = self.checks_of(conditions);
        let is_about = |check: &&ast::Check| {
            matches!(&check.left, ast::Operand::Field(left) if fields.contains(&left.name.as_str()))
                && (operators.is_empty() || operators.contains(&check.operator))
        };
        let literals = |check: &ast::Check| match &check.right {
            ast::Right::Text(literal) => vec![literal.text.clone()],
            ast::Right::List(literals, _) => literals.iter().map(|literal| literal.text.clone()).collect(),
            ast::Right::Nothing | ast::Right::Operand(_) => Vec::new(),
        };
        let known = self.check_ids.iter().filter(|(_, (id, _))| used.contains(id)).map(|(check, _)| check);
        let mut constants: Vec<String> = known.filter(is_about).flat_map(literals).collect();
        constants.sort_unstable();
        constants.dedup();
        constants
    }

    /// The numbers of all checks in some conditions.
    fn checks_of(&self, conditions: impl Iterator<Item = NodeId>) -> FxHashSet<usize> {
        let mut checks = FxHashSet::default();
        let mut seen = vec![false; self.nodes.len()];
        let mut left: Vec<NodeId> = conditions.collect();
        while let Some(id) = left.pop() {
            let (Some(node), Some(seen)) = (self.nodes.get(id), seen.get_mut(id)) else { continue };
            if std::mem::replace(seen, true) {
                continue;
            }
            match node {
                Node::Check(check) => drop(checks.insert(*check)),
                Node::Not(child) => left.push(*child),
                Node::And(children) | Node::Or(children) => left.extend_from_slice(children),
            }
        }
        checks
    }

    /// A check that was compiled.
    pub(crate) fn compiled(&self, check: &ast::Check) -> Option<&CompiledCheck> {
        self.check_ids.get(check).and_then(|(id, _)| self.checks.get(*id)).map(Arc::as_ref)
    }

    /// Adds a condition whose checks were all compiled with [`Arena::check`]; nothing if one was not.
    pub(crate) fn add(&mut self, expression: &Expression) -> Option<NodeId> {
        let node = match expression {
            Expression::Check(check) => Node::Check(self.check_ids.get(check)?.0),
            Expression::Not(child, _) => Node::Not(self.add(child)?),
            Expression::And(children, _) => Node::And(self.add_all(children)?),
            Expression::Or(children, _) => Node::Or(self.add_all(children)?),
            Expression::Name(..) => return None,
            Expression::Macro(found, _) => {
                if let Some(id) = self.macro_ids.get(&found.name) {
                    return Some(*id);
                }
                let id = self.add(&found.body)?;
                self.macro_ids.insert(found.name.clone(), id);
                return Some(id);
            }
        };
        Some(self.intern(node))
    }

    fn add_all(&mut self, children: &[Expression]) -> Option<Box<[NodeId]>> {
        children.iter().map(|child| self.add(child)).collect()
    }

    fn intern(&mut self, node: Node) -> NodeId {
        if let Some(id) = self.node_ids.get(&node) {
            return *id;
        }
        let id = self.nodes.len();
        self.nodes.push(node.clone());
        self.node_ids.insert(node, id);
        id
    }

    /// How many other parts contain each part.
    pub(super) fn users(&self) -> Vec<usize> {
        let mut users = vec![0; self.nodes.len()];
        for node in &self.nodes {
            let children = match node {
                Node::Check(_) => &[],
                Node::Not(child) => std::slice::from_ref(child),
                Node::And(children) | Node::Or(children) => children.as_ref(),
            };
            for child in children {
                if let Some(count) = users.get_mut(*child) {
                    *count += 1;
                }
            }
        }
        users
    }

    /// For each event type the results of all checks on the type: types with equal answers share a program.
    pub(crate) fn signatures(&self) -> impl Iterator<Item = (EventType, Vec<bool>)> {
        let on_type = |check: &&Arc<CompiledCheck>| {
            EventType::all().next().is_some_and(|any| constant_result(check, any).is_some())
        };
        let checks: Vec<_> = self.checks.iter().filter(on_type).collect();
        EventType::all().map(move |event_type| {
            (event_type, checks.iter().filter_map(|check| constant_result(check, event_type)).collect())
        })
    }
}
