//! Processors without a topology, through `ProcessorTest`.

use std::time::Duration;

use kstreams::prelude::*;

/// Adds up, and tells everything every ten milliseconds of stream time.
#[processor(out = (String, i64), punctuate(stream_time = "10ms", call = tell))]
struct Sums {
    limit: i64,
    #[store]
    sums: KeyValueStore<String, i64>,
    #[store]
    names: ReadOnlyKeyValueStore<String, String>,
}

impl Sums {
    fn tell(&mut self, now: Timestamp, cx: &mut Context<'_, Self>) -> ProcessingResult {
        let mut entries = self.sums.all()?;
        while let Some((key, sum)) = entries.next(cx)? {
            let name = self.names.get(&key, cx)?.unwrap_or(key);
            cx.forward(Record::new(name, sum, now))?;
        }
        Ok(())
    }
}

impl Processor<String, i64> for Sums {
    fn process(
        &mut self,
        record: Record<String, i64>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let sum = self.sums.get(&record.key, cx)?.unwrap_or(0) + record.value;
        if sum > self.limit {
            return Err(ProcessingError::new("too much"));
        }
        self.sums.put(&record.key, &sum, cx)
    }
}

fn record<V>(key: &str, value: V, timestamp: Timestamp) -> Record<String, V> {
    Record::new(key.to_owned(), value, timestamp)
}

#[test]
fn a_processor_runs_alone_with_stores_in_memory() -> Result<(), ProcessingError> {
    let mut t = ProcessorTest::new(Sums::new(10))?;
    t.put("names", &"b".to_owned(), &"Bea".to_owned())?;
    t.process(record("b", 3, 5))?;
    assert_eq!(
        t.forwarded(),
        [record("Bea", 3, 5)],
        "stream time is due with the first record"
    );
    t.process(record("a", 1, 9))?;
    assert_eq!(t.forwarded(), []);
    t.process(record("b", 4, 31))?;
    assert_eq!(t.forwarded(), [record("a", 1, 31), record("Bea", 7, 31)]);
    let error = t
        .process(record("b", 4, 32))
        .expect_err("more than the limit");
    assert!(
        error.to_string().contains("`Sums` failed: too much"),
        "{error}"
    );
    let sum = t.inspect(|sums, cx| sums.sums.get(&"b".to_owned(), cx))?;
    assert_eq!(sum, Some(7));
    Ok(())
}

/// Has outputs with names.
#[processor(out(small = (String, i64), large = (i64, String)))]
struct Sizes;

impl Processor<String, i64> for Sizes {
    fn process(
        &mut self,
        record: Record<String, i64>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        if record.value < 10 {
            cx.forward_to(Self::SMALL, record)
        } else {
            cx.forward_to(
                Self::LARGE,
                Record::new(record.value, record.key, record.timestamp),
            )?;
            cx.commit();
            Ok(())
        }
    }
}

#[test]
fn outputs_have_names() -> Result<(), ProcessingError> {
    let mut t = ProcessorTest::new(Sizes::new())?;
    t.process(record("a", 1, 0))?;
    assert!(!t.take_commit_request());
    t.process(record("b", 10, 1))?;
    assert!(t.take_commit_request());
    assert_eq!(
        t.forwarded(),
        [
            SizesOutput::small(record("a", 1, 0)),
            SizesOutput::large(Record::new(10, "b".to_owned(), 1)),
        ]
    );
    Ok(())
}

/// Cancels, reschedules, and is told the time of its clock.
#[processor(out = (String, i64))]
struct Clockwork {
    #[punctuate(wall_clock = "100ms", call = tick)]
    ticker: Punctuator,
    extra: Punctuator,
    #[default]
    ticks: u32,
}

impl Clockwork {
    fn tick(&mut self, now: Timestamp, cx: &mut Context<'_, Self>) -> ProcessingResult {
        self.ticks += 1;
        if self.ticks == 2 {
            self.ticker.cancel(cx);
            let anchored = Punctuation::wall_clock(Duration::from_millis(50)).starting_at(1_010);
            self.extra = cx.schedule(anchored, Self::tock)?;
        }
        cx.forward(record("tick", now, now))
    }

    fn tock(&mut self, now: Timestamp, cx: &mut Context<'_, Self>) -> ProcessingResult {
        cx.forward(record("tock", now, now))
    }
}

impl Processor<String, i64> for Clockwork {
    fn process(&mut self, _: Record<String, i64>, cx: &mut Context<'_, Self>) -> ProcessingResult {
        assert_eq!(self.ticker.is_scheduled(cx), self.ticks < 2);
        Ok(())
    }
}

#[test]
fn punctuators_are_cancelled_and_scheduled_from_inside() -> Result<(), ProcessingError> {
    let mut t = ProcessorTest::new(Clockwork::new())?;
    let mut told = Vec::new();
    for ms in [99, 1, 350, 60, 500, 1, 40, 10] {
        t.process(record("k", 0, 0))?;
        t.advance(Duration::from_millis(ms))?;
        told.extend(t.forwarded().into_iter().map(|r| (r.key, r.value)));
    }
    let expected = [
        ("tick", 100),
        ("tick", 450),
        ("tock", 1_010),
        ("tock", 1_061),
    ];
    assert_eq!(told, expected.map(|(name, time)| (name.to_owned(), time)));
    Ok(())
}

/// Keeps keys.
#[processor(fixed_key, out = (String, String))]
struct Last {
    #[store]
    last: TimestampedKeyValueStore<String, String>,
}

impl FixedKeyProcessor<String, String> for Last {
    fn process(
        &mut self,
        record: FixedKeyRecord<String, String>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let before = self
            .last
            .get(record.key(), cx)?
            .map_or_else(|| "none".to_owned(), |v| v.value);
        let now = ValueAndTimestamp {
            value: record.value.clone(),
            timestamp: record.timestamp,
        };
        self.last.put(record.key(), &now, cx)?;
        cx.forward(record.with_value(before))
    }
}

#[test]
fn a_processor_of_values_keeps_the_key() -> Result<(), ProcessingError> {
    let mut t = ProcessorTest::new_fixed_key(Last::new())?;
    t.process_values(record("a", "x".to_owned(), 1))?;
    t.process_values(record("a", "y".to_owned(), 2))?;
    let told: Vec<_> = t
        .forwarded()
        .into_iter()
        .map(|r| (r.key().clone(), r.value))
        .collect();
    assert_eq!(
        told,
        [
            ("a".to_owned(), "none".to_owned()),
            ("a".to_owned(), "x".to_owned())
        ]
    );
    Ok(())
}
