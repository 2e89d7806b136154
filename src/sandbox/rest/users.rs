//! The asker, their repositories, their organisations.

use super::super::{
    ask::Ask,
    reply::{Outcome, Reply, invalid, not_found, page_of},
    world::{Repo, World},
};

pub fn me(world: &mut World, ask: &mut Ask) -> Outcome {
    let user = world.signed_in(ask)?;
    let account = world.accounts.get(&user).ok_or_else(not_found)?;
    Ok(Reply::json(200, &world.show_me(account)))
}

/// `GET /user/repos`.
pub fn repos(world: &mut World, ask: &mut Ask) -> Outcome {
    let user = world.signed_in(ask)?;
    ask.allow_query(&["visibility", "affiliation", "type", "sort", "direction", "per_page", "page", "since", "before"]);
    if ask.param("type").is_some() && (ask.param("affiliation").is_some() || ask.param("visibility").is_some()) {
        return Err(invalid("If you specify visibility or affiliation, you cannot specify type."));
    }
    let affiliation = ask.param("affiliation").unwrap_or("owner,collaborator,organization_member").to_owned();
    let affiliation: Vec<&str> = affiliation.split(',').map(str::trim).collect();
    if let Some(odd) = affiliation.iter().find(|a| !["owner", "collaborator", "organization_member"].contains(*a)) {
        return Err(invalid(&format!("For 'affiliation', \"{odd}\" is not possible.")));
    }
    let visibility = ask.choice("visibility", &["all", "public", "private"], "all")?;
    let sort = ask.choice("sort", &["created", "updated", "pushed", "full_name"], "full_name")?;
    let default = if sort == "full_name" { "asc" } else { "desc" };
    let direction = ask.choice("direction", &["asc", "desc"], default)?;
    let may_private = world.has_scope(ask, &["repo"]);
    let reaches = |repo: &&Repo| {
        let member = world.accounts.get(&repo.owner).is_some_and(|org| org.members.contains_key(&user));
        let how = [
            ("owner", repo.owner == user),
            ("collaborator", repo.collaborators.contains_key(&user) && repo.owner != user),
            ("organization_member", member),
        ];
        !repo.deleted
            && (!repo.private || may_private)
            && (visibility == "all" || repo.private == (visibility == "private"))
            && how.iter().any(|(name, holds)| *holds && affiliation.contains(name))
    };
    let mut found: Vec<&Repo> = world.repos.values().filter(reaches).collect();
    match sort {
        "created" => found.sort_by_key(|repo| repo.created_at),
        "full_name" => found.sort_by_key(|repo| world.full_name(repo).to_ascii_lowercase()),
        _ => found.sort_by_key(|repo| repo.updated_at),
    }
    if direction == "desc" {
        found.reverse();
    }
    Ok(page_of(ask, &world.api, &found, |repo| world.show_repo(repo, Some(user))))
}

/// 204 member, 404 not; an asker who may not know is sent to the public list.
pub fn is_member(world: &mut World, ask: &mut Ask, org: &str, login: &str) -> Outcome {
    let account = world.account(org).ok_or_else(not_found)?;
    let asker_belongs = ask.user.is_some_and(|user| account.members.contains_key(&user));
    if !asker_belongs || !world.has_scope(ask, &["read:org", "write:org", "admin:org", "repo"]) {
        let location = format!("{}/orgs/{org}/public_members/{login}", world.api);
        return Err(Reply::redirect(302, location));
    }
    membership(world, org, login, false)
}

pub fn is_public_member(world: &mut World, _: &mut Ask, org: &str, login: &str) -> Outcome {
    membership(world, org, login, true)
}

fn membership(world: &World, org: &str, login: &str, public: bool) -> Outcome {
    let org = world.account(org).ok_or_else(not_found)?;
    let member = world.account(login).and_then(|user| org.members.get(&user.id));
    if member.is_some_and(|member| member.public || !public) { Ok(Reply::empty(204)) } else { Err(not_found()) }
}
