//! A task's processors begin with `init` and end with `close`, each kind of them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kstreams::State;
use kstreams::exceptions::StreamThreadExceptionResponse;
use kstreams::outbox::{Outbox, Outgoing};
use kstreams::prelude::*;
use kstreams::transport::embedded::{EmbeddedLog, EmbeddedLogOptions};
use kstreams::transport::{ProducerSpec, Transport};

/// What happened to processors of one test, in order.
type Diary = &'static Mutex<Vec<String>>;

fn note(diary: Diary, what: &str) {
    diary.lock().unwrap().push(what.to_owned());
}

/// What happened since it was last asked, sorted: tasks come in no order.
fn noted(diary: Diary) -> Vec<String> {
    let mut all = std::mem::take(&mut *diary.lock().unwrap());
    all.sort();
    all
}

/// Finds what it stored before, and schedules by itself.
#[processor(out = (String, i64))]
struct Begins {
    diary: Diary,
    #[store]
    sums: KeyValueStore<String, i64>,
    #[default]
    before: i64,
    ticker: Punctuator,
}

impl Begins {
    fn tick(&mut self, now: Timestamp, cx: &mut Context<'_, Self>) -> ProcessingResult {
        cx.forward(Record::new("tick".to_owned(), self.before, now))
    }
}

impl Processor<String, i64> for Begins {
    fn init(&mut self, cx: &mut InitContext<'_, Self>) -> ProcessingResult {
        note(self.diary, &format!("init process {}", cx.task()));
        self.before = self.sums.get(&"a".to_owned(), cx)?.unwrap_or(-1);
        let every = Punctuation::wall_clock(Duration::from_millis(100));
        self.ticker = cx.schedule(every, Self::tick)?;
        Ok(())
    }

    fn process(
        &mut self,
        record: Record<String, i64>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        self.sums.put(&record.key, &record.value, cx)?;
        assert!(self.ticker.is_scheduled(cx));
        Ok(())
    }

    fn close(&mut self) {
        note(self.diary, "close process");
    }
}

#[processor(fixed_key, out = (String, i64))]
struct Passes {
    diary: Diary,
}

impl FixedKeyProcessor<String, i64> for Passes {
    fn init(&mut self, cx: &mut InitContext<'_, Self>) -> ProcessingResult {
        note(self.diary, &format!("init process_values {}", cx.task()));
        Ok(())
    }

    fn process(
        &mut self,
        record: FixedKeyRecord<String, i64>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        cx.forward(record)
    }

    fn close(&mut self) {
        note(self.diary, "close process_values");
    }
}

#[processor]
struct Doubled {
    diary: Diary,
}

impl ValueTransformer<String, i64> for Doubled {
    type Value = i64;

    fn init(&mut self, cx: &mut InitContext<'_, Self>) -> ProcessingResult {
        note(self.diary, &format!("init transform_values {}", cx.task()));
        Ok(())
    }

    fn transform(
        &mut self,
        _: &String,
        value: Option<i64>,
        _: &mut Context<'_, Self>,
    ) -> ProcessingResult<Option<i64>> {
        Ok(value.map(|v| v * 2))
    }

    fn close(&mut self) {
        note(self.diary, "close transform_values");
    }
}

#[topology(application_id = "lives")]
struct Lives {
    diary: Diary,
    #[source(topic = "in", partitions = 2)]
    input: KStream<String, i64>,
    #[from(input.process(Begins::new(self.diary)))]
    #[sink(topic = "ticks", partitions = 2)]
    ticks: KStream<String, i64>,
    #[from(input.process_values(Passes::new(self.diary)))]
    #[sink(topic = "passed", partitions = 2)]
    passed: KStream<String, i64>,
    #[source(topic = "rows", partitions = 2)]
    rows: KTable<String, i64>,
    #[from(rows.transform_values(Doubled::new(self.diary)))]
    #[sink(topic = "doubled", partitions = 2)]
    doubled: KTable<String, i64>,
}

const BEGUN: [&str; 6] = [
    "init process 0_0",
    "init process 0_1",
    "init process_values 0_0",
    "init process_values 0_1",
    "init transform_values 1_0",
    "init transform_values 1_1",
];
const ENDED: [&str; 6] = [
    "close process",
    "close process",
    "close process_values",
    "close process_values",
    "close transform_values",
    "close transform_values",
];

#[test]
fn a_task_begins_and_ends_once_in_order() -> kstreams::Result {
    static DIARY: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let t = Lives::builder().diary(&DIARY).test_driver()?;
    let ticks = || -> Vec<i64> {
        let mut values: Vec<i64> = t.ticks.read().into_iter().map(|r| r.value).collect();
        values.sort_unstable();
        values
    };
    assert_eq!(noted(&DIARY), BEGUN);
    t.input.send("a".to_owned(), 7_i64).at(1);
    t.rows.send("a".to_owned(), 7_i64).at(1);
    t.advance(Duration::from_millis(100))?;
    assert_eq!(ticks(), [-1, -1], "one of each task, which began empty");
    t.commit()?;
    assert!(noted(&DIARY).is_empty(), "they go on");

    // An orderly end, and a start with what was stored; schedules begin anew.
    t.restart()?;
    let both: Vec<&str> = ENDED.into_iter().chain(BEGUN).collect();
    assert_eq!(noted(&DIARY), both);
    t.advance(Duration::from_millis(99))?;
    assert!(ticks().is_empty());
    t.advance(Duration::from_millis(1))?;
    assert_eq!(ticks(), [-1, 7], "one of the tasks has `a`");
    Ok(())
}

