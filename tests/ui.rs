//! What rustc prints for each mistake (`tests/ui/fail/<kind>/`), and topologies in surroundings that careless generated code
//! would break in (`tests/ui/pass/`). `TRYBUILD=overwrite cargo test --test ui` writes the expected output anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// One invocation for all: the crate is built once, and each case is one run of rustc.
#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/fail/*/*.rs");
    cases.pass("tests/ui/pass/*.rs");
}

/// Every code that the macro, the runtime or rustc prints has a section in `docs/errors.md` and a case here, and the reverse.
#[test]
fn every_code_is_documented_and_has_a_case() {
    let sources = ["src", "streams-core/src", "streams-macros/src"];
    let printed: BTreeSet<String> = sources
        .iter()
        .flat_map(|dir| files(Path::new(dir), "rs"))
        .filter(|path| {
            !path
                .components()
                .any(|part| matches!(part.as_os_str().to_str(), Some("tests.rs" | "generated")))
        })
        .flat_map(|path| codes(&read(&path)))
        .collect();
    let expected: BTreeSet<String> = files(Path::new("tests/ui/fail"), "stderr")
        .iter()
        .flat_map(|path| codes(&read(path)))
        .collect();
    let page = read(Path::new("docs/errors.md"));
    let headings: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("## KS"))
        .collect();
    let documented: BTreeSet<String> = headings.iter().flat_map(|line| codes(line)).collect();
    // What is seen only when it runs has tests of its own.
    let at_run_time: BTreeSet<String> = headings
        .iter()
        .filter(|line| line.ends_with("(at start-up)") || line.ends_with("(in a query)"))
        .flat_map(|line| codes(line))
        .collect();

    assert_eq!(
        printed, documented,
        "printed by the sources against sections of docs/errors.md"
    );
    let cases: BTreeSet<String> = expected.union(&at_run_time).cloned().collect();
    assert_eq!(
        documented, cases,
        "sections of docs/errors.md against cases in tests/ui/fail"
    );
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files below a directory with an extension.
fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.expect("the directory can be read").path()) {
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found
}

/// Every `KS` with four digits.
fn codes(text: &str) -> Vec<String> {
    text.match_indices("KS0")
        .filter_map(|(at, _)| text.get(at..at + 6))
        .filter(|code| code[2..].bytes().all(|b| b.is_ascii_digit()))
        .map(str::to_owned)
        .collect()
}
