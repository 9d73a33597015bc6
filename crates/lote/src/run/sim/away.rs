//! A run whose machine loses its network for hours, or sleeps, and one whose files the service loses.

use std::{
    fmt, io,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use lote_client::{Carried, Carrier};
use reqwest::dns::{Name, Resolve, Resolving};
use tokio::time::{Instant, sleep};

use super::{
    STACK, WALL,
    choices::Choices,
    nature::Nature,
    service::Service,
    wire::{Wire, World},
};
use crate::{
    Client, Dialect, Error, Tolerance,
    deadline::Deadline,
    lines::Limits,
    run::{Pace, Progress, Report, Run, RunError},
};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// For how long there is no network.
const AWAY: Duration = Duration::from_secs(3 * 60 * 60);

/// No name leads anywhere.
struct Nowhere;

impl Resolve for Nowhere {
    fn resolve(&self, _: Name) -> Resolving {
        Box::pin(async { Err("there is no network".into()) })
    }
}

/// What happens at the n-th request of a kind.
#[derive(Clone, Copy)]
struct When {
    method: &'static str,
    /// How its path begins and ends.
    path: (&'static str, &'static str),
    times: usize,
}

impl When {
    const fn new(method: &'static str, path: (&'static str, &'static str), times: usize) -> Self {
        Self { method, path, times }
    }
}

/// A service, and the way there, which is cut off once.
struct Way {
    wire: Wire,
    nowhere: reqwest::Client,
    when: When,
    what: What,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// There is no network for some hours.
    Away,
    /// The same, and the request still got through: its answer is lost.
    AnswerLost,
    /// The request gets nowhere, and seems to be one whose answer is lost.
    NothingDone,
    /// The service loses all files, this time or each time from then on.
    LosesFiles { always: bool },
}

#[derive(Default)]
struct State {
    seen: usize,
    since: Option<Duration>,
    requests: Vec<String>,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Way")
    }
}

impl Carrier for Way {
    fn carry(&self, request: reqwest::Request) -> Carried {
        let now = self.wire.world().now();
        let path = request.url().path().trim_start_matches("/v1").to_owned();
        let (begins, ends) = self.when.path;
        let mut state = self.state.lock().unwrap();
        if request.method() == self.when.method && path.starts_with(begins) && path.ends_with(ends) {
            state.seen += 1;
            let happens = match self.what {
                What::LosesFiles { always: true } => state.seen >= self.when.times,
                _ => state.seen == self.when.times,
            };
            if happens {
                state.since = Some(now);
                if let What::LosesFiles { .. } = self.what {
                    self.wire.world().services[0].lose_files();
                }
            }
        }
        state.requests.push(format!("{} {path}", request.method()));
        let away = state.since.is_some_and(|since| now < since + AWAY);
        if matches!(self.what, What::AnswerLost | What::NothingDone) && state.since == Some(now) {
            let carried = (self.what == What::AnswerLost).then(|| self.wire.carry(request));
            return Box::pin(async move {
                if let Some(carried) = carried {
                    let _ = carried.await;
                }
                let gone: Result<Vec<u8>, _> = Err(io::Error::from(io::ErrorKind::ConnectionReset));
                let body = reqwest::Body::wrap_stream(futures_util::stream::iter([gone]));
                Ok(http::Response::new(body).into())
            });
        }
        if away && matches!(self.what, What::Away | What::AnswerLost) {
            let nowhere = self.nowhere.clone();
            return Box::pin(async move { nowhere.get("http://nowhere.invalid/").send().await });
        }
        self.wire.carry(request)
    }
}

/// What came of a run of four lines in two batches, and of the way to the service.
struct Came {
    ended: Result<Report, RunError>,
    way: Arc<Way>,
    /// What was told of errors, and how often without a connection after the first time.
    told: Vec<String>,
    again: usize,
    took: Duration,
}

impl Came {
    /// How many batches were made.
    fn batches(&self) -> usize {
        self.way.wire.world().services[0].batches.len() - 1
    }

    fn requests(&self, request: &str) -> usize {
        self.way.state.lock().unwrap().requests.iter().filter(|made| *made == request).count()
    }
}

