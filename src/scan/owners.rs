//! CODEOWNERS: who is responsible for which files, by GitHub's rules (the last matching line decides).
//!
//! Where GitHub would refuse the file (too large) or a line, it is not there; nothing in a file costs more than reading it
//! once and keeping its patterns compiled.

use globset::{Candidate, Glob, GlobBuilder, GlobSet, GlobSetBuilder};

/// Where GitHub looks for the file; it reads the first it finds.
pub const PLACES: [&str; 3] = [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"];

/// GitHub ignores larger files; it says so in its documentation ("must be under 3 MB in size").
pub const MAX_FILE: usize = 3 * 1024 * 1024;

/// Most lines with a pattern. A file with more is ignored: half of it would name the wrong people.
const MAX_RULES: usize = 10_000;

/// Longest pattern that is read, in bytes, and most wildcards in it: ten times what people write. Automata grow with both.
const MAX_PATTERN: usize = 1_024;
const MAX_WILDCARDS: usize = 32;

/// Most that all patterns of a file may cost together: bytes, once more for each wildcard among them. Measured: the slowest
/// file below this takes about as long to compile as ten thousand plain lines, those above it several seconds.
const MAX_COST: usize = 2_000_000;

/// Rules that are compiled into one automaton. More would not fit its size limit.
const CHUNK: usize = 128;

/// A CODEOWNERS file, read.
#[derive(Debug, Clone, Default)]
pub struct Owners {
    /// By line, each with the owners it names.
    rules: Vec<Vec<String>>,
    chunks: Vec<Chunk>,
}

/// Patterns that are tried together.
#[derive(Debug, Clone)]
struct Chunk {
    globs: GlobSet,
    /// To which rule each glob belongs, ascending.
    rules: Vec<usize>,
}

impl Owners {
    /// Reads a file. Lines GitHub would not take are skipped.
    pub fn parse(text: &str) -> Self {
        if text.len() >= MAX_FILE {
            return Self::default();
        }
        let mut owners = Self::default();
        let mut globs = Vec::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.lines().map(cost).sum::<usize>() > MAX_COST {
            return Self::default();
        }
        for (patterns, people) in text.lines().filter_map(line) {
            globs.extend(patterns.into_iter().map(|glob| (owners.rules.len(), glob)));
            owners.rules.push(people);
        }
        if owners.rules.len() > MAX_RULES {
            return Self::default();
        }
        owners.chunks = globs.chunks(CHUNK).flat_map(compile).collect();
        owners
    }

    /// The owners of `path`, as the file writes them but without the `@` (`login`, `org/team`; e-mail addresses are left
    /// out). Empty: nobody, or the last matching line names nobody.
    pub fn of(&self, path: &str) -> Vec<&str> {
        let candidate = Candidate::new(path);
        let last = self.chunks.iter().rev().find_map(|chunk| {
            let glob = chunk.globs.matches_candidate(&candidate).into_iter().max()?;
            chunk.rules.get(glob)
        });
        let people = last.and_then(|rule| self.rules.get(*rule));
        people.into_iter().flatten().map(String::as_str).collect()
    }
}

/// Compiles together what fits together; a pattern that is too large by itself is left out.
fn compile(globs: &[(usize, Glob)]) -> Vec<Chunk> {
    let mut set = GlobSetBuilder::new();
    for (_, glob) in globs {
        set.add(glob.clone());
    }
    match (set.build(), globs) {
        (Ok(set), _) => vec![Chunk { globs: set, rules: globs.iter().map(|(rule, _)| *rule).collect() }],
        (Err(_), [] | [_]) => Vec::new(),
        (Err(_), _) => {
            let (first, second) = globs.split_at(globs.len() / 2);
            [compile(first), compile(second)].concat()
        }
    }
}

/// The patterns and the owners of a line; none: empty, a comment, or nothing GitHub would take.
fn line(line: &str) -> Option<(Vec<Glob>, Vec<String>)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (pattern, rest) = split_pattern(line);
    let mut people = Vec::new();
    for word in rest.split_whitespace().take_while(|word| !word.starts_with('#')) {
        match word.strip_prefix('@') {
            Some(name) if is_owner(name) => people.push(name.to_owned()),
            None if is_mail(word) => {}
            _ => return None,
        }
    }
    people.dedup();
    Some((globs(pattern)?, people))
}

