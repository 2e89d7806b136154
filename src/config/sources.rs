//! Where values come from: flag, then environment, then `.env`. The only place that looks at the process environment.
//!
//! A setting is taken from one source whole: a flag `--github-pat` is not confused by a `GITHUB_PAT_FILE` in the
//! environment. An empty value counts as none.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use clap::{Arg, ArgMatches, Command, FromArgMatches};

use super::{Problems, SETTINGS, Setting, WhenUnset};

const ENV_FILE: &str = ".env";

/// The settings given on the command line. A `clap` argument group made from [`SETTINGS`].
#[derive(Clone, Default)]
pub struct Flags(BTreeMap<&'static str, String>);

// Flags may hold secrets, and clap's parents want to be shown.
impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Which source a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Flag,
    /// The process environment.
    Environment,
    /// The file `.env`.
    EnvFile,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::EnvFile => ENV_FILE,
        })
    }
}

/// All sources, looked through.
pub(super) struct Sources {
    pub values: Values,
    /// The `.env` that was read, if there is one.
    pub env_file: Option<PathBuf>,
}

impl Sources {
    /// Looks at the process and its working directory.
    pub fn gather(flags: &Flags) -> (Self, Problems) {
        let mut problems = Problems::default();
        let (from_file, env_file) = env_file(&mut problems);
        let values = Values::gather(flags, environment, &from_file, &mut problems);
        (Self { values, env_file }, problems)
    }

    /// What a variable is set to.
    pub fn lookup(&self) -> impl Fn(&str) -> Option<String> {
        |name| self.values.get(name).map(|(value, _)| value.clone())
    }
}

/// What was found, by variable.
#[derive(Default)]
pub(super) struct Values(BTreeMap<&'static str, (String, Origin)>);

impl Values {
    pub fn get(&self, name: &str) -> Option<&(String, Origin)> {
        self.0.get(name)
    }

    /// Looks through all sources. `environment` answers with an error for what is not Unicode.
    pub fn gather(
        flags: &Flags,
        environment: impl Fn(&str) -> Result<Option<String>, ()>,
        env_file: &BTreeMap<String, String>,
        problems: &mut Problems,
    ) -> Self {
        let mut values = Self::default();
        for setting in SETTINGS {
            let mut find = |name: &'static str, origin| match origin {
                Origin::Flag => flags.0.get(name).cloned(),
                Origin::EnvFile => env_file.get(name).cloned(),
                Origin::Environment => environment(name).unwrap_or_else(|()| {
                    problems.add(setting.name, format!("{name} is not UTF-8."));
                    None
                }),
            };
            for origin in [Origin::Flag, Origin::Environment, Origin::EnvFile] {
                let found: Vec<_> = names(setting)
                    .filter_map(|name| Some((name, find(name, origin)?)))
                    .filter(|(_, value)| !value.is_empty())
                    .collect();
                if !found.is_empty() {
                    values.0.extend(found.into_iter().map(|(name, value)| (name, (value, origin))));
                    break;
                }
            }
        }
        values
    }
}

fn names(setting: &'static Setting) -> impl Iterator<Item = &'static str> {
    [Some(setting.name), setting.file.map(|(name, _)| name)].into_iter().flatten()
}

fn environment(name: &str) -> Result<Option<String>, ()> {
    std::env::var_os(name).map(|value| value.into_string().map_err(drop)).transpose()
}

/// The file `.env` of the working directory, if there is one.
fn env_file(problems: &mut Problems) -> (BTreeMap<String, String>, Option<PathBuf>) {
    match std::fs::read_to_string(ENV_FILE) {
        Ok(text) => (parse_env_file(&text, problems), Some(ENV_FILE.into())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => (BTreeMap::new(), None),
        Err(error) => {
            problems.add(ENV_FILE, format!("{ENV_FILE} cannot be read: {error}."));
            (BTreeMap::new(), None)
        }
    }
}

pub(super) fn parse_env_file(text: &str, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for line in dotenvy::from_read_iter(text.as_bytes()) {
        match line {
            Ok((name, value)) => drop(values.insert(name, value)),
            // The line may hold a secret: only its number is shown.
            Err(dotenvy::Error::LineParse(wrong, _)) => {
                let number = text.lines().position(|line| line.contains(wrong.trim())).map_or(0, |at| at + 1);
                let text = format!("{ENV_FILE}, line {number}: not NAME=value (values with spaces or # need quotes).");
                problems.add(ENV_FILE, text);
            }
            Err(_) => problems.add(ENV_FILE, format!("{ENV_FILE} cannot be read.")),
        }
    }
    values
}

impl clap::Args for Flags {
    fn augment_args(command: Command) -> Command {
        SETTINGS.iter().fold(command, |command, setting| {
            let arg = Arg::new(setting.name)
                .long(setting.flag)
                .value_name(setting.value)
                .help_heading(setting.section)
                .help(help(setting));
            let file = setting.file.map(|(name, flag)| Arg::new(name).long(flag).value_name("FILE").hide(true));
            command.arg(arg).args(file)
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for name in SETTINGS.iter().flat_map(names) {
            if let Some(value) = matches.get_one::<String>(name) {
                self.0.insert(name, value.clone());
            }
        }
        Ok(())
    }
}

/// One setting's lines in `--help`.
fn help(setting: &Setting) -> String {
    let variable = match setting.file {
        Some((file, _)) => format!("{} or {file}", setting.name),
        None => setting.name.to_owned(),
    };
    let default = match setting.default {
        WhenUnset::Nothing => String::new(),
        WhenUnset::Value(text) | WhenUnset::Derived(text) => format!(" [default: {text}]"),
    };
    let required = if setting.required_in_production { " [required in production]" } else { "" };
    format!("{} [env: {variable}]{default}{required}", setting.help)
}
