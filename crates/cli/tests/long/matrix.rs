//! The crash matrix: a run is killed before or after each step by which it changes its folder, and at each request that it
//! sends, beside a service that behaves and beside some that do not; then the same command is given again. Nothing may be
//! paid twice unannounced, lost, swapped or left lying about.

use std::collections::BTreeMap;
use std::fmt;

use tokio::runtime::Runtime;

use crate::cases::{Case, drawn, try_some};
use crate::modes::{Course, modes};
use crate::proxy::{Moment, Request};
use crate::scene::Scene;
use crate::trace::{Step, seen, traced};

/// How many points are tried, over all modes: `LOTE_POINTS`, which may be `all`, or so many.
const POINTS: usize = 120;

/// Where a run is killed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Point {
    Before(Step),
    After(Step),
    At(Moment, Request),
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Before(step) => write!(f, "before {step}"),
            Self::After(step) => write!(f, "after {step}"),
            Self::At(moment, request) => write!(f, "{request}, {moment:?}"),
        }
    }
}

impl Scene<'_> {
    /// Runs it once without a disturbance, and tells all points.
    fn points(&mut self) -> Vec<Point> {
        let report = self.aside.path().join("report");
        self.proxy.plan(None);
        let (code, said) = self.ends(traced(&self.command(), self.place.path(), &report, "count", None));
        // What is asked of a person in this mode is asked later.
        assert!(matches!(code, Some(0 | 1 | 2 | 4 | 6)), "{}: {code:?}: {said}", self.mode.name);
        let mut points = Vec::new();
        for step in seen(&report).steps {
            // What is asked for while a batch is waited for depends on the time that it takes.
            let durable =
                matches!(step.kind.as_str(), "sync" | "name" | "remove") && !step.label.ends_with("progress.json");
            if durable {
                points.extend([Point::Before(step.clone()), Point::After(step)]);
            }
        }
        for request in self.proxy.seen() {
            points.extend(Moment::ALL.map(|moment| Point::At(moment, request)));
        }
        points
    }

    /// Begins the run, and kills it at a point. Whether it came there.
    fn killed(&mut self, point: &Point) -> bool {
        let report = self.aside.path().join("report");
        let (plan, step) = match point {
            Point::At(moment, request) => {
                self.proxy.plan(Some((*request, *moment)));
                let ended = self.ends(self.command());
                return self.proxy.has_killed() && ended.0.is_none();
            }
            Point::Before(step) => ("before", step),
            Point::After(step) => ("after", step),
        };
        self.proxy.plan(None);
        self.ends(traced(&self.command(), self.place.path(), &report, plan, Some(step)));
        seen(&report).here
    }
}

#[test]
fn a_run_that_is_killed_at_any_point_pays_nothing_twice_in_any_mode() {
    let runtime = Runtime::new().expect("a runtime");
    let modes = modes();
    // The first mode of each course has no fault.
    let undisturbed: BTreeMap<Course, _> = Course::ALL
        .into_iter()
        .map(|course| {
            let mode = modes.iter().find(|mode| mode.course == course).expect("a mode");
            let mut scene = Scene::new(&runtime, mode);
            scene.finish();
            (course, scene.answers())
        })
        .collect();
    let mut cases = Vec::new();
    for mode in &modes {
        let mut scene = Scene::new(&runtime, mode);
        let points = scene.points();
        scene.finish();
        scene.judge(&undisturbed[&mode.course]);
        for point in &points {
            let name = format!("{}: {point}", mode.name);
            // Once more killed, the second time at any other point.
            let then = points[drawn(&name, points.len())].clone();
            let twice = Case { mode, name: format!("{name}, then {then}"), point: vec![point.clone(), then] };
            cases.extend([Case { mode, name, point: vec![point.clone()] }, twice]);
        }
    }
    println!("{} points in {} modes, each once alone and once before another", cases.len() / 2, modes.len());
    assert!(cases.len() > 2_000);
    let tried = try_some(&runtime, cases, POINTS, |scene, points| {
        let here = scene.killed(&points[0]);
        for point in &points[1..] {
            // It may be a point at which the run was before.
            scene.killed(point);
        }
        scene.finish();
        scene.judge(&undisturbed[&scene.mode.course]);
        here
    });
    println!("{tried}");
    tried.assert();
}
