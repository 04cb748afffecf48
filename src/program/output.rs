//! What the program prints: lines for people, lines of JSON for programs, and progress for who watches.

use std::io::{self, BufWriter, IsTerminal, Stdout, StdoutLock, Write};

use serde_json::Value;

use super::error::ProgramError;

/// Standard output, buffered. A reader that goes away ends the program quietly.
pub(super) struct Output {
    out: BufWriter<StdoutLock<'static>>,
}

impl Output {
    pub(super) fn new() -> Self {
        let stdout: Stdout = io::stdout();
        Output {
            out: BufWriter::new(stdout.lock()),
        }
    }

    /// Text as it is.
    pub(super) fn text(&mut self, text: &str) -> Result<(), ProgramError> {
        self.out.write_all(text.as_bytes())?;
        Ok(self.out.flush()?)
    }

    /// A line of JSON.
    pub(super) fn json(&mut self, value: &Value) -> Result<(), ProgramError> {
        Ok(writeln!(self.out, "{value}")?)
    }

    /// A key and a value, as a person reads them.
    pub(super) fn entry(&mut self, key: &Value, value: &Value) -> Result<(), ProgramError> {
        Ok(writeln!(self.out, "{}\t{}", plain(key), plain(value))?)
    }

    pub(super) fn flush(&mut self) -> Result<(), ProgramError> {
        Ok(self.out.flush()?)
    }
}

/// A value as a person reads it: text without quotes, everything else as JSON.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Lines in columns, each as wide as its widest entry.
pub(super) fn table<const N: usize>(rows: impl IntoIterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = rows.into_iter().collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            line.push_str(cell);
            let missing = width.saturating_sub(cell.chars().count()) + 2;
            line.extend(std::iter::repeat_n(' ', missing));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A line on standard error that is overwritten by the next one; nothing where nobody watches.
#[derive(Debug)]
pub(super) struct Progress {
    shown: bool,
    watched: bool,
}

impl Progress {
    pub(super) fn new(wanted: bool) -> Self {
        Progress {
            shown: false,
            watched: wanted && io::stderr().is_terminal(),
        }
    }

    pub(super) fn is_watched(&self) -> bool {
        self.watched
    }

    pub(super) fn show(&mut self, line: &str) {
        if self.watched {
            // Back to the line's start, and clear it: it may have been longer.
            eprint!("\r\x1b[2K{line}");
            self.shown = true;
        }
    }

    /// Leaves the last line and begins a new one.
    pub(super) fn done(&mut self) {
        if std::mem::take(&mut self.shown) {
            eprintln!();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.done();
    }
}

/// `1234567` as `1,234,567`.
pub(super) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_printed_without_quotes_and_the_rest_as_json() {
        assert_eq!(plain(&"a\tb".into()), "a\tb");
        assert_eq!(plain(&Value::Null), "null");
        assert_eq!(plain(&serde_json::json!({"a": 1})), r#"{"a":1}"#);
    }

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let rows = [["a", "bbb", ""], ["äöü", "c", "d"]].map(|row| row.map(str::to_owned));
        assert_eq!(table(rows), "a    bbb\näöü  c    d\n");
    }

    #[test]
    fn thousands_are_grouped() {
        let grouped: Vec<String> = [0, 999, 1_000, 1_234_567].map(thousands).to_vec();
        assert_eq!(grouped, ["0", "999", "1,000", "1,234,567"]);
    }
}
