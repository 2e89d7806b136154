//! What nectr does on GitHub, once each.
//!
//! An effect is unique by (repository, pull request, kind, key). Its row exists before GitHub is told, so a crash at any
//! point leaves a trace to pick up from; everything but the first insert is guarded by the fence of the work at hand.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, QueryResult, Value};

use super::{Lane, Store, StoreError, WriteTx, deliveries::Effect, reviews::ReviewDraft, time, work::Lease};
use crate::domain::{DeliveryId, PrNumber, RepoId, review::ReviewEvent};

/// How far an effect has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EffectState {
    /// Intended; GitHub may or may not know.
    Claimed,
    /// GitHub has it as a draft under a known id.
    Pending,
    /// Done.
    Done,
}

/// An effect's row.
#[derive(Debug, Clone)]
pub struct EffectRow {
    /// Our id.
    pub id: i64,
    /// What tells it from others of its pull request and kind.
    pub key: String,
    /// How far it has come.
    pub state: EffectState,
    /// GitHub's id, once known.
    pub github_id: Option<i64>,
    /// What is to be posted, as it was decided first.
    pub draft: ReviewDraft,
    /// Whether the work at hand made it (else another did).
    pub mine: bool,
}

const REVIEW: &str = "review";

impl Store {
    /// The review effect of this key, if any, and those of its pull request that are not done.
    pub async fn review_effects(
        &self,
        lease: Lease,
        repo: RepoId,
        number: PrNumber,
        key: &str,
    ) -> Result<(Option<EffectRow>, Vec<EffectRow>), StoreError> {
        let sql = format!(
            "{SELECT} WHERE repo_id = $1 AND pr_number = $2 AND kind = $3 AND (key = $4 OR state <> 'done') ORDER BY id"
        );
        let values: [Value; 4] = [repo.0.into(), number.0.into(), REVIEW.into(), key.into()];
        let (mut of_key, mut others) = (None, Vec::new());
        for row in self.read().query_all_raw(self.sql(&sql, values)).await? {
            let effect = effect(lease, &row)?;
            if effect.key == key {
                of_key = Some(effect);
            } else {
                others.push(effect);
            }
        }
        Ok((of_key, others))
    }

    /// The review effects of a pull request that are not done: what a crash may have left behind.
    pub async fn unfinished_reviews(
        &self,
        lease: Lease,
        repo: RepoId,
        number: PrNumber,
    ) -> Result<Vec<EffectRow>, StoreError> {
        let sql = format!("{SELECT} WHERE repo_id = $1 AND pr_number = $2 AND kind = $3 AND state <> 'done'");
        let values: [Value; 3] = [repo.0.into(), number.0.into(), REVIEW.into()];
        let rows = self.read().query_all_raw(self.sql(&sql, values)).await?;
        rows.iter().map(|row| effect(lease, row)).collect()
    }

    /// GitHub's ids of the latest posted reviews of a pull request that request changes, back to the first that does not.
    pub async fn standing_requests(&self, repo: RepoId, number: PrNumber) -> Result<Vec<i64>, StoreError> {
        let sql = "SELECT github_id, draft FROM effects WHERE repo_id = $1 AND pr_number = $2 AND kind = $3 \
                   AND state = 'done' AND github_id IS NOT NULL ORDER BY id DESC";
        let values: [Value; 3] = [repo.0.into(), number.0.into(), REVIEW.into()];
        let mut standing = Vec::new();
        for row in self.read().query_all_raw(self.sql(sql, values)).await? {
            let draft = ReviewDraft::from_json(&row.try_get::<String>("", "draft")?)?;
            if draft.event != ReviewEvent::RequestChanges {
                break;
            }
            standing.push(row.try_get("", "github_id")?);
        }
        Ok(standing)
    }

    /// States the intention to post a review, before GitHub is told. What is already there wins: then `draft` is not used
    /// and the second value is false.
    pub async fn claim_review(
        &self,
        lease: Lease,
        repo: RepoId,
        number: PrNumber,
        key: &str,
        draft: &ReviewDraft,
    ) -> Result<(EffectRow, bool), StoreError> {
        let json = draft.to_json()?;
        let sql = format!(
            "{} INSERT INTO effects (repo_id, pr_number, kind, key, source, work_id, state, draft, created_at) \
             SELECT $1, $2, $3, $4, $5, $6, 'claimed', $7, $8 FROM mine WHERE TRUE \
             ON CONFLICT (repo_id, pr_number, kind, key) DO NOTHING RETURNING id",
            self.with_mine(lease, 9)
        );
        let values: [Value; 10] = [
            repo.0.into(),
            number.0.into(),
            REVIEW.into(),
            key.into(),
            lease.source.as_str().into(),
            lease.id.into(),
            json.clone().into(),
            self.now().into(),
            lease.id.into(),
            lease.fence.into(),
        ];
        if let Some(row) = self.write(Lane::Work, self.sql(&sql, values)).await?.first() {
            let fresh = EffectRow {
                id: row.try_get("", "id")?,
                key: key.to_owned(),
                state: EffectState::Claimed,
                github_id: None,
                draft: ReviewDraft::from_json(&json)?,
                mine: true,
            };
            return Ok((fresh, true));
        }
        // It is there already, or the lease is over.
        self.still_mine(lease).await?;
        let (known, _) = self.review_effects(lease, repo, number, key).await?;
        Ok((known.ok_or_else(|| StoreError::Corrupt("an effect vanished".into()))?, false))
    }

