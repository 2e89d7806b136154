//! The command line: one file per command, each writing what was asked for to standard output.
//!
//! A command that fails says why once, on standard error, and exits with 1; with 2 when it was not asked rightly.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use secrecy::SecretString;

use crate::{
    config::{Config, DatabaseSettings, Flags, Problems, SETTINGS},
    telemetry,
};

mod deliveries;
pub mod demo;
mod doctor;
mod health;
mod migrate;
mod openapi;
mod replay;
mod serve;
mod text;

/// Turns GitHub webhooks into pull-request reviews.
#[derive(Debug, Parser)]
#[command(name = "nectr", version, args_conflicts_with_subcommands = true)]
#[command(after_help = "Without a command nectr serves; the flags of `nectr serve` work here too.")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the API and the workers
    Serve(serve::Serve),
    /// Show the whole product at work, with no account anywhere
    Demo {
        /// Exit when every expected review was posted
        #[arg(long)]
        once: bool,
    },
    /// Print the OpenAPI document
    Openapi(openapi::OpenApi),
    /// Bring the database schema up to date, or look at it
    Migrate(migrate::Migrate),
    /// Check every setting and everything nectr depends on
    Doctor(Settings),
    /// Ask a running nectr whether it is well; exits with 1 if it is not
    Health(health::Health),
    /// Sign and send payload files as GitHub would
    Replay(replay::Replay),
    /// Look at the deliveries that came in, and run them again
    Deliveries(deliveries::Deliveries),
}

/// The settings' flags, accepted by every command that uses settings but listed only by `nectr serve --help`.
#[derive(Debug, Default)]
struct Settings(Flags);

impl Args for Settings {
    fn augment_args(command: clap::Command) -> clap::Command {
        let command = Flags::augment_args(command);
        SETTINGS
            .iter()
            .fold(command, |command, setting| command.mut_arg(setting.name, |arg| arg.hide(true)))
            .after_help(
                "The settings listed by `nectr serve --help` are accepted too, as flags or from the environment.",
            )
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Settings {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        Flags::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl Settings {
    /// Reads what it takes to open the database, and starts logging as the settings say.
    fn database_url(&self) -> Result<SecretString, Problems> {
        let settings = DatabaseSettings::load(&self.0)?;
        let _ = telemetry::init(&settings.log.filter, settings.log.format, None);
        Ok(settings.url)
    }
}

/// Reads all settings, and starts logging as they say.
fn load(flags: &Flags) -> Result<Config, Problems> {
    let config = Config::load(flags)?;
    let _ = telemetry::init(&config.log.filter, config.log.format, None);
    Ok(config)
}

/// The command was understood but makes no sense as asked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// A command said everything there is to say; only the exit code is left.
#[derive(Debug, thiserror::Error)]
#[error("failed")]
struct Failed;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    // Shown on top of everything they would bury the commands.
    let command =
        SETTINGS.iter().fold(Cli::command(), |command, setting| command.mut_arg(setting.name, |arg| arg.hide(true)));
    let cli = Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit());
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(threads()).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error.into()),
    };
    match to_the_end(runtime, run(cli, &mut io::stdout())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error),
    }
}

/// Threads that serve: one core is left to those that store deliveries and compute, and often to a database. (More deliveries a
/// second on two cores than with a thread a core; benches/README.md says how many.)
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() - 1).max(1))
}

/// Time that is left to what was computed aside when a command has ended.
const LEFTOVERS: Duration = Duration::from_millis(500);

/// Runs a command. When it has ended, nobody waits for long for what it left behind: whoever wanted it is gone, and a
/// runtime that is merely dropped would wait for a computation as long as that takes.
fn to_the_end<T>(runtime: tokio::runtime::Runtime, command: impl Future<Output = T>) -> T {
    let ended = runtime.block_on(command);
    runtime.shutdown_timeout(LEFTOVERS);
    ended
}

async fn run(cli: Cli, out: &mut dyn Write) -> anyhow::Result<()> {
    match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(serve) => serve.run().await,
        Command::Demo { once } => demo::run(once).await,
        Command::Openapi(openapi) => openapi.run(out),
        Command::Migrate(migrate) => migrate.run(out).await,
        Command::Doctor(settings) => doctor::run(&settings.0, out).await,
        Command::Health(health) => health.run(out).await,
        Command::Replay(replay) => replay.run(out).await,
        Command::Deliveries(deliveries) => deliveries.run(out).await,
    }
}

/// Says what went wrong, and with which code to exit.
fn complain(error: &anyhow::Error) -> ExitCode {
    // `nectr openapi | head` is not an error.
    let broken_pipe = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    if error.downcast_ref::<io::Error>().is_some_and(broken_pipe) {
        return ExitCode::SUCCESS;
    }
    if error.is::<Failed>() {
        return ExitCode::FAILURE;
    }
    if let Some(problems) = error.downcast_ref::<Problems>() {
        eprintln!("nectr cannot start with these settings:");
        for problem in &problems.0 {
            eprintln!("  {}", problem.text);
        }
        eprintln!("`nectr serve --help` lists the settings, `nectr doctor` checks them.");
        return ExitCode::FAILURE;
    }
    eprintln!("nectr: {error:#}");
    if error.is::<Usage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn command(line: &str) -> Command {
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        cli.command.unwrap_or(Command::Serve(cli.serve))
    }

    #[test]
    fn a_computation_that_does_not_end_keeps_no_process_alive() {
        let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        let (begun, begins) = std::sync::mpsc::channel();
        let command = async {
            tokio::task::spawn_blocking(move || {
                begun.send(()).unwrap();
                // Until `go_on` is dropped, which is after everything else.
                let _ = wait.recv();
            });
            begins.recv().unwrap();
            "ended"
        };
        assert_eq!(to_the_end(runtime, command), "ended");
        drop(go_on);
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_command_it_serves_with_the_flags_of_serve() {
        let Command::Serve(plain) = command("nectr --port 9000 --role worker") else { panic!() };
        let Command::Serve(named) = command("nectr serve --port 9000 --role worker") else { panic!() };
        assert_eq!(format!("{plain:?}"), format!("{named:?}"));
        assert!(matches!(command("nectr"), Command::Serve(_)));
    }

    #[test]
    fn settings_are_flags_of_every_command_that_uses_them() {
        for line in [
            "nectr doctor --port 1",
            "nectr migrate status --database-url sqlite://x",
            "nectr deliveries list --database-url sqlite://x",
            "nectr replay x.json --github-webhook-secret-file y",
            "nectr health --port 9000",
        ] {
            command(line);
        }
    }

    #[test]
    fn serve_help_lists_every_setting_and_other_commands_point_there() {
        let mut cli = Cli::command();
        let mut help = |name: &str| cli.find_subcommand_mut(name).unwrap().render_long_help().to_string();
        let (serve, doctor) = (help("serve"), help("doctor"));
        for setting in SETTINGS {
            assert!(serve.contains(setting.name), "{}", setting.name);
        }
        assert!(!doctor.contains("--port") && doctor.contains("nectr serve --help"));
    }
}
