//! A strict reader of OpenMetrics 1.0: what it takes, any reader takes.

use std::collections::{BTreeMap, BTreeSet};

pub(super) type Labels = BTreeMap<String, String>;

/// One family, with its samples in their order.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) unit: Option<String>,
    pub(super) help: Option<String>,
    pub(super) samples: Vec<Sample>,
}

#[derive(Debug)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: Labels,
    pub(super) value: f64,
    pub(super) exemplar: Option<Exemplar>,
}

#[derive(Debug)]
pub(super) struct Exemplar {
    pub(super) labels: Labels,
    pub(super) value: f64,
    pub(super) time: Option<f64>,
}

/// Reads a page, or panics at the first thing that the specification does not allow.
pub(super) fn parse(page: &str) -> Vec<Family> {
    let page = page.strip_suffix("# EOF\n").expect("the last line says so");
    assert!(page.is_empty() || page.ends_with('\n'));
    let mut families: Vec<Family> = Vec::new();
    for line in page.lines() {
        match line.strip_prefix("# ") {
            Some(metadata) => read_metadata(metadata, &mut families),
            None => {
                let family = families.last_mut().expect("a family before its samples");
                let sample = sample(line);
                let suffix = sample.name.strip_prefix(&family.name).expect("a name of its family");
                assert!(suffixes(&family.kind).contains(&suffix), "{line}");
                let takes_exemplars = matches!(suffix, "_total" | "_bucket");
                assert!(sample.exemplar.is_none() || takes_exemplars, "{line}");
                family.samples.push(sample);
            }
        }
    }
    let mut names = BTreeSet::new();
    for family in &families {
        check(family, &mut names);
    }
    families
}

fn read_metadata(metadata: &str, families: &mut Vec<Family>) {
    let mut words = metadata.splitn(3, ' ');
    let mut word = || words.next().unwrap().to_owned();
    let (keyword, name, text) = (word(), word(), word());
    if keyword == "TYPE" {
        assert!(families.iter().all(|family| family.name != name), "{name} twice");
        let (unit, help, samples) = (None, None, Vec::new());
        return families.push(Family { name, kind: text, unit, help, samples });
    }
    let family = families.last_mut().expect("TYPE comes first");
    assert_eq!(family.name, name, "families do not mix");
    assert!(family.samples.is_empty(), "metadata comes before samples");
    let slot = match keyword.as_str() {
        "UNIT" => &mut family.unit,
        "HELP" => &mut family.help,
        other => panic!("no comments but TYPE, UNIT and HELP: {other}"),
    };
    assert_eq!(slot.replace(text), None, "{keyword} twice");
}

fn suffixes(kind: &str) -> &'static [&'static str] {
    match kind {
        "counter" => &["_total", "_created"],
        "gauge" => &[""],
        "histogram" => &["_bucket", "_sum", "_count", "_created"],
        other => panic!("{other}"),
    }
}

fn check(family: &Family, names: &mut BTreeSet<String>) {
    let Family { name, kind, unit, samples, .. } = family;
    assert!(!samples.is_empty(), "{name} has no samples");
    assert!(is_name(name, ":"), "{name}");
    assert!(names.insert(name.clone()));
    for suffix in suffixes(kind) {
        let name = format!("{name}{suffix}");
        assert!(suffix.is_empty() || names.insert(name.clone()), "{name} belongs to two families");
    }
    if let Some(unit) = unit {
        assert!(name.ends_with(&format!("_{unit}")), "{name} {unit}");
    }
    let mut seen = BTreeSet::new();
    let mut before: Option<Labels> = None;
    let mut below = (f64::NEG_INFINITY, 0.0);
    for sample in samples {
        assert!(seen.insert((&sample.name, &sample.labels)), "{sample:?} twice");
        let mut series = sample.labels.clone();
        let bound = series.remove("le").filter(|_| sample.name.ends_with("_bucket"));
        if before.as_ref() != Some(&series) {
            assert!(below.0 == f64::NEG_INFINITY || below.0 == f64::INFINITY, "a last bucket");
            below = (f64::NEG_INFINITY, 0.0);
        }
        if let Some(text) = bound {
            let bound: f64 = text.parse().unwrap();
            assert!(text.contains(['.', 'e', 'I']), "{text} looks like an integer");
            assert!(below.0 < bound && below.1 <= sample.value, "{sample:?}");
            below = (bound, sample.value);
        }
        before = Some(series);
    }
    // The samples of a series stand together.
    let mut series: Vec<Labels> = samples.iter().map(without_bound).collect();
    series.dedup();
    let distinct: BTreeSet<_> = series.iter().collect();
    assert_eq!(distinct.len(), series.len(), "{name}");
}

fn without_bound(sample: &Sample) -> Labels {
    let mut labels = sample.labels.clone();
    if sample.name.ends_with("_bucket") {
        labels.remove("le");
    }
    labels
}

fn sample(line: &str) -> Sample {
    let at = line.find(['{', ' ']).unwrap();
    let (name, rest) = line.split_at(at);
    let (labels, rest) = labels(rest);
    let rest = rest.strip_prefix(' ').expect(line);
    let (value, exemplar) = match rest.split_once(" # ") {
        None => (rest, None),
        Some((value, exemplar)) => (value, Some(read_exemplar(exemplar))),
    };
    Sample { name: name.to_owned(), labels, value: value.parse().expect(line), exemplar }
}

fn read_exemplar(text: &str) -> Exemplar {
    let (labels, rest) = labels(text);
    let characters: usize =
        labels.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
    assert!(characters <= 128, "{text}");
    let mut numbers = rest.split(' ').skip(1).map(|number| number.parse::<f64>().unwrap());
    let value = numbers.next().expect(text);
    Exemplar { labels, value, time: numbers.next() }
}

fn labels(text: &str) -> (Labels, &str) {
    let mut labels = Labels::new();
    let Some(mut rest) = text.strip_prefix('{') else { return (labels, text) };
    while !rest.starts_with('}') {
        let (name, after) = rest.split_once("=\"").expect(text);
        assert!(is_name(name, ""), "{name}");
        let (value, after) = quoted(after);
        assert_eq!(labels.insert(name.to_owned(), value), None, "{name} twice in {text}");
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    (labels, &rest[1..])
}

fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.push(match characters.next().unwrap().1 {
                'n' => '\n',
                plain @ ('"' | '\\') => plain,
                other => panic!("\\{other} is no escape"),
            }),
            plain => value.push(plain),
        }
    }
    panic!("{text} does not end")
}

fn is_name(name: &str, further: &str) -> bool {
    let valid = |it: char| it.is_ascii_alphanumeric() || it == '_' || further.contains(it);
    name.starts_with(|first: char| !first.is_ascii_digit()) && name.chars().all(valid)
}
