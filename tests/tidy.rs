//! Rules of the repository that no compiler knows, as tests. Each failure says what to change; ARCHITECTURE.md says why.

#[path = "tidy/files.rs"]
mod files;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/tokens.rs"]
mod tokens;

use std::process::Command;

use files::{File, Kind};
use tokens::Token;

/// Where a name may occur; everywhere else in `within` it is refused.
struct Confined {
    /// Tokens in a row.
    name: &'static str,
    within: &'static [&'static str],
    allowed: &'static [&'static str],
    why: &'static str,
}

const SOURCES: &[&str] = &["src/", "streams-core/src/", "streams-macros/src/"];
const CORE: &[&str] = &["streams-core/src/"];

const CONFINED: &[Confined] = &[
    Confined {
        name: "rdkafka",
        within: SOURCES,
        allowed: &["streams-core/src/transport/kafka"],
        why: "Kafka's transport is its only user",
    },
    Confined {
        name: "heed",
        within: SOURCES,
        allowed: &["streams-core/src/lmdb"],
        why: "LMDB's traps are handled in one place",
    },
    Confined {
        name: "Instant :: now",
        within: SOURCES,
        allowed: &["streams-core/src/time.rs", "src/program"],
        why: "core sees time through the clock port, so that tests can turn it",
    },
    Confined {
        name: "SystemTime :: now",
        within: SOURCES,
        allowed: &["streams-core/src/time.rs"],
        why: "core sees time through the clock port, so that tests can turn it",
    },
    Confined {
        name: "thread :: sleep",
        within: SOURCES,
        allowed: &["streams-core/src/time.rs"],
        why: "core sees time through the clock port, so that tests can turn it",
    },
    Confined {
        name: "thread :: spawn",
        within: SOURCES,
        allowed: &["streams-core/src/runtime"],
        why: "threads belong to the runtime; everything below it can be stepped by a test",
    },
    Confined {
        name: "thread :: Builder",
        within: SOURCES,
        allowed: &[
            "streams-core/src/runtime",
            // For a call that may never return.
            "streams-core/src/transport/kafka/aside.rs",
        ],
        why: "threads belong to the runtime; everything below it can be stepped by a test",
    },
    Confined {
        name: "kstreams_mutant",
        within: SOURCES,
        allowed: &[
            "streams-core/src/restore.rs",
            "streams-core/src/runtime/worker/commit.rs",
        ],
        why: "there are two mistakes on purpose, each in one place",
    },
    Confined {
        name: "quote !",
        within: &["streams-macros/src/"],
        allowed: GENERATORS,
        why: "only the last stage of the macro writes code",
    },
    Confined {
        name: "quote_spanned !",
        within: &["streams-macros/src/"],
        allowed: GENERATORS,
        why: "only the last stage of the macro writes code",
    },
    Confined {
        name: "HashMap",
        within: CORE,
        allowed: &[],
        why: "its order depends on a random seed; take `FxHashMap` or `BTreeMap`",
    },
    Confined {
        name: "HashSet",
        within: CORE,
        allowed: &[],
        why: "its order depends on a random seed; take `FxHashSet` or `BTreeSet`",
    },
    Confined {
        name: "unsafe",
        within: SOURCES,
        allowed: &["streams-core/src/lmdb", "streams-core/src/transport/kafka"],
        why: "opening an LMDB environment and calling librdkafka are the only things that need it",
    },
];

const GENERATORS: &[&str] = &[
    "streams-macros/src/json.rs",
    "streams-macros/src/topology/emit",
    "streams-macros/src/processor/emit.rs",
    "streams-macros/src/topology/obligations",
    "streams-macros/src/topology/fallback",
    "streams-macros/src/json",
];

#[test]
fn every_source_file_opens_with_a_sentence_about_it() {
    report(
        files::all()
            .iter()
            .filter(|f| f.kind == Kind::Rust)
            .filter_map(|f| {
                let opens = f
                    .text
                    .lines()
                    .next()
                    .is_some_and(|l| l.starts_with("//! ") && l.len() > 12);
                (!opens)
                    .then(|| format!("{}:1: open the file with `//! What this is for.`", f.path))
            }),
    );
}

