//! Kills `word_count` at random moments and starts it again: at the end it must have counted every word once.
//!
//! The moments come from a seed, which is printed. `KSTREAMS_SEED=N cargo test --test kill` repeats a run's moments
//! (though not what the machine did at them).

#[path = "support/programs.rs"]
mod programs;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use programs::{Running, SOON, command, example, run, text};

/// At least so many kills …
const KILLS: usize = 20;
/// … of which at least so many hit a start that had already committed something …
const KILLS_AT_WORK: usize = 8;
/// … which a slow machine may need more of.
const MOST_KILLS: usize = 200;
/// A start is given no longer than this before it is killed; twice that where [`KILLS`] were not enough, and so on.
const LONGEST_LIFE: Duration = Duration::from_millis(500);
const NO_CACHE: &str = "statestore.cache.max.bytes=0";

#[test]
fn counts_survive_being_killed() {
    let run = Torment::new("counts_survive_being_killed", &[]);
    run.check_counts();
}

#[test]
fn without_a_cache_every_update_is_written_exactly_once() {
    let run = Torment::new(
        "without_a_cache_every_update_is_written_exactly_once",
        &["--set", NO_CACHE],
    );
    run.check_counts();
    run.check_sequences();
}

/// A text that was counted by a program that was killed again and again.
struct Torment {
    program: PathBuf,
    /// Deleted at the end; the next two lie in it.
    _dir: tempfile::TempDir,
    log: PathBuf,
    file: PathBuf,
    options: &'static [&'static str],
}

impl Torment {
    fn new(name: &str, options: &'static [&'static str]) -> Self {
        let mut random = Random::seeded(name);
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (log, file) = (dir.path().join("log"), dir.path().join("text.txt"));
        let run = Torment {
            program: example("word_count"),
            _dir: dir,
            log,
            file,
            options,
        };
        run.append(&mut random);
        let (mut kills, mut kills_at_work, mut written) = (0, 0, 0);
        while kills < KILLS || (kills_at_work < KILLS_AT_WORK && kills < MOST_KILLS) {
            let mut process = Running::start(&mut run.command());
            let longest = LONGEST_LIFE.as_millis() as u64 * (1 + kills / KILLS) as u64;
            std::thread::sleep(Duration::from_millis(random.below(longest)));
            let child = process.0.as_mut().expect("it was started");
            if child.try_wait().expect("it can be waited for").is_none() {
                child.kill().expect("SIGKILL");
                child.wait().expect("it has ended");
                kills += 1;
                let before = std::mem::replace(&mut written, run.written());
                kills_at_work += usize::from(written > before);
            } else {
                let ended = process.ended(Duration::ZERO);
                assert_eq!(
                    ended.code,
                    Some(0),
                    "a start failed after {kills} kills: {ended:#?}"
                );
                // There is more for the next one.
                run.append(&mut random);
                written = run.written();
            }
        }
        println!(
            "{name}: {kills} kills, {kills_at_work} of them at work, {written} records written"
        );
        run
    }

    /// How many records the program has written so far.
    fn written(&self) -> usize {
        let args = [
            "consume",
            "counts",
            "--from-beginning",
            "--embedded",
            text(&self.log),
        ];
        let ended = run(&self.program, &args);
        // It may have been killed before it made the log or the topic.
        if ended.code == Some(0) {
            ended.stdout.lines().count()
        } else {
            0
        }
    }

    fn command(&self) -> std::process::Command {
        let mut args = vec![text(&self.file), "--all", "--embedded", text(&self.log)];
        args.extend(self.options);
        command(&self.program, &args)
    }

    /// Adds lines to the text: few words often and many words seldom.
    fn append(&self, random: &mut Random) {
        let mut lines = String::new();
        for _ in 0..2_000 {
            for _ in 0..6 {
                let rank = random.below(400) + 1;
                let word = random.below(rank);
                let _ = write!(lines, "Word{word}, ");
            }
            lines.push('\n');
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.file);
        file.and_then(|mut f| f.write_all(lines.as_bytes()))
            .expect("the text can be written");
    }

    fn expected(&self) -> BTreeMap<String, i64> {
        let mut counts = BTreeMap::new();
        let text = fs::read_to_string(&self.file).expect("the text can be read");
        for word in text
            .split(|c: char| !c.is_alphanumeric())
            .filter(|w| !w.is_empty())
        {
            *counts.entry(word.to_lowercase()).or_default() += 1;
        }
        counts
    }

    /// Lets it finish, twice: the second time has nothing to add.
    fn check_counts(&self) {
        for _ in 0..2 {
            let ended = Running::start(&mut self.command()).ended(SOON);
            let stdout = ended.stdout();
            let counts: BTreeMap<String, i64> = stdout
                .lines()
                .map(|line| {
                    let (count, word) = line.split_once('\t').expect("`count<TAB>word`");
                    (word.to_owned(), count.parse().expect("a number"))
                })
                .collect();
            assert_eq!(counts, self.expected());
        }
    }

    /// Each key's records in the output topic must be 1, 2, 3 …, to the end.
    fn check_sequences(&self) {
        let args = [
            "consume",
            "counts",
            "--from-beginning",
            "--json",
            "--embedded",
            text(&self.log),
        ];
        let stdout = run(&self.program, &args).stdout();
        let mut last: BTreeMap<String, i64> = BTreeMap::new();
        for line in stdout.lines() {
            let record: serde_json::Value = serde_json::from_str(line).expect("lines of JSON");
            let key = record["key"].as_str().expect("a word");
            let value = record["value"].as_i64().expect("a count");
            let before = last.insert(key.to_owned(), value).unwrap_or_default();
            assert_eq!(
                value,
                before + 1,
                "`{key}` went from {before} to {value}: {line}"
            );
        }
        assert_eq!(last, self.expected());
    }
}

/// A small generator (xorshift), so that a seed says all.
struct Random(u64);

impl Random {
    fn seeded(name: &str) -> Self {
        let seed = match std::env::var("KSTREAMS_SEED") {
            Ok(seed) => seed.parse::<u64>().expect("KSTREAMS_SEED is a number"),
            Err(_) => {
                let now = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .expect("it is after 1970");
                now.subsec_nanos().into()
            }
        };
        println!("{name}: KSTREAMS_SEED={seed}");
        // Never 0, from which it would not move.
        Random(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}
