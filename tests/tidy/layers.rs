//! The layer table of ARCHITECTURE.md against the `crate::…` paths of `streams-core`.

use std::collections::{BTreeMap, BTreeSet};

use crate::files::{self, File, Kind};
use crate::tokens::{self, Token};

/// What each module may use.
type Table = BTreeMap<String, BTreeSet<String>>;

/// Every path that leads to where the table does not allow, every module without a line, every line without a module.
pub(crate) fn violations() -> Vec<String> {
    let files = files::all();
    let document = files
        .iter()
        .find(|f| f.path == "ARCHITECTURE.md")
        .expect("ARCHITECTURE.md");
    let table = parse(&document.text);
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for file in files.iter().filter(|f| f.kind == Kind::Rust) {
        let Some(module) = module(file) else { continue };
        let Some(allowed) = table.get(module) else {
            found.push(format!(
                "{}: `{module}` has no line in ARCHITECTURE.md's layers",
                file.path
            ));
            continue;
        };
        seen.insert(module.to_owned());
        for (used, line) in used_modules(file) {
            if used != module && table.contains_key(&used) && !allowed.contains(&used) {
                found.push(format!(
                    "{}:{line}: `{module}` must not use `{used}` (ARCHITECTURE.md, layers)",
                    file.path
                ));
            }
        }
    }
    let absent = table.keys().filter(|m| !seen.contains(*m));
    found
        .extend(absent.map(|m| format!("ARCHITECTURE.md's layers name `{m}`, which is not there")));
    found
}

/// Lines such as `layer 2  store query -> 0-1 outbox`: layers, ranges of them, and single modules.
fn parse(document: &str) -> Table {
    let lines: Vec<(u32, Vec<&str>, &str)> = document
        .lines()
        .filter_map(|line| line.strip_prefix("layer "))
        .map(|line| {
            let (left, right) = line
                .split_once("->")
                .expect("`layer N modules -> what they may use`");
            let mut words = left.split_whitespace();
            let layer = words
                .next()
                .and_then(|n| n.parse().ok())
                .expect("a layer's number");
            // What follows two spaces is a remark.
            let right = right.trim_start().split("  ").next().unwrap_or_default();
            (layer, words.collect(), right)
        })
        .collect();
    assert!(!lines.is_empty(), "ARCHITECTURE.md has no layer table");
    let modules_of = |from: u32, to: u32| {
        let within = lines
            .iter()
            .filter(move |(layer, ..)| (from..=to).contains(layer));
        within.flat_map(|(_, modules, _)| modules.iter().map(|&m| m.to_owned()))
    };
    let mut table = Table::new();
    for (_, modules, right) in &lines {
        let mut allowed = BTreeSet::new();
        for word in right.split_whitespace().filter(|w| *w != "nothing") {
            match word.split_once('-') {
                Some((from, to)) => {
                    let number = |n: &str| n.parse().expect("a range of layers is `0-2`");
                    allowed.extend(modules_of(number(from), number(to)));
                }
                None => match word.parse() {
                    Ok(layer) => allowed.extend(modules_of(layer, layer)),
                    Err(_) => {
                        allowed.insert(word.to_owned());
                    }
                },
            }
        }
        for &module in modules {
            table.insert(module.to_owned(), allowed.clone());
        }
    }
    table
}

/// The top-level module that a file of the core belongs to. `lib.rs` joins them all and has none.
fn module(file: &File) -> Option<&str> {
    let path = file.path.strip_prefix("streams-core/src/")?;
    let module = path.split('/').next()?.trim_end_matches(".rs");
    (module != "lib").then_some(module)
}

/// Every `crate::X` and `crate::{X, …}`, and `super::X` of a top-level file.
fn used_modules(file: &File) -> Vec<(String, usize)> {
    let tokens = tokens::of(file);
    let is_top_level = file.path.matches('/').count() == 2;
    let mut used = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        let from_root =
            token.text == "crate" || (token.text == "super" && is_top_level && token.modules == 0);
        if from_root && text(&tokens, i + 1) == "::" {
            if text(&tokens, i + 2) == "{" {
                first_of_each(&tokens[i + 3..], &mut used);
            } else if let Some(token) = tokens.get(i + 2) {
                used.push((token.text.clone(), token.line));
            }
        }
    }
    used
}

/// The first name of each path in a group of imports.
fn first_of_each(tokens: &[Token], used: &mut Vec<(String, usize)>) {
    let mut depth = 0;
    let mut begins = true;
    for token in tokens {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" if depth == 0 => return,
            "}" => depth -= 1,
            "," if depth == 0 => begins = true,
            name => {
                if begins && depth == 0 {
                    used.push((name.to_owned(), token.line));
                }
                begins = false;
            }
        }
    }
}

fn text(tokens: &[Token], index: usize) -> &str {
    tokens.get(index).map_or("", |t| t.text.as_str())
}
