//! Look-ups of window and session stores by processors, in both directions.

use kstreams::prelude::*;
use kstreams::{ProcessorContext, WindowEntry};

/// Keeps every value by its time, and alone as a session, and answers the key `?` with what every look-up finds.
#[processor(out = (String, String))]
struct LookUps {
    #[store(window_size = "10ms", retention = "1h")]
    windows: WindowStore<String, i64>,
    #[store(retention = "1h")]
    sessions: SessionStore<String, i64>,
    #[store(retention = "1h")]
    versions: VersionedStore<String, i64>,
}

type Found = ProcessingResult<Vec<WindowEntry<String, i64>>>;

impl LookUps {
    fn answers(&self, cx: &mut ProcessorContext<'_>) -> [(&'static str, Found, Found); 7] {
        let (a, b) = ("a".to_owned(), "b".to_owned());
        let (windows, sessions) = (&self.windows, &self.sessions);
        [
            ("windows", windows.all(cx), windows.backward_all(cx)),
            (
                "windows 15..30",
                windows.fetch_all(15..30, cx),
                windows.backward_fetch_all(15..30, cx),
            ),
            (
                "windows of a",
                windows.fetch(&a, .., cx),
                windows.backward_fetch(&a, .., cx),
            ),
            (
                "sessions of a",
                sessions.fetch(&a, cx),
                sessions.backward_fetch(&a, cx),
            ),
            (
                "sessions of b and more",
                sessions.fetch_range(b.clone().., cx),
                sessions.backward_fetch_range(b.clone().., cx),
            ),
            (
                "sessions of a at 18",
                sessions.find_sessions(&a, 18, 18, cx),
                sessions.backward_find_sessions(&a, 18, 18, cx),
            ),
            (
                "sessions until 10",
                sessions.find_sessions_of(a..=b, 0, 10, cx),
                sessions.backward_find_sessions_of("a".to_owned()..="b".to_owned(), 0, 10, cx),
            ),
        ]
    }
}

impl Processor<String, i64> for LookUps {
    fn process(
        &mut self,
        record: Record<String, i64>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let (key, value, at) = (&record.key, record.value, record.timestamp);
        if key == "?" {
            for (question, forward, backward) in self.answers(cx) {
                let (forward, mut backward) = (forward?, backward?);
                backward.reverse();
                let same = if forward == backward {
                    ""
                } else {
                    "; backward differs"
                };
                let found = forward
                    .into_iter()
                    .map(|e| format!(" {}[{}-{}]={}", e.key, e.start, e.end, e.value));
                let answer = format!("{}{same}", found.collect::<String>());
                cx.forward(Record::new(question.to_owned(), answer, at))?;
            }
            let versions = self.versions.get_versions(&"a".to_owned(), 10..30, cx)?;
            let found = versions
                .into_iter()
                .map(|v| format!(" {}-{:?}={}", v.valid_from, v.valid_to, v.value));
            let answer = Record::new("versions of a".to_owned(), found.collect(), at);
            return cx.forward(answer);
        }
        self.versions.put(key, &value, at, cx)?;
        self.windows.put(key, &value, at, cx)?;
        self.sessions.put(key, at, at + 5, &value, cx)
    }
}

#[test]
fn windows_and_sessions_are_found_in_both_directions() -> Result<(), ProcessingError> {
    let mut t = ProcessorTest::new(LookUps::new())?;
    for (n, (key, at)) in (0..).zip([
        ("b", 20),
        ("a", 15),
        ("c", 12),
        ("a", 2),
        ("a", 40),
        ("b", 10),
    ]) {
        t.process(Record::new(key.to_owned(), n, at))?;
    }
    t.process(Record::new("?".to_owned(), 0, 50))?;
    let answers: Vec<_> = t
        .forwarded()
        .into_iter()
        .map(|r| format!("{}:{}", r.key, r.value))
        .collect();
    assert_eq!(
        answers,
        [
            "windows: a[2-2]=3 a[15-15]=1 a[40-40]=4 b[10-10]=5 b[20-20]=0 c[12-12]=2",
            "windows 15..30: a[15-15]=1 b[20-20]=0",
            "windows of a: a[2-2]=3 a[15-15]=1 a[40-40]=4",
            "sessions of a: a[2-7]=3 a[15-20]=1 a[40-45]=4",
            "sessions of b and more: b[10-15]=5 b[20-25]=0 c[12-17]=2",
            "sessions of a at 18: a[15-20]=1",
            "sessions until 10: a[2-7]=3 b[10-15]=5",
            "versions of a: 15-Some(40)=1 2-Some(15)=3",
        ]
    );
    Ok(())
}
