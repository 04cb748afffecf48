//! Drawn topologies as one program: a module each, which sends the model's inputs and compares what the sinks got.

use std::fmt::Write as _;

use super::drawn::{Origin, Topology};
use super::model::{self, Input, Output};
use crate::kinds::Shape;

const FRAME: &str = r#"//! Drawn topologies against the model.
#![deny(warnings)]
#![allow(unused_parens, dead_code, reason = "the generator does not look that closely")]

/// A record as text: key, value, timestamp.
type Row = (String, String, i64);

/// Records of one key keep their order; between keys there is none.
fn compare(topology: usize, node: &str, got: Vec<Row>, expected: &[(&str, &str, i64)]) -> usize {
    let expected = expected.iter().map(|(k, v, t)| ((*k).to_owned(), (*v).to_owned(), *t)).collect();
    let (got, expected) = (by_key(got), by_key(expected));
    if got == expected {
        return 0;
    }
    println!("topology {topology}, node {node}:\n      got {got:?}\n expected {expected:?}");
    1
}

/// Makes each record anew.
#[kstreams::processor(out = (K2, V2))]
struct Each<K: 'static, V: 'static, K2: 'static, V2: 'static> {
    make: fn(K, V) -> (K2, V2),
}

impl<K, V, K2, V2> kstreams::Processor<K, V> for Each<K, V, K2, V2> {
    fn process(
        &mut self,
        record: kstreams::Record<K, V>,
        cx: &mut kstreams::Context<'_, Self>,
    ) -> kstreams::ProcessingResult {
        let kstreams::Record { key, value, timestamp, headers } = record;
        let (key, value) = (self.make)(key, value);
        cx.forward(kstreams::Record { key, value, timestamp, headers })
    }
}

/// Makes each value anew.
#[kstreams::processor(fixed_key, out = (K, V2))]
struct EachValue<K: 'static, V: 'static, V2: 'static> {
    make: fn(&K, &V) -> V2,
}

impl<K, V, V2> kstreams::FixedKeyProcessor<K, V> for EachValue<K, V, V2> {
    fn process(
        &mut self,
        record: kstreams::FixedKeyRecord<K, V>,
        cx: &mut kstreams::Context<'_, Self>,
    ) -> kstreams::ProcessingResult {
        let value = (self.make)(record.key(), &record.value);
        cx.forward(record.with_value(value))
    }
}

fn by_key(rows: Vec<Row>) -> std::collections::BTreeMap<String, Vec<(String, i64)>> {
    let mut map: std::collections::BTreeMap<_, Vec<_>> = std::collections::BTreeMap::new();
    for (key, value, timestamp) in rows {
        map.entry(key).or_default().push((value, timestamp));
    }
    map
}

"#;

/// The program for all of them.
pub(crate) fn program(seed: u64, topologies: &[Topology]) -> String {
    let mut text = FRAME.to_owned();
    let mut main = "fn main() {\n    let mut wrong = 0;\n".to_owned();
    for (number, topology) in topologies.iter().enumerate() {
        let inputs = model::inputs(topology, seed ^ number as u64);
        let outputs = model::outputs(topology, &inputs);
        module(&mut text, number, topology, &inputs, &outputs);
        let _ = writeln!(
            main,
            "    wrong += drawn_{number}::run().unwrap_or_else(|error| {{ println!(\"topology {number}: {{error}}\"); 1 }});"
        );
    }
    let _ = write!(
        main,
        "    assert_eq!(wrong, 0, \"nodes that differ\");\n    println!(\"{} topologies agree\");\n}}\n",
        topologies.len()
    );
    text + &main
}

fn module(
    text: &mut String,
    number: usize,
    topology: &Topology,
    inputs: &[Input],
    outputs: &[Output],
) {
    let _ = writeln!(
        text,
        "mod drawn_{number} {{\nuse kstreams::prelude::*;\n#[topology({})]\n{}",
        topology.args(),
        topology.item()
    );
    text.push_str("pub fn run() -> kstreams::Result<usize> {\n");
    let limit = topology
        .limit
        .map(|limit| format!(".limit({limit})"))
        .unwrap_or_default();
    let _ = writeln!(text, "    let t = Drawn::builder(){limit}.test_driver()?;");
    for input in inputs {
        let node = &topology.nodes[input.node].name;
        let (key, at) = (input.key.rust(), input.timestamp);
        let _ = match &input.value {
            Some(value) => writeln!(text, "    t.{node}.send({key}, {}).at({at});", value.rust()),
            None => writeln!(text, "    t.{node}.delete({key}).at({at});"),
        };
    }
    text.push_str("    let mut wrong = 0;\n");
    for (id, node) in topology.nodes.iter().enumerate() {
        if node.sinks.is_empty() || matches!(node.origin, Origin::Source(_)) {
            continue;
        }
        let rows: Vec<String> = outputs
            .iter()
            .filter(|output| output.node == id)
            .map(|output| {
                let value = match (&output.value, node.shape) {
                    (Some(value), Shape::Stream) => value.debug(),
                    (Some(value), _) => format!("Some({})", value.debug()),
                    (None, _) => "None".to_owned(),
                };
                format!(
                    "({:?}, {value:?}, {})",
                    output.key.debug(),
                    output.timestamp
                )
            })
            .collect();
        let _ = writeln!(
            text,
            "    let got = t.{0}.read().into_iter().map(|r| (format!(\"{{:?}}\", r.key), format!(\"{{:?}}\", r.value), r.timestamp)).collect();\n\
             \x20   wrong += crate::compare({number}, \"{0}\", got, &[{1}]);",
            node.name,
            rows.join(", ")
        );
    }
    text.push_str("    Ok(wrong)\n}\n}\n");
}
