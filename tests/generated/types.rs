//! Type mistakes: rustc finds them, in kstreams' words. One program with a module each, one compile for all.

use std::fmt::Write as _;

/// A mistake: its code, what it is, and the fields of the struct, to which a source of `u64` by `String` is added.
pub(crate) struct Mistake {
    pub(crate) code: &'static str,
    pub(crate) what: &'static str,
    pub(crate) fields: &'static str,
    /// What is done with the struct.
    run: &'static str,
}

const fn mistake(code: &'static str, what: &'static str, fields: &'static str) -> Mistake {
    Mistake {
        code,
        what,
        fields,
        run: "let _ = App::builder();",
    }
}

/// What can be wrong with types.
pub(crate) const MISTAKES: &[Mistake] = &[
    mistake(
        "KS0201",
        "an aggregate of grouped rows",
        r#"#[from(orders.to_table())] t: KTable<String, u64>,
        #[from(t.group_by(|k, o| (k.len() as u64, *o)).count())] a: KTable<u64, u64>,"#,
    ),
    mistake(
        "KS0200",
        "a stream's key after select_key",
        r#"#[from(orders.select_key(|_, o| *o))] #[sink(topic = "a")] a: KStream<String, u64>,"#,
    ),
    mistake(
        "KS0200",
        "a stream's key after map",
        r#"#[from(orders.map(|_, o| (o, o)))] #[sink(topic = "a")] a: KStream<String, u64>,"#,
    ),
    mistake(
        "KS0200",
        "a stream's key after flat_map",
        r#"#[from(orders.flat_map(|_, o| [(*o, *o)]))] #[sink(topic = "a")] a: KStream<String, u64>,"#,
    ),
    mistake(
        "KS0200",
        "a stream's key that nobody changed",
        r#"#[from(orders.filter(|_, _| true))] #[sink(topic = "a")] a: KStream<u64, u64>,"#,
    ),
    mistake(
        "KS0200",
        "a count's key after group_by",
        "#[from(orders.group_by(|_, o| *o).count())] a: KTable<String, i64>,",
    ),
    mistake(
        "KS0200",
        "a count's key after group_by_key",
        "#[from(orders.group_by_key().count())] a: KTable<u64, i64>,",
    ),
    mistake(
        "KS0200",
        "a table's key after to_table",
        "#[from(orders.to_table())] #[store] a: KTable<u64, u64>,",
    ),
    mistake(
        "KS0200",
        "a branch's key",
        r#"#[from(orders.branch(|_, _| true))] #[sink(topic = "a")] a: KStream<u64, u64>,"#,
    ),
    mistake(
        "KS0201",
        "a stream's value after map_values",
        r#"#[from(orders.map_values(|o| o.to_string()))] #[sink(topic = "a")] a: KStream<String, u64>,"#,
    ),
    mistake(
        "KS0201",
        "a stream's value after flat_map_values",
        r#"#[from(orders.flat_map_values(|o| vec![o.to_string()]))] #[sink(topic = "a")] a: KStream<String, u64>,"#,
    ),
    mistake(
        "KS0201",
        "a stream's value that nobody changed",
        r#"#[from(orders.peek(|_, _| ()))] #[sink(topic = "a")] a: KStream<String, String>,"#,
    ),
    mistake(
        "KS0201",
        "a count's value",
        "#[from(orders.group_by_key().count())] a: KTable<String, u64>,",
    ),
    mistake(
        "KS0201",
        "a table's value after to_table",
        "#[from(orders.to_table())] #[store] a: KTable<String, String>,",
    ),
    mistake(
        "KS0201",
        "a table's value after map_values",
        "#[from(rows.map_values(|r| r.len() as u64))] #[store] a: KTable<String, String>,",
    ),
    mistake(
        "KS0201",
        "a stream of a table that can lose keys",
        r#"#[from(rows.to_stream())] #[sink(topic = "a")] a: KStream<String, String>,"#,
    ),
    mistake(
        "KS0201",
        "a joiner's result",
        r#"#[from(orders.join(rows, |_, r| r.clone()))] #[sink(topic = "a")] a: KStream<String, u64>,"#,
    ),
    mistake(
        "KS0201",
        "a joiner's result behind a repartition",
        r#"#[from(orders.select_key(|_, o| o.to_string()).join(rows, |_, r| r.clone()))] #[sink(topic = "a")] a: KStream<String, u64>,"#,
    ),
    mistake(
        "KS0202",
        "the values of a merge",
        r#"#[from(orders.merge(names).map_values(|n| n.len() as u64))] #[sink(topic = "a")] a: KStream<String, u64>,"#,
    ),
    mistake(
        "KS0203",
        "the key of a join",
        r#"#[from(orders.map(|_, o| (o, o)).join(rows, |o, _| o).map(|_, o| (String::new(), o)))] #[sink(topic = "a")] a: KStream<String, u64>,"#,
    ),
    mistake(
        "KS0203",
        "the key of a left join",
        r#"#[from(numbers.left_join(rows, |o, _| o))] #[sink(topic = "a")] a: KStream<u64, u64>,"#,
    ),
    mistake(
        "KS0204",
        "the key that a mapper finds",
        r#"#[from(orders.join(prices, |k, _| k.clone(), |o, _| o))] #[sink(topic = "a")] a: KStream<String, u64>,"#,
    ),
    mistake(
        "KS0204",
        "the key that a left join's mapper finds",
        r#"#[from(orders.left_join(prices, |_, o| Some(o.to_string()), |o, _| o))] #[sink(topic = "a")] a: KStream<String, u64>,"#,
    ),
    mistake(
        "KS0203",
        "the key of a join of tables",
        r#"#[source(topic = "few", partitions = 6)] few: KTable<u64, u64>, #[from(rows.outer_join(few, |_, _| 3_u64))] a: KTable<String, u64>,"#,
    ),
    mistake(
        "KS0203",
        "the key of an input of a cogroup",
        r#"#[from(orders.group_by_key().cogroup(|_, o, sum| sum + o).cogroup(numbers, |_, n, sum| sum + n).aggregate(|| 0_u64))] a: KTable<String, u64>,"#,
    ),
    mistake(
        "KS0203",
        "the key of an input of a cogroup by windows",
        r#"#[from(orders.group_by_key().cogroup(|_, o, sum| sum + o).cogroup(numbers, |_, n, sum| sum + n).windowed_by(tumbling("1m")).aggregate(|| 0_u64))]
        a: KTable<Windowed<String>, u64>,"#,
    ),
    mistake(
        "KS0208",
        "the foreign key of a join",
        r#"#[source(topic = "few")] few: KTable<u64, u64>, #[from(rows.join_on(few, |_, row| row.clone(), |_, n| *n))] a: KTable<String, u64>,"#,
    ),
    mistake(
        "KS0208",
        "the foreign key of a left join",
        r#"#[source(topic = "few")] few: KTable<u64, u64>, #[from(rows.left_join_on(few, |_, row| Some(row.len()), |_, n| n.copied()))] a: KTable<String, Option<u64>>,"#,
    ),
    mistake(
        "KS0206",
        "what a sink's closure gives",
        r#"#[from(orders.filter(|_, _| true))] #[sink(topic = |_, o| *o, topics("a", "b"))] a: KStream<String, u64>,"#,
    ),
    mistake(
        "KS0210",
        "a source's value without a wire format",
        r#"#[source(topic = "plain")] plain: KStream<String, std::time::Instant>, #[from(plain.for_each(|_, _| ()))] a: (),"#,
    ),
    mistake(
        "KS0210",
        "a sink's value without a wire format",
        r#"#[from(orders.map_values(|_| std::time::Instant::now()))] #[sink(topic = "a")] a: KStream<String, std::time::Instant>,"#,
    ),
    Mistake {
        code: "KS0220",
        what: "a parameter that was not given",
        fields: "limit: u64,",
        run: "let _ = App::builder().test_driver();",
    },
];

