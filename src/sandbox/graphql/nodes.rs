//! The world as GraphQL sees it: what each field of each type is.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{Wrong, resolve::Arguments};
use crate::sandbox::{
    ask::Ask,
    change::Row,
    closing::closing,
    show::{DISK_KILOBYTES, time},
    world::{Account, File, Issue, Kind, Mode, Pull, Repo, World},
};

/// Texts above this are cut off by GitHub.
const LONGEST_TEXT: usize = 512_000;

/// Something that has fields.
#[derive(Clone)]
pub enum Node<'w> {
    Query,
    Repo(&'w Repo),
    Issue(&'w Repo, &'w Issue),
    Pull(&'w Repo, &'w Pull),
    File(&'w File),
    Folder(String),
    Commit(String),
    Branch(&'w Repo),
    Actor(&'w Account),
    Row(&'w Row),
    Label(&'w str),
    Page { end: Option<String>, more: bool },
    List { kind: &'static str, rows: Vec<Node<'w>>, total: usize, page: Box<Node<'w>> },
}

/// What a field is.
pub enum Out<'w> {
    Leaf(Value),
    One(Node<'w>),
    Many(Vec<Node<'w>>),
    Missing(Wrong),
}

impl<'w> Node<'w> {
    /// `__typename`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Query => "Query",
            Self::Repo(_) => "Repository",
            Self::Issue(..) => "Issue",
            Self::Pull(..) => "PullRequest",
            Self::File(_) => "Blob",
            Self::Folder(_) => "Tree",
            Self::Commit(_) => "Commit",
            Self::Branch(_) => "Ref",
            Self::Actor(account) => match account.kind {
                Kind::User => "User",
                Kind::Bot => "Bot",
                Kind::Organization => "Organization",
            },
            Self::Row(_) => "PullRequestChangedFile",
            Self::Label(_) => "Label",
            Self::Page { .. } => "PageInfo",
            Self::List { kind, .. } => kind,
        }
    }

    pub fn field(&self, world: &'w World, ask: &Ask, name: &str, arguments: &Arguments<'_, '_>) -> Out<'w> {
        match self {
            Self::Query => repository(world, ask, arguments),
            Self::Repo(repo) => repo_field(world, repo, name, arguments),
            Self::Issue(repo, issue) => issue_field(world, repo, issue, name, arguments),
            Self::Pull(repo, pull) => pull_field(world, ask, repo, pull, name, arguments),
            Self::File(file) => Out::Leaf(file_field(file, name)),
            Self::Folder(oid) | Self::Commit(oid) => Out::Leaf(oid.as_str().into()),
            Self::Branch(repo) => match (name, repo.branches.get(&repo.default_branch)) {
                ("target", Some(tip)) => Out::One(Node::Commit(tip.clone())),
                _ => Out::Leaf(repo.default_branch.as_str().into()),
            },
            Self::Actor(account) => Out::Leaf(match name {
                "databaseId" => account.id.into(),
                // An app's login is written without what REST writes behind it.
                _ => account.login.trim_end_matches("[bot]").into(),
            }),
            Self::Row(row) => Out::Leaf(match name {
                "additions" => row.additions.into(),
                "deletions" => row.deletions.into(),
                _ => row.path.as_str().into(),
            }),
            Self::Label(label) => Out::Leaf((*label).into()),
            Self::Page { end, more } => Out::Leaf(match name {
                "endCursor" => end.clone().into(),
                _ => (*more).into(),
            }),
            Self::List { rows, total, page, .. } => match name {
                "nodes" => Out::Many(rows.clone()),
                "pageInfo" => Out::One((**page).clone()),
                _ => Out::Leaf((*total).into()),
            },
        }
    }

    /// What a cursor remembers of a row.
    fn key(&self) -> String {
        match self {
            Self::Issue(_, issue) => issue.number.to_string(),
            Self::Pull(_, pull) => pull.number.to_string(),
            Self::Row(row) => row.path.clone(),
            Self::Label(label) => (*label).to_owned(),
            _ => String::new(),
        }
    }
}

fn maybe(node: Option<Node<'_>>) -> Out<'_> {
    node.map_or(Out::Leaf(Value::Null), Out::One)
}

fn repository<'w>(world: &'w World, ask: &Ask, arguments: &Arguments<'_, '_>) -> Out<'w> {
    let part = |name: &str| arguments.get(name).as_str().unwrap_or_default().to_owned();
    let asked = format!("{}/{}", part("owner"), part("name"));
    let follow = arguments.get("followRenames") != false;
    let seen = world.find_repo(&asked).filter(|repo| {
        world.see(ask, repo.id).is_ok() && (follow || world.full_name(repo).eq_ignore_ascii_case(&asked))
    });
    let missing =
        || Out::Missing(Wrong::of("NOT_FOUND", format!("Could not resolve to a Repository with the name '{asked}'.")));
    seen.map_or_else(missing, |repo| Out::One(Node::Repo(repo)))
}

fn repo_field<'w>(world: &'w World, repo: &'w Repo, name: &str, arguments: &Arguments<'_, '_>) -> Out<'w> {
    let number = || arguments.get("number").as_i64().unwrap_or_default();
    let missing = |what: &str| {
        let message = format!("Could not resolve to {what} with the number of {}.", number());
        Out::Missing(Wrong::of("NOT_FOUND", message))
    };
    Out::Leaf(match name {
        "databaseId" => repo.id.into(),
        "nameWithOwner" => world.full_name(repo).into(),
        "isEmpty" => repo.branches.is_empty().into(),
        "isPrivate" => repo.private.into(),
        "stargazerCount" => repo.stars.into(),
        "forkCount" => world.forks(repo).into(),
        "diskUsage" => DISK_KILOBYTES.into(),
        "createdAt" => time(repo.created_at).into(),
        "defaultBranchRef" => return maybe((!repo.branches.is_empty()).then_some(Node::Branch(repo))),
        "object" => return maybe(object(world, repo, arguments.get("expression").as_str().unwrap_or_default())),
        "issue" => {
            return repo
                .issues
                .get(&number())
                .map_or_else(|| missing("an Issue"), |issue| Out::One(Node::Issue(repo, issue)));
        }
        "pullRequest" => {
            return repo
                .pulls
                .get(&number())
                .map_or_else(|| missing("a PullRequest"), |pull| Out::One(Node::Pull(repo, pull)));
        }
        "issues" => {
            let all = repo.issues.values().map(|issue| Node::Issue(repo, issue)).collect();
            return sorted("IssueConnection", all, arguments);
        }
        "pullRequests" => {
            let all = repo.pulls.values().map(|pull| Node::Pull(repo, pull)).collect();
            return sorted("PullRequestConnection", all, arguments);
        }
        _ => Value::Null,
    })
}

/// What git calls `expression`: a commit, or behind a colon a file or folder of it.
fn object<'w>(world: &'w World, repo: &'w Repo, expression: &str) -> Option<Node<'w>> {
    let (reference, path) = match expression.split_once(':') {
        Some((reference, path)) => (reference, Some(path)),
        None => (expression, None),
    };
    let commit = world.commit_of(repo, reference)?;
    let Some(path) = path else { return Some(Node::Commit(commit)) };
    let tree = repo.trees.get(&commit)?;
    let folder = if path.is_empty() { String::new() } else { format!("{path}/") };
    match tree.get(path) {
        Some(file) if file.mode == Mode::Submodule => Some(Node::Commit(file.sha.clone())),
        Some(file) => Some(Node::File(file)),
        None if tree.keys().any(|path| path.starts_with(&folder)) => Some(Node::Folder(commit)),
        None => None,
    }
}

fn file_field(file: &File, name: &str) -> Value {
    let text = std::str::from_utf8(&file.bytes).ok().filter(|text| !text.contains('\0'));
    match name {
        "byteSize" => file.bytes.len().into(),
        "isBinary" => text.is_none().into(),
        "isTruncated" => (file.bytes.len() > LONGEST_TEXT).into(),
        "text" => text.map(|text| text.chars().take(LONGEST_TEXT).collect::<String>()).into(),
        _ => file.sha.as_str().into(),
    }
}

fn issue_state(issue: &Issue) -> &'static str {
    if issue.closed_at.is_some() { "CLOSED" } else { "OPEN" }
}

fn issue_field<'w>(
    world: &'w World,
    repo: &'w Repo,
    issue: &'w Issue,
    name: &str,
    arguments: &Arguments<'_, '_>,
) -> Out<'w> {
    Out::Leaf(match name {
        "author" => return maybe(world.accounts.get(&issue.author).map(Node::Actor)),
        "repository" => return Out::One(Node::Repo(repo)),
        "labels" => {
            let labels = issue.labels.iter().map(|label| Node::Label(label)).collect();
            return page("LabelConnection", labels, arguments);
        }
        "body" => issue.body.clone().unwrap_or_default().into(),
        "closed" => issue.closed_at.is_some().into(),
        "closedAt" => issue.closed_at.map(time).into(),
        "createdAt" => time(issue.created_at).into(),
        "databaseId" => issue.id.into(),
        "number" => issue.number.into(),
        "state" => issue_state(issue).into(),
        "title" => issue.title.as_str().into(),
        "updatedAt" => time(issue.updated_at).into(),
        _ => Value::Null,
    })
}

fn pull_state(pull: &Pull) -> &'static str {
    let shown = pull.shown();
    match (shown.merged_at, shown.open) {
        (Some(_), _) => "MERGED",
        (None, true) => "OPEN",
        (None, false) => "CLOSED",
    }
}

fn pull_field<'w>(
    world: &'w World,
    ask: &Ask,
    repo: &'w Repo,
    pull: &'w Pull,
    name: &str,
    arguments: &Arguments<'_, '_>,
) -> Out<'w> {
    let shown = pull.shown();
    Out::Leaf(match name {
        "author" => return maybe(world.accounts.get(&pull.author).map(Node::Actor)),
        "repository" => return Out::One(Node::Repo(repo)),
        "labels" => return page("LabelConnection", Vec::new(), arguments),
        "files" => {
            let rows = shown.rows.iter().map(Node::Row).collect();
            return page("PullRequestChangedFileConnection", rows, arguments);
        }
        "closingIssuesReferences" => return page("IssueConnection", closes(world, ask, repo, pull), arguments),
        "baseRefName" => shown.base_ref.as_str().into(),
        "body" => shown.body.clone().unwrap_or_default().into(),
        "changedFiles" => shown.rows.len().into(),
        "closedAt" => shown.closed_at.map(time).into(),
        "createdAt" => time(pull.created_at).into(),
        "databaseId" => pull.id.into(),
        "headRefName" => pull.branch.as_str().into(),
        "headRefOid" => shown.head.as_str().into(),
        "isDraft" => shown.draft.into(),
        "merged" => shown.merged_at.is_some().into(),
        "mergedAt" => shown.merged_at.map(time).into(),
        "number" => pull.number.into(),
        "state" => pull_state(pull).into(),
        "title" => shown.title.as_str().into(),
        "updatedAt" => time(shown.updated_at).into(),
        _ => Value::Null,
    })
}

