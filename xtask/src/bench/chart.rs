//! The processor time of each command as a picture, docs/benchmarks.svg: one group of bars a work, ours first.

use std::fmt::Write as _;

use super::figures::Figures;

/// The works that are drawn.
const DRAWN: [&str; 7] = ["check", "check-escaped", "join", "upload", "download", "get", "run"];

const WIDTH: f64 = 900.0;
const NAMES: f64 = 300.0;
const BARS: f64 = 480.0;
const ROW: f64 = 20.0;

/// The picture; nothing when none of its works was measured.
pub(super) fn chart(all: &[Figures]) -> String {
    let mut drawn = String::new();
    let mut y = 34.0;
    for figures in DRAWN.iter().filter_map(|name| all.iter().find(|figures| figures.name == *name)) {
        let most = figures.commands.iter().map(|figure| figure.cpu.median).fold(f64::MIN_POSITIVE, f64::max);
        // Writing to a String cannot fail.
        _ = writeln!(drawn, r#"<text x="8" y="{y}" class="work">{}</text>"#, escaped(&figures.title));
        for figure in &figures.commands {
            y += ROW;
            let seconds = figure.cpu.median;
            let ours = if figure.name.starts_with("lote") { "ours" } else { "theirs" };
            let (width, text) = ((seconds / most * BARS).max(1.0), y + 1.0);
            _ = writeln!(
                drawn,
                r#"<text x="{NAMES}" y="{text}" class="name">{}</text><rect x="{}" y="{}" width="{width:.1}" height="14" class="{ours}"/><text x="{:.1}" y="{text}">{}</text>"#,
                escaped(&figure.name),
                NAMES + 8.0,
                y - 11.0,
                NAMES + 14.0 + width,
                super::table::time(seconds),
            );
        }
        y += 2.0 * ROW;
    }
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img" aria-label="Processor time of each command; shorter is better">
<style>text{{font:12px sans-serif;fill:#333}}.work{{font-weight:bold;font-size:13px}}.name{{text-anchor:end}}.ours{{fill:#0a7d5a}}.theirs{{fill:#9aa5b1}}</style>
<rect width="100%" height="100%" fill="#fff"/>
<text x="8" y="16">Processor time, user and system, of whole processes: shorter is better. Each group has a scale of its own.</text>
{drawn}</svg>
"##
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