/// What the pattern of a line costs. Those that are too long are never compiled.
fn cost(line: &str) -> usize {
    let (pattern, _) = split_pattern(line.trim());
    if pattern.len() > MAX_PATTERN || pattern.starts_with('#') { 0 } else { pattern.len() * (1 + wildcards(pattern)) }
}

fn wildcards(pattern: &str) -> usize {
    pattern.matches(['*', '?']).count()
}

/// A pattern ends at the first white space that no backslash stands before.
fn split_pattern(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.char_indices().find(|(_, c)| {
        let ends = c.is_whitespace() && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    line.split_at(end.map_or(line.len(), |(at, _)| at))
}

/// `login` or `org/team`.
fn is_owner(name: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    name.len() <= 200
        && match name.split_once('/') {
            Some((organisation, team)) => part(organisation) && part(team),
            None => part(name),
        }
}

fn is_mail(word: &str) -> bool {
    word.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.') && !host.contains('@'))
}

/// What a pattern means in the words of `globset`, where `*` stays inside a folder too. (Its `?` is one byte, not one letter.)
fn globs(pattern: &str) -> Option<Vec<Glob>> {
    if pattern.len() > MAX_PATTERN || wildcards(pattern) > MAX_WILDCARDS {
        return None;
    }
    // Of what gitignore knows, GitHub's documentation says that these (and ranges) do not work.
    if pattern.starts_with(['!', '#']) || pattern.starts_with("\\#") {
        return None;
    }
    let (pattern, is_folder) = match pattern.strip_suffix('/') {
        Some(folder) => (folder, true),
        None => (pattern, false),
    };
    let anchored = pattern.contains('/');
    let mut segments: Vec<String> = Vec::new();
    for segment in pattern.strip_prefix('/').unwrap_or(pattern).split('/') {
        let segment = translate(segment)?;
        if !(segment == "**" && segments.last().is_some_and(|before| before == "**")) {
            segments.push(segment);
        }
    }
    if segments.iter().any(String::is_empty) {
        // `/` is no folder of the repository, and `a//b` none of any.
        return None;
    }
    let last = segments.last().cloned()?;
    if !anchored && segments[0] != "**" {
        segments.insert(0, "**".to_owned());
    }
    let path = segments.join("/");
    // A folder stands for all it holds. Only `folder/*` means the files right in it, unlike in gitignore.
    let below = (last != "**").then(|| format!("{path}/**"));
    let all = match (is_folder, last == "*" && anchored) {
        (true, _) => vec![below.unwrap_or(path)],
        (false, true) => vec![path],
        (false, false) => std::iter::once(path).chain(below).collect(),
    };
    all.iter().map(|glob| GlobBuilder::new(glob).literal_separator(true).backslash_escape(true).build().ok()).collect()
}

/// One segment. `**` is special only alone; braces mean nothing to GitHub; ranges in brackets do not work there.
fn translate(segment: &str) -> Option<String> {
    if segment == "**" {
        return Some(segment.to_owned());
    }
    let mut glob = String::with_capacity(segment.len());
    let mut chars = segment.chars();
    while let Some(c) = chars.next() {
        match c {
            '[' | ']' => return None,
            '*' if glob.ends_with('*') && !glob.ends_with("\\*") => {}
            '{' | '}' => glob.extend(['\\', c]),
            '\\' => glob.extend(['\\', chars.next()?]),
            c => glob.push(c),
        }
    }
    Some(glob)
}

#[cfg(test)]
#[path = "owners/tests.rs"]
mod tests;