/// The issues that the text of a pull request closes: only one for the default branch closes any.
fn closes<'w>(world: &'w World, ask: &Ask, repo: &'w Repo, pull: &'w Pull) -> Vec<Node<'w>> {
    let shown = pull.shown();
    if shown.base_ref != repo.default_branch {
        return Vec::new();
    }
    let find = |(name, number): (Option<String>, i64)| {
        let repo = match name {
            Some(name) => world.find_repo(&name).filter(|repo| world.see(ask, repo.id).is_ok())?,
            None => repo,
        };
        Some(Node::Issue(repo, repo.issues.get(&number)?))
    };
    closing(shown.body.as_deref().unwrap_or_default()).into_iter().filter_map(find).collect()
}

/// A page of issues or pull requests, by state and in order.
fn sorted<'w>(kind: &'static str, mut all: Vec<Node<'w>>, arguments: &Arguments<'_, '_>) -> Out<'w> {
    let states = match arguments.get("states") {
        Value::Null => None,
        Value::Array(states) => Some(states),
        one => Some(vec![one]),
    };
    all.retain(|node| {
        let state = match node {
            Node::Issue(_, issue) => issue_state(issue),
            Node::Pull(_, pull) => pull_state(pull),
            _ => "",
        };
        states.as_ref().is_none_or(|states| states.iter().any(|wanted| wanted == state))
    });
    let order = arguments.get("orderBy");
    all.sort_by_key(|node| match (node, order["field"].as_str()) {
        (Node::Issue(_, issue), Some("UPDATED_AT")) => (issue.updated_at, issue.number),
        (Node::Pull(_, pull), Some("UPDATED_AT")) => (pull.shown().updated_at, pull.number),
        (Node::Issue(_, issue), _) => (issue.created_at, issue.number),
        (Node::Pull(_, pull), _) => (pull.created_at, pull.number),
        _ => Default::default(),
    });
    if order["direction"] == "DESC" {
        all.reverse();
    }
    page(kind, all, arguments)
}

/// The rows after the cursor, as many as are wanted.
fn page<'w>(kind: &'static str, all: Vec<Node<'w>>, arguments: &Arguments<'_, '_>) -> Out<'w> {
    let after = arguments.get("after");
    let start = match after.as_str() {
        None => 0,
        Some(cursor) => match all.iter().position(|node| self::cursor(node) == cursor) {
            Some(at) => at + 1,
            None => {
                let message = format!("`{cursor}` does not appear to be a valid cursor.");
                return Out::Missing(Wrong::of("INVALID_CURSOR_ARGUMENTS", message));
            }
        },
    };
    let (total, most) = (all.len(), arguments.get("first").as_u64().unwrap_or_default());
    let most = usize::try_from(most).unwrap_or_default();
    let rows: Vec<_> = all.into_iter().skip(start).take(most).collect();
    let page = Node::Page { end: rows.last().map(cursor), more: start + rows.len() < total };
    Out::One(Node::List { kind, rows, total, page: Box::new(page) })
}

fn cursor(node: &Node<'_>) -> String {
    STANDARD.encode(format!("cursor:{}", node.key()))
}
