//! What scans come to, and the goals.

use pharos_testkit::bench::{Section, Table};

use crate::cluster::POLICIES;
use crate::engine::Scan;

/// Objects x policies in a second of CPU time, at least.
const RATE: f64 = 20_000.0;
/// Resident at any time, below.
const MEGABYTES: f64 = 250.0;
/// What twice the Pods take of it, below.
const GROWTH: f64 = 1.3;

/// Everything that was measured.
pub(crate) struct Figures {
    /// The first scan.
    pub(crate) once: Scan,
    /// The second one, of the same Pods.
    pub(crate) again: Scan,
    /// How many reports that wrote, as Pharos counts them.
    pub(crate) rewritten: u64,
    /// The first one of twice as many.
    pub(crate) double: Scan,
    /// Pharos at Kyverno's size.
    pub(crate) ours: Scan,
    /// Kyverno.
    pub(crate) theirs: Scan,
    /// How large a Pod is, as it is listed.
    pub(crate) bytes: usize,
}

// === impl Figures ===

impl Figures {
    pub(crate) fn publish(&self, section: &mut Section) {
        let Self { once, again, rewritten, double, ours, theirs, bytes } = self;
        let of =
            |scan: &Scan, what: &str| format!("{} Pods, {POLICIES} policies: {what}", scan.pods);
        let kilobytes = format!("{:.1} KB", *bytes as f64 / 1e3);
        section.figure("a Pod, as the API server lists it", kilobytes, "");
        let seconds = format!("{:.1} s", once.elapsed.as_secs_f64());
        section.figure(&of(once, "time to the first full set of reports"), seconds, "");
        let rate = once.rate();
        let goal = goal(&format!("at least {RATE:.0}"), rate >= RATE);
        let what = of(once, "objects x policies in a second of CPU time");
        section.figure(&what, format!("{rate:.0}"), &goal);
        let (memory, larger) = (once.megabytes(), double.megabytes());
        let goal = self::goal(&format!("under {MEGABYTES:.0} MB"), memory < MEGABYTES);
        section.figure(&of(once, "peak RSS"), format!("{memory:.0} MB"), &goal);
        let growth = larger / memory;
        let goal = self::goal(&format!("under {GROWTH}"), growth < GROWTH);
        let what = format!("peak RSS of {} Pods to that of {}", double.pods, once.pods);
        section.figure(&what, format!("{growth:.2}"), &goal);
        let writes = again.writes.total();
        let goal = self::goal("0", writes == 0.0 && *rewritten == 0);
        let what = of(again, "reports written by a second scan, where nothing changed");
        let counts = format!("{writes} as the API server counts, {rewritten} as Pharos does");
        section.figure(&what, counts, &goal);
        if theirs.whole > 0 {
            let what = of(theirs, "CPU time for a report, Kyverno to Pharos");
            let cpu = |scan: &Scan| scan.cpu.as_secs_f64() / scan.whole as f64;
            section.figure(&what, format!("{:.0}", cpu(theirs) / cpu(ours)), "");
        }
        section.table("Every scan", self.table());
    }

    fn table(&self) -> Table {
        let mut table = Table::new([
            "engine",
            "Pods",
            "scan",
            "reports",
            "time",
            "CPU time",
            "objects x policies in a CPU second",
            "peak RSS",
            "writes of reports",
        ]);
        let Self { once, again, double, ours, theirs, .. } = self;
        let scans = [
            (once, "first"),
            (again, "second"),
            (double, "first"),
            (ours, "first"),
            (theirs, "first"),
        ];
        for (scan, which) in scans {
            let Scan { engine, pods, whole, elapsed, cpu, writes, .. } = scan;
            let finished = if whole < pods { ", not finished" } else { "" };
            table.row([
                (*engine).to_owned(),
                pods.to_string(),
                which.to_owned(),
                format!("{whole}{finished}"),
                format!("{:.1} s", elapsed.as_secs_f64()),
                format!("{:.2} s", cpu.as_secs_f64()),
                format!("{:.0}", scan.rate()),
                format!("{:.0} MB", scan.megabytes()),
                writes.total().to_string(),
            ]);
        }
        table
    }
}

/// The goal, and whether it was met.
fn goal(goal: &str, met: bool) -> String {
    let outcome = if met { "met" } else { "missed" };
    format!("{goal}: {outcome}")
}

// === impl Scan ===

impl Scan {
    /// Objects x policies in a second of CPU time.
    fn rate(&self) -> f64 {
        (self.whole * POLICIES) as f64 / self.cpu.as_secs_f64()
    }

    fn megabytes(&self) -> f64 {
        self.memory as f64 / 1e6
    }
}
