//! Reviews: one pending one for each account, submitted once, all of it or nothing.

use super::{
    super::{
        Pr,
        ask::{Ask, Is},
        books::ReviewState,
        reply::{Outcome, Reply, not_found, page_of, problem, unprocessable, validation},
        world::{Permission, StoredReview, World},
    },
    review_rules as rules, unknown,
};

pub fn route(world: &mut World, ask: &mut Ask, method: &str, pr: Pr, rest: &[&str]) -> Outcome {
    match (method, rest) {
        ("GET", []) => {
            ask.allow_query(&["per_page", "page"]);
            let (repo, pull) = (world.repo(pr.repo), world.pull(pr));
            let seen: Vec<&StoredReview> = pull.reviews.iter().filter(|review| visible(review, ask.user)).collect();
            Ok(page_of(ask, &world.api, &seen, |review| world.show_review(repo, pr.number, review)))
        }
        ("POST", []) => create(world, ask, pr),
        (_, [id, rest @ ..]) => {
            let id = id.parse::<i64>().map_err(|_| not_found())?;
            let review = world.pull(pr).reviews.iter().find(|review| review.id == id);
            let review = review.filter(|review| visible(review, ask.user)).ok_or_else(not_found)?.clone();
            match (method, rest) {
                ("GET", []) => show(world, pr, id),
                ("GET", ["comments"]) => {
                    ask.allow_query(&["per_page", "page"]);
                    let shown = world.show_review_comments(world.repo(pr.repo), pr.number, &review);
                    Ok(page_of(ask, &world.api, &shown, Clone::clone))
                }
                ("POST", ["events"]) => submit(world, ask, pr, &review),
                ("PUT", []) => update(world, ask, pr, &review),
                ("PUT", ["dismissals"]) => dismiss(world, ask, pr, &review),
                ("DELETE", []) => delete(world, ask, pr, &review),
                _ => unknown(ask),
            }
        }
        _ => unknown(ask),
    }
}

/// A pending review is its author's secret.
fn visible(review: &StoredReview, viewer: Option<i64>) -> bool {
    review.state != ReviewState::Pending || viewer == Some(review.user)
}

fn show(world: &World, pr: Pr, id: i64) -> Outcome {
    let review = world.pull(pr).reviews.iter().find(|review| review.id == id).ok_or_else(not_found)?;
    Ok(Reply::json(200, &world.show_review(world.repo(pr.repo), pr.number, review)))
}

fn create(world: &mut World, ask: &mut Ask, pr: Pr) -> Outcome {
    let user = world.may_write(ask, pr.repo)?;
    let fields =
        ask.fields(&[("commit_id", Is::Text), ("body", Is::Text), ("event", Is::Text), ("comments", Is::List)])?;
    let state = fields.text("event").map_or(Ok(ReviewState::Pending), rules::event)?;
    let body = rules::body("PullRequestReview", fields.text("body").unwrap_or_default())?;
    rules::may_submit(world, pr, user, state, &body)?;
    let pull = world.pull(pr);
    if pull.reviews.iter().any(|review| review.user == user && review.state == ReviewState::Pending) {
        return Err(unprocessable(&["User can only have one pending review per pull request"]));
    }
    let commit = fields.text("commit_id").unwrap_or(&pull.shown().head).to_owned();
    let rows = pull
        .rows_at(&commit)
        .cloned()
        .ok_or_else(|| validation("PullRequestReview", "commit_id", "commit_id is not part of the pull request"))?;
    let mut comments = rules::comments(fields.list("comments").unwrap_or_default(), &rows)?;
    world.admit_content(user)?;
    comments.iter_mut().for_each(|comment| comment.id = world.next_id());
    let submitted_at = (state != ReviewState::Pending).then(|| world.stamp());
    let id = world.next_id();
    let review = StoredReview { id, user, body, state, commit, submitted_at, comments, taken: false };
    world.pull_mut(pr).reviews.push(review);
    if state != ReviewState::Pending {
        told(world, pr, id, "submitted");
    }
    show(world, pr, id)
}

fn submit(world: &mut World, ask: &mut Ask, pr: Pr, review: &StoredReview) -> Outcome {
    let user = world.may_write(ask, pr.repo)?;
    let fields = ask.fields(&[("body", Is::Text), ("event", Is::Text)])?;
    if review.user != user {
        return Err(problem(403, "Only the author of a review can submit it"));
    }
    if review.state != ReviewState::Pending {
        return Err(unprocessable(&["Can not submit a review that is not pending"]));
    }
    let state = rules::event(fields.need("event")?)?;
    let body = rules::body("PullRequestReview", fields.text("body").unwrap_or(&review.body))?;
    rules::may_submit(world, pr, user, state, &body)?;
    world.admit_content(user)?;
    let at = world.stamp();
    change(world, pr, review.id, |review| {
        (review.state, review.body, review.submitted_at) = (state, body, Some(at));
    })?;
    told(world, pr, review.id, "submitted");
    show(world, pr, review.id)
}

/// Everybody may know of it now.
fn told(world: &mut World, pr: Pr, id: i64, action: &str) {
    world.touch(pr);
    world.announce_review(pr, id, action);
}

fn update(world: &mut World, ask: &mut Ask, pr: Pr, review: &StoredReview) -> Outcome {
    let user = world.may_write(ask, pr.repo)?;
    let fields = ask.fields(&[("body", Is::Text)])?;
    let body = rules::body("PullRequestReview", fields.need("body")?)?;
    if review.user != user {
        return Err(problem(403, "Only the author of a review can change it"));
    }
    change(world, pr, review.id, |review| review.body = body)
}

fn dismiss(world: &mut World, ask: &mut Ask, pr: Pr, review: &StoredReview) -> Outcome {
    world.may_write(ask, pr.repo)?;
    let fields = ask.fields(&[("message", Is::Text), ("event", Is::Text)])?;
    fields.need("message")?;
    if world.see(ask, pr.repo)? < Permission::Push {
        return Err(problem(403, "Must have write access to dismiss a review"));
    }
    if ![ReviewState::Approved, ReviewState::ChangesRequested].contains(&review.state) {
        return Err(unprocessable(&["Can not dismiss a commented pull request review"]));
    }
    change(world, pr, review.id, |review| review.state = ReviewState::Dismissed)?;
    told(world, pr, review.id, "dismissed");
    show(world, pr, review.id)
}

fn delete(world: &mut World, ask: &mut Ask, pr: Pr, review: &StoredReview) -> Outcome {
    let user = world.may_write(ask, pr.repo)?;
    if review.user != user {
        return Err(problem(403, "Only the author of a review can delete it"));
    }
    if review.state != ReviewState::Pending {
        return Err(unprocessable(&["Can not delete a non-pending pull request review"]));
    }
    let shown = show(world, pr, review.id);
    world.pull_mut(pr).reviews.retain(|other| other.id != review.id);
    shown
}

fn change(world: &mut World, pr: Pr, id: i64, edit: impl FnOnce(&mut StoredReview)) -> Outcome {
    if let Some(review) = world.pull_mut(pr).reviews.iter_mut().find(|review| review.id == id) {
        edit(review);
    }
    show(world, pr, id)
}
