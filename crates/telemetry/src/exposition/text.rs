//! Families as text: Prometheus 0.0.4, and OpenMetrics 1.0, which is nearly the same.

use std::io::{self, Write};

use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, HistogramDataPoint, NumberDataPoint, number_data_point,
};

use super::family::{Families, Family, Kind, Point};
use super::{exemplar, labels, number};

/// The two ways to write text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Version 0.0.4: comments are free, and no sample has more than a value.
    Prometheus,
    /// Version 1.0: no free comments; units, start times, exemplars.
    OpenMetrics,
}

/// Writes one family.
struct Writer<'p, W> {
    style: Style,
    page: &'p mut W,
    /// The bounds of the histogram before as text: those of one family are the same in nearly
    /// every series.
    bounds: (Vec<f64>, Vec<String>),
}

/// Writes all families.
pub(super) fn write(families: Families<'_>, style: Style, page: &mut impl Write) -> io::Result<()> {
    let (scopes, families) = families.into_parts();
    let mut writer = Writer { style, page, bounds: Default::default() };
    for (name, mut family) in families {
        let series = family.series(&scopes);
        if series.is_empty() {
            continue;
        }
        writer.head(&name, &family)?;
        for (labels, _, point) in series.iter() {
            writer.point(&name, family.kind, labels, point)?;
        }
    }
    if style == Style::OpenMetrics {
        writeln!(writer.page, "# EOF")?;
    }
    Ok(())
}

// === impl Writer ===

impl<W: Write> Writer<'_, W> {
    fn head(&mut self, name: &str, family: &Family<'_>) -> io::Result<()> {
        let Family { kind, help, unit, left_out, .. } = family;
        match self.style {
            Style::Prometheus => {
                if !help.is_empty() {
                    writeln!(self.page, "# HELP {name} {}", self.style.help(help))?;
                }
                writeln!(self.page, "# TYPE {name} {kind}")?;
                for left_out in left_out {
                    writeln!(
                        self.page,
                        "# Left out, in conflict with this family: {}",
                        one_line(left_out)
                    )?;
                }
            }
            Style::OpenMetrics => {
                writeln!(self.page, "# TYPE {name} {kind}")?;
                if let Some(unit) = unit {
                    writeln!(self.page, "# UNIT {name} {unit}")?;
                }
                if !help.is_empty() {
                    writeln!(self.page, "# HELP {name} {}", self.style.help(help))?;
                }
                if !left_out.is_empty() {
                    tracing::debug!(family = name, ?left_out, "left out of a scrape");
                }
            }
        }
        Ok(())
    }

    fn point(&mut self, name: &str, kind: Kind, labels: &str, point: Point<'_>) -> io::Result<()> {
        match point {
            Point::Number(point) => self.number(name, kind, labels, point),
            Point::Histogram(point) => self.histogram(name, labels, point),
            Point::Exponential(point) => {
                let exemplar = exemplar::newest(&point.exemplars);
                self.last_bucket(name, labels, point.count, exemplar)?;
                self.distribution(name, labels, point.count, point.sum)
            }
        }
    }

    fn number(
        &mut self,
        name: &str,
        kind: Kind,
        labels: &str,
        point: &NumberDataPoint,
    ) -> io::Result<()> {
        let value = number_value(point);
        match (self.style, kind) {
            (Style::OpenMetrics, Kind::Counter) => {
                write!(self.page, "{name}_total{{{labels}}} {value}")?;
                self.end(exemplar::newest(&point.exemplars))
            }
            _ => writeln!(self.page, "{name}{{{labels}}} {value}"),
        }
    }

    fn histogram(
        &mut self,
        name: &str,
        labels: &str,
        point: &HistogramDataPoint,
    ) -> io::Result<()> {
        self.remember(&point.explicit_bounds);
        let mut count = 0;
        let mut above = f64::NEG_INFINITY;
        let buckets = point.explicit_bounds.iter().zip(&point.bucket_counts);
        for (index, (bound, bucket)) in buckets.enumerate() {
            count += bucket;
            // The last bucket is written below; a bound twice would be a series twice.
            if !bound.is_finite() || point.explicit_bounds.get(index + 1) == Some(bound) {
                continue;
            }
            let text = &self.bounds.1[index];
            write!(self.page, "{name}_bucket{{{labels},le=\"{text}\"}} {count}")?;
            self.end(exemplar::newest_in(&point.exemplars, above, *bound))?;
            above = *bound;
        }
        let exemplar = exemplar::newest_in(&point.exemplars, above, f64::INFINITY);
        self.last_bucket(name, labels, point.count, exemplar)?;
        // OpenMetrics: what can be negative is no sum that only rises.
        let sums = point.explicit_bounds.iter().all(|bound| *bound >= 0.0);
        let sum = point.sum.filter(|_| sums || self.style == Style::Prometheus);
        self.distribution(name, labels, point.count, sum)
    }

    fn last_bucket(
        &mut self,
        name: &str,
        labels: &str,
        count: u64,
        exemplar: Option<&Exemplar>,
    ) -> io::Result<()> {
        write!(self.page, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}")?;
        self.end(exemplar)
    }

    fn distribution(
        &mut self,
        name: &str,
        labels: &str,
        count: u64,
        sum: Option<f64>,
    ) -> io::Result<()> {
        if let Some(sum) = sum {
            writeln!(self.page, "{name}_sum{{{labels}}} {}", number::float(sum))?;
        }
        // OpenMetrics has both or neither.
        if sum.is_some() || self.style == Style::Prometheus {
            writeln!(self.page, "{name}_count{{{labels}}} {count}")?;
        }
        Ok(())
    }

    /// Ends a line, with an example where there is one.
    fn end(&mut self, exemplar: Option<&Exemplar>) -> io::Result<()> {
        let exemplar = exemplar.filter(|_| self.style == Style::OpenMetrics);
        let Some((exemplar, value)) = exemplar.and_then(|it| Some((it, exemplar::value(it)?)))
        else {
            return writeln!(self.page);
        };
        write!(self.page, " # {{")?;
        for (index, (name, id)) in exemplar::labels(exemplar).enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(self.page, "{comma}{name}=\"{id}\"")?;
        }
        write!(self.page, "}} {}", number::float(value))?;
        match exemplar.time_unix_nano {
            0 => writeln!(self.page),
            time => writeln!(self.page, " {}", number::seconds(time)),
        }
    }

    fn remember(&mut self, bounds: &[f64]) {
        if self.bounds.0 != bounds {
            let text = bounds.iter().map(|bound| self.style.bound(*bound)).collect();
            self.bounds = (bounds.to_vec(), text);
        }
    }
}

// === impl Style ===

impl Style {
    fn bound(self, bound: f64) -> String {
        match self {
            Self::Prometheus => number::float(bound),
            Self::OpenMetrics => number::canonical(bound),
        }
    }

    fn help(self, text: &str) -> String {
        let text = labels::without_nul(text).replace('\\', r"\\").replace('\n', r"\n");
        match self {
            Self::Prometheus => text,
            Self::OpenMetrics => text.replace('"', "\\\""),
        }
    }
}

/// Labels in it are escaped already, and names are quoted; nothing else may end a comment.
fn one_line(comment: &str) -> std::borrow::Cow<'_, str> {
    if comment.contains('\n') { comment.replace('\n', " ").into() } else { comment.into() }
}

fn number_value(point: &NumberDataPoint) -> String {
    match point.value {
        Some(number_data_point::Value::AsInt(value)) => value.to_string(),
        Some(number_data_point::Value::AsDouble(value)) => number::float(value),
        None => number::float(f64::NAN),
    }
}
