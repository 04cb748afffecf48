//! What must not matter: the number of partitions and workers, the record cache once everything is quiet, where state lies,
//! and a restart or crash at any step. And what the vectors leave open: filters of tables, nulls, routing, the record cache.

mod cache;
mod derived;
mod drivers;
mod errors;
mod fallible;
mod fallible_keys;
mod foreign_keys;
mod headers;
mod invariance;
mod joined_tables;
mod nulls;
mod partitioners;
mod partitions;
mod random;
mod records;
mod refused;
mod routing;
mod running;
mod schedules;
mod sources;
mod stream_joins;
mod tables;
mod timestamps;
mod waiting;

use kstreams::test_driver::TestDriver;

/// A record of a topic, as text: key, value, timestamp. Bytes that are no text are shown in hexadecimal.
fn read(driver: &TestDriver, topic: &str) -> Vec<String> {
    let records = driver.read_raw(topic).expect("the topic");
    records
        .iter()
        .map(|r| {
            format!(
                "{}={}@{}",
                show(r.key.as_deref()),
                show(r.value.as_deref()),
                r.timestamp
            )
        })
        .collect()
}

fn show(bytes: Option<&[u8]>) -> String {
    match bytes {
        None => "null".into(),
        Some(bytes) => match <[u8; 8]>::try_from(bytes) {
            Ok(number) if bytes[0] == 0 || bytes[0] == 255 => {
                i64::from_be_bytes(number).to_string()
            }
            _ => String::from_utf8_lossy(bytes).into_owned(),
        },
    }
}
