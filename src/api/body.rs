//! Reading a delivery's body: all of it, as it was sent, and never more than there is room and time for.
//!
//! Bytes are counted while they arrive, whatever `Content-Length` said. Large bodies share one budget and those of medium
//! size another, so that many of them together cannot exhaust memory: they wait for each other instead. What most
//! deliveries are, is small, and waits for nobody. Nothing is ever decompressed, because what was signed is what was sent.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, combinators::BoxBody};
use hyper::body::Body as _;
use poem::Body;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

/// The largest delivery GitHub sends.
pub(super) const LARGEST: u64 = 25 * MIB;

/// Bodies up to this size need no share of a budget.
const SMALL: u64 = 64 * KIB;

/// Bodies up to this size share the lesser budget, as soon as more than [`SMALL`] of them has arrived.
const MEDIUM: u64 = MIB;

/// What all bodies of medium size may occupy together.
const LESSER_BUDGET: u64 = 64 * MIB;

/// What all larger bodies may occupy together.
const BUDGET: u64 = 128 * MIB;

/// How long a body may take to arrive, waiting for the budget included. GitHub hangs up after 10 s itself.
const PATIENCE: Duration = Duration::from_secs(10);

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    #[error("The body is larger than 25 MiB")]
    TooLarge,
    #[error("The body did not arrive within 10 seconds")]
    Slow,
    #[error("Too many large deliveries are arriving at once, send it again")]
    Crowded,
    #[error("The connection broke while the body was arriving")]
    Broken,
}

/// A body that arrived, and its share of the budget: dropped together, once the delivery is stored.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) bytes: Bytes,
    _share: Option<OwnedSemaphorePermit>,
}

/// The memory that bodies share. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    /// For large ones.
    room: Arc<Semaphore>,
    /// For those of medium size.
    lesser: Arc<Semaphore>,
    patience: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(BUDGET, LESSER_BUDGET, PATIENCE)
    }
}

impl Budget {
    fn new(bytes: u64, lesser: u64, patience: Duration) -> Self {
        let room = |bytes: u64| Arc::new(Semaphore::new(usize::try_from(bytes / KIB).unwrap_or(usize::MAX)));
        Self { room: room(bytes), lesser: room(lesser), patience }
    }

    /// Refuses what says of itself that it is too large, before anything is read.
    pub(super) fn check(body: Body) -> Result<Unread, BodyError> {
        let body = BoxBody::from(body);
        let declared = body.size_hint().exact();
        if declared.is_some_and(|length| length > LARGEST) {
            return Err(BodyError::TooLarge);
        }
        Ok(Unread { body, declared })
    }

    /// Reads all of it.
    pub(super) async fn read(&self, Unread { mut body, declared }: Unread) -> Result<Received, BodyError> {
        let mut wait =
            Wait { budget: self, until: Instant::now() + self.patience, waited: false, share: None, covered: SMALL };
        if let Some(declared) = declared.filter(|length| *length > MEDIUM) {
            wait.cover(declared, Some(declared)).await?;
        }
        let Some(first) = wait.frame(&mut body).await? else { return Ok(wait.received(Bytes::new())) };
        check_size(first.len())?;
        let Some(second) = wait.frame(&mut body).await? else { return Ok(wait.received(first)) };
        let mut all = BytesMut::new();
        all.extend_from_slice(&first);
        let mut next = Some(second);
        while let Some(frame) = next {
            let size = all.len() + frame.len();
            check_size(size)?;
            wait.cover(size as u64, declared).await?;
            if all.capacity() < size {
                let expected = declared.unwrap_or(0).min(wait.covered);
                all.reserve(usize::try_from(expected).unwrap_or(0).max(size) - all.len());
            }
            all.extend_from_slice(&frame);
            next = wait.frame(&mut body).await?;
        }
        wait.give_back(all.len() as u64);
        Ok(wait.received(all.freeze()))
    }
}

/// A body that does not claim to be too large.
pub(super) struct Unread {
    body: BoxBody<Bytes, std::io::Error>,
    declared: Option<u64>,
}

