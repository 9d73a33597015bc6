//! Tests of the bar, on terminals of several widths and with time that passes when the test says so.

use std::io;

use indicatif::TermLike;
use serde_json::json;

use super::*;

/// A terminal that keeps all that was ever drawn.
#[derive(Clone, Debug)]
struct Paper(Arc<Mutex<String>>, u16);

impl TermLike for Paper {
    fn width(&self) -> u16 {
        self.1
    }
    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(&format!("{text}\n"))
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.lock().expect("no test panicked with it").push_str(text);
        Ok(())
    }
    fn clear_line(&self) -> io::Result<()> {
        self.write_str("\n")
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A bar on such a terminal, and its clock.
struct Scene {
    bar: Bar,
    paper: Paper,
    passed: Arc<Mutex<Duration>>,
}

impl Scene {
    fn new(columns: u16) -> Self {
        let paper = Paper(Arc::default(), columns);
        let passed = Arc::new(Mutex::new(Duration::ZERO));
        let (begun, clock) = (Instant::now(), Arc::clone(&passed));
        let clock = move || begun + *clock.lock().expect("no test panicked with it");
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(paper.clone()), 255);
        let bar = Bar::on(target, Arc::new(clock), move || columns.into());
        Self { bar, paper, passed }
    }

    fn pass(&self, seconds: u64) {
        *self.passed.lock().expect("no test panicked with it") += Duration::from_secs(seconds);
    }

    /// What is drawn now.
    fn drawn(&self) -> String {
        self.paper.0.lock().expect("no test panicked with it").clear();
        self.bar.bar.force_draw();
        let drawn = self.paper.0.lock().expect("no test panicked with it");
        let line = drawn.trim().trim_start_matches(|c: char| !c.is_ascii()).trim().to_owned();
        assert!(layout::width(&line) + 2 < usize::from(self.paper.1), "it wraps: {line:?}");
        line
    }

    fn batch(&self, id: &str, status: &str, [completed, failed, total]: [u64; 3]) {
        let counts = json!({"total": total, "completed": completed, "failed": failed});
        let batch = json!({"id": id, "status": status, "request_counts": counts});
        self.bar.show(&Progress::Waiting(&serde_json::from_value(batch).expect("a batch")));
    }
}

const ID: &str = "batch_0123456789abcdef0123456789abcdef";

#[test]
fn lines_are_told_with_their_share_and_the_time_that_is_left_at_every_width() {
    let expected = [
        (60, "in_progress  45% 450/1000  ETA 27m  elapsed 10m".to_owned()),
        (80, "in_progress  ██████░░░░░░░░  45% 450/1000  ETA 27m  elapsed 10m  20 lines/min".to_owned()),
        (
            200,
            format!(
                "{ID} in_progress  {}{}  45% 450/1000  ETA 27m  elapsed 10m  20 lines/min",
                "█".repeat(18),
                "░".repeat(22)
            ),
        ),
    ];
    for (columns, expected) in expected {
        let scene = Scene::new(columns);
        scene.batch(ID, "in_progress", [250, 0, 1000]);
        assert!(!scene.drawn().contains("ETA"), "nothing is known of the rate yet");
        scene.pass(600);
        scene.batch(ID, "in_progress", [450, 0, 1000]);
        assert_eq!(scene.drawn(), expected, "{columns}");
    }
}

#[test]
fn the_time_that_is_left_goes_by_what_this_process_saw_and_falls_between_looks() {
    let scene = Scene::new(100);
    // Attached when nearly all had ended long ago: what was done before says nothing of how fast it is.
    scene.pass(60);
    scene.batch(ID, "in_progress", [9_000, 0, 10_000]);
    scene.pass(100);
    scene.batch(ID, "in_progress", [9_100, 0, 10_000]);
    let drawn = scene.drawn();
    assert!(drawn.contains("ETA 15m") && drawn.contains("60 lines/min") && drawn.contains("elapsed 2m"), "{drawn}");
    // Until the next look what is left grows less.
    scene.pass(100);
    let drawn = scene.drawn();
    assert!(drawn.contains("ETA 13m") && drawn.contains("60 lines/min") && drawn.contains("elapsed 4m"), "{drawn}");
    // It stands: the rate falls, and what is left grows.
    scene.batch(ID, "in_progress", [9_100, 0, 10_000]);
    let drawn = scene.drawn();
    assert!(drawn.contains("ETA 30m") && drawn.contains("30 lines/min") && drawn.contains("elapsed 4m"), "{drawn}");
    // At the end nothing is left, and nothing is estimated.
    scene.batch(ID, "finalizing", [9_999, 1, 10_000]);
    let drawn = scene.drawn();
    assert!(drawn.contains("100% 10000/10000") && !drawn.contains("ETA"), "{drawn}");
    assert!(drawn.starts_with("finalizing, 1 failed") || drawn.starts_with(ID), "{drawn}");
}

