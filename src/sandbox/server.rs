//! The sandbox's HTTP server: connections, failures on demand, books. What requests mean is in `rest`.
//!
//! A handler runs to its end under the world's lock and never waits; only failures and pings wait, outside it.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{ask::Ask, books::Call, delivery, faults::Failure, lock, reply::Reply, rest, world::World};

/// The connection closes without an answer: hyper drops it when a service fails.
#[derive(Debug, thiserror::Error)]
#[error("cut")]
struct Cut;

/// Answers until `stop`; then every open connection goes at once.
pub async fn serve(listener: TcpListener, world: Arc<Mutex<World>>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        let (world, stop) = (world.clone(), stop.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| answer(&world, request));
            tokio::select! {
                () = stop.cancelled() => {}
                // A client that goes away is its own business.
                _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service) => {}
            }
        });
    }
}

async fn answer(world: &Mutex<World>, request: http::Request<Incoming>) -> Result<http::Response<Full<Bytes>>, Cut> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let mut ask = Ask::new(head, body);
    let (latency, failure) = {
        let mut world = lock(world);
        (world.faults.latency, world.faults.pick(&ask))
    };
    pause(latency).await;
    let reply = match &failure {
        None => work(world, &mut ask).await,
        Some(Failure::Delay(time)) => {
            pause(*time).await;
            work(world, &mut ask).await
        }
        Some(Failure::Held(hold)) => {
            hold.wait().await;
            work(world, &mut ask).await
        }
        Some(Failure::CutAfterWork | Failure::StatusAfterWork(..)) => work(world, &mut ask).await,
        Some(Failure::Hang) => {
            record(world, ask, 0);
            match std::future::pending::<Infallible>().await {}
        }
        Some(Failure::CutBefore) => {
            record(world, ask, 0);
            return Err(Cut);
        }
        Some(Failure::Status(..) | Failure::RateLimited { .. } | Failure::Secondary) => Reply::empty(502),
    };
    if matches!(failure, Some(Failure::CutAfterWork)) {
        record(world, ask, 0);
        return Err(Cut);
    }
    let reply = failure.and_then(|failure| failure.refusal()).unwrap_or(reply);
    record(world, ask, reply.status);
    Ok(reply.into_http())
}

async fn work(world: &Mutex<World>, ask: &mut Ask) -> Reply {
    let (reply, pings) = {
        let mut world = lock(world);
        let reply = rest::answer(&mut world, ask);
        (reply, world.take_urgent_pings())
    };
    for ping in pings {
        delivery::send_and_record(world, ping).await;
    }
    reply
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

/// Writes the request into the books; status 0 stands for no answer.
fn record(world: &Mutex<World>, mut ask: Ask, status: u16) {
    let mut world = lock(world);
    // A refused request was never looked at: find out now who asked.
    if ask.user.is_none() {
        let _ = world.identify(&mut ask);
    }
    let path = rest::short_path(&ask.path).to_owned();
    let user = ask.user.map(|id| world.login(id).to_owned());
    for complaint in &ask.complaints {
        let line = format!("{} {path}: {complaint}", ask.method);
        world.books.violations.push(line);
    }
    let call = Call { method: ask.method.to_string(), path, query: ask.raw_query, user, status };
    world.books.calls.push(call);
}
