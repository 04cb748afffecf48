//! `docs/errors.md` against the macro: each mistake gives exactly its code and message, each mend is accepted.
//! `KSTREAMS_BLESS=1 cargo test -p streams-macros` writes the messages anew.

use super::tests::{errors, errors_of_fields};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors.md");

/// A section: its code, and its blocks in order.
struct Section<'a> {
    code: &'a str,
    mistake: &'a str,
    message: &'a str,
    mend: &'a str,
}

fn sections(page: &str) -> Vec<Section<'_>> {
    page.split("\n## ")
        .skip(1)
        .filter_map(|section| {
            let code = section.split_once(':')?.0;
            Some(Section {
                code,
                mistake: block(section, "```rust\n", 0)?,
                message: block(section, "```text\n", 0)?,
                mend: block(section, "```rust\n", 1)?,
            })
        })
        .collect()
}

/// The text of the n-th block that opens so.
fn block<'a>(section: &'a str, opening: &str, n: usize) -> Option<&'a str> {
    let rest = section.split(opening).nth(n + 1)?;
    Some(rest.split("```").next().unwrap_or(rest))
}

/// The messages of a block: fields of a struct, or a whole program.
fn messages(block: &str) -> Vec<(String, String)> {
    let found = match block.split_once("#[topology(") {
        None => errors_of_fields(block),
        Some((_, rest)) => {
            let (args, item) = rest.split_once(")]").expect("the attribute is closed");
            let item = item.split("\nfn main").next().unwrap_or(item);
            errors(args, item)
        }
    };
    found
        .into_iter()
        .map(|error| (error.code, error.message))
        .collect()
}

#[test]
fn mistakes_give_their_code_and_mends_are_accepted() {
    let page = std::fs::read_to_string(PAGE).expect("docs/errors.md is there");
    let bless = std::env::var_os("KSTREAMS_BLESS").is_some();
    let mut blessed = page.clone();
    let mut wrong = Vec::new();
    for section in sections(&page) {
        let code = section.code;
        let mend = messages(section.mend);
        if !mend.is_empty() {
            wrong.push(format!("{code}: the mend is refused: {mend:?}"));
        }
        let mistake = messages(section.mistake);
        // What rustc finds is compiled by the cases of tests/ui.
        if code.starts_with("KS02") {
            if !mistake.is_empty() {
                wrong.push(format!("{code}: refused before rustc sees it: {mistake:?}"));
            }
            continue;
        }
        if mistake
            .iter()
            .map(|(code, _)| code.as_str())
            .collect::<Vec<_>>()
            != [code]
        {
            wrong.push(format!("{code}: the mistake gives {mistake:?}"));
            continue;
        }
        let message = format!("{}\n", mistake[0].1);
        if bless {
            let heading = format!("\n## {code}:");
            let start = blessed.find(&heading).expect("the section is there");
            let opening = "```text\n";
            let at =
                start + blessed[start..].find(opening).expect("it has a message") + opening.len();
            let end = at + blessed[at..].find("```").expect("the block is closed");
            blessed.replace_range(at..end, &message);
        } else if message != section.message {
            wrong.push(format!(
                "{code}: the page says\n{}the macro says\n{message}",
                section.message
            ));
        }
    }
    if bless && blessed != page {
        std::fs::write(PAGE, blessed).expect("docs/errors.md can be written");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
