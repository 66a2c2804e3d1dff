use super::*;

/// Writes whenever it is due, as if there were always something to write.
fn greedy(urgency: impl Fn(usize) -> Urgency, seconds: u64) -> Vec<Duration> {
    let start = Instant::now();
    let mut pace = Pace::default();
    let mut writes = Vec::new();
    for milliseconds in (0..seconds * 1_000).step_by(10) {
        let now = start + Duration::from_millis(milliseconds);
        for n in 0..3 {
            let urgency = urgency(writes.len() + n);
            if pace.due(urgency).is_none_or(|due| due <= now) {
                pace.spend(urgency, now);
                writes.push(now - start);
            }
        }
    }
    writes
}

#[test]
fn no_ten_seconds_see_more_than_ten_writes() {
    use Urgency::{Detail, Verdict};
    let mixes: [fn(usize) -> Urgency; 4] = [
        |_| Verdict,
        |_| Detail,
        |n| if n.is_multiple_of(2) { Verdict } else { Detail },
        |n| if n.is_multiple_of(7) { Verdict } else { Detail },
    ];
    for (mix, urgency) in mixes.into_iter().enumerate() {
        let writes = greedy(urgency, 300);
        for (n, first) in writes.iter().enumerate() {
            let within = writes[n..].iter().filter(|it| **it - *first < Duration::from_secs(10));
            assert!(within.count() <= 10, "mix {mix}, from {first:?}: {writes:?}");
        }
        assert!(writes.len() >= 15, "it goes on: {writes:?}");
    }
}

#[test]
fn a_verdict_is_written_at_once_and_details_wait_for_each_other() {
    let now = Instant::now();
    let mut pace = Pace::default();
    assert_eq!(pace.due(Urgency::Detail), None);
    pace.spend(Urgency::Verdict, now);
    assert!(pace.due(Urgency::Verdict) <= Some(now));
    assert_eq!(pace.due(Urgency::Detail), Some(now + BETWEEN_DETAILS));
}

#[test]
fn what_was_spent_comes_back() {
    let start = Instant::now();
    let rate = Rate { burst: 2, period: Duration::from_secs(10) };
    let mut allowance = Allowance::of(rate);
    let at = |seconds| start + Duration::from_secs(seconds);
    allowance.spend(at(0));
    assert!(allowance.is_due(at(0)));
    allowance.spend(at(0));
    assert!(!allowance.is_due(at(9)));
    assert!(allowance.is_due(at(10)));
    assert_eq!(allowance.due(), Some(at(10)));
    allowance.spend(at(100));
    assert!(allowance.is_due(at(100)), "no more than the burst is saved, and no less");
    allowance.spend(at(100));
    assert!(!allowance.is_due(at(109)));
}
