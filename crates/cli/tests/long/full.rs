//! A disk that is full from any step on: a clear error, the id of each batch kept, and once there is room the same command
//! goes on as if nothing had been.

use std::collections::BTreeMap;
use std::path::Path;

use lote_gateway::Event;
use tokio::runtime::Runtime;

use crate::cases::{Case, try_some};
use crate::modes::{Course, modes};
use crate::scene::Scene;
use crate::trace::{Step, seen, traced};

/// How many steps are tried: `LOTE_POINTS`, which may be `all`, or so many.
const STEPS: usize = 60;

/// How the disk is full, as `trace.c` explains it.
const PLANS: [&str; 3] = ["full", "full-until-removed", "full-for-some"];

impl Scene<'_> {
    /// The steps of a run that need room.
    fn steps(&mut self) -> Vec<Step> {
        let report = self.aside.path().join("report");
        self.proxy.plan(None);
        let (code, said) = self.ends(traced(&self.command(), self.place.path(), &report, "count", None));
        assert_eq!(code, Some(self.mode.course.exit()), "{said}");
        let needs_room =
            |step: &Step| matches!(step.kind.as_str(), "open" | "write" | "cut" | "sync" | "name" | "folder");
        seen(&report).steps.into_iter().filter(needs_room).collect()
    }

    /// Runs it on a disk that is full from a step on. Whether it came there, and how it ended.
    fn runs_out(&mut self, plan: &str, step: &Step) -> (bool, Option<i32>) {
        let report = self.aside.path().join("report");
        self.proxy.plan(None);
        let (code, said) = self.ends(traced(&self.command(), self.place.path(), &report, plan, Some(step)));
        let here = seen(&report).here;
        match code {
            // What was not to be had was no loss, or there was room again in time.
            Some(code) if code == self.mode.course.exit() => {}
            _ if here => {
                assert_eq!(code, Some(2), "its exit code");
                assert!(said.contains("the disk is full: make room") || said.contains("on another disk"), "what to do");
                assert!(said.contains("requests.") || said.contains("results.jsonl"), "which path");
            }
            _ => panic!("{code:?} although there is room"),
        }
        self.knows_each_batch();
        (here, code)
    }

    /// The id of each batch of the run is in its log, or was said.
    fn knows_each_batch(&self) {
        let status = lote::run::status(self.place.path().join("requests.run")).ok();
        let log = std::fs::read_to_string(self.place.path().join("requests.run/log.jsonl")).unwrap_or_default();
        // The first is not the run's.
        for entry in
            self.gateway.journal().iter().filter(|entry| matches!(entry.event, Event::BatchCreated { .. })).skip(1)
        {
            let Event::BatchCreated { batch_id, .. } = &entry.event else { continue };
            assert!(
                status.is_some() && (log.contains(batch_id.as_str()) || self.said.contains(batch_id.as_str())),
                "{batch_id} is lost"
            );
        }
    }
}

#[test]
fn a_full_disk_at_any_step_loses_nothing_and_pays_nothing_twice() {
    let runtime = Runtime::new().expect("a runtime");
    let modes = modes();
    let (mut undisturbed, mut cases) = (BTreeMap::new(), Vec::new());
    for course in Course::ALL {
        // The first of each course has no fault.
        let mode = modes.iter().find(|mode| mode.course == course).expect("a mode");
        let mut scene = Scene::new(&runtime, mode);
        let steps = scene.steps();
        undisturbed.insert(course, scene.answers());
        for plan in PLANS {
            let case = |step: &Step| Case {
                mode,
                name: format!("{}, {plan}: {step}", mode.name),
                point: (plan, step.clone()),
            };
            cases.extend(steps.iter().map(case));
        }
    }
    let tried = try_some(&runtime, cases, STEPS, |scene, (plan, step)| {
        let (here, _) = scene.runs_out(plan, step);
        scene.finish();
        scene.judge(&undisturbed[&scene.mode.course]);
        here
    });
    println!("{tried}");
    tried.assert();
}

/// The frame that says `created`, of the first shard: after those of `opened`, `uploaded` and `creating`.
fn at_created(kind: &str) -> Step {
    Step { kind: kind.to_owned(), label: "requests.run/log.jsonl".to_owned(), nth: 4 }
}

#[test]
fn a_full_disk_at_created() {
    let runtime = Runtime::new().expect("a runtime");
    let mode = &modes()[0];
    for (plan, kind) in PLANS.iter().flat_map(|plan| [(*plan, "write"), (*plan, "sync")]) {
        let mut scene = Scene::new(&runtime, mode);
        let (here, code) = scene.runs_out(plan, &at_created(kind));
        assert!(here);
        let batch = scene.gateway.journal().iter().rev().find_map(|entry| match &entry.event {
            Event::BatchCreated { batch_id, .. } => Some(batch_id.clone()),
            _ => None,
        });
        let batch = batch.expect("one was created");
        let log = std::fs::read_to_string(scene.place.path().join("requests.run/log.jsonl")).expect("the log");
        let reserve = Path::exists(&scene.place.path().join("requests.run/reserve"));
        match plan {
            // What was kept free is enough for all that is left of so small a run.
            "full-until-removed" => assert!(code == Some(0) && log.contains(&batch) && !reserve, "{code:?}: {log}"),
            // Nothing helps: it is said.
            _ => assert!(code == Some(2) && scene.said.contains(&batch), "{code:?}: {}", scene.said),
        }
        scene.finish();
    }
}
