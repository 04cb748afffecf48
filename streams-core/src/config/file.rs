//! Layer 1. Configuration files: TOML, flattened to dotted keys, or Java properties.

use std::path::Path;

use super::ConfigError;

/// The settings of a file, in a fixed order.
pub(super) fn read(path: &Path) -> Result<Vec<(String, String)>, ConfigError> {
    let wrong = |why: String| ConfigError::File {
        path: path.display().to_string(),
        why,
    };
    let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
    if path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("toml"))
    {
        toml_entries(&text).map_err(wrong)
    } else {
        properties(&text).map_err(wrong)
    }
}

/// `[consumer]` with `max.poll.records = 5`, and `processing.guarantee = "…"` alike: tables are joined with dots.
fn toml_entries(text: &str) -> Result<Vec<(String, String)>, String> {
    let table: toml::Table = text.parse().map_err(|e: toml::de::Error| e.to_string())?;
    let mut entries = Vec::new();
    flatten("", &toml::Value::Table(table), &mut entries)?;
    Ok(entries)
}

fn flatten(key: &str, value: &toml::Value, into: &mut Vec<(String, String)>) -> Result<(), String> {
    match value {
        toml::Value::Table(table) => {
            for (name, value) in table {
                let key = if key.is_empty() {
                    name.clone()
                } else {
                    format!("{key}.{name}")
                };
                flatten(&key, value, into)?;
            }
        }
        toml::Value::String(s) => into.push((key.to_owned(), s.clone())),
        toml::Value::Array(list) => {
            // Kafka writes lists as comma-separated text.
            let all: Option<Vec<&str>> = list.iter().map(toml::Value::as_str).collect();
            let all = all.ok_or_else(|| format!("`{key}`: a list may hold only strings"))?;
            into.push((key.to_owned(), all.join(",")));
        }
        other => into.push((key.to_owned(), other.to_string())),
    }
    Ok(())
}

/// Java's format as people write it: `key=value`, `key: value`, comments with `#` or `!`, a backslash continues a line.
fn properties(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut entries = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let mut logical = line.trim_start().to_owned();
        if logical.is_empty() || logical.starts_with(['#', '!']) {
            continue;
        }
        while ends_with_continuation(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, next)) => logical.push_str(next.trim_start()),
                None => break,
            }
        }
        let split = unescaped_separator(&logical)
            .ok_or_else(|| format!("line {}: `{line}` is no `key=value`", number + 1))?;
        let (key, value) = logical.split_at(split);
        let value = value.trim_start();
        let value = value.strip_prefix(['=', ':']).unwrap_or(value).trim();
        entries.push((unescape(key.trim_end(), number)?, unescape(value, number)?));
    }
    Ok(entries)
}

fn ends_with_continuation(line: &str) -> bool {
    line.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1
}

fn unescaped_separator(line: &str) -> Option<usize> {
    let mut escaped = false;
    line.char_indices().find_map(|(at, c)| {
        let found = !escaped && matches!(c, '=' | ':' | ' ' | '\t');
        escaped = !escaped && c == '\\';
        found.then_some(at)
    })
}

fn unescape(text: &str, line: usize) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let c = u32::from_str_radix(&digits, 16)
                    .ok()
                    .and_then(char::from_u32);
                out.push(
                    c.ok_or_else(|| format!("line {}: `\\u{digits}` is no character", line + 1))?,
                );
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_as_people_write_them() {
        let text = "# comment\n! too\n\nprocessing.guarantee=exactly_once_v2\n  state.dir : /var/lib/a\\ b \n\
                    consumer.x = 1\\\n   2\nempty=\n";
        let found = properties(text).unwrap();
        let expected = [
            ("processing.guarantee", "exactly_once_v2"),
            ("state.dir", "/var/lib/a b"),
            ("consumer.x", "12"),
            ("empty", ""),
        ];
        assert_eq!(found, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!(
            properties("a=1\nnonsense").unwrap_err(),
            "line 2: `nonsense` is no `key=value`"
        );
    }

    #[test]
    fn toml_tables_join_with_dots() {
        let text = "processing.guarantee = \"exactly_once_v2\"\n\"poll.ms\" = 5\n[consumer]\nmax.poll.records = 7\n";
        let mut found = toml_entries(text).unwrap();
        found.sort();
        let expected = [
            ("consumer.max.poll.records", "7"),
            ("poll.ms", "5"),
            ("processing.guarantee", "exactly_once_v2"),
        ];
        assert_eq!(found, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }
}
