//! Places for connections. There are so many; when all are taken, whoever has kept us waiting longest gives way.
//!
//! A connection waits for its caller until a request has arrived in all, and again once it is answered. Callers that open
//! connections and say nothing, or say it as slowly as they can, therefore keep nobody out, however many they are: who
//! comes and speaks is heard. Who has begun to send a body gives way after all who have not.

use std::{
    collections::BTreeMap,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::telemetry;

/// Connections at once, if files may be open for them.
const MOST: usize = 2048;

/// Files that are open for other things: the database, GitHub, logs.
const OTHER_FILES: usize = 256;

/// All places.
#[derive(Clone)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    crowd: Arc<Crowd>,
}

/// Connections that wait for their callers.
#[derive(Default)]
struct Crowd {
    /// In the order in which they give way.
    waiting: Mutex<BTreeMap<Turn, CancellationToken>>,
    turns: AtomicU64,
    /// Somebody began to wait.
    begun: Notify,
}

/// When a connection gives way: for what it waits, and since when.
type Turn = (For, u64);

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum For {
    /// A request, or the rest of its head.
    Request,
    /// The rest of a request's body.
    Body,
}

/// A connection's place, free again when dropped.
pub(super) struct Place {
    crowd: Arc<Crowd>,
    /// If it waits.
    turn: Mutex<Option<Turn>>,
    gives_way: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Places {
    /// As many as this process may have files for.
    pub(super) fn new() -> Self {
        let files = telemetry::most_open_files();
        Self::of(files.map_or(MOST, |files| MOST.min(files.saturating_sub(OTHER_FILES).max(files / 2))))
    }

    fn of(places: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(places)), crowd: Arc::default() }
    }

    /// A place for a connection that has come. Its caller is waited for.
    pub(super) async fn take(&self) -> io::Result<Arc<Place>> {
        let place = match self.free.clone().try_acquire_owned() {
            Ok(place) => place,
            Err(_) => self.make_room().await.map_err(io::Error::other)?,
        };
        let place = Place {
            crowd: self.crowd.clone(),
            turn: Mutex::default(),
            gives_way: CancellationToken::new(),
            _place: place,
        };
        place.waits();
        Ok(Arc::new(place))
    }

    async fn make_room(&self) -> Result<OwnedSemaphorePermit, tokio::sync::AcquireError> {
        while !self.cut_longest() {
            // All are being answered: the first that is makes room.
            tokio::select! {
                biased;
                place = self.free.clone().acquire_owned() => return place,
                () = self.crowd.begun.notified() => {}
            }
        }
        self.free.clone().acquire_owned().await
    }

    /// Closes the connection that has waited longest. False if none waits.
    pub(super) fn cut_longest(&self) -> bool {
        let longest = self.crowd.waiting().pop_first();
        longest.map(|(_, gives_way)| gives_way.cancel()).is_some()
    }
}

impl Crowd {
    fn waiting(&self) -> MutexGuard<'_, BTreeMap<Turn, CancellationToken>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// From now on its caller is waited for.
    pub(super) fn waits(&self) {
        self.waits_for(Some(For::Request));
    }

    /// A request is here in all: from now on its caller waits for us.
    fn works(&self) {
        self.waits_for(None);
    }

    fn waits_for(&self, what: Option<For>) {
        let mut turn = self.turn();
        let mut waiting = self.crowd.waiting();
        if let Some(before) = turn.take() {
            waiting.remove(&before);
        }
        if let Some(what) = what {
            let next = (what, self.crowd.turns.fetch_add(1, Ordering::Relaxed));
            *turn = Some(next);
            waiting.insert(next, self.gives_way.clone());
            self.crowd.begun.notify_one();
        }
    }

    /// Resolves when it has to give way.
    pub(super) async fn gives_way(&self) {
        self.gives_way.cancelled().await;
    }

    /// A request's body, which tells this place when it has arrived.
    pub(super) fn watch(self: &Arc<Self>, body: BoxBody<Bytes, io::Error>) -> BoxBody<Bytes, io::Error> {
        if body.is_end_stream() {
            self.works();
            return body;
        }
        self.waits_for(Some(For::Body));
        BoxBody::new(Arriving { body, place: self.clone() })
    }

    fn turn(&self) -> MutexGuard<'_, Option<Turn>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.works();
    }
}

struct Arriving {
    body: BoxBody<Bytes, io::Error>,
    place: Arc<Place>,
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if matches!(frame, Poll::Ready(None)) || (frame.is_ready() && self.body.is_end_stream()) {
            self.place.works();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures_util::poll;
    use http_body_util::{BodyExt, Empty, Full};

    use super::*;

    fn gave_way(place: &Place) -> bool {
        place.gives_way.is_cancelled()
    }

    #[tokio::test]
    async fn who_has_waited_longest_gives_way_and_who_is_being_answered_does_not() {
        let places = Places::of(3);
        let (first, second, third) =
            (places.take().await.unwrap(), places.take().await.unwrap(), places.take().await.unwrap());
        first.works();
        let mut coming = Box::pin(places.take());
        assert!(poll!(&mut coming).is_pending());
        assert_eq!([&first, &second, &third].map(|place| gave_way(place)), [false, true, false]);
        drop(second);
        let fourth = coming.await.unwrap();

        // Answered, it waits again; who waited longer has begun to send a body.
        first.waits();
        third.waits_for(Some(For::Body));
        let mut coming = Box::pin(places.take());
        assert!(poll!(&mut coming).is_pending());
        assert_eq!([&first, &third, &fourth].map(|place| gave_way(place)), [false, false, true]);
    }

    #[tokio::test]
    async fn where_all_are_being_answered_the_first_that_is_makes_room() {
        let places = Places::of(2);
        let (first, second) = (places.take().await.unwrap(), places.take().await.unwrap());
        first.works();
        second.works();
        let mut coming = Box::pin(places.take());
        assert!(poll!(&mut coming).is_pending());
        assert!(!gave_way(&first) && !gave_way(&second));
        first.waits();
        assert!(poll!(&mut coming).is_pending());
        assert!(gave_way(&first));
        drop(first);
        assert!(poll!(&mut coming).is_ready());
    }

    #[tokio::test]
    async fn a_request_whose_body_has_not_arrived_is_still_waited_for() {
        let places = Places::of(1);
        let waits = |place: &Place| place.turn().is_some();
        let place = places.take().await.unwrap();
        let body = place.watch(BoxBody::new(Full::new(Bytes::from_static(b"{}")).map_err(|never| match never {})));
        assert!(waits(&place));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "{}");
        assert!(!waits(&place));

        place.waits();
        drop(place.watch(BoxBody::new(Empty::new().map_err(|never| match never {}))));
        assert!(!waits(&place), "there is nothing to wait for");
        drop(place);
        assert!(places.crowd.waiting().is_empty());
    }
}
