//! People and places: the nouns a story starts with. Each builder writes to the world at once; there is no `build()`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Sandbox,
    world::{Account, HookInfo, Kind, Membership, Permission, Repo, Token, World},
};

/// What a token may do unless a test says otherwise: the scopes a classic token for nectr has.
const DEFAULT_SCOPES: [&str; 3] = ["repo", "read:user", "user:email"];

impl Sandbox {
    /// What is made from now on is numbered from here, so that its repositories are unlike those of other worlds.
    pub fn ids_from(&self, first: i64) {
        self.lock().last_id = first;
    }

    /// A person. Known already: the same one.
    pub fn user(&self, login: &str) -> AccountBuilder<'_> {
        let id = self.lock().ensure_account(login, Kind::User);
        AccountBuilder { github: self, id }
    }

    /// A machine account. `name[bot]` is an app's (`type` is `Bot`), any other login an ordinary user with a token.
    pub fn bot(&self, login: &str) -> AccountBuilder<'_> {
        let kind = if login.ends_with("[bot]") { Kind::Bot } else { Kind::User };
        let id = self.lock().ensure_account(login, kind);
        AccountBuilder { github: self, id }
    }

    /// An organisation.
    pub fn org(&self, login: &str) -> OrgBuilder<'_> {
        let id = self.lock().ensure_account(login, Kind::Organization);
        OrgBuilder { github: self, id }
    }

    /// A repository `owner/name`, public, empty, branch `main`. An owner not known yet becomes an organisation.
    ///
    /// # Panics
    /// When `full_name` has no slash.
    #[track_caller]
    pub fn repo(&self, full_name: &str) -> RepoBuilder<'_> {
        let Some((owner, name)) = full_name.split_once('/') else { panic!("{full_name} is not owner/name") };
        let id = self.lock().ensure_repo(owner, name);
        RepoBuilder { github: self, id }
    }

    /// A working token of `login`: the same one each time, until it is revoked.
    #[track_caller]
    pub fn token_of(&self, login: &str) -> String {
        let mut world = self.lock();
        let user = world.account_named(login);
        let usable = |(text, token): (&String, &Token)| {
            (token.user == user && !token.revoked && DEFAULT_SCOPES.iter().all(|s| token.scopes.contains(*s)))
                .then(|| text.clone())
        };
        let found = world.tokens.iter().find_map(usable);
        found.unwrap_or_else(|| world.issue_token(user, DEFAULT_SCOPES))
    }

    /// A new token of `login` with exactly these OAuth scopes.
    #[track_caller]
    pub fn token_with(&self, login: &str, scopes: &[&str]) -> String {
        let mut world = self.lock();
        let user = world.account_named(login);
        world.issue_token(user, scopes.iter().copied())
    }

    /// From now on GitHub answers this token with 401.
    #[track_caller]
    pub fn revoke(&self, token: &str) {
        match self.lock().tokens.get_mut(token) {
            Some(token) => token.revoked = true,
            None => panic!("this sandbox never issued that token"),
        }
    }

    /// Revokes every token of `login`, those given by OAuth included.
    #[track_caller]
    pub fn revoke_all(&self, login: &str) {
        let mut world = self.lock();
        let user = world.account_named(login);
        world.tokens.values_mut().filter(|token| token.user == user).for_each(|token| token.revoked = true);
    }

    /// The account goes, with its tokens: what it wrote stays, with `user` null.
    #[track_caller]
    pub fn delete_user(&self, login: &str) {
        let mut world = self.lock();
        let user = world.account_named(login);
        world.accounts.remove(&user);
        world.tokens.retain(|_, token| token.user != user);
    }

    /// The webhooks of a repository, secrets included.
    #[track_caller]
    pub fn hooks_of(&self, repo: &str) -> Vec<HookInfo> {
        let world = self.lock();
        world.repo(world.repo_named(repo)).hooks.values().cloned().collect()
    }

    /// GitHub's id of a repository.
    #[track_caller]
    pub fn repo_id(&self, repo: &str) -> i64 {
        self.lock().repo_named(repo)
    }
}

/// A person being described.
pub struct AccountBuilder<'a> {
    github: &'a Sandbox,
    id: i64,
}

impl AccountBuilder<'_> {
    /// The display name.
    pub fn named(self, name: &str) -> Self {
        self.change(|account| account.name = Some(name.to_owned()))
    }

    /// The public e-mail address.
    pub fn email(self, email: &str) -> Self {
        self.change(|account| account.email = Some(email.to_owned()))
    }

    /// GitHub's id of the account.
    pub fn id(&self) -> i64 {
        self.id
    }

    fn change(self, edit: impl FnOnce(&mut Account)) -> Self {
        if let Some(account) = self.github.lock().accounts.get_mut(&self.id) {
            edit(account);
        }
        self
    }
}

/// An organisation being described.
pub struct OrgBuilder<'a> {
    github: &'a Sandbox,
    id: i64,
}

impl OrgBuilder<'_> {
    /// A member who does not show it; sees the organisation's private repositories.
    pub fn member(self, login: &str) -> Self {
        self.join(login, Membership { owner: false, public: false })
    }

    /// A member who shows it to everybody.
    pub fn public_member(self, login: &str) -> Self {
        self.join(login, Membership { owner: false, public: true })
    }

    /// An owner: administers every repository.
    pub fn owner(self, login: &str) -> Self {
        self.join(login, Membership { owner: true, public: false })
    }

    /// Somebody leaves.
    pub fn without(self, login: &str) -> Self {
        let mut world = self.github.lock();
        let user = world.ensure_account(login, Kind::User);
        if let Some(org) = world.accounts.get_mut(&self.id) {
            org.members.remove(&user);
        }
        drop(world);
        self
    }

    fn join(self, login: &str, membership: Membership) -> Self {
        let mut world = self.github.lock();
        let user = world.ensure_account(login, Kind::User);
        if let Some(org) = world.accounts.get_mut(&self.id) {
            org.members.insert(user, membership);
        }
        drop(world);
        self
    }
}