/// In time that is virtual, and a thread whose stack holds what is not optimized.
fn virtually<T: Send, Work: Future<Output = T>>(work: impl FnOnce() -> Work + Send) -> T {
    let play = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            WALL.set(Some((Instant::now(), SystemTime::now(), 0)));
            work().await
        })
    };
    std::thread::scope(|scope| {
        let player = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, play).unwrap();
        player.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Lets the wall clock jump.
fn jump(seconds: i64) {
    let (began, base, before) = WALL.get().unwrap();
    WALL.set(Some((began, base, before + seconds)));
}

async fn run(when: When, what: What, set: impl FnOnce(Run) -> Run) -> Came {
    let (way, client, place) = scene(when, what);
    drive(&way, Run::new(&client, place.path().join("requests.jsonl")), set).await
}

/// A service, what talks to it, and a folder with four request lines.
fn scene(when: When, what: What) -> (Arc<Way>, Client, tempfile::TempDir) {
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let service = || Service::new(Nature::plain(), seconds);
    let mut world = World::new(7, Choices::scripted(Vec::new()), [service(), service()]);
    world.bad_endings = false;
    // What a client of ours does, which is made later here.
    #[cfg(feature = "rustls")]
    drop(rustls::crypto::ring::default_provider().install_default());
    let way = Arc::new(Way {
        wire: Wire::new(world),
        nowhere: reqwest::Client::builder().no_proxy().dns_resolver(Arc::new(Nowhere)).build().unwrap(),
        when,
        what,
        state: Mutex::default(),
    });
    let dialect = Dialect::from_toml("name = \"plain\"").unwrap();
    let builder = Client::builder().base_url("http://127.0.0.1:1/v1").api_key("sk").dialect(dialect);
    let client = builder.carrier(Arc::<Way>::clone(&way)).build().unwrap();
    let place = tempfile::tempdir().unwrap();
    let requests = place.path().join("requests.jsonl");
    let line = |number: usize| {
        let body = serde_json::json!({"model": "m", "messages": [{"role": "user", "content": "1?"}]});
        let line = serde_json::json!({
            "custom_id": format!("l{number}"), "method": "POST", "url": "/v1/chat/completions", "body": body,
        });
        format!("{line}\n")
    };
    std::fs::write(&requests, (0..4).map(line).collect::<String>()).unwrap();
    (way, client, place)
}

async fn drive(way: &Arc<Way>, run: Run, set: impl FnOnce(Run) -> Run) -> Came {
    let told = Arc::<Mutex<(Vec<String>, usize)>>::default();
    let telling = Arc::clone(&told);
    let run = run.limits(Limits { max_lines: 2, ..Limits::default() });
    let run = set(run.on_progress(move |progress| {
        let mut told = telling.lock().unwrap();
        match progress {
            Progress::Trouble(error) => told.0.push(error.to_string()),
            Progress::Unreached { error, since } => {
                told.0.push(format!("{since:?}: {error}"));
                told.1 += 1;
            }
            _ => {}
        }
    }));
    let began = Instant::now();
    let ended = run.execute().await;
    let (told, again) = std::mem::take(&mut *told.lock().unwrap());
    Came { ended, way: Arc::clone(way), told, again, took: began.elapsed() }
}

/// The moments of a run at which its network may go.
const MOMENTS: [(&str, When); 7] = [
    ("the second upload", When::new("POST", ("/files", ""), 2)),
    ("the look for lost batches", When::new("GET", ("/batches", "/batches"), 1)),
    ("the first create", When::new("POST", ("/batches", "/batches"), 1)),
    ("the second create", When::new("POST", ("/batches", "/batches"), 2)),
    ("a wait", When::new("GET", ("/batches/", ""), 2)),
    ("a wait for several", When::new("GET", ("/batches", ""), 4)),
    ("a download", When::new("GET", ("/files/", "/content"), 1)),
];

#[test]
fn hours_without_a_network_are_survived_wherever_they_begin_and_said() {
    for (moment, when) in MOMENTS {
        for (max_open, what) in [(1, What::Away), (9, What::Away), (1, What::AnswerLost), (9, What::AnswerLost)] {
            let came = virtually(|| run(when, what, |run| run.max_open(max_open)));
            let at = format!("{moment}, {max_open} at once, {what:?}: {:#?}", came.told);
            assert!(came.way.state.lock().unwrap().since.is_some(), "{at}: it never comes to that");
            let report = came.ended.as_ref().unwrap_or_else(|error| panic!("{at}: {error}"));
            assert_eq!(report.joined.succeeded, 4, "{at}");
            assert_eq!(came.batches(), 2, "{at}");
            assert!(came.took > AWAY && came.took < AWAY + HOUR, "{at}: {:?}", came.took);
            // Said at first, and then less and less often.
            assert!((1..=9).contains(&came.told.len()) && came.again >= 3, "{at}");
            assert!(came.way.wire.world().services[0].doubled.is_empty(), "{at}");
        }
    }
}

#[test]
fn hours_without_a_network_are_survived_while_lines_are_sent_one_by_one() {
    for (request, what) in [2, 4].into_iter().flat_map(|nth| [(nth, What::Away), (nth, What::AnswerLost)]) {
        let when = When::new("POST", ("/chat/completions", ""), request);
        let one_by_one = |run: Run| run.synchronous(true).pace(Pace::new().max_in_flight(1));
        let came = virtually(|| run(when, what, one_by_one));
        let at = format!("request {request}, {what:?}: {:#?}", came.told);
        let report = came.ended.as_ref().unwrap_or_else(|error| panic!("{at}: {error}"));
        assert_eq!(report.joined.succeeded, 4, "{at}");
        assert!(came.took > AWAY && came.took < AWAY + HOUR, "{at}: {:?}", came.took);
        assert!((1..=9).contains(&came.told.len()) && came.again >= 3, "{at}");
        // What never left costs nothing, and what got through and was not answered is told.
        let again = u64::from(what == What::AnswerLost);
        assert_eq!(report.synchronous.map(|lines| (lines.lines, lines.sent_again)), Some((4, again)), "{at}");
    }
}

#[test]
fn a_service_that_was_never_reached_is_not_waited_for() {
    let first = When::new("POST", ("/files", ""), 1);
    let came = virtually(|| run(first, What::Away, |run| run));
    let error = came.ended.as_ref().unwrap_err();
    assert!(error.is_refused() && came.took < Duration::from_secs(120), "{error}, after {:?}", came.took);
    assert_eq!(came.batches(), 0);
}

#[test]
fn who_says_how_long_errors_are_survived_is_heeded() {
    let (_, wait) = MOMENTS[4];
    let came = virtually(|| run(wait, What::Away, |run| run.max_open(1).tolerance(Tolerance::default().lasting(HOUR))));
    let error = came.ended.as_ref().unwrap_err();
    assert!(error.is_unfetched() && came.took > HOUR && came.took < HOUR * 2, "{error}, after {:?}", came.took);
    let (_, upload) = MOMENTS[0];
    let came = virtually(|| run(upload, What::Away, |run| run.tolerance(Tolerance::none())));
    assert!(came.ended.is_err() && came.took < HOUR, "{:?}", came.took);
    // So is a deadline.
    let came = virtually(|| run(upload, What::Away, |run| run.deadline(HOUR)));
    let error = came.ended.as_ref().unwrap_err();
    assert!(error.gave_up() && came.took >= HOUR && came.took < HOUR + HOUR / 60, "{error}, after {:?}", came.took);
}

#[test]
fn a_deadline_passes_while_the_machine_sleeps() {
    let never = When::new("DELETE", ("", ""), 1);
    for moment in ["wait", "upload"] {
        let slept = Arc::new(Mutex::new(None));
        let sleeps = Arc::clone(&slept);
        let came = virtually(|| {
            run(never, What::Away, |run| {
                run.deadline(HOUR * 8).on_progress(move |progress| {
                    let now = match progress {
                        Progress::Waiting(_) => moment == "wait",
                        Progress::Uploading { .. } => moment == "upload",
                        _ => false,
                    };
                    let mut slept = sleeps.lock().unwrap();
                    if now && slept.is_none() {
                        *slept = Some(Instant::now());
                        jump(9 * 60 * 60);
                    }
                })
            })
        });
        let error = came.ended.as_ref().unwrap_err();
        assert!(error.gave_up(), "{moment}: {error}");
        let since = slept.lock().unwrap().unwrap().elapsed();
        assert!(came.took < Duration::from_secs(60), "{moment}: {:?}, {since:?}", came.took);
        assert_eq!(came.batches(), if moment == "wait" { 2 } else { 0 });
    }
    // A clock that is set back gives no more time, and one that is set ahead ends what is at work.
    virtually(|| async {
        let deadline = Deadline::after(Some(HOUR * 8));
        jump(-9 * 60 * 60);
        assert!(deadline.left().unwrap() <= HOUR * 8);
        let began = Instant::now();
        let ahead = async {
            sleep(Duration::from_secs(10)).await;
            jump(18 * 60 * 60);
        };
        let work = async {
            sleep(HOUR).await;
            Ok::<(), Error>(())
        };
        let (ended, ()) = tokio::join!(deadline.bound(work), ahead);
        assert!(ended.unwrap_err().is_deadline() && began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    });
}

#[test]
fn a_run_without_a_deadline_goes_on_after_its_machine_slept() {
    let never = When::new("DELETE", ("", ""), 1);
    let slept = Mutex::new(false);
    let came = virtually(|| {
        run(never, What::Away, |run| {
            run.on_progress(move |progress| {
                if matches!(progress, Progress::Waiting(_)) && !std::mem::replace(&mut *slept.lock().unwrap(), true) {
                    jump(9 * 60 * 60);
                }
            })
        })
    });
    assert_eq!((came.ended.unwrap().joined.succeeded, came.took < HOUR), (4, true));
}

#[test]
fn a_file_that_the_service_has_lost_is_uploaded_again_and_not_for_ever() {
    let (_, second) = MOMENTS[3];
    let came = virtually(|| run(second, What::LosesFiles { always: false }, |run| run.max_open(1)));
    assert_eq!(came.ended.as_ref().map(|report| report.joined.succeeded).unwrap(), 4);
    assert_eq!((came.batches(), came.requests("POST /files"), came.requests("POST /batches")), (2, 3, 3));
    let came = virtually(|| run(second, What::LosesFiles { always: true }, |run| run.max_open(1)));
    let error = came.ended.as_ref().unwrap_err();
    assert!(error.is_held(), "{error}");
    assert_eq!((came.batches(), came.requests("POST /files"), came.requests("POST /batches")), (1, 3, 3));
}

/// The first reading of the list is kept: the next process reads it once more, and no sooner than the rule wants.
#[test]
fn a_lost_create_is_looked_for_on_from_where_the_process_before_has_come() {
    let settle = Duration::from_secs(120);
    let (_, create) = MOMENTS[2];
    virtually(|| async {
        let (way, client, place) = scene(create, What::NothingDone);
        let folder = place.path().join("requests.run");
        let first = drive(&way, Run::new(&client, place.path().join("requests.jsonl")), |run| {
            run.settle_after_loss(settle).deadline(settle + settle / 2 + settle / 4)
        });
        let first = first.await;
        assert!(first.ended.as_ref().unwrap_err().gave_up() && first.batches() == 0, "{:?}", first.ended);
        // One that is to look longer cannot go on from there.
        let longer =
            drive(&way, Run::open(&client, &folder), |run| run.settle_after_loss(settle * 2).deadline(settle * 3));
        let longer = longer.await;
        assert!(longer.ended.as_ref().unwrap_err().gave_up() && longer.batches() == 0, "{:?}", longer.ended);
        jump(9 * 60 * 60);
        let created = Arc::<Mutex<Option<Instant>>>::default();
        let (began, seen) = (Instant::now(), Arc::clone(&created));
        let next = drive(&way, Run::open(&client, &folder), |run| {
            run.settle_after_loss(settle).on_progress(move |progress| {
                if let Progress::Created(_) = progress {
                    seen.lock().unwrap().get_or_insert(Instant::now());
                }
            })
        });
        let next = next.await;
        let report = next.ended.as_ref().unwrap();
        assert_eq!((report.joined.succeeded, next.batches()), (4, 2));
        // The wall clock alone proves nothing.
        let took = created.lock().unwrap().unwrap() - began;
        assert!(took >= settle && took < settle * 2, "{took:?}");
    });
}
