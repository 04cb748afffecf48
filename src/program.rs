//! The generated program: what `App::main()` does with a command line. Also usable inside a program of one's own.
//!
//! ```text
//! app run --embedded data             process records until Ctrl-C
//! app produce lines --embedded data   send lines to a topic
//! app consume counts --embedded data  see what a topic gets
//! app query counts --embedded data    see what a table holds
//! app describe                        see the topology
//! app topics create --bootstrap b:9092   create the declared topics on Kafka
//! app doctor --bootstrap b:9092          see what is not as it should be
//! ```
//!
//! Every command works on either log. `produce`, `consume`, `query` and `doctor` work beside a running `run`. Exit codes: 0 done, 1 failed, 2 not understood,
//! 130 interrupted twice.

mod args;
mod consume;
mod doctor;
mod error;
mod log;
mod output;
mod produce;
mod query;
mod reset;
mod run;
mod topics;
mod topics_command;

use clap::{CommandFactory, FromArgMatches, Parser};
use streams_core::config::StreamsConfig;
use streams_core::describe;
use streams_core::topology::TopologyDescriptor;

pub use args::Command;
use args::{DescribeArgs, DescribeFormat, TopicsCommand};
use error::ProgramError;

use crate::{Result, Running, Topology};

#[derive(Debug, Parser)]
#[command(version, about, long_about = None, subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The whole program: reads the command line, does what it says, and ends the process where that fails. `start` starts
/// the application.
///
/// # Errors
/// None that it returns: it prints an error and exits. The type is that of `fn main`.
pub fn main<A: Topology>(start: impl FnOnce(StreamsConfig) -> Result<Running<A>>) -> Result<()> {
    let topology = A::TOPOLOGY;
    let about = format!(
        "{}: a stream processing application (application.id `{}`)",
        topology.name, topology.application_id
    );
    let matches = Cli::command().about(about).get_matches();
    match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli.command.execute(start),
        Err(error) => error.exit(),
    }
}

impl Command {
    /// Does what the command says with the topology `A`, and ends the process where that fails; `start` starts the
    /// application. For programs that have a command line of their own:
    ///
    /// ```no_run
    /// # use kstreams::prelude::*;
    /// # #[topology(application_id = "doc")]
    /// # struct App {
    /// #     #[source(topic = "in")]
    /// #     lines: KStream<(), String>,
    /// #     #[from(lines.filter(|_, l| !l.is_empty()))]
    /// #     #[sink(topic = "out")]
    /// #     kept: KStream<(), String>,
    /// # }
    /// #[derive(clap::Parser)]
    /// struct Args {
    ///     #[command(subcommand)]
    ///     command: Option<kstreams::program::Command>,
    /// }
    /// fn main() -> kstreams::Result<()> {
    ///     match <Args as clap::Parser>::parse().command {
    ///         Some(command) => command.execute(|config| App::builder().start(config)),
    ///         None => Ok(()), // something of one's own
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// None that it returns, as [`main`].
    pub fn execute<A: Topology>(
        self,
        start: impl FnOnce(StreamsConfig) -> Result<Running<A>>,
    ) -> Result<()> {
        match self.perform(A::TOPOLOGY, start) {
            Ok(()) => Ok(()),
            Err(error) => std::process::exit(error.report()),
        }
    }

    fn perform<A: Topology>(
        self,
        topology: &'static TopologyDescriptor,
        start: impl FnOnce(StreamsConfig) -> Result<Running<A>>,
    ) -> std::result::Result<(), ProgramError> {
        match self {
            Command::Run(args) => run::run(topology, args, start),
            Command::Describe(args) => print_description(topology, &args),
            Command::Produce(args) => produce::produce(topology, &args),
            Command::Consume(args) => consume::consume(topology, &args),
            Command::Query(args) => query::query(topology, &args),
            Command::Topics(TopicsCommand::Create(args)) => topics_command::create(topology, &args),
            Command::Topics(TopicsCommand::Check(args)) => topics_command::check(topology, &args),
            Command::Reset(args) => reset::reset(topology, &args),
            Command::Doctor(args) => doctor::doctor(topology, &args),
        }
    }
}

/// For the `main` of a program that has work of its own beside the generated commands: prints an error as they do, and
/// ends the process with their exit code.
///
/// # Errors
/// None that it returns, as [`main`].
pub fn exit_on_error(result: Result<()>) -> Result<()> {
    match result {
        Ok(()) => Ok(()),
        Err(error) => std::process::exit(ProgramError::failed(error).report()),
    }
}

/// Prints to standard output; ends the process quietly where nobody reads it any more, as in `program | head`.
pub fn print(text: &str) {
    if let Err(error) = output::Output::new().text(text) {
        std::process::exit(error.report());
    }
}

fn print_description(
    topology: &TopologyDescriptor,
    args: &DescribeArgs,
) -> std::result::Result<(), ProgramError> {
    let format = if args.json {
        DescribeFormat::Json
    } else {
        args.format
    };
    let text = match format {
        DescribeFormat::Text => describe::text(topology),
        DescribeFormat::Mermaid => describe::mermaid(topology),
        DescribeFormat::Dot => describe::dot(topology),
        DescribeFormat::Json => format!("{:#}\n", describe::json(topology)),
    };
    output::Output::new().text(&text)
}
