//! One repository.

use super::super::{
    ask::Ask,
    reply::{Outcome, Reply},
    world::World,
};

pub fn get(world: &mut World, ask: &mut Ask, repo: i64) -> Outcome {
    Ok(Reply::json(200, &world.show_repo(world.repo(repo), ask.user)))
}
