//! Who asks, what they may see, and where a name leads.

use super::super::{
    Pr,
    ask::Ask,
    reply::{Reply, not_found, problem},
    world::{Permission, World},
};

impl World {
    /// Finds out whose token the request carries. A token that is unknown or revoked is refused; none is nobody.
    pub fn identify(&self, ask: &mut Ask) -> Result<(), Reply> {
        let Some(header) = ask.headers.get("authorization") else { return Ok(()) };
        let bad = || problem(401, "Bad credentials");
        let (scheme, token) = header.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(bad)?;
        if !scheme.eq_ignore_ascii_case("bearer") && !scheme.eq_ignore_ascii_case("token") {
            return Err(bad());
        }
        let known = self.tokens.get_key_value(token.trim()).filter(|(_, known)| !known.revoked);
        let (text, known) = known.ok_or_else(bad)?;
        (ask.user, ask.token) = (Some(known.user), Some(text.clone()));
        Ok(())
    }

    /// Whoever asks, or 401.
    pub fn signed_in(&self, ask: &Ask) -> Result<i64, Reply> {
        ask.user.ok_or_else(|| problem(401, "Requires authentication"))
    }

    pub fn has_scope(&self, ask: &Ask, any_of: &[&str]) -> bool {
        let token = ask.token.as_ref().and_then(|token| self.tokens.get(token));
        token.is_some_and(|token| any_of.iter().any(|scope| token.scopes.contains(*scope)))
    }

    /// The repository of that name; a redirect if it has another name by now.
    pub fn resolve(&self, ask: &Ask, owner: &str, name: &str) -> Result<i64, Reply> {
        let asked = format!("{owner}/{name}");
        let repo = self.find_repo(&asked).ok_or_else(not_found)?;
        if self.full_name(repo).eq_ignore_ascii_case(&asked) {
            return Ok(repo.id);
        }
        self.see(ask, repo.id)?;
        // As it came, still escaped: `/api/v3/repos/{owner}/{name}` and what follows.
        let tail: String = ask.path.split('/').skip(6).map(|part| format!("/{part}")).collect();
        let query = if ask.raw_query.is_empty() { String::new() } else { format!("?{}", ask.raw_query) };
        let location = format!("{}/repositories/{}{tail}{query}", self.api, repo.id);
        // Only a GET may be repeated as another method would be: the rest is told to keep its method and body.
        let status = if ask.method == http::Method::GET { 301 } else { 307 };
        Err(Reply::redirect(status, location))
    }

    /// What the asker may do in a repository; 404 if not even see it.
    pub fn see(&self, ask: &Ask, repo: i64) -> Result<Permission, Reply> {
        let repo = self.repo(repo);
        let permission = self.permission(repo, ask.user).ok_or_else(not_found)?;
        if repo.private && !self.has_scope(ask, &["repo"]) {
            return Err(not_found());
        }
        Ok(permission)
    }

    /// Whether the asker's token may write content (reviews, comments) in a repository, by its scopes.
    pub fn may_write(&mut self, ask: &Ask, repo: i64) -> Result<i64, Reply> {
        let user = self.signed_in(ask)?;
        let scopes: &[&str] = if self.repo(repo).private { &["repo"] } else { &["repo", "public_repo"] };
        if self.has_scope(ask, scopes) { Ok(user) } else { Err(not_found()) }
    }

    pub fn find_pull(&self, repo: i64, number: &str) -> Result<Pr, Reply> {
        let number = number.parse().map_err(|_| not_found())?;
        let known = self.repo(repo).pulls.contains_key(&number);
        known.then_some(Pr { repo, number }).ok_or_else(not_found)
    }
}
