//! What the end of a run shows on a terminal below the counts: some of its answers, and the commands that come next.

use lote::Outcomes;
use lote::run::Report;

use crate::shell::CommandLine;
use crate::show;

/// The lines for people who sit before a terminal of so many columns.
pub(super) fn for_people(report: &Report, columns: usize) -> Vec<String> {
    let outcomes = Outcomes::open(&report.results).into_iter().flatten().flatten();
    let answers = show::answers(outcomes, columns);
    let mut lines = Vec::new();
    if !answers.is_empty() {
        lines.push("answers:".to_owned());
        lines.extend(answers);
    }
    if report.joined.lines == 0 {
        return lines;
    }
    let command = |name: &str| CommandLine::new(name).word(&report.folder);
    lines.push("next:".to_owned());
    let failed = report.joined.lines - report.joined.succeeded;
    let next = [
        (failed == 0).then(|| command("show")),
        (failed > 0).then(|| command("show").switch("--failed")),
        (failed > 0 && report.undecided == 0).then(|| command("repair")),
        Some(command("export").flag("-o", "answers.csv")),
    ];
    // No line of these is cut: they are there to be copied.
    lines.extend(next.into_iter().flatten().map(|line| format!("  {line}")));
    lines
}
