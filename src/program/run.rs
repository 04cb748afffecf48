//! `run`: the application until it is told to stop.

use std::time::{Duration, Instant};

use serde_json::json;
use streams_core::config::{Log, ProcessingGuarantee, StreamsConfig};
use streams_core::runtime::{KafkaStreams, RestoreProgress, State, Statistics};
use streams_core::topology::TopologyDescriptor;
use streams_core::transport::Admin;
use tempfile::TempDir;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinError, JoinHandle};

use super::args::RunArgs;
use super::error::ProgramError;
use super::log;
use super::output::{Output, Progress, thousands};
use crate::{Result as StreamsResult, Running, Topology};

/// How often who watches is told.
const TICK: Duration = Duration::from_millis(500);

pub(super) fn run<A: Topology>(
    topology: &'static TopologyDescriptor,
    args: RunArgs,
    start: impl FnOnce(StreamsConfig) -> StreamsResult<Running<A>>,
) -> Result<(), ProgramError> {
    let (config, temporary) = configure(&args)?;
    show_log();
    say_what_runs(topology, &config, temporary.as_ref(), args.json)?;
    let watched = config.clone();
    let app = start(config).map_err(ProgramError::failed)?;
    let watcher = Watcher::new(topology, &watched, args.json);
    let ended = watch(app.streams().clone(), watcher);
    if matches!(ended, Ok(Ended::InterruptedTwice)) {
        // At once: `exit` drops nothing, and dropping the application would wait for its threads.
        drop(temporary);
        std::process::exit(130);
    }
    // The temporary log goes only after the threads that use it.
    drop(app);
    drop(temporary);
    ended.map(|_| ())
}

/// The first line: where it runs, and what it guarantees.
fn say_what_runs(
    topology: &TopologyDescriptor,
    config: &StreamsConfig,
    temporary: Option<&TempDir>,
    as_json: bool,
) -> Result<(), ProgramError> {
    if as_json {
        let guarantee = match config.guarantee() {
            ProcessingGuarantee::ExactlyOnceV2 => "exactly_once_v2",
            ProcessingGuarantee::AtLeastOnce => "at_least_once",
        };
        let mut output = Output::new();
        output.json(&json!({
            "application_id": topology.application_id,
            "log": log::place(config),
            "processing_guarantee": guarantee,
        }))?;
        return output.flush();
    }
    let place = match temporary {
        Some(dir) => format!("a temporary log in {}", dir.path().display()),
        None => log::place(config),
    };
    let guarantee = match config.guarantee() {
        ProcessingGuarantee::ExactlyOnceV2 => "exactly once",
        ProcessingGuarantee::AtLeastOnce => {
            "at least once (`--set processing.guarantee=exactly_once_v2` for exactly once)"
        }
    };
    let id = topology.application_id;
    eprintln!("{id} runs on {place}, {guarantee}; Ctrl-C ends it");
    Ok(())
}

/// The configuration, on a temporary log where none is named.
fn configure(args: &RunArgs) -> Result<(StreamsConfig, Option<TempDir>), ProgramError> {
    let mut config = args.log.configuration()?;
    if let Some(threads) = args.threads {
        config
            .set_from("num.stream.threads", &threads.to_string(), "--threads")
            .map_err(ProgramError::failed)?;
    }
    if !matches!(config.log(), Log::Unset) {
        return Ok((config, None));
    }
    let dir = tempfile::Builder::new().prefix("kstreams-").tempdir();
    let dir = dir.map_err(|e| ProgramError::Failed(format!("a temporary directory: {e}")))?;
    Ok((config.embedded_dir(dir.path()), Some(dir)))
}

/// Warnings and errors of the runtime on standard error; `KSTREAMS_LOG` asks for more, as in `KSTREAMS_LOG=info`.
fn show_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("KSTREAMS_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    // A program that embeds this one may have set its own.
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(!no_color && std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_writer(std::io::stderr)
        .try_init();
}

/// Tells a program, in lines of JSON, what changed.
struct Teller {
    output: Output,
    state: Option<State>,
    statistics: Statistics,
    restoring: Vec<RestoreProgress>,
}

impl Teller {
    fn tell(&mut self, streams: &KafkaStreams, state: State) -> Result<(), ProgramError> {
        let statistics = streams.statistics();
        if statistics != self.statistics {
            self.statistics = statistics;
            self.output.json(&json!({"statistics": statistics}))?;
        }
        let restoring = streams.restoring();
        if restoring != self.restoring {
            let stores: Vec<_> = restoring.iter().map(store_progress).collect();
            self.output.json(&json!({"restoring": stores}))?;
            self.restoring = restoring;
        }
        if self.state != Some(state) {
            self.state = Some(state);
            self.output.json(&json!({"state": state.to_string()}))?;
        }
        self.output.flush()
    }
}

fn store_progress(of: &RestoreProgress) -> serde_json::Value {
    json!({
        "store": of.store,
        "topic": &*of.partition.topic,
        "partition": of.partition.partition,
        "starting_offset": of.starting_offset,
        "offset": of.offset,
        "ending_offset": of.ending_offset,
    })
}

/// How far all restores together are, for a person; empty where there are none. Each is a store with the offset that it
/// began at, the one reached, and its end.
fn restored<'s>(restoring: impl Iterator<Item = (&'s str, [i64; 3])>) -> String {
    let records = |from: i64, to: i64| u64::try_from(to - from).unwrap_or_default();
    let (mut done, mut all, mut stores) = (0, 0, Vec::new());
    for (store, [start, offset, end]) in restoring {
        done += records(start, offset);
        all += records(start, end);
        if !stores.contains(&store) {
            stores.push(store);
        }
    }
    if stores.is_empty() {
        return String::new();
    }
    let percent = (done * 100).checked_div(all).unwrap_or(100);
    format!(
        "restoring {}: {percent} % ({} of {})  ",
        stores.join(", "),
        thousands(done),
        thousands(all)
    )
}

