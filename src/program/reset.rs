//! `reset`: the application begins anew. Its group's offsets are set, its internal topics deleted, its state here removed.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::path::PathBuf;

use serde_json::{Value, json};
use streams_core::config::StreamsConfig;
use streams_core::record::TopicPartition;
use streams_core::state_dir::{StateDirectory, StateDirectoryError};
use streams_core::topics::full_name;
use streams_core::topology::TopologyDescriptor;
use streams_core::transport::{Admin, TopicInfo, TransportError};
use uuid::Uuid;

use super::args::ResetArgs;
use super::error::ProgramError;
use super::log;
use super::output::{Output, table};

pub(super) fn reset(
    topology: &'static TopologyDescriptor,
    args: &ResetArgs,
) -> Result<(), ProgramError> {
    let asks = !args.yes && !args.dry_run;
    if asks && (args.json || !io::stdin().is_terminal()) {
        return Err(ProgramError::Usage(
            "`reset` asks before it deletes, and nobody can answer here: give --yes, or --dry-run to see what it would do"
                .to_owned(),
        ));
    }
    let config = args.log.configuration()?;
    let transport = log::open_existing(&config, "reset")?;
    let mut admin = transport.admin().map_err(ProgramError::failed)?;
    refuse_while_it_runs(topology.application_id, admin.as_mut())?;
    // Held until the end: nobody starts the application here meanwhile.
    let state = State::open(topology, &config)?;
    let plan = Plan::new(topology, admin.as_mut(), args.to_latest)?;
    if args.json {
        let mut output = Output::new();
        output.json(&plan.as_json(topology, &state, args.dry_run))?;
        output.flush()?;
    } else {
        let place = log::place(&config);
        Output::new().text(&plan.as_text(topology, &state, &place))?;
    }
    if args.dry_run || plan.is_empty(&state) || (asks && !confirmed()?) {
        return Ok(());
    }
    plan.carry_out(topology, admin.as_mut())?;
    state.remove()?;
    if !args.json {
        eprintln!("{} begins anew with its next run", topology.application_id);
    }
    Ok(())
}

fn refuse_while_it_runs(application_id: &str, admin: &mut dyn Admin) -> Result<(), ProgramError> {
    let group = admin
        .describe_group(application_id)
        .map_err(ProgramError::failed)?;
    if group.members.is_empty() {
        return Ok(());
    }
    let members = group
        .members
        .iter()
        .map(|m| format!("\n  - {} ({})", m.client_id, m.host));
    Err(ProgramError::Failed(format!(
        "`{application_id}` is running: group `{application_id}` is {} and has members. Stop them first; one that was killed is a \
         member until its session.timeout.ms is over:{}",
        group.state,
        members.collect::<String>()
    )))
}

fn confirmed() -> Result<bool, ProgramError> {
    eprint!("Go on? This cannot be undone. [y/N] ");
    let _ = io::stderr().flush();
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    read.map_err(|e| ProgramError::Failed(format!("standard input: {e}")))?;
    let yes = matches!(answer.trim(), "y" | "Y" | "yes");
    if !yes {
        eprintln!("nothing was changed");
    }
    Ok(yes)
}

/// What is to be done on the log.
struct Plan {
    /// Source partition, what is committed, what will be.
    offsets: Vec<(TopicPartition, Option<i64>, i64)>,
    /// Internal topics that are there.
    topics: Vec<TopicInfo>,
}

impl Plan {
    fn new(
        topology: &'static TopologyDescriptor,
        admin: &mut dyn Admin,
        to_latest: bool,
    ) -> Result<Self, ProgramError> {
        let id = topology.application_id;
        let internal = topology.topics.iter().filter(|t| t.role.is_internal());
        let internal: Vec<String> = internal.map(|t| full_name(id, t)).collect();
        let sources = topology.subtopologies.iter().flat_map(|s| s.sources);
        let sources = sources.filter_map(|s| topology.topics.get(s.topic));
        let mut sources: Vec<&str> = sources
            .filter(|t| !t.role.is_internal())
            .map(|t| t.name)
            .collect();
        sources.sort_unstable();
        sources.dedup();
        let partitions: Vec<TopicPartition> = described(admin, &sources)?
            .into_iter()
            .flat_map(|t| {
                let count = i32::try_from(t.partitions).unwrap_or(i32::MAX);
                (0..count).map(move |p| TopicPartition::new(t.name.as_str(), p))
            })
            .collect();
        let ranges = admin.offsets(&partitions).map_err(ProgramError::failed)?;
        let committed = admin.committed(id, &partitions);
        let committed = committed.map_err(ProgramError::failed)?;
        let each = partitions.into_iter().zip(ranges).zip(committed);
        let offsets = each.map(|((partition, range), committed)| {
            let to = if to_latest { range.end } else { range.start };
            (partition, committed.map(|c| c.offset), to)
        });
        let internal: Vec<&str> = internal.iter().map(String::as_str).collect();
        Ok(Plan {
            offsets: offsets.collect(),
            topics: described(admin, &internal)?,
        })
    }

