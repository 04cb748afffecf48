//! Misuse of queries that only rustc sees: an iterator beyond its snapshot, a snapshot beyond the application.

use kstreams::prelude::*;
use kstreams::{Running, Snapshot};

#[topology(application_id = "visits")]
struct Visits {
    #[source(topic = "visits")]
    visits: KStream<String, String>,
    #[from(visits.group_by_key().count())]
    per_page: KTable<String, i64>,
    #[from(visits.group_by_key().windowed_by(tumbling("10m")).count())]
    per_ten_minutes: KTable<Windowed<String>, i64>,
}

/// An iterator cannot outlive its snapshot.
fn first(app: &Running<Visits>) -> Option<(String, i64)> {
    let mut entries = {
        let snapshot = app.per_page.snapshot().ok()?;
        snapshot.all().ok()?
    };
    entries.next()?.ok()
}

/// Nor can one that goes backward.
fn last(app: &Running<Visits>) -> Option<(Windowed<String>, i64)> {
    let mut windows = app.per_ten_minutes.snapshot().ok()?.fetch(&"/".to_owned(), 0..10).ok()?.rev();
    windows.next()?.ok()
}

/// A snapshot cannot outlive the application.
fn close(app: Running<Visits>) -> Option<i64> {
    let snapshot: Snapshot<'_, String, i64> = app.per_page.snapshot().ok()?;
    app.close().ok()?;
    snapshot.get(&"/".to_owned()).ok()?
}

fn main() {}