struct Wait<'a> {
    budget: &'a Budget,
    until: Instant,
    /// Whether the body had to wait for others: being late is then not its sender's fault.
    waited: bool,
    share: Option<OwnedSemaphorePermit>,
    /// Up to this size there is room for it.
    covered: u64,
}

impl Wait<'_> {
    /// Waits until there is room for a body of which this much is here and this much was declared. Taking everything it may
    /// need at once, rather than piece by piece, is what keeps two bodies from waiting for each other for ever.
    async fn cover(&mut self, size: u64, declared: Option<u64>) -> Result<(), BodyError> {
        if size <= self.covered {
            return Ok(());
        }
        let (room, most) = if size > MEDIUM { (&self.budget.room, LARGEST) } else { (&self.budget.lesser, MEDIUM) };
        let wanted = declared.filter(|declared| (size..=most).contains(declared)).unwrap_or(most);
        let share = self.take(room, wanted).await?;
        // What it had of the lesser budget goes back.
        self.share = Some(share);
        self.covered = wanted;
        Ok(())
    }

    async fn take(&mut self, room: &Arc<Semaphore>, bytes: u64) -> Result<OwnedSemaphorePermit, BodyError> {
        let units = u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX);
        if let Ok(share) = room.clone().try_acquire_many_owned(units) {
            return Ok(share);
        }
        self.waited = true;
        let share = timeout_at(self.until, room.clone().acquire_many_owned(units)).await;
        share.map_err(|_| self.late())?.map_err(|_| BodyError::Crowded)
    }

    /// Returns what a body of unknown length turned out not to need.
    fn give_back(&mut self, bytes: u64) {
        let needed = usize::try_from(bytes.div_ceil(KIB)).unwrap_or(usize::MAX);
        if let Some(share) = &mut self.share {
            drop(share.split(share.num_permits().saturating_sub(needed)));
        }
    }

    async fn frame(&mut self, body: &mut BoxBody<Bytes, std::io::Error>) -> Result<Option<Bytes>, BodyError> {
        loop {
            let frame = timeout_at(self.until, body.frame()).await.map_err(|_| self.late())?;
            match frame {
                None => return Ok(None),
                Some(Err(_)) => return Err(BodyError::Broken),
                // Trailers are nobody's business.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => return Ok(Some(data)),
                    _ => {}
                },
            }
        }
    }

    fn late(&self) -> BodyError {
        if self.waited { BodyError::Crowded } else { BodyError::Slow }
    }

    fn received(self, bytes: Bytes) -> Received {
        Received { bytes, _share: self.share }
    }
}

