//! What is done to the processes from outside while clients are at work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::place::Place;
use super::process::Gateways;
use super::story::{Kind, Story};

/// What happens to the processes from outside.
pub(super) async fn trouble(kind: Kind, place: Place, gateways: Arc<Gateways>, story: Arc<Story>) {
    // In the middle of the work.
    let until = Instant::now() + Duration::from_secs(20);
    while story.witness.log().len() < 20 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    match kind {
        Kind::Plain | Kind::Expiry | Kind::Upstream | Kind::Poison => {}
        Kind::Cut => {
            for _ in 0..6 {
                place.cut();
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        }
        Kind::Crash => {
            for _ in 0..2 {
                tokio::task::block_in_place(|| place.crash(Duration::from_secs(2)));
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        Kind::Kill | Kind::Stop => {
            for at in 0..place.processes() {
                gateways.signal(at, if kind == Kind::Kill { Signal::KILL } else { Signal::STOP });
                tokio::time::sleep(Duration::from_millis(700)).await;
            }
        }
        Kind::Full => {
            // Until it has had no more room for a while.
            tokio::time::sleep(Duration::from_secs(4)).await;
            gateways.end(0, &[Signal::KILL]).await;
            gateways.without_limit();
            gateways.again(0);
        }
        Kind::Term | Kind::TermTwice => {
            let signals: &[Signal] = if kind == Kind::Term { &[Signal::TERM] } else { &[Signal::TERM, Signal::TERM] };
            for at in 0..place.processes() {
                let took = gateways.end(at, signals).await;
                if kind == Kind::TermTwice && took > Duration::from_secs(10) {
                    story.known().violations.push(format!("a second signal ends it only after {took:?}"));
                }
                gateways.again(at);
                gateways.ready().await;
            }
        }
    }
}