#[topology(application_id = "ended")]
struct Ended {
    diary: Diary,
    #[source(topic = "in", partitions = 1)]
    input: KStream<String, i64>,
    #[from(input.process_values(Passes::new(self.diary)).try_filter(|_, _| Err::<bool, _>("no more")))]
    #[sink(topic = "out", partitions = 1)]
    out: KStream<String, i64>,
}

/// Whether the error shuts the client down or the thread is replaced and closed then: no task is left without its end.
#[test]
fn a_task_whose_thread_fails_ends_too() {
    static DIARY: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let dir = tempfile::tempdir().unwrap();
    let (at, asked) = (dir.path().join("log"), AtomicUsize::new(0));
    let log = EmbeddedLog::open(&at, EmbeddedLogOptions::default()).unwrap();
    let config = StreamsConfig::embedded(&at)
        .create_topics(true)
        .uncaught_exception_handler(move |_: &dyn std::error::Error| {
            match asked.fetch_add(1, Ordering::SeqCst) {
                0 => StreamThreadExceptionResponse::ReplaceThread,
                _ => StreamThreadExceptionResponse::ShutdownClient,
            }
        });
    let app = Ended::builder().diary(&DIARY).start(config).unwrap();
    let spec = ProducerSpec {
        client_id: "test".to_owned(),
        transactional_id: None,
    };
    let mut producer = log.producer(&spec).unwrap();
    let mut outbox = Outbox::default();
    outbox.push(Outgoing {
        topic: 0,
        partition: None,
        key: Some(b"k"),
        value: Some(&7_i64.to_be_bytes()),
        timestamp: Some(1),
        headers: &Headers::new(),
    });
    producer.send(&outbox, &["in".into()]).unwrap();
    producer.flush().unwrap();
    let soon = Duration::from_secs(120);
    assert!(app.streams().wait_for(State::Error, soon));
    let error = app.close().unwrap_err().to_string();
    assert!(error.contains("no more"), "{error}");
    assert_eq!(
        *DIARY.lock().unwrap(),
        [
            "init process_values 0_0",
            "close process_values",
            "init process_values 0_0",
            "close process_values",
        ]
    );
}

/// Cannot begin.
#[processor(out = (String, i64))]
struct Refuses;

impl Processor<String, i64> for Refuses {
    fn init(&mut self, _: &mut InitContext<'_, Self>) -> ProcessingResult {
        Err(ProcessingError::new("the model is not there"))
    }

    fn process(&mut self, _: Record<String, i64>, _: &mut Context<'_, Self>) -> ProcessingResult {
        Ok(())
    }
}

#[topology(application_id = "refused")]
struct Refused {
    #[source(topic = "in", partitions = 1)]
    input: KStream<String, i64>,
    #[from(input.process(Refuses::new()))]
    #[sink(topic = "scored", partitions = 1)]
    scored: KStream<String, i64>,
}

/// Schedules what cannot be.
#[processor]
struct Hurries;

impl Hurries {
    fn tick(&mut self, _: Timestamp, _: &mut Context<'_, Self>) -> ProcessingResult {
        Ok(())
    }
}

impl Processor<String, i64> for Hurries {
    fn init(&mut self, cx: &mut InitContext<'_, Self>) -> ProcessingResult {
        cx.schedule(Punctuation::wall_clock(Duration::ZERO), Self::tick)
            .map(drop)
    }

    fn process(&mut self, _: Record<String, i64>, _: &mut Context<'_, Self>) -> ProcessingResult {
        Ok(())
    }
}

#[topology(application_id = "hurried")]
struct Hurried {
    #[source(topic = "in", partitions = 1)]
    input: KStream<String, i64>,
    #[from(input.process(Hurries::new()))]
    looked_at: (),
}

/// No record is at fault, so no handler is asked, and the application does not start without it.
#[test]
fn an_error_of_init_names_the_node() {
    let errors = [
        Refused::builder().test_driver().map(drop).unwrap_err(),
        Hurried::builder().test_driver().map(drop).unwrap_err(),
    ];
    let told = [
        ["`scored`", "the model is not there"],
        ["`looked_at`", "at least a millisecond, not 0ns"],
    ];
    for (error, parts) in errors.iter().zip(told) {
        let error = error.to_string();
        for part in parts.into_iter().chain(["task 0_0"]) {
            assert!(error.contains(part), "{error}");
        }
    }
}