#[test]
fn several_batches_are_told_together() {
    for columns in [60, 80, 200] {
        let scene = Scene::new(columns);
        scene.batch("batch_1", "completed", [90, 10, 100]);
        scene.batch("batch_2", "in_progress", [20, 0, 100]);
        scene.batch("batch_3", "in_progress", [30, 1, 100]);
        scene.pass(60);
        scene.batch("batch_2", "in_progress", [50, 0, 100]);
        let drawn = scene.drawn();
        assert!(drawn.contains("60% 181/300") && drawn.contains("ETA 1m"), "{columns}: {drawn}");
        let said = if columns > 60 { "1 of 3 batches over, 11 failed" } else { "1/3 batches, 11 failed" };
        assert!(drawn.starts_with(said), "{columns}: {drawn}");
    }
    // A batch that is over counts what it has; what it left is counted where it is done.
    let scene = Scene::new(100);
    scene.batch("batch_1", "expired", [60, 0, 100]);
    scene.bar.show(&Progress::Answering { shard: 2, lines: 40, succeeded: 10, failed: 0 });
    assert!(scene.drawn().contains("70% 70/100"), "{}", scene.drawn());
}

#[test]
fn bytes_are_never_shown_as_lines_nor_lines_as_bytes() {
    let scene = Scene::new(100);
    for round in 1..4 {
        scene.bar.show(&Progress::Uploading { sent: 3_670_016, total: 7_340_032 });
        let drawn = scene.drawn();
        assert!(drawn.contains("50% 3.50 MiB/7.00 MiB") && drawn.starts_with("uploading"), "{drawn}");
        scene.bar.batches(round, 4, 11, 13);
        let drawn = scene.drawn();
        assert!(drawn.contains("84% 11/13") && !drawn.contains("MiB"), "{drawn}");
    }
    scene.bar.show(&Progress::Uploading { sent: 0, total: 7_340_032 });
    scene.pass(4);
    scene.bar.show(&Progress::Uploading { sent: 3_670_016, total: 7_340_032 });
    let drawn = scene.drawn();
    assert!(drawn.contains("ETA 4s") && drawn.contains("896.00 KiB/s"), "{drawn}");
}

#[test]
fn no_text_of_a_service_makes_the_line_longer_than_the_terminal() {
    for columns in [20, 60, 80] {
        let scene = Scene::new(columns);
        scene.batch(&"b".repeat(256), &"日本\u{1b}[2J".repeat(50), [1, 1, 3]);
        let drawn = scene.drawn();
        assert!(drawn.contains("66% 2/3") && !drawn.contains('\u{1b}'), "{drawn}");
        scene.bar.show(&Progress::Waiting(
            &serde_json::from_value(json!({"id": "b".repeat(256), "status": "s"})).expect("a batch"),
        ));
        assert!(scene.drawn().ends_with('…'), "{}", scene.drawn());
    }
}

#[test]
fn a_run_that_is_gone_on_with_counts_what_had_ended_before() {
    let mut board = Board::new(Arc::new(Instant::now));
    board.run(400, 100);
    board.part("batch_2", Part { ended: 50, failed: 0, total: 100, over: false }, "long".into(), "short".into());
    assert!(board.line(80).contains("37% 150/400"), "{}", board.line(80));
    // Of one whose lines have all ended only what is tried again is told.
    let mut board = Board::new(Arc::new(Instant::now));
    board.run(100, 100);
    board.part("batch_2", Part { ended: 5, failed: 0, total: 10, over: false }, "long".into(), "short".into());
    assert!(board.line(80).contains("50% 5/10"), "{}", board.line(80));
}
