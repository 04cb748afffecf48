//! The examples with windows, beside plain computations over the same input.

use std::collections::BTreeMap;
use std::fs;

use crate::programs::{example, run, text};

const MINUTE: i64 = 60;

/// Page and second of the day of each line of a log that has both.
fn requests(log: &'static str) -> Vec<(&'static str, i64)> {
    log.lines()
        .filter_map(|line| {
            let clock = line.split(' ').nth(3)?;
            let parts = clock.split(':').skip(1);
            let parts: Vec<i64> = parts.map(|p| p.parse().expect("a number")).collect();
            let page = line.split('"').nth(1)?.split(' ').nth(1)?;
            Some((page, (parts[0] * 60 + parts[1]) * 60 + parts[2]))
        })
        .collect()
}

/// The most requests in ten minutes from one of these starts on, and the first such start. The end belongs to it or not.
fn busiest(times: &[i64], starts: impl Iterator<Item = i64>, with_end: bool) -> (usize, i64) {
    let mut best = (0, 0);
    for start in starts {
        let end = start + 10 * MINUTE + i64::from(with_end);
        let count = times.iter().filter(|t| (start..end).contains(*t)).count();
        if count > best.0 {
            best = (count, start);
        }
    }
    best
}

fn told((count, start): (usize, i64)) -> String {
    let (hours, minutes, seconds) = (start / 3600, start / 60 % 60, start % 60);
    format!("{count} from {hours:02}:{minutes:02}:{seconds:02}")
}

#[test]
fn ten_minute_counts_finds_the_busiest_windows_of_each_kind() {
    let mut pages: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for (page, second) in requests(include_str!("../../examples/data/access.log")) {
        pages.entry(page).or_default().push(second);
    }
    assert!(pages.len() > 5, "{pages:?}");
    let stdout = run(&example("ten_minute_counts"), &[]).stdout();
    let mut lines = stdout.lines();
    assert_eq!(lines.next(), Some("page\ttumbling\thopping\tsliding"));
    for (page, times) in &pages {
        let day = 24 * 60;
        let tumbling = busiest(times, (0..day / 10).map(|n| n * 10 * MINUTE), false);
        let hopping = busiest(times, (0..day).map(|n| n * MINUTE), false);
        let (most, _) = busiest(times, times.iter().map(|t| t - 10 * MINUTE), true);
        let line = lines.next().unwrap_or_default();
        let expected = format!(
            "{page}\t{}\t{}\t{most} from ",
            told(tumbling),
            told(hopping)
        );
        assert!(line.starts_with(&expected), "{line}, not {expected}");
    }
    assert_eq!(lines.next(), None);
}

#[test]
fn ten_minute_counts_reads_dates_as_they_are_and_leaves_out_what_tells_none() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("access.log");
    // One moment in two zones, over a leap day; 23:55 and 00:04 of the next day are nine minutes apart.
    let log = "a - - [29/Feb/2024:00:04:00 +0130] \"GET /x HTTP/1.1\" 200 1\n\
        b - - [28/Feb/2024:22:34:00 +0000] \"GET /x HTTP/1.1\" 200 1\n\
        no request\n\
        c - - [31/Foo/2024:00:00:00 +0000] \"GET /x HTTP/1.1\" 200 1\n\
        d - - [29/Feb/2024:23:55:00 +0000] \"GET /y HTTP/1.1\" 200 1\n\
        e - - [01/Mar/2024:00:04:00 +0000] \"GET /y HTTP/1.1\" 200 1\n";
    fs::write(&file, log).expect("a log");
    let stdout = run(&example("ten_minute_counts"), &[text(&file)]).stdout();
    assert_eq!(
        stdout,
        "page\ttumbling\thopping\tsliding\n\
         /x\t2 from 22:30:00\t2 from 22:25:00\t2 from 22:24:00\n\
         /y\t1 from 23:50:00\t2 from 23:55:00\t2 from 23:54:00\n"
    );
}

#[test]
fn clickstream_sessions_merges_visits_that_a_late_click_joins() {
    let stdout = run(&example("clickstream_sessions"), &[]).stdout();
    assert_eq!(
        stdout,
        "ada\t09:00\t40 minutes\t/ > /docs > /pricing > /buy\n\
         ada\t10:45\t25 minutes\t/account > /account/orders\n\
         alan\t09:05\t0 minutes\t/blog\n\
         alan\t10:30\t0 minutes\t/\n\
         blaise\t09:41\t39 minutes\t/ > /docs > /blog\n\
         edsger\t09:15\t0 minutes\t/docs\n\
         edsger\t09:46\t30 minutes\t/docs/windows > /docs/joins\n\
         grace\t09:02\t59 minutes\t/ > /pricing > /buy > /thanks\n\
         3 of one click\n"
    );
}
