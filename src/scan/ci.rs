//! Continuous integration: which, and what it really runs.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::{
    commands,
    draft::{Draft, Source},
    keys,
    project::{File, Project, file_name},
};

/// Keys under which the commands of a job stand.
const SCRIPTS: &[&str] =
    &["run", "script", "bash", "pwsh", "powershell", "command", "commands", "test_script", "build_script"];

/// Most commands of one file that are looked at.
const MAX_LINES: usize = 500;

pub(super) fn learn(project: &Project<'_>, draft: &mut Draft) {
    for path in project.paths().filter(|path| keys::is_ci(path)) {
        draft.ci.add(match path.strip_prefix(".github/workflows/") {
            Some(name) => format!("GitHub Actions: {name}"),
            None => format!("{}: {path}", service(path)),
        });
        let Some(text) = project.text(path) else { continue };
        let file = File { folder: "", path, text };
        let mut lines = Vec::new();
        if file_name(path) == "Jenkinsfile" {
            lines = jenkins(text);
        } else if let Some(read) = draft.yaml(&file) {
            collect(&read, &mut lines);
        }
        for line in lines.iter().take(MAX_LINES) {
            draft.command(Source::Ci, line);
        }
    }
}

fn service(path: &str) -> &'static str {
    match path {
        ".gitlab-ci.yml" => "GitLab CI",
        ".circleci/config.yml" => "CircleCI",
        ".travis.yml" => "Travis CI",
        "Jenkinsfile" => "Jenkins",
        "bitbucket-pipelines.yml" => "Bitbucket Pipelines",
        ".drone.yml" => "Drone",
        ".cirrus.yml" => "Cirrus CI",
        ".buildkite/pipeline.yml" => "Buildkite",
        path if path.contains("appveyor") => "AppVeyor",
        _ => "Azure Pipelines",
    }
}

/// The commands below any of [`SCRIPTS`], in the order of the file. The reader has bounded its depth.
fn collect(value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                if SCRIPTS.contains(&key.as_str()) {
                    scripts(value, lines);
                } else {
                    collect(value, lines);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, lines)),
        _ => {}
    }
}

fn scripts(value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::String(script) => lines.extend(commands::lines(script).into_iter().take(MAX_LINES)),
        Value::Array(values) => values.iter().for_each(|value| scripts(value, lines)),
        Value::Object(_) => collect(value, lines),
        _ => {}
    }
}

/// What stands in `sh '…'` and `sh "…"`, however it is quoted.
fn jenkins(text: &str) -> Vec<String> {
    let steps = JENKINS.captures_iter(text).filter_map(|step| step.iter().skip(1).flatten().next());
    steps.flat_map(|script| commands::lines(script.as_str())).take(MAX_LINES).collect()
}

static JENKINS: LazyLock<Regex> = LazyLock::new(|| {
    let quoted = r#"'''([^']*)'''|"""([^"]*)"""|'([^'\n]*)'|"([^"\n]*)""#;
    #[allow(clippy::unwrap_used, reason = "a constant; the tests run it")]
    Regex::new(&format!(r"\b(?:sh|bat)\b\s*\(?\s*(?:script\s*:\s*)?(?:{quoted})")).unwrap()
});
