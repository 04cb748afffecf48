//! Random topologies, compiled and run: legal ones write exactly what a plain model says, and one with a planted type mistake gives
//! exactly that mistake's code. What they are drawn from is the macro's own table of operators; the mistakes that the macro
//! finds by itself are planted in its own tests.
//!
//! `KSTREAMS_SEED=n cargo test --test generated` draws others.

mod generated {
    //! The generator is the macro's; the facade compiles what it draws.

    #[allow(dead_code, reason = "the macro uses the rest")]
    #[path = "../../streams-macros/src/topology/generated/draw.rs"]
    pub(crate) mod draw;
    #[allow(dead_code, reason = "the macro uses the rest")]
    #[path = "../../streams-macros/src/topology/generated/drawn.rs"]
    pub(crate) mod drawn;
    #[path = "../../streams-macros/src/topology/generated/legal.rs"]
    pub(crate) mod legal;
    #[path = "../../streams-macros/src/topology/generated/model.rs"]
    pub(crate) mod model;
    pub(crate) mod package;
    #[path = "../../streams-macros/src/topology/generated/rows.rs"]
    pub(crate) mod rows;
    pub(crate) mod source;
    pub(crate) mod types;
    #[path = "../../streams-macros/src/topology/generated/windowed.rs"]
    pub(crate) mod windowed;
}
#[allow(dead_code, reason = "the macro uses the rest")]
#[path = "../streams-macros/src/topology/kinds.rs"]
mod kinds;

use std::collections::BTreeMap;

use generated::{draw, package, source, types};

#[test]
fn legal_topologies_write_what_the_model_says() {
    let seed = draw::seed();
    let topologies = draw::topologies(seed, draw::HOW_MANY);
    let program = source::program(seed, &topologies);
    let output = package::run("legal", &program);
    assert!(
        output.status.success(),
        "KSTREAMS_SEED={seed}, {}\n{}\n{}",
        package::source_of("legal").display(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let compared = String::from_utf8_lossy(&output.stdout);
    let expected = format!("{} topologies agree", draw::HOW_MANY);
    assert!(compared.contains(&expected), "{compared}");
}

#[test]
fn a_planted_type_mistake_gives_exactly_its_code() {
    let program = types::program();
    let lines: Vec<&str> = program.lines().collect();
    // By the number of the mistake: what rustc said within its module.
    let mut found: BTreeMap<usize, Vec<package::CompileError>> = BTreeMap::new();
    for error in package::errors("types", &program) {
        let module = lines[..error.line].iter().rev().find_map(|line| {
            line.strip_prefix("mod mistake_")?
                .split(' ')
                .next()?
                .parse()
                .ok()
        });
        match module {
            Some(module) => found.entry(module).or_default().push(error),
            None => panic!("an error outside of the mistakes: {}", error.message),
        }
    }
    for (number, mistake) in types::MISTAKES.iter().enumerate() {
        let errors = found.remove(&number).unwrap_or_default();
        let codes: Vec<String> = errors
            .iter()
            .map(|error| error.code().unwrap_or_else(|| error.message.clone()))
            .collect();
        assert_eq!(
            codes,
            [mistake.code],
            "{}:\n{}",
            mistake.what,
            mistake.fields
        );
    }
    let mut wrong = Vec::new();
    for (number, documented) in types::documented().iter().enumerate() {
        let number = types::MISTAKES.len() + number;
        // Where several nodes of one crate have a name, rustc says which one; the page shows a crate with one topology.
        let paths = [
            format!("mistake_{number}::_::__node::"),
            format!("mistake_{number}::"),
        ];
        // Const evaluation says the same for each instance; the page shows it once, and every line that rustc prints.
        let mut messages: Vec<String> = Vec::new();
        for error in found.remove(&number).unwrap_or_default() {
            let plain = |text: String, path: &String| text.replace(path, "");
            let message = paths.iter().fold(error.message.clone(), plain);
            if !messages.contains(&message) {
                messages.push(message);
            }
        }
        if messages.join("\n") != documented.message {
            wrong.push(format!("{}: {messages:#?}", documented.code));
        }
    }
    assert!(
        wrong.is_empty(),
        "docs/errors.md says something else: {}",
        wrong.join("\n")
    );
}
