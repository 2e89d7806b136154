//! What is reviewed: made-up repositories and median pull requests, the same every time, on a GitHub in this process.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use futures_util::future::join_all;
use nectr::sandbox::{Call, Pr, Sandbox};

/// Who connects the repositories.
pub const ADMIN: &str = "octavia";
/// Who reviews.
pub const BOT: &str = "nectr-bot";

/// Repositories the pull requests are spread over.
const REPOS: usize = 20;
/// Files of each.
const FILES: usize = 60;
/// Lines of a file.
const LINES: usize = 80;
/// Who opens pull requests.
const PEOPLE: usize = 30;
/// Deliveries on their way at once.
const AT_ONCE: usize = 16;

/// A GitHub, and how much has happened there.
pub struct World {
    pub github: Sandbox,
    pub repos: Vec<String>,
    opened: usize,
}

impl World {
    pub async fn new() -> Result<Self> {
        let github = Sandbox::start().await?;
        github.user(ADMIN);
        github.bot(BOT);
        let repos: Vec<String> = (0..REPOS).map(|number| format!("acme/service-{number}")).collect();
        for repo in &repos {
            github.repo(repo).private().admin(ADMIN).write(BOT);
            github.add_files(repo, (0..FILES).map(|file| (path(file), text(file, None))));
        }
        Ok(Self { github, repos, opened: 0 })
    }

    /// Opens so many pull requests and has their deliveries accepted. With `mix` other things happen to them too, before
    /// anybody looks. Returns how many deliveries that were.
    pub async fn happen(&mut self, pulls: usize, mix: bool) -> Result<usize> {
        for _ in 0..pulls {
            let pr = self.open();
            if mix {
                self.go_on(pr);
            }
        }
        let sent = join_all((0..AT_ONCE).map(|_| self.github.deliver_all())).await.concat();
        for sent in &sent {
            ensure!(matches!(sent.answer.status, Some(200 | 202)), "a delivery was not accepted: {:?}", sent.answer);
        }
        Ok(sent.iter().filter(|sent| sent.answer.status == Some(202)).count())
    }

    /// The median pull request: three files, some 30 lines; every third has something to be found.
    fn open(&mut self) -> Pr {
        let number = self.opened;
        self.opened += 1;
        let repo = &self.repos[number % REPOS];
        let first = number / REPOS;
        let files = [first % FILES, (first + 1) % FILES, (first * 7 + 29) % FILES];
        self.github.open_pull(repo, |pull| {
            let pull = pull
                .title(&format!("Orders of kind {number} are shipped in one go"))
                .body(
                    "Until now every position of an order was shipped by itself, which cost as many labels as there \
                     were positions.\n\nThey are collected first now. The label printer is asked once.",
                )
                .author(&format!("person-{}", number % PEOPLE));
            files.iter().fold(pull, |pull, file| {
                let debug = number.is_multiple_of(3) && *file == files[0];
                pull.modifies(&path(*file), &text(*file, None), &text(*file, Some((number, debug))))
            })
        })
    }

    /// Every second is pushed to, every fifth gets another title, every fourth is merged or closed.
    fn go_on(&self, pr: Pr) {
        let number = self.opened;
        if number.is_multiple_of(2) {
            let file = number % FILES;
            self.github
                .push(pr, |files| files.modifies(&path(file), &text(file, None), &text(file, Some((number, false)))));
        }
        if number.is_multiple_of(5) {
            self.github.edit_title(pr, &format!("Orders of kind {number} are shipped at once"));
        }
        match number % 8 {
            0..=2 => {}
            3 => self.github.merge(pr),
            7 => self.github.close(pr),
            _ => {}
        }
    }

    /// What the bot asked since the last time, by route, and how many of them were writes.
    pub fn take_calls(&self) -> Calls {
        let calls = self.github.calls();
        self.github.forget_calls();
        let mut routes: BTreeMap<String, usize> = BTreeMap::new();
        let mut seen = Calls { reads: 0, writes: 0, routes: Vec::new() };
        for call in calls.iter().filter(|call| call.user.as_deref() == Some(BOT)) {
            match call.method.as_str() {
                "GET" => seen.reads += 1,
                _ if call.path == "/graphql" => seen.reads += 1,
                _ => seen.writes += 1,
            }
            *routes.entry(route(call)).or_default() += 1;
        }
        seen.routes = routes.into_iter().collect();
        seen.routes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        seen
    }
}

/// What GitHub was asked by the bot.
pub struct Calls {
    pub reads: usize,
    pub writes: usize,
    pub routes: Vec<(String, usize)>,
}

/// A call without its names and numbers, with its status.
fn route(call: &Call) -> String {
    let mut segments: Vec<&str> = call.path.split('/').collect();
    if segments.get(1) == Some(&"repos") {
        for segment in segments.iter_mut().skip(2) {
            if !matches!(*segment, "pulls" | "files" | "reviews" | "events" | "git" | "trees" | "contents" | "issues") {
                *segment = "*";
            }
        }
    }
    format!("{} {} {}", call.method, segments.join("/"), call.status)
}

fn path(file: usize) -> String {
    format!("src/{}/part_{file}.rs", ["orders", "labels", "stock", "web"][file % 4])
}

/// A file as it is, or as a pull request leaves it.
fn text(file: usize, change: Option<(usize, bool)>) -> String {
    let mut text = String::new();
    for line in 0..LINES {
        let changed = change.filter(|(number, _)| (line + number) % LINES < 6);
        text.push_str(&match changed {
            Some((number, _)) => format!("    let step_{line} = collect({file}, {line}, positions_of({number}));\n"),
            None => format!("    let step_{line} = ship({file}, {line});\n"),
        });
        if line == 40
            && let Some((number, debug)) = change
        {
            text.push_str(&format!("    // Position {number} comes last.\n"));
            if debug {
                text.push_str(&format!("    dbg!(step_{line});\n"));
            }
        }
    }
    text
}
