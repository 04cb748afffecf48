//! Random topologies, drawn from the table of operators: legal ones must be accepted (the facade's `tests/generated.rs` also
//! compiles and runs them), and one with a single planted mistake must give exactly that mistake's code.

mod draw;
mod drawn;
mod fields;
mod legal;
mod mangle;
#[allow(dead_code, reason = "the facade's test uses the rest")]
mod model;
mod plant;
mod rows;
mod windowed;

use std::collections::BTreeSet;

use super::check::tests::errors;

#[test]
fn legal_topologies_are_accepted() {
    let seed = draw::seed();
    for (number, topology) in draw::topologies(seed, draw::HOW_MANY).iter().enumerate() {
        let item = topology.item();
        let found: Vec<String> = errors(&topology.args(), &item)
            .into_iter()
            .map(|error| error.message)
            .collect();
        assert!(
            found.is_empty(),
            "topology {number} of seed {seed}: {found:#?}\n{item}"
        );
    }
}

#[test]
fn every_operator_is_drawn() {
    let seed = draw::seed();
    let rows: BTreeSet<_> = draw::topologies(seed, draw::HOW_MANY)
        .iter()
        .flat_map(drawn::Topology::rows)
        .collect();
    let fallible = draw::fallible_rows();
    // An operator is drawn if its `try_…` form is: what they do is the same.
    let mut missing = draw::rows_to_draw();
    missing.retain(|(name, on)| {
        !rows.contains(&(*name, on.clone()))
            && !rows
                .iter()
                .any(|(other, at)| other.strip_prefix("try_") == Some(*name) && at == on)
    });
    assert!(missing.is_empty(), "seed {seed} never drew {missing:?}");
    let drawn = fallible.intersection(&rows).count();
    assert!(
        2 * drawn > fallible.len(),
        "seed {seed} drew {drawn} of {} `try_…` operators",
        fallible.len()
    );
}

#[test]
fn a_planted_mistake_gives_exactly_its_code() {
    let seed = draw::seed();
    let mut random = draw::Random::new(seed ^ 0x0dd5);
    let mut planted = 0;
    for topology in draw::topologies(seed, draw::HOW_MANY) {
        let (mistake, broken) = plant::plant(&mut random, &topology);
        let codes: Vec<String> = errors(&broken.args(), &broken.item())
            .into_iter()
            .map(|error| error.code)
            .collect();
        assert_eq!(
            codes,
            [mistake.code],
            "seed {seed}, {}:\n{}",
            mistake.what,
            broken.item()
        );
        planted += 1;
    }
    assert_eq!(planted, draw::HOW_MANY);
}

#[test]
fn every_mistake_can_be_planted() {
    // All of them, each in some topology: the 50 above are a sample.
    let seed = draw::seed();
    let topologies = draw::topologies(seed, draw::HOW_MANY);
    let mut random = draw::Random::new(seed ^ 0x0a11);
    for mistake in plant::mistakes() {
        let Some(broken) = topologies
            .iter()
            .find_map(|topology| (mistake.plant)(&mut random, topology))
        else {
            panic!(
                "seed {seed}: no topology takes the mistake: {}",
                mistake.what
            );
        };
        let codes: Vec<String> = errors(&broken.args(), &broken.item())
            .into_iter()
            .map(|error| error.code)
            .collect();
        assert_eq!(
            codes,
            [mistake.code],
            "seed {seed}, {}:\n{}",
            mistake.what,
            broken.item()
        );
    }
}

#[test]
fn every_code_of_the_macro_is_planted() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors.md");
    let page = std::fs::read_to_string(page).expect("docs/errors.md is there");
    // rustc's are planted by the facade's test; start-up has tests of its own.
    let documented: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .filter(|heading| !heading.starts_with("KS02") && !heading.ends_with("(at start-up)"))
        .filter_map(|heading| Some(heading.split_once(':')?.0))
        .collect();
    let planted: BTreeSet<&str> = plant::mistakes().map(|mistake| mistake.code).collect();
    assert_eq!(documented, planted);
}

#[test]
fn the_model_runs() {
    // The facade's test compares it with the real thing; here it must only not lose records.
    let seed = draw::seed();
    let topologies = draw::topologies(seed, draw::HOW_MANY);
    let written: usize = topologies
        .iter()
        .enumerate()
        .map(|(number, topology)| {
            let inputs = model::inputs(topology, seed ^ number as u64);
            model::outputs(topology, &inputs).len()
        })
        .sum();
    assert!(
        written > 500,
        "{written} records of all topologies together"
    );
}

#[test]
fn no_tokens_make_the_macro_panic() {
    // What people type is often half of something: a token too few, too many, or in the wrong place.
    let seed = draw::seed();
    let mut random = draw::Random::new(seed ^ 0x7a6e);
    let parse = |text: &str| text.parse().expect("a drawn topology is made of tokens");
    for topology in draw::topologies(seed, draw::HOW_MANY) {
        for _ in 0..20 {
            let mut item = parse(&topology.item());
            for _ in 0..1 + random.below(3) {
                item = mangle::mangle(&mut random, item);
            }
            // A panic fails the test; what it expands to must at least be tokens with the errors in them.
            let expanded = super::expand(parse(&topology.args()), item);
            assert!(!expanded.is_empty());
        }
    }
}
