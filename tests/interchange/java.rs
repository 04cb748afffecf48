//! A Java application in a process that ends with the test, spoken to in lines.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::ChildStdin;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use kafka_broker::{Process, Program};

use crate::class_path::class_path;

/// How long a line that must come may take; the first start of a machine on a busy computer is slow.
const SOON: Duration = Duration::from_secs(240);
/// How many lines of its log a failure shows.
const TAIL: usize = 30;

/// A running Java application that is spoken to in lines.
pub(crate) struct JavaApplication {
    process: Process,
    commands: Option<ChildStdin>,
    lines: Receiver<String>,
    log: Arc<Mutex<VecDeque<String>>>,
}

impl JavaApplication {
    /// Runs a main class.
    pub(crate) fn start(main: &str, heap: &str, arguments: &[&str]) -> Result<Self, String> {
        let mut process = Program::java_machine(class_path()?, heap)
            .map_err(|e| e.to_string())?
            // It lives for seconds: there is nothing to gain from optimized code.
            .args(["-XX:TieredStopAtLevel=1", "-Xshare:auto"])
            .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
            .arg(main)
            .args(arguments)
            .piped()
            .start()
            .map_err(|e| e.to_string())?;
        let (sender, lines) = channel();
        let log = Arc::new(Mutex::new(VecDeque::new()));
        // Both threads end with the process.
        if let Some(output) = process.stdout() {
            thread::spawn(move || pass_on(output, &sender));
        }
        if let Some(errors) = process.stderr() {
            let log = Arc::clone(&log);
            thread::spawn(move || keep(errors, &log));
        }
        Ok(JavaApplication {
            commands: process.stdin(),
            process,
            lines,
            log,
        })
    }

    /// Tells it to do something.
    pub(crate) fn tell(&mut self, command: &str) -> Result<(), String> {
        let written = match &mut self.commands {
            Some(input) => writeln!(input, "{command}").and_then(|()| input.flush()),
            None => Ok(()),
        };
        written.map_err(|e| self.failed(&format!("cannot be told `{command}`: {e}")))
    }

    /// Every line up to one that is `last`, that one not included.
    pub(crate) fn lines_until(&mut self, last: &str) -> Result<Vec<String>, String> {
        let deadline = Instant::now() + SOON;
        let mut before = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line == last => return Ok(before),
                Ok(line) if line == "state ERROR" => {
                    return Err(self.failed(&format!("failed before `{last}`")));
                }
                Ok(line) => before.push(line),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(self.failed(&format!("did not say `{last}` within {SOON:?}")));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.failed(&format!("ended before `{last}`")));
                }
            }
        }
    }

    /// Closes it in order and waits until it has ended.
    pub(crate) fn close(mut self) -> Result<(), String> {
        self.tell("close")?;
        self.lines_until("closed")?;
        drop(self.commands.take());
        match self.process.wait(SOON).map_err(|e| e.to_string())? {
            Some(_) => Ok(()),
            None => Err(self.failed("did not end")),
        }
    }

    fn failed(&self, what: &str) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<&str> = log.iter().map(String::as_str).collect();
        format!(
            "the Java application {what}; its log ends:\n{}",
            lines.join("\n")
        )
    }
}

fn pass_on(output: impl Read, to: &Sender<String>) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        if to.send(line).is_err() {
            return;
        }
    }
}

fn keep(errors: impl Read, log: &Mutex<VecDeque<String>>) {
    for line in BufReader::new(errors).lines().map_while(Result::ok) {
        // Of stack traces the first lines say what matters.
        if line.starts_with('\t') {
            continue;
        }
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.push_back(line);
        if log.len() > TAIL {
            log.pop_front();
        }
    }
}
