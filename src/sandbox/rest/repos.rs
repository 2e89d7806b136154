//! One repository, and who made it.

use serde_json::Value;

use super::super::{
    ask::Ask,
    reply::{Outcome, Reply, page_of, problem},
    world::World,
};

pub fn get(world: &mut World, ask: &mut Ask, repo: i64) -> Outcome {
    Ok(Reply::json(200, &world.show_repo(world.repo(repo), ask.user)))
}

/// `GET contributors`: who has commits on the default branch, most first.
pub fn contributors(world: &mut World, ask: &mut Ask, repo: i64) -> Outcome {
    ask.allow_query(&["anon", "per_page", "page"]);
    let repo = world.repo(repo);
    if repo.branches.is_empty() {
        return Ok(Reply::empty(204));
    }
    if repo.too_many_contributors {
        let message =
            "The history or contributor list is too large to list contributors for this repository via the API.";
        return Err(problem(403, message));
    }
    let mut people: Vec<(i64, i64)> = repo.contributions.iter().map(|(user, commits)| (*user, *commits)).collect();
    people.sort_by_key(|(user, commits)| (-commits, *user));
    people.retain(|(user, _)| world.accounts.contains_key(user));
    Ok(page_of(ask, &world.api, &people, |(user, commits)| {
        let mut shown = world.show_user(*user);
        shown["contributions"] = Value::from(*commits);
        shown
    }))
}
