//! Make, just and Task: commands that the project gave a name.

use serde_json::Value;

use super::{
    commands::{Purpose, by_name},
    draft::{Draft, Source},
    project::{File, Project},
};

pub(super) fn learn(project: &Project<'_>, draft: &mut Draft) {
    for file in project.files(|name| matches!(name, "Makefile" | "makefile" | "GNUmakefile")) {
        let targets = targets(&file, |c| c.is_ascii_alphanumeric() || "-_./".contains(c));
        add(draft, &file, "make", &targets);
    }
    for file in project.files(|name| matches!(name, "justfile" | "Justfile" | ".justfile")) {
        let targets = targets(&file, |c| c.is_ascii_alphanumeric() || "-_".contains(c));
        add(draft, &file, "just", &targets);
    }
    for file in project.files(|name| matches!(name, "Taskfile.yml" | "Taskfile.yaml")) {
        let Some(read) = draft.yaml(&file) else { continue };
        let tasks = read.get("tasks").and_then(Value::as_object).into_iter().flatten();
        let names: Vec<_> =
            tasks.map(|(name, _)| name.as_str()).filter(|name| !name.contains(char::is_whitespace)).collect();
        add(draft, &file, "task", &names);
    }
}

fn add(draft: &mut Draft, file: &File<'_>, tool: &str, names: &[&str]) {
    // Only what can be run from the root: deeper ones are parts of it.
    if !file.folder.is_empty() {
        return;
    }
    for name in names.iter().take(200) {
        let purpose = if (tool, *name) == ("make", "check") { Some(Purpose::Test) } else { by_name(name) };
        if let Some(purpose) = purpose {
            draft.command_for(purpose, Source::Named, &format!("{tool} {name}"));
        }
    }
}

/// Names that stand at the beginning of a line, before a colon (and, for just, parameters).
fn targets<'t>(file: &File<'t>, may: impl Fn(char) -> bool) -> Vec<&'t str> {
    let heads = file.text.lines().filter_map(|line| {
        let (head, rest) = line.split_once(':')?;
        // `NAME := value` is a variable, `.PHONY:` a remark.
        (!rest.starts_with('=') && !head.starts_with(['.', ' ', '\t', '#', '@', '['])).then_some(head)
    });
    let names = heads.flat_map(|head| head.split_whitespace().take(1));
    names.filter(|name| name.len() <= 40 && name.chars().all(&may)).take(500).collect()
}