/// Sources for all of them; the ones that a mistake does not name are left out.
const SOURCES: &[(&str, &str)] = &[
    (
        "rows",
        r#"#[source(topic = "rows", partitions = 6)] rows: KTable<String, String>,"#,
    ),
    (
        "prices",
        r#"#[source(topic = "prices")] prices: GlobalKTable<u64, u64>,"#,
    ),
    (
        "names",
        r#"#[source(topic = "names", partitions = 6)] names: KStream<String, String>,"#,
    ),
    (
        "numbers",
        r#"#[source(topic = "numbers", partitions = 6)] numbers: KStream<u64, u64>,"#,
    ),
];

/// A mistake that `docs/errors.md` shows: fields of a struct or a whole program, and the message that it promises.
pub(crate) struct Documented {
    pub(crate) code: String,
    pub(crate) message: String,
    mistake: String,
}

/// The sections about types.
pub(crate) fn documented() -> Vec<Documented> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/errors.md");
    let page = std::fs::read_to_string(page).expect("docs/errors.md is there");
    let block = |section: &str, opening: &str| -> String {
        let rest = section.split(opening).nth(1).unwrap_or_default();
        rest.split("```").next().unwrap_or_default().to_owned()
    };
    page.split("\n## ")
        .filter(|section| section.starts_with("KS02"))
        // Of what is seen at run time there is nothing to compile.
        .filter(|section| section.contains("```text\n"))
        .map(|section| Documented {
            code: section.chars().take(6).collect(),
            message: block(section, "```text\n").trim_end().to_owned(),
            mistake: block(section, "```rust\n"),
        })
        .collect()
}

/// The program with all of them, the documented ones last.
pub(crate) fn program() -> String {
    let mut text = "//! Planted type mistakes.\n#![allow(dead_code)]\n".to_owned();
    for (number, mistake) in MISTAKES.iter().enumerate() {
        let sources: Vec<&str> = SOURCES
            .iter()
            .filter(|(name, _)| mistake.fields.contains(name))
            .map(|(_, field)| *field)
            .collect();
        let _ = writeln!(
            text,
            "mod mistake_{number} {{\nuse kstreams::prelude::*;\n#[topology(application_id = \"app\")]\npub struct App {{\n\
             #[source(topic = \"orders\", partitions = 6)]\norders: KStream<String, u64>,\n\
             #[from(orders.for_each(|_, _| ()))]\nend: (),\n{}\n{}\n}}\npub fn run() {{\n{}\n}}\n}}",
            sources.join("\n"),
            mistake.fields,
            mistake.run
        );
    }
    for (number, documented) in documented().iter().enumerate() {
        let item = match documented.mistake.contains("#[topology(") {
            true => documented.mistake.clone(),
            false => format!(
                "#[topology(application_id = \"app\")]\npub struct App {{\n{}}}\n",
                documented.mistake
            ),
        };
        let number = MISTAKES.len() + number;
        let _ = writeln!(
            text,
            "mod mistake_{number} {{\nuse kstreams::prelude::*;\n{item}\n}}"
        );
    }
    text.push_str("fn main() {\n");
    for number in 0..MISTAKES.len() {
        let _ = writeln!(text, "    mistake_{number}::run();");
    }
    text.push_str("}\n");
    text
}