fn check_size(size: usize) -> Result<(), BodyError> {
    if size as u64 > LARGEST { Err(BodyError::TooLarge) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io;

    use futures_util::{StreamExt, stream};

    use super::*;

    /// A body without a length, in these pieces.
    fn chunked(pieces: Vec<Bytes>) -> Body {
        Body::from_bytes_stream(stream::iter(pieces.into_iter().map(Ok::<_, io::Error>)))
    }

    /// A body that begins and never ends.
    fn endless(first: Bytes) -> Body {
        Body::from_bytes_stream(stream::iter([Ok::<_, io::Error>(first)]).chain(stream::pending()))
    }

    async fn read(budget: &Budget, body: Body) -> Result<Received, BodyError> {
        budget.read(Budget::check(body)?).await
    }

    fn zeros(size: u64) -> Bytes {
        Bytes::from(vec![0; usize::try_from(size).unwrap()])
    }

    #[tokio::test]
    async fn a_body_in_pieces_is_the_same_body() {
        let budget = Budget::default();
        let whole = read(&budget, Body::from("ping pong")).await.unwrap();
        let pieces = read(&budget, chunked(vec!["ping".into(), "".into(), " pong".into()])).await.unwrap();
        assert_eq!(whole.bytes, pieces.bytes);
        assert_eq!(read(&budget, Body::empty()).await.unwrap().bytes, Bytes::new());
    }

    #[tokio::test]
    async fn a_body_that_came_in_one_piece_is_not_copied() {
        let sent = Bytes::from_static(b"as it came");
        let received = read(&Budget::default(), Body::from(sent.clone())).await.unwrap();
        assert_eq!(received.bytes.as_ptr(), sent.as_ptr());
    }

    #[tokio::test]
    async fn the_largest_body_fits_and_one_byte_more_does_not() {
        let budget = Budget::default();
        assert_eq!(read(&budget, Body::from(zeros(LARGEST))).await.unwrap().bytes.len() as u64, LARGEST);
        assert_eq!(read(&budget, Body::from(zeros(LARGEST + 1))).await.unwrap_err(), BodyError::TooLarge);

        let pieces = || (0..25).map(|_| zeros(MIB)).collect::<Vec<_>>();
        assert_eq!(read(&budget, chunked(pieces())).await.unwrap().bytes.len() as u64, LARGEST);
        let mut more = pieces();
        more.push(zeros(1));
        assert_eq!(read(&budget, chunked(more)).await.unwrap_err(), BodyError::TooLarge);
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_given_up() {
        let impatient = Budget::new(BUDGET, LESSER_BUDGET, Duration::ZERO);
        assert_eq!(read(&impatient, endless("{".into())).await.unwrap_err(), BodyError::Slow);
    }

    #[tokio::test]
    async fn a_large_body_waits_for_room_and_is_not_blamed_when_there_is_none() {
        let budget = Budget::new(4 * MIB, LESSER_BUDGET, PATIENCE);
        let impatient = Budget { patience: Duration::ZERO, ..budget.clone() };
        let first = read(&budget, Body::from(zeros(3 * MIB))).await.unwrap();
        assert_eq!(read(&impatient, Body::from(zeros(2 * MIB))).await.unwrap_err(), BodyError::Crowded);
        assert!(read(&impatient, chunked(vec![zeros(MIB / 2), zeros(MIB / 2)])).await.is_ok(), "others have their own");

        let (second, ()) = tokio::join!(read(&budget, Body::from(zeros(2 * MIB))), async {
            tokio::task::yield_now().await;
            drop(first);
        });
        assert_eq!(second.unwrap().bytes.len() as u64, 2 * MIB);
    }

    #[tokio::test]
    async fn bodies_of_medium_size_wait_for_each_other_and_small_ones_for_nobody() {
        let budget = Budget::new(BUDGET, MIB, PATIENCE);
        let impatient = Budget { patience: Duration::ZERO, ..budget.clone() };
        let pieces = |of: u64| chunked(vec![zeros(of), zeros(of)]);
        let first = read(&budget, pieces(MIB / 4)).await.unwrap();
        assert_eq!(budget.lesser.available_permits() as u64, MIB / 2 / KIB, "it keeps what it needed");
        assert_eq!(read(&impatient, pieces(MIB / 4)).await.unwrap_err(), BodyError::Crowded);
        assert!(read(&impatient, pieces(SMALL / 2)).await.is_ok());
        let large = read(&impatient, chunked(vec![zeros(MIB), zeros(MIB)])).await.unwrap();
        assert_eq!(budget.lesser.available_permits() as u64, MIB / 2 / KIB, "a large body has its share elsewhere");
        drop((first, large));
        assert!(read(&impatient, pieces(MIB / 4)).await.is_ok());
        assert_eq!(budget.lesser.available_permits() as u64, MIB / KIB);
    }

    #[tokio::test]
    async fn a_body_of_unknown_length_keeps_only_what_it_needed() {
        let budget = Budget::new(LARGEST, LESSER_BUDGET, PATIENCE);
        let kept = read(&budget, chunked(vec![zeros(MIB), zeros(MIB)])).await.unwrap();
        assert_eq!(budget.room.available_permits() as u64, (LARGEST - 2 * MIB) / KIB);
        drop(kept);
        assert_eq!(budget.room.available_permits() as u64, LARGEST / KIB);
    }

    #[tokio::test]
    async fn a_connection_that_breaks_is_no_delivery() {
        let broken = stream::iter([Ok(Bytes::from_static(b"{")), Err(io::Error::other("reset"))]);
        let error = read(&Budget::default(), Body::from_bytes_stream(broken)).await.unwrap_err();
        assert_eq!(error, BodyError::Broken);
    }
}