#[test]
fn no_source_file_is_longer_than_a_thousand_lines() {
    report(
        files::all()
            .iter()
            .filter(|f| f.kind == Kind::Rust)
            .filter_map(|f| {
                let lines = f.text.lines().count();
                (lines > 1000)
                    .then(|| format!("{}: {lines} lines; split it by what it is about", f.path))
            }),
    );
}

#[test]
fn names_stay_where_they_belong() {
    let files = files::all();
    let mut found = Vec::new();
    for file in files.iter().filter(|f| f.kind == Kind::Rust) {
        let tokens = tokens::of(file);
        for rule in CONFINED {
            let here = |prefixes: &[&str]| prefixes.iter().any(|p| file.path.starts_with(p));
            if !here(rule.within) || here(rule.allowed) {
                continue;
            }
            let name: Vec<&str> = rule.name.split(' ').collect();
            for line in tokens::lines_with(&tokens, &name) {
                let name = rule.name.replace(' ', "");
                found.push(format!("{}:{line}: `{name}`: {}", file.path, rule.why));
            }
        }
    }
    report(found);
}

#[test]
fn library_code_does_not_panic() {
    const PANICS: &[&[&str]] = &[
        &[".", "unwrap", "("],
        &[".", "expect", "("],
        &["panic", "!"],
        &["todo", "!"],
        &["unimplemented", "!"],
        &["unreachable", "!"],
    ];
    let files = files::all();
    let mut found = Vec::new();
    for file in files.iter().filter(|f| f.kind == Kind::Rust) {
        if !["src/", "streams-core/src/"]
            .iter()
            .any(|p| file.path.starts_with(p))
        {
            continue;
        }
        if file.path.ends_with("/tests.rs") || file.path.contains("/tests/") {
            continue;
        }
        // The test driver's fields fail a user's test; each has a `try_` or `pipe` that returns the error.
        if file.path == "streams-core/src/test_driver/fields.rs" {
            continue;
        }
        let tokens: Vec<Token> = tokens::of(file)
            .into_iter()
            .filter(|t| !t.in_tests)
            .collect();
        for &panic in PANICS {
            for line in tokens::lines_with(&tokens, panic) {
                // A lock is poisoned only after a panic, which is what this rule is against.
                let text = file.text.lines().nth(line - 1).unwrap_or_default();
                if !text.contains("poison") {
                    let name = panic.concat();
                    found.push(format!("{}:{line}: `{name}`: return an error", file.path));
                }
            }
        }
    }
    report(found);
}

#[test]
fn unsafe_code_says_why_it_is_sound() {
    report(
        files::all()
            .iter()
            .filter(|f| f.kind == Kind::Rust)
            .filter_map(|f| {
                let uses = tokens::lines_with(&tokens::of(f), &["unsafe"]).count();
                let reasons = f.text.matches("SAFETY").count();
                (uses > 0 && reasons == 0)
                    .then(|| format!("{}: `unsafe` without a `// SAFETY:` comment", f.path))
            }),
    );
}

#[test]
fn no_test_is_ignored_or_expects_a_panic() {
    report(
        files::all()
            .iter()
            .filter(|f| f.kind == Kind::Rust)
            .flat_map(|f| {
                let tokens = tokens::of(f);
                let lines = |name: &'static str| {
                    let lines: Vec<usize> =
                        tokens::lines_with(&tokens, &["#", "[", name]).collect();
                    lines.into_iter().map(move |line| {
                        format!(
                            "{}:{line}: `#[{name}]`: assert what happens instead",
                            f.path
                        )
                    })
                };
                lines("ignore")
                    .chain(lines("should_panic"))
                    .collect::<Vec<_>>()
            }),
    );
}

