//! What requests mean: one table of routes over the world. Everything here is a plain function, run under its lock.

mod access;
mod hooks;
mod issues;
mod pulls;
mod repos;
mod review_rules;
mod reviews;
mod tree;
mod users;

use super::{
    ask::Ask,
    graphql,
    limits::Purse,
    reply::{Outcome, Reply, not_found, problem},
    site,
    world::World,
};

/// Path of the REST API below the root.
pub const API_PREFIX: &str = "/api/v3";

/// A path as tests name it: from the root of its API, or of the site.
pub fn short_path(path: &str) -> &str {
    if path == graphql::PATH { graphql::SHORT_PATH } else { path.strip_prefix(API_PREFIX).unwrap_or(path) }
}

/// The answer to any request.
pub fn answer(world: &mut World, ask: &mut Ask) -> Reply {
    if ask.path == graphql::PATH {
        return graphql::answer(world, ask);
    }
    match ask.path.strip_prefix(API_PREFIX).map(str::to_owned) {
        Some(path) if path.is_empty() || path.starts_with('/') => {
            ask.canonical = path;
            ask.segments.drain(..2);
            api(world, ask)
        }
        _ => site::answer(world, ask),
    }
}

fn api(world: &mut World, ask: &mut Ask) -> Reply {
    if ask.header("user-agent").is_none_or(str::is_empty) {
        ask.complain("no User-Agent");
        let text = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header";
        return Reply::text(403, "text/html", text);
    }
    let outcome =
        world.identify(ask).and_then(|()| ask.check_manners()).and_then(|()| world.check_rate(Purse::Rest, ask));
    let refused = outcome.is_err();
    let outcome = outcome.and_then(|()| route(world, ask));
    if outcome.is_ok() {
        ask.complain_of_leftovers();
    }
    let reply = match outcome {
        Ok(reply) if reply.status == 200 && ask.method == http::Method::GET => reply.with_etag(ask),
        Ok(reply) | Err(reply) => reply,
    };
    let scopes = ask.token.as_ref().and_then(|token| world.tokens.get(token));
    let scopes = scopes.map(|token| token.scopes.iter().map(String::as_str).collect::<Vec<_>>().join(", "));
    let reply = if refused && reply.status == 401 { reply } else { world.charge(Purse::Rest, ask, reply) };
    let request = world.next_id();
    let reply = reply.with("x-github-request-id", format!("SAND:{request:X}")).with("x-github-media-type", "github.v3");
    match scopes {
        Some(scopes) => reply.with("x-oauth-scopes", scopes),
        None => reply,
    }
}

fn route(world: &mut World, ask: &mut Ask) -> Outcome {
    let path = ask.segments.clone();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let method = ask.method.as_str().to_owned();
    match (method.as_str(), path.as_slice()) {
        ("GET", ["user"]) => users::me(world, ask),
        ("GET", ["user", "repos"]) => users::repos(world, ask),
        ("GET", ["orgs", org, "members", login]) => users::is_member(world, ask, org, login),
        ("GET", ["orgs", org, "public_members", login]) => users::is_public_member(world, ask, org, login),
        (_, ["repos", owner, name, rest @ ..]) => {
            let repo = world.resolve(ask, owner, name)?;
            in_repo(world, ask, &method, repo, rest)
        }
        (_, ["repositories", id, rest @ ..]) => {
            let repo = id.parse().ok().filter(|id| world.repos.get(id).is_some_and(|repo| !repo.deleted));
            in_repo(world, ask, &method, repo.ok_or_else(not_found)?, rest)
        }
        _ => unknown(ask),
    }
}

fn in_repo(world: &mut World, ask: &mut Ask, method: &str, repo: i64, rest: &[&str]) -> Outcome {
    let tail: String = rest.iter().map(|part| format!("/{part}")).collect();
    ask.canonical = format!("/repositories/{repo}{tail}");
    world.see(ask, repo)?;
    match (method, rest) {
        ("GET", []) => repos::get(world, ask, repo),
        ("GET", ["contents"]) => tree::contents(world, ask, repo, ""),
        ("GET", ["contents", path @ ..]) => tree::contents(world, ask, repo, &path.join("/")),
        ("GET", ["git", "trees", reference]) => tree::tree(world, ask, repo, reference),
        ("GET", ["contributors"]) => repos::contributors(world, ask, repo),
        (_, ["hooks", rest @ ..]) => hooks::route(world, ask, method, repo, rest),
        ("GET", ["pulls"]) => pulls::list(world, ask, repo),
        (_, ["pulls", number, rest @ ..]) => {
            let pr = world.find_pull(repo, number)?;
            match (method, rest) {
                ("GET", []) => pulls::get(world, ask, pr),
                ("GET", ["files"]) => pulls::files(world, ask, pr),
                (_, ["reviews", rest @ ..]) => reviews::route(world, ask, method, pr, rest),
                _ => unknown(ask),
            }
        }
        (_, ["issues", rest @ ..]) => issues::route(world, ask, method, repo, rest),
        _ => unknown(ask),
    }
}

/// A route GitHub (or at least this GitHub) does not have.
fn unknown(ask: &mut Ask) -> Outcome {
    ask.complain("no such route");
    Err(problem(404, "Not Found"))
}
