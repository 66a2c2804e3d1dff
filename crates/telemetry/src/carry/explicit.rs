//! Histograms with explicit buckets: from more boundaries to fewer.

use opentelemetry_proto::tonic::metrics::v1::HistogramDataPoint;

/// Whether all of `few` are among `many`. Both rise.
pub(super) fn is_subset(few: &[f64], many: &[f64]) -> bool {
    let mut many = many.iter();
    few.iter().all(|bound| many.any(|other| other == bound))
}

/// Merges the buckets between `bounds`, exactly. `false` if a boundary was none before.
pub(super) fn rebucket(point: &mut HistogramDataPoint, bounds: &[f64]) -> bool {
    if point.explicit_bounds == bounds {
        return true;
    }
    if !is_subset(bounds, &point.explicit_bounds) {
        return false;
    }
    let mut counts = vec![0; bounds.len() + 1];
    let mut bucket = 0;
    for (number, count) in point.bucket_counts.iter().enumerate() {
        counts[bucket] += count;
        let ends = |bound: &f64| bounds.get(bucket) == Some(bound);
        if point.explicit_bounds.get(number).is_some_and(ends) {
            bucket += 1;
        }
    }
    point.bucket_counts = counts;
    point.explicit_bounds = bounds.to_vec();
    true
}
