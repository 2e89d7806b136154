//! Finding things in the world: by id, by name, by who may see them.
//!
//! Methods that a verb uses panic with the name that does not exist; those that answer a request return an option.

use std::sync::Arc;

use super::world::{Account, Permission, Pr, Pull, Repo, Tree, World};

impl World {
    pub fn account(&self, login: &str) -> Option<&Account> {
        self.accounts.values().find(|account| account.login.eq_ignore_ascii_case(login))
    }

    pub fn login(&self, id: i64) -> &str {
        self.accounts.get(&id).map_or("ghost", |account| &account.login)
    }

    pub fn full_name(&self, repo: &Repo) -> String {
        format!("{}/{}", self.login(repo.owner), repo.name)
    }

    /// The living repository of that name, or the one that had it before (then the name is an old one).
    pub fn find_repo(&self, full_name: &str) -> Option<&Repo> {
        let living = || self.repos.values().filter(|repo| !repo.deleted);
        living()
            .find(|repo| self.full_name(repo).eq_ignore_ascii_case(full_name))
            .or_else(|| living().find(|repo| repo.old_names.contains(&full_name.to_ascii_lowercase())))
    }

    #[track_caller]
    pub fn repo_named(&self, full_name: &str) -> i64 {
        match self.find_repo(full_name) {
            Some(repo) => repo.id,
            None => panic!("there is no repository {full_name} in this sandbox"),
        }
    }

    #[track_caller]
    pub fn account_named(&self, login: &str) -> i64 {
        match self.account(login) {
            Some(account) => account.id,
            None => panic!("there is nobody called {login} in this sandbox"),
        }
    }

    #[track_caller]
    pub fn repo(&self, id: i64) -> &Repo {
        match self.repos.get(&id) {
            Some(repo) => repo,
            None => panic!("there is no repository {id} in this sandbox"),
        }
    }

    #[track_caller]
    pub fn repo_mut(&mut self, id: i64) -> &mut Repo {
        match self.repos.get_mut(&id) {
            Some(repo) => repo,
            None => panic!("there is no repository {id} in this sandbox"),
        }
    }

    #[track_caller]
    pub fn pull(&self, pr: Pr) -> &Pull {
        match self.repo(pr.repo).pulls.get(&pr.number) {
            Some(pull) => pull,
            None => panic!("there is no pull request {} in repository {}", pr.number, pr.repo),
        }
    }

    #[track_caller]
    pub fn pull_mut(&mut self, pr: Pr) -> &mut Pull {
        match self.repo_mut(pr.repo).pulls.get_mut(&pr.number) {
            Some(pull) => pull,
            None => panic!("there is no pull request {} in repository {}", pr.number, pr.repo),
        }
    }

    /// What `user` may do in `repo`; none: not even see it.
    pub fn permission(&self, repo: &Repo, user: Option<i64>) -> Option<Permission> {
        let open = (!repo.private).then_some(Permission::Pull);
        let Some(user) = user else { return open };
        let owner = (repo.owner == user).then_some(Permission::Admin);
        let granted = repo.collaborators.get(&user).copied();
        let member = self.accounts.get(&repo.owner).and_then(|org| org.members.get(&user));
        let member = member.map(|member| if member.owner { Permission::Admin } else { Permission::Pull });
        [open, owner, granted, member].into_iter().flatten().max()
    }

    /// The commit that a branch, tag, commit, `HEAD` or `refs/...` names.
    pub fn commit_of(&self, repo: &Repo, reference: &str) -> Option<String> {
        let reference = if reference == "HEAD" { &repo.default_branch } else { reference };
        let short = reference.strip_prefix("refs/").unwrap_or(reference);
        let branch = short.strip_prefix("heads/").unwrap_or(short);
        let tag = short.strip_prefix("tags/").unwrap_or(short);
        let of_pull = short.strip_prefix("pull/").and_then(|rest| rest.strip_suffix("/head"));
        if let Some(number) = of_pull.and_then(|number| number.parse::<i64>().ok()) {
            return Some(repo.pulls.get(&number)?.shown().head.clone());
        }
        let named = repo.branches.get(branch).or_else(|| repo.tags.get(tag));
        named.cloned().or_else(|| repo.trees.contains_key(short).then(|| short.to_owned()))
    }

    /// The tree of what a branch, tag, commit, `HEAD` or `refs/...` names.
    pub fn tree(&self, repo: &Repo, reference: &str) -> Option<Arc<Tree>> {
        repo.trees.get(&self.commit_of(repo, reference)?).cloned()
    }
}
