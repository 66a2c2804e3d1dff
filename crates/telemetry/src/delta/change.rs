//! What one series counted between two points of it.

use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, NumberDataPoint,
};

use crate::carry::{self, Point};

/// A point that something can be subtracted from.
pub(super) trait Change: Point + Clone {
    /// What this has more than `before`, or `None` if anything went down.
    fn minus(&self, before: &Self) -> Option<Self>;

    /// Whether this counted what `before` did. Told without copying anything.
    fn equals(&self, before: &Self) -> bool;

    /// Whether this counted nothing.
    fn is_zero(&self) -> bool;

    fn exemplars_mut(&mut self) -> &mut Vec<Exemplar>;

    /// What this series counted from `start`, since `before` or since its own start.
    fn change(&self, before: Option<&Self>, start: u64) -> Option<Self> {
        if self.is_zero() || before.is_some_and(|before| self.equals(before)) {
            return None;
        }
        let change = before.and_then(|before| self.minus(before));
        let mut change = change.unwrap_or_else(|| self.clone());
        *change.start_mut() = start;
        change.exemplars_mut().retain(|exemplar| exemplar.time_unix_nano > start);
        Some(change)
    }
}

// === impl NumberDataPoint ===

impl Change for NumberDataPoint {
    fn minus(&self, before: &Self) -> Option<Self> {
        let value = match (self.value?, before.value?) {
            (Value::AsInt(now), Value::AsInt(before)) => {
                Value::AsInt(now.checked_sub(before).filter(|change| *change >= 0)?)
            }
            (Value::AsDouble(now), Value::AsDouble(before)) => {
                Value::AsDouble(Some(now - before).filter(|change| *change >= 0.0)?)
            }
            _ => return None,
        };
        Some(Self { value: Some(value), ..self.clone() })
    }

    fn equals(&self, before: &Self) -> bool {
        self.value == before.value
    }

    fn is_zero(&self) -> bool {
        match self.value {
            Some(Value::AsInt(value)) => value == 0,
            Some(Value::AsDouble(value)) => value == 0.0,
            None => true,
        }
    }

    fn exemplars_mut(&mut self) -> &mut Vec<Exemplar> {
        &mut self.exemplars
    }
}

// === impl HistogramDataPoint ===

impl Change for HistogramDataPoint {
    fn minus(&self, before: &Self) -> Option<Self> {
        if self.explicit_bounds != before.explicit_bounds
            || self.bucket_counts.len() != before.bucket_counts.len()
        {
            return None;
        }
        let buckets = self.bucket_counts.iter().zip(&before.bucket_counts);
        Some(Self {
            count: self.count.checked_sub(before.count)?,
            sum: self.sum.zip(before.sum).map(|(now, before)| now - before),
            bucket_counts: buckets
                .map(|(now, before)| now.checked_sub(*before))
                .collect::<Option<_>>()?,
            ..self.clone()
        })
    }

    fn equals(&self, before: &Self) -> bool {
        self.count == before.count
    }

    fn is_zero(&self) -> bool {
        self.count == 0
    }

    fn exemplars_mut(&mut self) -> &mut Vec<Exemplar> {
        &mut self.exemplars
    }
}

// === impl ExponentialHistogramDataPoint ===

impl Change for ExponentialHistogramDataPoint {
    fn minus(&self, before: &Self) -> Option<Self> {
        carry::difference(self, before)
    }

    fn equals(&self, before: &Self) -> bool {
        self.count == before.count
    }

    fn is_zero(&self) -> bool {
        self.count == 0
    }

    fn exemplars_mut(&mut self) -> &mut Vec<Exemplar> {
        &mut self.exemplars
    }
}