/// A repository being described.
pub struct RepoBuilder<'a> {
    pub(super) github: &'a Sandbox,
    pub(super) id: i64,
}

impl RepoBuilder<'_> {
    /// Only those who were given access see it.
    pub fn private(self) -> Self {
        self.change(|repo| repo.private = true)
    }

    /// Everybody sees it.
    pub fn public(self) -> Self {
        self.change(|repo| repo.private = false)
    }

    /// The one-line description.
    pub fn description(self, text: &str) -> Self {
        self.change(|repo| repo.description = Some(text.to_owned()))
    }

    /// `login` may read.
    pub fn read(self, login: &str) -> Self {
        self.grant(login, Permission::Pull)
    }

    /// `login` may push.
    pub fn write(self, login: &str) -> Self {
        self.grant(login, Permission::Push)
    }

    /// `login` may do everything, webhooks included.
    pub fn admin(self, login: &str) -> Self {
        self.grant(login, Permission::Admin)
    }

    /// `login` is no longer a collaborator.
    pub fn without(self, login: &str) -> Self {
        let user = self.github.lock().ensure_account(login, Kind::User);
        self.change(|repo| {
            repo.collaborators.remove(&user);
        })
    }

    /// A further branch, equal to the default one.
    pub fn branch(self, name: &str) -> Self {
        let sha = self.github.lock().next_sha();
        self.change(|repo| {
            let tree = repo.branches.get(&repo.default_branch).and_then(|tip| repo.trees.get(tip)).cloned();
            repo.trees.insert(sha.clone(), tree.unwrap_or_default());
            repo.branches.insert(name.to_owned(), sha);
        })
    }

    /// A webhook made by hand, without asking the API and without a ping: JSON, events `pull_request` and `issues`.
    pub fn hook(self, url: &str, secret: Option<&str>) -> Self {
        let (id, at) = {
            let mut world = self.github.lock();
            (world.next_id(), world.stamp())
        };
        let hook = HookInfo {
            id,
            url: url.to_owned(),
            events: ["pull_request", "issues"].map(str::to_owned).to_vec(),
            active: true,
            content_type: "json".to_owned(),
            insecure_ssl: "0".to_owned(),
            secret: secret.map(Into::into),
            last_status: None,
            created_at: at,
            updated_at: at,
        };
        self.change(|repo| {
            repo.hooks.insert(id, hook);
        })
    }

    /// GitHub's id of the repository.
    pub fn id(&self) -> i64 {
        self.id
    }

    fn grant(self, login: &str, permission: Permission) -> Self {
        let user = self.github.lock().ensure_account(login, Kind::User);
        self.change(|repo| {
            repo.collaborators.insert(user, permission);
        })
    }

    pub(super) fn change(self, edit: impl FnOnce(&mut Repo)) -> Self {
        edit(self.github.lock().repo_mut(self.id));
        self
    }
}

impl World {
    pub fn ensure_account(&mut self, login: &str, kind: Kind) -> i64 {
        if let Some(account) = self.account(login) {
            return account.id;
        }
        let id = self.next_id();
        let account = Account { id, login: login.to_owned(), name: None, email: None, kind, members: BTreeMap::new() };
        self.accounts.insert(id, account);
        id
    }

    pub fn ensure_repo(&mut self, owner: &str, name: &str) -> i64 {
        let full_name = format!("{owner}/{name}");
        if let Some(repo) = self.find_repo(&full_name)
            && self.full_name(repo).eq_ignore_ascii_case(&full_name)
        {
            return repo.id;
        }
        let owner = self.ensure_account(owner, Kind::Organization);
        let (id, tip, at) = (self.next_id(), self.next_sha(), self.stamp());
        let repo = Repo {
            id,
            owner,
            name: name.to_owned(),
            private: false,
            description: None,
            default_branch: "main".to_owned(),
            created_at: at,
            updated_at: at,
            collaborators: BTreeMap::new(),
            old_names: Vec::new(),
            deleted: false,
            parent: None,
            hooks: BTreeMap::new(),
            pulls: BTreeMap::new(),
            issues: BTreeMap::new(),
            comments: Vec::new(),
            branches: BTreeMap::from([("main".to_owned(), tip.clone())]),
            tags: BTreeMap::new(),
            trees: BTreeMap::from([(tip, Arc::default())]),
            folders: BTreeMap::new(),
            gone_issues: BTreeMap::new(),
            stars: 0,
            contributions: BTreeMap::new(),
            too_many_contributors: false,
            last_number: 0,
        };
        self.repos.insert(id, repo);
        id
    }

    pub fn issue_token<'a>(&mut self, user: i64, scopes: impl IntoIterator<Item = &'a str>) -> String {
        let id = self.next_id();
        let text = format!("sandbox_{}_{id}", self.login(user));
        let scopes: BTreeSet<_> = scopes.into_iter().map(str::to_owned).collect();
        self.tokens.insert(text.clone(), Token { user, scopes, revoked: false });
        text
    }
}