    /// GitHub has the draft under this id.
    pub async fn review_pending(&self, lease: Lease, effect: i64, github_id: i64) -> Result<(), StoreError> {
        self.set_effect(lease, effect, "pending", Some(github_id), None).await
    }

    /// GitHub does not have it after all; what is to be posted may have changed.
    pub async fn review_unsent(&self, lease: Lease, effect: i64, draft: &ReviewDraft) -> Result<(), StoreError> {
        self.set_effect(lease, effect, "claimed", None, Some(draft)).await
    }

    async fn set_effect(
        &self,
        lease: Lease,
        effect: i64,
        state: &str,
        github_id: Option<i64>,
        draft: Option<&ReviewDraft>,
    ) -> Result<(), StoreError> {
        let draft = draft.map(ReviewDraft::to_json).transpose()?;
        let sql = format!(
            "{} UPDATE effects SET state = $2, github_id = $3, draft = COALESCE($4, draft), source = $5, work_id = $6 \
             WHERE id = $1 AND state <> 'done' AND EXISTS (SELECT 1 FROM mine) RETURNING id",
            self.with_mine(lease, 7)
        );
        let values: [Value; 8] = [
            effect.into(),
            state.into(),
            github_id.into(),
            draft.into(),
            lease.source.as_str().into(),
            lease.id.into(),
            lease.id.into(),
            lease.fence.into(),
        ];
        match self.write(Lane::Work, self.sql(&sql, values)).await?.first() {
            Some(_) => Ok(()),
            // It is done, or the lease is over.
            None => self.still_mine(lease).await,
        }
    }

    /// It is on GitHub: the effect is done and the review is listed, in one step. Returns when that was; none if it was
    /// listed before.
    pub async fn review_posted(
        &self,
        lease: Lease,
        row: &EffectRow,
        github_id: i64,
        url: &str,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let tx = self.begin(Lane::Work).await?;
        let sql = format!(
            "{} UPDATE effects SET state = 'done', github_id = $2, url = $3 \
             WHERE id = $1 AND state <> 'done' AND EXISTS (SELECT 1 FROM mine)",
            self.with_mine(lease, 4)
        );
        let values: [Value; 5] = [row.id.into(), github_id.into(), url.into(), lease.id.into(), lease.fence.into()];
        if tx.execute_raw(self.sql(&sql, values)).await?.rows_affected() == 0 {
            self.check_fence(&tx, lease).await?;
            return Ok(None);
        }
        let now = self.now();
        self.insert_review(&tx, row.id, &row.draft, Some(url), now).await?;
        tx.commit().await?;
        Ok(Some(time(now)))
    }

    /// It will never be posted: the intention goes, and the lists say why nothing came of it.
    pub async fn review_cancelled(&self, lease: Lease, row: &EffectRow) -> Result<(), StoreError> {
        let tx = self.begin(Lane::Work).await?;
        self.check_fence(&tx, lease).await?;
        let sql = "DELETE FROM effects WHERE id = $1 AND state <> 'done'";
        if tx.execute_raw(self.sql(sql, [row.id.into()])).await?.rows_affected() == 1 {
            self.insert_review(&tx, row.id, &row.draft, None, self.now()).await?;
        }
        tx.commit().await
    }

    pub(crate) async fn effects_of(&self, delivery: DeliveryId) -> Result<Vec<Effect>, StoreError> {
        let sql = "SELECT kind, github_id, url, created_at FROM effects \
                   WHERE source = 'delivery' AND work_id = $1 AND state = 'done' ORDER BY id";
        let rows = self.read().query_all_raw(self.sql(sql, [delivery.0.into()])).await?;
        rows.iter()
            .map(|row| {
                Ok(Effect {
                    kind: row.try_get("", "kind")?,
                    github_id: row.try_get("", "github_id")?,
                    url: row.try_get("", "url")?,
                    created_at: time(row.try_get("", "created_at")?),
                })
            })
            .collect()
    }

    async fn insert_review(
        &self,
        tx: &WriteTx,
        effect: i64,
        draft: &ReviewDraft,
        url: Option<&str>,
        now: i64,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO reviews (repo_id, repo, pr_number, pr_title, pr_url, pr_state, author, branch, base_ref, \
                   head_sha, status, verdict, event, summary, files_analyzed, findings_count, findings, coverage, \
                   effect_id, review_url, created_at, posted_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, \
                   $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)";
        let values = draft.values(effect, url, now)?;
        tx.execute_raw(self.sql(sql, values)).await?;
        Ok(())
    }
}

const SELECT: &str = "SELECT id, key, state, github_id, draft, source, work_id FROM effects";

fn effect(lease: Lease, row: &QueryResult) -> Result<EffectRow, StoreError> {
    let state: String = row.try_get("", "state")?;
    let source: String = row.try_get("", "source")?;
    let work_id: i64 = row.try_get("", "work_id")?;
    Ok(EffectRow {
        id: row.try_get("", "id")?,
        key: row.try_get("", "key")?,
        state: match state.as_str() {
            "claimed" => EffectState::Claimed,
            "pending" => EffectState::Pending,
            "done" => EffectState::Done,
            other => return Err(StoreError::Corrupt(format!("effect state {other:?}"))),
        },
        github_id: row.try_get("", "github_id")?,
        draft: ReviewDraft::from_json(&row.try_get::<String>("", "draft")?)?,
        mine: source == lease.source.as_str() && work_id == lease.id,
    })
}