enum Ended {
    Cleanly,
    InterruptedTwice,
}

/// Tells who watches how far it is.
struct Watcher {
    topology: &'static TopologyDescriptor,
    json: bool,
    progress: Progress,
    /// Only where somebody watches; away while it asks.
    admin: Option<Box<dyn Admin>>,
    asking: Option<JoinHandle<Asked>>,
    last: Option<(Instant, u64)>,
}

/// The client comes back with the answer. It asks on a thread of its own: a broker may take its time, signals may not.
type Asked = (Box<dyn Admin>, StreamsResult<crate::Progress>);

impl Watcher {
    fn new(topology: &'static TopologyDescriptor, config: &StreamsConfig, json: bool) -> Self {
        let progress = Progress::new(!json);
        let admin = progress.is_watched().then(|| {
            // The same log as the application's; what cannot be told is not worth failing for.
            let log = streams_core::runtime::open_log(config).ok();
            log.and_then(|log| log.admin().ok())
        });
        Watcher {
            topology,
            json,
            progress,
            admin: admin.flatten(),
            asking: None,
            last: None,
        }
    }

    fn ask(&mut self) {
        if let Some(mut admin) = self.admin.take() {
            let topology = self.topology;
            self.asking = Some(tokio::task::spawn_blocking(move || {
                let done = crate::Progress::of(topology, admin.as_mut());
                (admin, done)
            }));
        }
    }

    fn tell(&mut self, streams: &KafkaStreams, asked: Result<Asked, JoinError>) {
        self.asking = None;
        let state = streams.state();
        let Ok((admin, done)) = asked else { return };
        self.admin = Some(admin);
        let Ok(done) = done else {
            self.progress
                .show(&format!("{state}  the log does not answer"));
            return;
        };
        let restoring = streams.restoring();
        let restored = restored(restoring.iter().map(|of| {
            let offsets = [of.starting_offset, of.offset, of.ending_offset];
            (of.store, offsets)
        }));
        let now = Instant::now();
        let rate = self
            .last
            .replace((now, done.processed))
            .map_or(0.0, |(then, before)| {
                done.processed.saturating_sub(before) as f64 / (now - then).as_secs_f64()
            });
        self.progress.show(&format!(
            "{state}  {restored}{} records processed  {} behind  {} a second",
            thousands(done.processed),
            thousands(done.behind),
            thousands(rate as u64)
        ));
    }
}

async fn answer(asking: &mut Option<JoinHandle<Asked>>) -> Result<Asked, JoinError> {
    match asking {
        Some(asking) => asking.await,
        None => std::future::pending().await,
    }
}

fn watch(streams: KafkaStreams, watcher: Watcher) -> Result<Ended, ProgramError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|e| ProgramError::Failed(format!("waiting for signals: {e}")))?;
    let ended = runtime.block_on(until_it_ends(streams, watcher));
    // After a second signal the first one's shutdown may still be waiting: nobody waits for it any more.
    runtime.shutdown_background();
    ended
}

async fn until_it_ends(streams: KafkaStreams, mut watcher: Watcher) -> Result<Ended, ProgramError> {
    let listen =
        |kind| signal(kind).map_err(|e| ProgramError::Failed(format!("waiting for signals: {e}")));
    let (mut interrupt, mut terminate) = (
        listen(SignalKind::interrupt())?,
        listen(SignalKind::terminate())?,
    );
    let mut states = streams.state_changes();
    let mut teller = watcher.json.then(|| Teller {
        output: Output::new(),
        state: None,
        statistics: Statistics::default(),
        restoring: Vec::new(),
    });
    let mut tick = tokio::time::interval(TICK);
    let mut told_to_stop = false;
    let closed = streams.closed();
    tokio::pin!(closed);
    loop {
        let state = *states.borrow_and_update();
        if let Some(teller) = &mut teller {
            teller.tell(&streams, state)?;
        }
        tokio::select! {
            result = &mut closed => {
                watcher.progress.done();
                if let Some(teller) = &mut teller {
                    teller.tell(&streams, streams.state())?;
                }
                result.map_err(ProgramError::failed)?;
                return Ok(Ended::Cleanly);
            }
            _ = states.changed() => {}
            () = signalled(&mut interrupt, &mut terminate) => {
                if std::mem::replace(&mut told_to_stop, true) {
                    watcher.progress.done();
                    return Ok(Ended::InterruptedTwice);
                }
                watcher.progress.show("ending; Ctrl-C again ends at once, without a last commit");
                let streams = streams.clone();
                // It blocks until the threads have committed. What goes wrong is `closed`'s to tell.
                tokio::task::spawn_blocking(move || streams.close());
            }
            _ = tick.tick() => {
                if !told_to_stop {
                    watcher.ask();
                }
            }
            asked = answer(&mut watcher.asking), if !told_to_stop => {
                watcher.tell(&streams, asked);
            }
        }
    }
}

async fn signalled(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restores_are_summed_up_for_a_person() {
        assert_eq!(restored(std::iter::empty()), "");
        let stores = [
            ("counts", [0, 1_000, 4_000]),
            ("counts", [500, 500, 500]),
            ("sums", [10_000, 12_000, 12_000]),
        ];
        assert_eq!(
            restored(stores.into_iter()),
            "restoring counts, sums: 50 % (3,000 of 6,000)  "
        );
    }
}
