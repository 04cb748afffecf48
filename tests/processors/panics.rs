//! Processors that panic where no record is at fault.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use kstreams::prelude::*;

#[processor(out = (String, i64))]
struct Fragile {
    panics_in_init: bool,
    closed: Arc<AtomicU32>,
}

impl Processor<String, i64> for Fragile {
    fn init(&mut self, _: &mut InitContext<'_, Self>) -> ProcessingResult {
        assert!(!self.panics_in_init, "no table to begin with");
        Ok(())
    }

    fn process(
        &mut self,
        record: Record<String, i64>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        cx.forward(record)
    }

    fn close(&mut self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
        panic!("no end either");
    }
}

#[topology(application_id = "fragile")]
struct Chain {
    panics_in_init: bool,
    closed: Arc<AtomicU32>,

    #[source(topic = "in", partitions = 1)]
    input: KStream<String, i64>,
    #[from(input.process(Fragile::new(false, Arc::clone(&self.closed))))]
    first: KStream<String, i64>,
    #[from(first.process(Fragile::new(self.panics_in_init, Arc::clone(&self.closed))))]
    #[sink(topic = "out", partitions = 1)]
    second: KStream<String, i64>,
}

#[test]
fn a_panic_in_init_names_its_node() {
    let begun = Chain::builder()
        .panics_in_init(true)
        .closed(Arc::default())
        .test_driver();
    let mut error: &dyn std::error::Error = &begun.map(drop).expect_err("it cannot begin");
    let mut text = error.to_string();
    while let Some(source) = error.source() {
        error = source;
        text = format!("{text}: {error}");
    }
    assert!(
        text.contains("`second`") && text.contains("no table to begin with"),
        "{text}"
    );
}

#[test]
fn a_panic_in_close_ends_no_other_processor() {
    let closed = Arc::new(AtomicU32::new(0));
    let t = Chain::builder()
        .panics_in_init(false)
        .closed(Arc::clone(&closed))
        .test_driver()
        .unwrap();
    t.input.send("a", 1);
    assert_eq!(t.second.read().len(), 1);
    t.restart().unwrap();
    assert_eq!(closed.load(Ordering::Relaxed), 2);
}