#[test]
fn modules_use_only_layers_below_them() {
    report(layers::violations());
}

#[test]
fn crates_depend_in_one_direction() {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--offline",
        ])
        .current_dir(files::root())
        .output()
        .expect("cargo metadata runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let mut found = Vec::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name");
        let forbidden: &[&str] = match name {
            "kstreams" => &["rdkafka"],
            "streams-core" => &["kstreams", "streams-macros"],
            "streams-macros" => &["kstreams", "streams-core", "rdkafka"],
            _ => &[],
        };
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            // Tests and benches may be outside clients of a broker.
            let by_tests = dependency["kind"] == "dev";
            let dependency = dependency["name"].as_str().expect("a name");
            if forbidden.contains(&dependency) && !(by_tests && dependency == "rdkafka") {
                found.push(format!("{name} must not depend on {dependency}"));
            }
        }
    }
    report(found);
}

#[test]
fn no_file_names_a_machine() {
    // Split, so that this file does not name them either.
    let words = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("sha", "red/"),
        concat!("/ho", "me/"),
    ];
    report(files::all().iter().flat_map(|f| {
        let hits = f
            .text
            .lines()
            .enumerate()
            .filter(|(_, line)| words.iter().any(|w| line.contains(w)));
        hits.map(|(i, _)| format!("{}:{}: a path outside the repository", f.path, i + 1))
            .collect::<Vec<_>>()
    }));
}

#[test]
fn documents_are_there_and_their_links_lead_somewhere() {
    let files = files::all();
    let text = |path: &str| {
        files
            .iter()
            .find(|f| f.path == path)
            .map(|f| f.text.as_str())
            .unwrap_or_default()
    };
    let mut found = Vec::new();
    for path in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "LICENSE",
    ] {
        if text(path).is_empty() {
            found.push(format!("{path} is missing"));
        }
    }
    if !text("CHANGELOG.md").contains("## [Unreleased]") {
        found.push("CHANGELOG.md has no `## [Unreleased]`".to_owned());
    }
    if text("ARCHITECTURE.md").lines().count() > 300 {
        found.push("ARCHITECTURE.md is longer than 300 lines".to_owned());
    }
    let commands: Vec<&str> = text("README.md")
        .lines()
        .filter(|l| l.starts_with("cargo "))
        .collect();
    if commands.get(..2)
        != Some(&[
            "cargo run --release --example word_count",
            "cargo test --workspace",
        ])
    {
        found.push("README.md does not begin with the two commands to try".to_owned());
    }
    for file in files.iter().filter(|f| f.kind == Kind::Markdown) {
        found.extend(dead_links(file));
    }
    report(found);
}

#[test]
fn the_guide_lists_every_configuration_key() {
    let files = files::all();
    let guide = files
        .iter()
        .find(|f| f.path == "docs/config.md")
        .expect("docs/config.md");
    let listed: Vec<&str> = guide
        .text
        .lines()
        .filter(|l| l.starts_with("| `"))
        .collect();
    let keys = kstreams::StreamsConfig::keys();
    let expected: Vec<String> = keys
        .iter()
        .map(|k| format!("| `{}` | {} | {} |", k.name, k.default, k.help))
        .collect();
    assert_eq!(
        listed,
        expected,
        "docs/config.md should list:\n{}",
        expected.join("\n")
    );
}

fn dead_links(file: &File) -> Vec<String> {
    let folder = files::root().join(&file.path);
    let folder = folder.parent().expect("a file lies in a folder");
    let targets = file
        .text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    targets
        .filter(|t| !t.contains("://") && !t.starts_with('#') && !t.contains(char::is_whitespace))
        .filter_map(|t| t.split('#').next())
        .filter(|t| !folder.join(t).exists())
        .map(|t| format!("{}: the link to `{t}` leads nowhere", file.path))
        .collect()
}

/// Fails with every finding at once.
fn report(found: impl IntoIterator<Item = String>) {
    let found: Vec<String> = found.into_iter().collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}
