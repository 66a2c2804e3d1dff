use super::super::fixture::{FINEST, exponential};
use super::*;

use fastrand::Rng;

fn buckets(offset: i32, bucket_counts: &[u64]) -> Buckets {
    Buckets { offset, bucket_counts: bucket_counts.to_vec() }
}

#[test]
fn neighbours_are_put_together_below_zero_as_above() {
    for (offset, counts, by, scaled) in [
        (0, vec![1, 2, 3, 4], 1, buckets(0, &[3, 7])),
        (1, vec![1, 2, 3, 4], 1, buckets(0, &[1, 5, 4])),
        (-1, vec![1, 2, 3, 4], 1, buckets(-1, &[1, 5, 4])),
        (-2, vec![1, 2, 3, 4], 1, buckets(-1, &[3, 7])),
        (-3, vec![1, 2, 3, 4], 1, buckets(-2, &[1, 5, 4])),
        (-5, vec![1, 1, 1, 1, 1, 1], 2, buckets(-2, &[1, 4, 1])),
        (i32::MIN, vec![7], 1, buckets(i32::MIN / 2, &[7])),
        (i32::MAX - 1, vec![7, 8], 31, buckets(0, &[15])),
        (-1, vec![7, 8], 31, buckets(-1, &[7, 8])),
        (5, vec![], 3, buckets(0, &[])),
    ] {
        let mut actual = buckets(offset, &counts);
        scale_buckets_down(&mut actual, by);
        assert_eq!(actual, scaled, "{offset} {counts:?} {by}");
    }
}

#[test]
fn empty_buckets_at_the_ends_take_no_room() {
    for (counts, trimmed) in [
        (vec![0, 0, 3, 0, 4, 0], buckets(-5, &[3, 0, 4])),
        (vec![0, 0], buckets(0, &[])),
        (vec![1], buckets(-7, &[1])),
    ] {
        let mut actual = buckets(-7, &counts);
        trim_buckets(&mut actual);
        assert_eq!(actual, trimmed);
    }
}

#[test]
fn whatever_is_added_in_whatever_order_it_is_as_if_recorded_together() {
    let mut rng = Rng::with_seed(1);
    for round in 0..3000 {
        let width = 1 << rng.u32(1..24);
        let mut values = || -> Vec<i64> {
            let count = rng.usize(..6);
            let spread = rng.i64(1..=width);
            (0..count).map(|_| rng.i64(-spread..=spread)).collect()
        };
        let (one, other) = (values(), values());
        let max_size = [2, 3, 20, 160][rng.usize(..4)];
        let mut sum = exponential(&one, max_size, FINEST);
        add(&mut sum, exponential(&other, max_size, FINEST), max_size);
        let together = exponential(&[one.clone(), other.clone()].concat(), max_size, FINEST);
        assert_eq!(sum, together, "{round}: {one:?} {other:?} {max_size}");

        let rest = difference(&together, &exponential(&one, max_size, FINEST)).unwrap();
        let mut expected = exponential(&other, max_size, FINEST);
        scale_down(&mut expected, together.scale);
        assert_eq!(rest, expected, "{round}: {one:?} {other:?} {max_size}");

        let mut coarser = together.clone();
        let max_scale = rng.i8(-5..20);
        fit(&mut coarser, 2, max_scale);
        let direct =
            exponential(&[one, other].concat(), 2, i32::from(max_scale).min(together.scale));
        assert_eq!(coarser, direct, "{round} {max_scale}");
    }
}

#[test]
fn what_went_down_has_no_difference() {
    let (less, more) = (exponential(&[101, 500], 20, 3), exponential(&[101, 500, 500], 20, 3));
    assert!(difference(&more, &less).is_some());
    assert_eq!(difference(&less, &more), None);
    let elsewhere = exponential(&[101, 102, 103], 20, 20);
    assert_eq!(difference(&elsewhere, &exponential(&[5_000_000], 20, 20)), None);
    let (zero, one) = (exponential(&[0], 20, 20), exponential(&[101, 102], 20, 20));
    assert_eq!(difference(&one, &zero), None);
}

#[test]
fn all_numbers_that_there_are_fit_into_two_buckets_and_one_more_cannot_be_had() {
    let mut extremes = Point {
        scale: 0,
        count: 2,
        positive: Some(Buckets { offset: -1075, bucket_counts: vec![0; 2099] }),
        ..Point::default()
    };
    let counts = &mut extremes.positive.as_mut().unwrap().bucket_counts;
    (counts[0], counts[2098]) = (1, 1);
    let mut one = extremes.clone();
    fit(&mut extremes, 2, 20);
    assert_eq!((extremes.scale, extremes.positive), (-11, Some(buckets(-1, &[1, 1]))));
    fit(&mut one, 1, 20);
    assert_eq!((one.scale, one.positive), (-11, Some(buckets(-1, &[1, 1]))));
}

#[test]
fn the_wider_zero_takes_in_the_buckets_that_begin_within_it() {
    let point = |zero_threshold, zero_count, positive| Point {
        scale: 0,
        zero_threshold,
        zero_count,
        count: zero_count + 3,
        sum: Some(1.0),
        positive: Some(positive),
        ..Point::default()
    };
    // The buckets (1, 2], (2, 4], (4, 8].
    let mut narrow = point(0.0, 1, buckets(0, &[1, 1, 1]));
    let wide = point(3.0, 2, buckets(2, &[1, 1, 1]));
    add(&mut narrow, wide, 160);
    assert_eq!((narrow.zero_threshold, narrow.zero_count, narrow.count), (4.0, 5, 9));
    assert_eq!(narrow.positive, Some(buckets(2, &[2, 1, 1])));
}
