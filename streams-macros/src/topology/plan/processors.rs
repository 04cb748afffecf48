//! The processors of the Processor API: in which sub-topology each runs, under which name, and who reads its outputs.

use proc_macro2::Ident;
use syn::Path;

use super::super::kinds::Shape;
use super::super::model::{Node, NodeId, Reads, Topology};
use super::{Child, Internal, Plan, Start, chains, facts};

/// A processor in its task.
#[derive(Debug)]
pub(crate) struct Processor {
    pub(crate) node: NodeId,
    /// The operator that calls it.
    pub(crate) position: usize,
    /// Its type.
    pub(crate) ty: Path,
    pub(crate) sub: usize,
    /// Its place among the sub-topology's processors.
    pub(crate) index: usize,
    /// Its field in the task's struct.
    pub(crate) field: String,
    /// The segment that takes what it forwards; none for a transformer of a table's values.
    pub(crate) segment: Option<usize>,
    /// A further one of the operator before it, for rows that are looked up: it has no stores of its own.
    pub(crate) of_rows: bool,
}

/// An output with a name, and who reads it.
#[derive(Debug)]
pub(crate) struct NamedOutput {
    pub(crate) name: Ident,
    pub(crate) children: Vec<Child>,
}

/// Lists the processors, in the order of the fields and along each chain.
pub(super) fn processors(plan: &mut Plan<'_>, internal: &Internal) {
    let topology = plan.topology;
    let mut all: Vec<Processor> = Vec::new();
    for node in &topology.nodes {
        let Some(chain) = node.chain() else { continue };
        for (position, op) in chain.ops.iter().enumerate() {
            let Some(ty) = op.processor() else { continue };
            let part = facts::part_at(internal, node.id, position);
            let planned = plan.node(node.id);
            let sub = planned.parts.get(part).copied().unwrap_or_default();
            let index = all.iter().filter(|other| other.sub == sub).count();
            let segment = planned.segments.iter().position(
                |segment| matches!(segment.start, Start::Processed(at) if at == position),
            );
            let mut field = format!("{}_{}", facts::plain(&node.name), op.name);
            let is_taken =
                |name: &str| all.iter().any(|p| p.field == name) || is_field(topology, name);
            while is_taken(&field) || is_taken(&format!("{field}_of_rows")) {
                field.push('_');
            }
            let processor = Processor {
                node: node.id,
                position,
                ty,
                sub,
                index,
                field,
                segment,
                of_rows: false,
            };
            let of_rows = facts::transforms_rows(topology, node, position).then(|| Processor {
                ty: processor.ty.clone(),
                index: index + 1,
                field: format!("{}_of_rows", processor.field),
                of_rows: true,
                ..processor
            });
            all.push(processor);
            all.extend(of_rows);
        }
    }
    plan.processors = all;
}

fn is_field(topology: &Topology, name: &str) -> bool {
    topology
        .nodes
        .iter()
        .any(|node| facts::plain(&node.name) == name)
}

impl Plan<'_> {
    /// The processor that an operator calls.
    pub(crate) fn processor(&self, node: NodeId, position: usize) -> Option<&Processor> {
        self.processors
            .iter()
            .find(|processor| processor.node == node && processor.position == position)
    }

    /// The processor that an operator calls for rows that are looked up.
    pub(crate) fn processor_of_rows(&self, node: NodeId, position: usize) -> Option<&Processor> {
        let mut all = self.processors.iter().filter(|processor| processor.of_rows);
        all.find(|processor| processor.node == node && processor.position == position)
    }

    /// The processors that have stores: those of rows use these, too.
    pub(crate) fn processors_with_stores(&self) -> impl Iterator<Item = &Processor> {
        self.processors
            .iter()
            .filter(|processor| !processor.of_rows)
    }

    /// The processor whose outputs with names are read at a node.
    pub(crate) fn last_processor(&self, node: &Node) -> Option<&Processor> {
        let last = node.chain()?.ops.len().checked_sub(1)?;
        self.processor(node.id, last)
    }

    /// The processors of a sub-topology, in its order.
    pub(crate) fn processors_of(&self, sub: usize) -> impl Iterator<Item = &Processor> {
        self.processors
            .iter()
            .filter(move |processor| processor.sub == sub)
    }
}

/// Whether a node has outputs with names: it ends in a processor, and its field carries no records.
pub(crate) fn has_outputs(node: &Node) -> bool {
    let last = node.chain().and_then(|chain| chain.ops.last());
    node.shape == Shape::Nothing
        && last.is_some_and(|op| op.is("process") || op.is("process_values"))
}

/// The outputs that are read, in the order of the first readers' fields.
pub(super) fn outputs(plan: &Plan<'_>, node: &Node) -> Vec<NamedOutput> {
    let mut names: Vec<Ident> = Vec::new();
    for edge in plan.topology.readers(node.id) {
        let chain = plan.topology.node(edge.to).chain();
        let output = chain.and_then(|chain| chain.output.as_ref());
        if let Some(output) = output.filter(|_| edge.op.is_none())
            && !names.contains(output)
        {
            names.push(output.clone());
        }
    }
    names
        .into_iter()
        .map(|name| NamedOutput {
            children: chains::children(plan, node.id, Some(&name)),
            name,
        })
        .collect()
}

/// The sub-topology of a store that processors share: that of its users, which it connects.
pub(super) fn home_of_shared(plan: &Plan<'_>, internal: &Internal, id: NodeId) -> Option<usize> {
    let edge = plan
        .topology
        .readers(id)
        .find(|edge| edge.reads == Reads::Store)?;
    let part = facts::part_at(internal, edge.to, edge.op?);
    plan.node(edge.to).parts.get(part).copied()
}
