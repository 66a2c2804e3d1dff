//! Many replicas, many edits: how often one object is written, and that the last state is.

use super::*;

/// Steps whenever something is reported and whenever the last step asked for it, and counts writes.
struct Run {
    stage: Stage,
    writes: Vec<Duration>,
    again: Option<Duration>,
}

impl Run {
    fn of(replicas: usize) -> Self {
        let scenery = (0..replicas).fold(Scenery::default().with("a", 1, prometheus()), |it, n| {
            it.replica(&format!("r{n:03}"), &[Admission], programmed(1))
        });
        let mut run = Self { stage: Stage::of(scenery), writes: Vec::new(), again: None };
        run.step(seconds(0));
        run.writes.clear();
        run
    }

    fn step(&mut self, at: Duration) {
        let next = self.stage.settle(at);
        self.writes.extend(writes(&next).iter().map(|_| at));
        self.again = next.again.map(|again| again - self.stage.start);
    }

    /// Everything that was due by then.
    fn until(&mut self, end: Duration) {
        while let Some(again) = self.again.filter(|again| *again <= end) {
            self.step(again);
        }
    }
}

#[test]
fn three_hundred_reports_one_after_the_other_are_few_writes() {
    for spread in [1, 10, 60] {
        let mut run = Run::of(300);
        let start = seconds(1_000);
        run.stage.edit("a", 2);
        run.step(start);
        for replica in 0..300_u32 {
            let at = start + seconds(spread) * (replica + 1) / 300;
            run.until(at);
            run.stage.report(usize::try_from(replica).unwrap(), programmed(2));
            run.step(at);
        }
        let reported = start + seconds(spread);
        assert_eq!(run.writes.last(), Some(&reported), "what makes it final is written at once");
        run.until(start + seconds(600));
        assert!(run.writes.len() <= 10, "{spread} s: {:?}", run.writes);
        let status = run.stage.status("a");
        assert_eq!(status.programmed_replicas.as_deref(), Some("300/300"));
        assert_eq!(status.programmed_generation, Some(2));
    }
}

#[test]
fn replicas_that_restart_all_the_time_do_not_flood() {
    let mut run = Run::of(300);
    let start = seconds(1_000);
    for round in 0..600_u32 {
        let at = start + Duration::from_millis(100) * round;
        run.until(at);
        let state = if round.is_multiple_of(2) { State::Applying } else { State::Programmed };
        run.stage.report(usize::try_from(round / 2 % 300).unwrap(), about("a", 1, state));
        run.step(at);
    }
    assert!(run.writes.len() <= 25, "{} within a minute", run.writes.len());
    run.until(start + seconds(600));
    assert_eq!(run.stage.status("a").programmed_replicas.as_deref(), Some("300/300"));
}

#[test]
fn a_thousand_edits_within_a_minute_do_not_flood_and_the_last_one_wins() {
    let mut run = Run::of(1);
    let start = seconds(1_000);
    for edit in 0..1_000_u32 {
        let at = start + Duration::from_millis(60) * edit;
        run.until(at);
        let generation = i64::from(edit) + 2;
        run.stage.edit("a", generation);
        run.step(at);
        run.stage.report(0, programmed(generation));
        run.step(at);
    }
    assert!(run.writes.len() <= 25, "{} within a minute", run.writes.len());
    run.until(start + seconds(600));
    let status = run.stage.status("a");
    assert_eq!(status.observed_generation, Some(1_001));
    assert_eq!(status.programmed_generation, Some(1_001));
}
