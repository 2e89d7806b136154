//! A profile in the making: everything that goes in is made safe to show, sorted, and kept short.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    commands::{self, Purpose},
    project::File,
    text,
};
use crate::domain::profile::{Commands, Package};

/// Most entries of each list: nobody reads more.
pub(super) const MAX_ENTRIES: usize = 50;

/// Most commands of each kind: the first ones are the ones to run.
const MAX_COMMANDS: usize = 12;

/// Longest command. A longer one is a script, and half of it would be wrong.
const MAX_COMMAND: usize = 120;

/// How a command is known, most trusted first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// CI runs it.
    Ci,
    /// The project has given it a name.
    Named,
    /// It is what projects of this kind do.
    Usual,
}

/// A list on the way into the profile.
#[derive(Debug, Default)]
pub(super) struct List(BTreeSet<String>);

impl List {
    pub(super) fn add(&mut self, entry: impl AsRef<str>) {
        let entry = text::shown(entry.as_ref());
        // Ten times what is shown, so that what is shown hardly depends on the order of files.
        if !entry.is_empty() && self.0.len() < 10 * MAX_ENTRIES {
            self.0.insert(entry);
        }
    }

    pub(super) fn finish(self) -> Vec<String> {
        self.0.into_iter().take(MAX_ENTRIES).collect()
    }
}

/// What was learned so far.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) frameworks: List,
    pub(super) managers: List,
    pub(super) ci: List,
    pub(super) entries: List,
    pub(super) conventions: List,
    packages: BTreeMap<(String, &'static str), Option<String>>,
    commands: Vec<(Purpose, Source, String)>,
    troubles: Vec<String>,
}

impl Draft {
    /// A file as JSON; a trouble if it is none.
    pub(super) fn json(&mut self, file: &File<'_>) -> Option<Value> {
        let read = text::json(file.text);
        self.read(file, read)
    }

    /// A file as TOML, likewise.
    pub(super) fn toml(&mut self, file: &File<'_>) -> Option<toml::Table> {
        let read = text::toml(file.text);
        self.read(file, read)
    }

    /// A file as YAML, likewise.
    pub(super) fn yaml(&mut self, file: &File<'_>) -> Option<Value> {
        let read = text::yaml(file.text);
        self.read(file, read)
    }

    /// A file as XML, likewise.
    pub(super) fn xml<'f>(&mut self, file: &File<'f>) -> Option<roxmltree::Document<'f>> {
        let read = text::xml(file.text);
        self.read(file, read)
    }

    fn read<T>(&mut self, file: &File<'_>, read: Result<T, String>) -> Option<T> {
        read.map_err(|wrong| self.trouble(&format!("{}: {wrong}", text::shown(file.path)))).ok()
    }

    pub(super) fn trouble(&mut self, trouble: &str) {
        let trouble = text::shown(trouble);
        if self.troubles.len() < MAX_ENTRIES && !self.troubles.contains(&trouble) {
            self.troubles.push(trouble);
        }
    }

    /// Adds a package, or its name to a package that is known.
    pub(super) fn package(&mut self, folder: &str, name: Option<&str>, ecosystem: &'static str) {
        if self.packages.len() >= 10 * MAX_ENTRIES {
            return;
        }
        let name = name.map(text::shown).filter(|name| !name.is_empty());
        let known = self.packages.entry((text::shown(folder), ecosystem)).or_default();
        *known = known.take().or(name);
    }

    /// Adds a command, if it can be told what it is for.
    pub(super) fn command(&mut self, source: Source, command: &str) {
        if let Some(purpose) = commands::purpose(command) {
            self.command_for(purpose, source, command);
        }
    }

    /// Adds a command.
    pub(super) fn command_for(&mut self, purpose: Purpose, source: Source, command: &str) {
        if command.len() <= MAX_COMMAND && self.commands.len() < 1_000 {
            self.commands.push((purpose, source, text::shown(command)));
        }
    }

    /// Names the frameworks of a table that are among the dependencies.
    pub(super) fn depends_on<'n>(&mut self, table: &[(&str, &str)], dependencies: impl IntoIterator<Item = &'n str>) {
        for dependency in dependencies {
            for (_, framework) in table.iter().filter(|(name, _)| matches(name, dependency)) {
                self.frameworks.add(framework);
            }
        }
    }

    /// The commands, in order of trust.
    pub(super) fn commands(&mut self) -> Commands {
        let mut all = std::mem::take(&mut self.commands);
        all.sort_by_key(|(_, source, _)| *source);
        let of = |wanted: Purpose| {
            let mut commands: Vec<String> = Vec::new();
            let mut tools = BTreeSet::new();
            for (_, source, command) in all.iter().filter(|(purpose, ..)| *purpose == wanted) {
                // What is usual only fills a gap.
                if *source < Source::Usual {
                    tools.insert(tool(command));
                } else if tools.contains(tool(command)) {
                    continue;
                }
                if commands.len() < MAX_COMMANDS && !commands.contains(command) {
                    commands.push(command.clone());
                }
            }
            commands
        };
        Commands { build: of(Purpose::Build), test: of(Purpose::Test), lint: of(Purpose::Lint) }
    }

    pub(super) fn packages(&mut self) -> Vec<Package> {
        let packages = std::mem::take(&mut self.packages).into_iter().take(MAX_ENTRIES);
        packages.map(|((path, ecosystem), name)| Package { path, name, ecosystem: ecosystem.to_owned() }).collect()
    }

    pub(super) fn troubles(&mut self) -> Vec<String> {
        std::mem::take(&mut self.troubles)
    }
}

/// `name*` stands for every dependency that begins so.
fn matches(name: &str, dependency: &str) -> bool {
    match name.strip_suffix('*') {
        Some(start) => dependency.starts_with(start),
        None => name == dependency,
    }
}

/// The tool of a command, wherever it is run.
fn tool(command: &str) -> &str {
    let last = command.rsplit("&&").next().unwrap_or(command);
    commands::words(last).first().copied().unwrap_or_default()
}

/// A string at the end of a path of keys.
pub(super) fn string<'v>(value: &'v Value, keys: &[&str]) -> Option<&'v str> {
    keys.iter().try_fold(value, |value, key| value.get(key))?.as_str()
}

/// The keys of the object at the end of a path of keys.
pub(super) fn keys<'v>(value: &'v Value, path: &[&str]) -> impl Iterator<Item = &'v str> {
    let object = path.iter().try_fold(value, |value, key| value.get(key)).and_then(Value::as_object);
    object.into_iter().flat_map(|object| object.keys().map(String::as_str))
}

/// The value at the end of a path of keys.
pub(super) fn at<'v>(table: &'v toml::Table, path: &[&str]) -> Option<&'v toml::Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(table.get(*first)?, |value, key| value.get(key))
}

/// The keys of the table at the end of a path of keys.
pub(super) fn names<'v>(table: &'v toml::Table, path: &[&str]) -> impl Iterator<Item = &'v str> {
    at(table, path).and_then(toml::Value::as_table).into_iter().flat_map(|table| table.keys().map(String::as_str))
}
