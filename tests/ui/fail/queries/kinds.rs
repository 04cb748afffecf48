//! Misuse of queries that only rustc sees: questions that a table of that type does not answer.

use kstreams::prelude::*;

#[topology(application_id = "visits")]
struct Visits {
    #[source(topic = "visits")]
    visits: KStream<String, String>,
    #[from(visits.group_by_key().count())]
    per_page: KTable<String, i64>,
    #[from(visits.group_by_key().windowed_by(session("10m")).count())]
    sessions: KTable<Windowed<String, SessionWindow>, i64>,
}

fn main() -> kstreams::Result<()> {
    let app = Visits::builder().start(StreamsConfig::embedded("log"))?;
    let key = "/".to_owned();
    // A table without windows has no times.
    app.per_page.fetch(&key, 0..10)?;
    // Sessions have no one start by which they are found.
    app.sessions.fetch_at(&key, 0)?;
    // A key of another type.
    app.per_page.get(&7)?;
    Ok(())
}