    fn is_empty(&self, state: &State) -> bool {
        let moved = self.offsets.iter().any(|(_, from, to)| *from != Some(*to));
        !moved && self.topics.is_empty() && state.tasks() == 0
    }

    fn as_text(&self, topology: &TopologyDescriptor, state: &State, place: &str) -> String {
        let id = topology.application_id;
        if self.is_empty(state) {
            return format!("{id} on {place} has nothing that could be reset\n");
        }
        let mut text = format!("reset of {id} on {place}\n\noffsets of group `{id}`:\n");
        let heads = ["  partition", "committed", "will be"].map(str::to_owned);
        let rows = self.offsets.iter().map(|(partition, from, to)| {
            [
                format!("  {partition}"),
                from.map_or_else(|| "-".to_owned(), |o| o.to_string()),
                to.to_string(),
            ]
        });
        text.push_str(&table(std::iter::once(heads).chain(rows)));
        text.push_str("\ninternal topics, deleted with what is in them:\n");
        for topic in &self.topics {
            let _ = writeln!(text, "  {}", topic.name);
        }
        if self.topics.is_empty() {
            text.push_str("  none\n");
        }
        let path = state.path.display();
        let _ = writeln!(
            text,
            "\nstate in {path}, removed: {}\n\n\
             What was written to sink topics stays. Remove the state on other machines too, before they start.\n",
            match state.tasks() {
                0 => "none".to_owned(),
                1 => "1 directory".to_owned(),
                n => format!("{n} directories"),
            }
        );
        text
    }

    fn as_json(&self, topology: &TopologyDescriptor, state: &State, dry_run: bool) -> Value {
        let offsets = self.offsets.iter().map(|(p, from, to)| {
            json!({"topic": &*p.topic, "partition": p.partition, "committed": from, "to": to})
        });
        let topics: Vec<&str> = self.topics.iter().map(|t| t.name.as_str()).collect();
        json!({
            "application_id": topology.application_id,
            "dry_run": dry_run,
            "offsets": offsets.collect::<Vec<_>>(),
            "deleted_topics": topics,
            "state_dir": state.path.display().to_string(),
            "state_directories": state.tasks(),
        })
    }

    /// The offsets first: a member that came meanwhile makes that fail, and then nothing was done.
    fn carry_out(
        &self,
        topology: &TopologyDescriptor,
        admin: &mut dyn Admin,
    ) -> Result<(), ProgramError> {
        let offsets: Vec<(TopicPartition, i64)> = self
            .offsets
            .iter()
            .map(|(partition, _, to)| (partition.clone(), *to))
            .collect();
        if !offsets.is_empty() {
            let id = topology.application_id;
            match admin.alter_committed(id, &offsets) {
                Err(TransportError::Abortable(why)) => {
                    return Err(ProgramError::Failed(format!("nothing was changed: {why}")));
                }
                other => other.map_err(ProgramError::failed)?,
            }
        }
        let again = |error: TransportError| {
            let text = ProgramError::chain(&error);
            ProgramError::Failed(format!(
                "{text}. The offsets were set, but not all was deleted: `reset` again, before anything runs"
            ))
        };
        let topics: Vec<&str> = self.topics.iter().map(|t| t.name.as_str()).collect();
        if topics.is_empty() {
            return Ok(());
        }
        admin.delete_topics(&topics).map_err(again)
    }
}

/// Those of the topics that are there.
fn described(admin: &mut dyn Admin, names: &[&str]) -> Result<Vec<TopicInfo>, ProgramError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let found = admin.describe_topics(names).map_err(ProgramError::failed)?;
    Ok(found.into_iter().flatten().collect())
}

/// The application's state in this machine's state directory.
struct State {
    path: PathBuf,
    /// Locked; nothing where there is no state.
    directory: Option<StateDirectory>,
    tasks: usize,
}

impl State {
    fn open(topology: &TopologyDescriptor, config: &StreamsConfig) -> Result<Self, ProgramError> {
        let root = config.state_path();
        let path = root.join(topology.application_id);
        if !path.exists() {
            return Ok(State {
                path,
                directory: None,
                tasks: 0,
            });
        }
        let opened = StateDirectory::open(&root, topology.application_id, Uuid::new_v4);
        let directory = opened.map_err(failed)?;
        let tasks = directory.tasks().map_err(failed)?.len();
        let global = usize::from(path.join("global").exists());
        Ok(State {
            path,
            directory: Some(directory),
            tasks: tasks + global,
        })
    }

    fn tasks(&self) -> usize {
        self.tasks
    }

    fn remove(&self) -> Result<(), ProgramError> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        for task in directory.tasks().map_err(failed)? {
            directory.remove_task(task).map_err(failed)?;
        }
        directory.remove_global().map_err(failed)
    }
}

fn failed(error: StateDirectoryError) -> ProgramError {
    ProgramError::Failed(ProgramError::chain(&error))
}
