//! A repository's webhooks. Who does not administer the repository is told they do not exist.

use serde_json::{Map, Value};

use super::{
    super::{
        Pings,
        ask::{Ask, Fields, Is},
        reply::{Outcome, Reply, not_found, page_of, validation},
        world::{HookInfo, Permission, World},
    },
    unknown,
};

/// Webhooks of one repository that may subscribe to one event.
const MAX_HOOKS: usize = 20;
/// Events a webhook may name here; GitHub knows about 70.
const EVENTS: [&str; 24] = [
    "*",
    "push",
    "pull_request",
    "issues",
    "issue_comment",
    "pull_request_review",
    "pull_request_review_comment",
    "pull_request_review_thread",
    "create",
    "delete",
    "fork",
    "release",
    "repository",
    "status",
    "check_run",
    "check_suite",
    "workflow_run",
    "workflow_job",
    "member",
    "label",
    "milestone",
    "meta",
    "star",
    "watch",
];
const BODY: [(&str, Is); 4] = [("name", Is::Text), ("active", Is::Flag), ("events", Is::List), ("config", Is::Object)];
const CONFIG: [(&str, Is); 4] =
    [("url", Is::Text), ("content_type", Is::Text), ("secret", Is::Text), ("insecure_ssl", Is::TextOrNumber)];

pub fn route(world: &mut World, ask: &mut Ask, method: &str, repo: i64, rest: &[&str]) -> Outcome {
    world.signed_in(ask)?;
    let scopes = ["repo", "admin:repo_hook", "write:repo_hook"];
    if world.see(ask, repo)? != Permission::Admin || !world.has_scope(ask, &scopes) {
        return Err(not_found());
    }
    match (method, rest) {
        ("GET", []) => {
            ask.allow_query(&["page", "per_page"]);
            let repo = world.repo(repo);
            let hooks: Vec<&HookInfo> = repo.hooks.values().collect();
            Ok(page_of(ask, &world.api, &hooks, |hook| world.show_hook(repo, hook)))
        }
        ("POST", []) => create(world, ask, repo),
        (_, [id, rest @ ..]) => {
            let id = id.parse::<i64>().map_err(|_| not_found())?;
            if !world.repo(repo).hooks.contains_key(&id) {
                return Err(not_found());
            }
            match (method, rest) {
                ("GET", []) => show(world, repo, id, 200),
                ("PATCH", []) => update(world, ask, repo, id),
                ("DELETE", []) => {
                    world.repo_mut(repo).hooks.remove(&id);
                    Ok(Reply::empty(204))
                }
                ("POST", ["pings"]) => {
                    world.queue_ping(repo, id);
                    Ok(Reply::empty(204))
                }
                ("GET", ["deliveries"]) => world.list_attempts(ask, repo, id),
                ("POST", ["deliveries", attempt, "attempts"]) => {
                    world.attempt_again(id, attempt.parse().map_err(|_| not_found())?)
                }
                _ => unknown(ask),
            }
        }
        _ => unknown(ask),
    }
}

fn show(world: &World, repo: i64, id: i64, status: u16) -> Outcome {
    let repo = world.repo(repo);
    let hook = repo.hooks.get(&id).ok_or_else(not_found)?;
    Ok(Reply::json(status, &world.show_hook(repo, hook)))
}

fn create(world: &mut World, ask: &mut Ask, repo: i64) -> Outcome {
    let body = ask.fields(&BODY)?;
    if body.text("name").is_some_and(|name| name != "web") {
        return Err(validation("Hook", "name", "The name must be \"web\""));
    }
    let config = body.object("config").cloned().unwrap_or_default();
    let (id, at) = (world.next_id(), world.stamp());
    let mut hook = HookInfo {
        id,
        url: String::new(),
        events: known_events(body.words("events")?.unwrap_or_else(|| vec!["push".to_owned()]))?,
        active: body.flag("active").unwrap_or(true),
        content_type: String::new(),
        insecure_ssl: String::new(),
        secret: None,
        last_status: None,
        created_at: at,
        updated_at: at,
    };
    configure(&mut hook, config)?;
    check_neighbours(world, repo, &hook)?;
    let active = hook.active;
    world.repo_mut(repo).hooks.insert(id, hook);
    if active && world.pings != Pings::Never {
        world.queue_ping(repo, id);
    }
    show(world, repo, id, 201)
}

fn update(world: &mut World, ask: &mut Ask, repo: i64, id: i64) -> Outcome {
    let mut allowed = vec![("add_events", Is::List), ("remove_events", Is::List)];
    allowed.extend(BODY.iter().filter(|(name, _)| *name != "name"));
    let body = ask.fields(&allowed)?;
    let mut hook = world.repo(repo).hooks.get(&id).cloned().ok_or_else(not_found)?;
    if let Some(events) = body.words("events")? {
        hook.events = known_events(events)?;
    }
    hook.events.extend(known_events(body.words("add_events")?.unwrap_or_default())?);
    let gone = body.words("remove_events")?.unwrap_or_default();
    hook.events.retain(|event| !gone.contains(event));
    hook.active = body.flag("active").unwrap_or(hook.active);
    if let Some(config) = body.object("config") {
        configure(&mut hook, config.clone())?;
    }
    check_neighbours(world, repo, &hook)?;
    hook.updated_at = world.stamp();
    world.repo_mut(repo).hooks.insert(id, hook);
    show(world, repo, id, 200)
}

/// Replaces a webhook's configuration as a whole: a secret that is not given again is gone, as on GitHub.
fn configure(hook: &mut HookInfo, config: Map<String, Value>) -> Result<(), Reply> {
    let config = Fields::check(config, &CONFIG)?;
    let url = config.text("url").unwrap_or_default();
    let usable = url::Url::parse(url).is_ok_and(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
    if !usable {
        return Err(validation("Hook", "url", "Config url must be a valid http or https URL"));
    }
    let content_type = config.text("content_type").unwrap_or("form");
    if !["json", "form"].contains(&content_type) {
        return Err(validation("Hook", "content_type", "content_type must be json or form"));
    }
    let insecure = config.get("insecure_ssl").map_or("0".to_owned(), |value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    if !["0", "1"].contains(&insecure.as_str()) {
        return Err(validation("Hook", "insecure_ssl", "insecure_ssl must be 0 or 1"));
    }
    hook.url = url.to_owned();
    hook.content_type = content_type.to_owned();
    hook.insecure_ssl = insecure;
    hook.secret = config.text("secret").filter(|secret| !secret.is_empty()).map(Into::into);
    Ok(())
}

fn known_events(events: Vec<String>) -> Result<Vec<String>, Reply> {
    match events.iter().find(|event| !EVENTS.contains(&event.as_str())) {
        Some(odd) => Err(validation("Hook", "events", &format!("Events {odd} is not a valid event"))),
        None => Ok(events),
    }
}

fn check_neighbours(world: &World, repo: i64, hook: &HookInfo) -> Result<(), Reply> {
    let others: Vec<&HookInfo> = world.repo(repo).hooks.values().filter(|other| other.id != hook.id).collect();
    let shares = |other: &&&HookInfo| other.events.iter().any(|event| hook.events.contains(event));
    if others.iter().filter(shares).any(|other| other.url == hook.url) {
        return Err(validation("Hook", "url", "Hook already exists on this repository"));
    }
    for event in &hook.events {
        if others.iter().filter(|other| other.events.contains(event)).count() >= MAX_HOOKS {
            return Err(validation("Hook", "events", &format!("The \"{event}\" event cannot have more than 20 hooks")));
        }
    }
    Ok(())
}
