//! A global store that nobody keeps, and one of other types than its processor's.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "names", global)]
    names: KeyValueStore<String, String>,
    #[source(topic = "towns", global, process = self.keeper())]
    towns: KeyValueStore<String, String>,
    #[source(topic = "people", global)]
    people: KTable<String, String>,
    #[source(topic = "windows", process = ByHour::new())]
    windows: WindowStore<String, String>,
}

fn main() {}
